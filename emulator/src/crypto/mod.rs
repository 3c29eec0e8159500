//! Cryptography. It knows no service: KMS and Key Vault name keys and algorithms in their own ways.

mod ed25519ph;
mod encrypt;
mod family;
mod hash;
mod import;
mod material;
mod material_pool;
mod post_quantum;
mod scheme;
mod sign;
mod unable;

pub(crate) use family::{Curve, Family};
pub(crate) use hash::{Hash, mac};
pub(crate) use material::Material;
pub(crate) use material_pool::MaterialPool;
pub(crate) use post_quantum::ParameterSet;
pub(crate) use scheme::{Padding, Scheme};
pub(crate) use unable::Unable;
