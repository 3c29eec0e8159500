//! Keys of a service, and the requests and results of operations with them.

use crate::key::{Kind, PublicKey, Purpose, Scheme};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The name of a key in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    /// The name that the service accepts: a key id, key ARN or alias of AWS KMS, or a key name of Key Vault.
    pub id: String,
    /// The only version to use, if keys of the service have versions and the user has named one.
    pub version: Option<String>,
}

/// The name of a certificate that a cloud stores apart from its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateName {
    /// The name that the service accepts: an ARN.
    pub id: String,
    /// The name of the private authority that has issued the certificate and stores it. None for a certificate that
    /// the cloud stores for its user (AWS Certificate Manager).
    pub authority: Option<String>,
}

/// A key in the listing of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The name of the key.
    pub name: KeyName,
    /// The label that users have given the key, if the service stores one, for example as an alias or a tag.
    pub label: Option<String>,
    /// Whether the listing reports that the key is disabled. No request about such a key is needed.
    pub is_disabled: bool,
}

/// The properties of a key, as a service reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// The name that can never refer to another key: a key ARN, or a Key Vault key identifier with its version.
    /// None while the key is known from a local certificate only. In that case the configured name is used.
    pub immutable_id: Option<String>,
    /// The kind of the key.
    pub kind: Kind,
    /// The public key. None for a secret key.
    pub public_key: Option<PublicKey>,
    /// The schemes that the service performs with the key, except for the purposes in `forbidden_purposes`. Empty if the key
    /// cannot be used.
    pub schemes: Vec<Scheme>,
    /// The reason why the key cannot be used, if `schemes` is empty, for example "it is disabled".
    pub unusable_reason: Option<Arc<str>>,
    /// What the service reports about the use of the key, for messages, for example "its KeyUsage is SIGN_VERIFY".
    pub usage: Option<Arc<str>>,
    /// The purposes that the service does not permit, although `schemes` contains schemes for them.
    pub forbidden_purposes: Vec<Purpose>,
}

impl KeyDescription {
    /// Returns whether the service performs operations of this purpose with the key.
    pub fn permits(&self, purpose: Purpose) -> bool {
        let serves = |scheme: &Scheme| scheme.family.purpose() == purpose.scheme_purpose();
        !self.forbidden_purposes.contains(&purpose) && self.schemes.iter().any(serves)
    }

    /// Returns the schemes that serve at least one permitted purpose.
    pub fn permitted_schemes(&self) -> Vec<Scheme> {
        let purposes = Purpose::ALL.into_iter().filter(|purpose| self.permits(*purpose));
        let purposes: Vec<_> = purposes.map(Purpose::scheme_purpose).collect();
        self.schemes.iter().copied().filter(|scheme| purposes.contains(&scheme.family.purpose())).collect()
    }

    /// Creates the properties of a key from its public key and the schemes that the service is known to perform
    /// with such a key.
    pub fn from_public_key(public_key: PublicKey, schemes: Vec<Scheme>) -> Self {
        let kind = public_key.kind();
        let public_key = Some(public_key);
        Self {
            immutable_id: None,
            kind,
            public_key,
            schemes,
            unusable_reason: None,
            usage: None,
            forbidden_purposes: Vec::new(),
        }
    }
}

/// The key that an operation uses.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The configured name of the key.
    pub name: &'a KeyName,
    /// The kind of the key.
    pub kind: Kind,
    /// The immutable id that `describe` or an earlier operation has returned, if there is one. A service whose
    /// keys have versions resolves `name` again, once, if that version is deleted, disabled or expired.
    pub immutable_id: Option<&'a str>,
}

/// A plaintext, a shared secret or random bytes. The bytes are overwritten when dropped.
pub type SecretBytes = Zeroizing<Vec<u8>>;

/// A signature, and the key with which it was made, as the service reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signature in the form of PKCS#11. An RSA signature is as long as the modulus. An ECDSA signature
    /// consists of r and s, each padded to the width of the curve.
    pub bytes: Vec<u8>,
    /// The id of that key, as in [`KeyDescription::immutable_id`].
    pub immutable_id: String,
}

/// The operation to request: the key, the scheme and the data.
#[derive(Clone)]
pub(crate) struct KeyRequest {
    /// The configured name of the key.
    pub(crate) key: KeyName,
    /// The immutable id that the service has reported for the key.
    pub(crate) immutable_id: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) scheme: Scheme,
    /// The data to sign, verify or decrypt. For a key agreement, the public key of the other party.
    pub(crate) data: Zeroizing<Vec<u8>>,
}

impl KeyRequest {
    pub(crate) fn new(target: Target, scheme: Scheme, data: &[u8]) -> Self {
        Self {
            key: target.name.clone(),
            immutable_id: target.immutable_id.map(str::to_owned),
            kind: target.kind,
            scheme,
            data: data.to_vec().into(),
        }
    }
}
