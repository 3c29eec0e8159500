//! What is to be done with a key: the part of a request that is the same for every cloud.

use super::{KeyName, Target};
use crate::key::{Kind, Scheme};
use zeroize::Zeroizing;

/// What is to be done, with which key, and how.
#[derive(Clone)]
pub(super) struct Order {
    /// The configured name.
    pub(super) key: KeyName,
    /// What the service has told as the key's immutable id.
    pub(super) told: Option<String>,
    pub(super) kind: Kind,
    pub(super) scheme: Scheme,
    /// What is signed or decrypted; or the public key with whose owner a secret is shared.
    pub(super) data: Zeroizing<Vec<u8>>,
}

impl Order {
    pub(super) fn new(target: Target, scheme: Scheme, data: &[u8]) -> Self {
        Self {
            key: target.name.clone(),
            told: target.immutable_id.map(str::to_owned),
            kind: target.kind,
            scheme,
            data: data.to_vec().into(),
        }
    }
}
