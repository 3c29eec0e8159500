//! Files of the module: cached public keys, and certificates that programs have written.

pub mod cached_certificates;
pub mod certificates;
pub mod private_directory;
pub mod public_keys;
