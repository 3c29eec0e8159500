//! Keys of a vault, and the operations on them.

mod algorithms;
mod bundle;
mod crypto;
pub(super) mod curve;
mod deleted;
mod manage;
pub(super) mod new_key;

pub use new_key::VaultKey;
