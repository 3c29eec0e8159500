//! Keys of a service: their names, what the service tells about them, and what it answers.

use crate::key::{Kind, PublicKey, Purpose, Scheme};
use zeroize::Zeroizing;

/// How a key is named in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    /// As the service takes it: a KMS key id, ARN or alias; a Key Vault key name.
    pub id: String,
    /// The version to stay with, where the service has versions and the user has named one.
    pub version: Option<String>,
}

/// A key as a service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// Its name.
    pub name: KeyName,
    /// What its users call it, where the service has a place for that: an alias, a tag.
    pub label: Option<String>,
    /// The listing says that it is disabled: it need not be asked about.
    pub is_disabled: bool,
}

/// What a service tells about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The name that can't come to mean another key: a key ARN; a Key Vault key identifier with its version.
    /// None while only a local certificate has told of the key: then the configured name is used.
    pub immutable_id: Option<String>,
    /// What kind of key it is.
    pub kind: Kind,
    /// The public half; a secret key has none.
    pub public_key: Option<PublicKey>,
    /// All that the service does with it, but for what is withheld; empty for a key that can't be used.
    pub schemes: Vec<Scheme>,
    /// Why it can't be used, where `schemes` is empty: "it is disabled".
    pub refusal: Option<String>,
    /// What the service says that it is for, for messages: "its KeyUsage is SIGN_VERIFY".
    pub usage: Option<String>,
    /// What the service does not permit, though there are schemes for it.
    pub withheld: Vec<Purpose>,
}

impl KeyFacts {
    /// Whether the service does that with the key.
    pub fn does(&self, purpose: Purpose) -> bool {
        let serves = |scheme: &Scheme| scheme.family.purpose() == purpose.of_schemes();
        !self.withheld.contains(&purpose) && self.schemes.iter().any(serves)
    }

    /// The schemes by which the service does something with the key.
    pub fn permitted_schemes(&self) -> Vec<Scheme> {
        let purposes = Purpose::ALL.into_iter().filter(|purpose| self.does(*purpose));
        let purposes: Vec<_> = purposes.map(Purpose::of_schemes).collect();
        self.schemes.iter().copied().filter(|scheme| purposes.contains(&scheme.family.purpose())).collect()
    }

    /// What a public half alone tells, with what the service is known to do with such a key.
    pub fn of(public_key: PublicKey, schemes: Vec<Scheme>) -> Self {
        let kind = public_key.kind();
        let public_key = Some(public_key);
        Self { immutable_id: None, kind, public_key, schemes, refusal: None, usage: None, withheld: Vec::new() }
    }
}

/// A key that is to be used.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its configured name.
    pub name: &'a KeyName,
    /// What kind of key it is.
    pub kind: Kind,
    /// What `describe` or an earlier use has answered, where there was one. A service whose keys have versions
    /// resolves `name` again, once, if that version is gone, disabled or expired.
    pub immutable_id: Option<&'a str>,
}

/// Plaintexts, shared secrets, random bytes: overwritten when dropped.
pub type Plain = Zeroizing<Vec<u8>>;

/// A signature, and by which key the service says that it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// In PKCS#11's form: RSA as long as the modulus; ECDSA as r and s, each padded to the curve's width.
    pub bytes: Vec<u8>,
    /// As in [`KeyFacts::immutable_id`].
    pub immutable_id: String,
}

/// What is to be done, with which key, and how.
#[derive(Clone)]
pub(crate) struct Order {
    /// The configured name.
    pub(crate) key: KeyName,
    /// What the service has told as the key's immutable id.
    pub(crate) told: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) scheme: Scheme,
    /// What is signed or decrypted; or the public key with whose owner a secret is shared.
    pub(crate) data: Zeroizing<Vec<u8>>,
}

impl Order {
    pub(crate) fn new(target: Target, scheme: Scheme, data: &[u8]) -> Self {
        Self {
            key: target.name.clone(),
            told: target.immutable_id.map(str::to_owned),
            kind: target.kind,
            scheme,
            data: data.to_vec().into(),
        }
    }
}
