//! One version of a key, and of the certificate that comes with it.

use crate::crypto::Material;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One version of a key.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) version: String,
    /// `RSA`, `RSA-HSM`, `EC` or `EC-HSM`.
    pub(crate) kty: String,
    pub(crate) material: Arc<Material>,
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) operations: Vec<String>,
    pub(crate) tags: Tags,
    /// The certificate with the same name and version.
    pub(crate) certificate: Option<Certificate>,
}

pub(crate) type Tags = BTreeMap<String, String>;

/// A certificate of a version, and what its policy says of it.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    /// `Self`, or `Unknown` for an authority that the vault has no contract with.
    pub(crate) issuer: &'static str,
    /// `CN=me`.
    pub(crate) subject: String,
    /// Of the secret with the same name.
    pub(crate) content_type: String,
}
