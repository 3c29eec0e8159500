//! What Azure holds.

pub(crate) mod vaults;
