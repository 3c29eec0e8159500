//! The operations on keys.

mod crypto;
pub(crate) mod deleted;
pub(crate) mod new_key;
