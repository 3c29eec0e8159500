//! Cryptography. It knows no service: KMS and Key Vault name keys and algorithms in their own ways.

mod ed25519ph;
mod import;
pub(crate) mod material;
pub(crate) mod material_pool;
pub(crate) mod ml_dsa;
pub(crate) mod unable;
