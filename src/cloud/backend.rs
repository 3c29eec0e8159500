//! What the module asks of a cloud key service, and nothing about any of them.
//!
//! A cloud is one file beside this one. The calls are synchronous for the core: each starts its request and answers
//! at once with a [`Pending`], so that many can be under way together; `async` stays behind this line.

use super::failure::{Cause, Failure};
use super::key::{KeyFacts, KeyName, ListedKey, Plain, Signature, Target};
use super::login::{Entry, Refusal};
use super::management::{MadeKey, NewKey};
use super::runtime::Pending;
use super::secret::Secret;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Kind, PublicKey, Purpose, Scheme};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// A cloud key service with its settings and credentials. Cheap to make: the first call connects.
pub trait Backend: Send + Sync + fmt::Debug {
    /// The public half and the abilities of a key: one request.
    fn describe(&self, key: &KeyName) -> Pending<KeyFacts>;

    /// Signs, or makes a MAC: one request. `data` is just what the scheme takes: a digest of exactly its hash's length,
    /// a DigestInfo, a mu, or the message.
    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature>;

    /// Whether the MAC is the message's: one request.
    fn verify(&self, _target: Target, _scheme: Scheme, _data: &[u8], _mac: &[u8]) -> Pending<bool> {
        unsupported("Verify")
    }

    /// Decrypts: one request. Whatever is wrong with a ciphertext is [`Cause::Undecryptable`], in the same words.
    fn decrypt(&self, _target: Target, _scheme: Scheme, _ciphertext: &[u8]) -> Pending<Plain> {
        unsupported("Decrypt")
    }

    /// Decrypts a secret key, where that is something else for the service: one request.
    fn unwrap(&self, target: Target, scheme: Scheme, wrapped: &[u8]) -> Pending<Plain> {
        self.decrypt(target, scheme, wrapped)
    }

    /// The secret shared with the owner of that public key, which lies on the same curve: one request.
    fn derive(&self, _target: Target, _peer: &PublicKey) -> Pending<Plain> {
        unsupported("DeriveSharedSecret")
    }

    /// Random bytes.
    fn random(&self, _length: usize) -> Pending<Plain> {
        unsupported("GenerateRandom")
    }

    /// All that this service may do with a key of that kind, before it was asked about the key.
    fn schemes(&self, kind: Kind) -> Vec<Scheme>;

    /// Whether a key of this service is for one purpose alone: it signs, decrypts or agrees.
    fn has_single_purpose(&self) -> bool {
        false
    }

    /// How many bytes of a message the service takes as they are (Ed25519, HMAC): at least and at most.
    fn message_lengths(&self) -> (usize, usize) {
        (1, 4096)
    }

    /// Whether the name can't come to mean another key: it is no alias, and names a version where keys have some.
    fn is_immutable(&self, key: &KeyName) -> bool;

    /// All keys that these settings reach, in the service's order; some may turn out unable to sign. Labels may take further
    /// requests.
    fn list(&self, labels: bool) -> Pending<Vec<ListedKey>>;

    /// The certificate that the service keeps with the key, the key's own first and then its chain;
    /// None where it has none, or keeps no certificates.
    fn certificate(&self, _key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        Pending::ready(Ok(None))
    }

    /// What the PIN of C_Login is, where the credential comes by it: "the application's client secret".
    fn pin(&self) -> Option<&'static str> {
        None
    }

    /// Whether requests can be made: before a login that it waits for, there is no credential for any.
    fn is_ready(&self) -> bool {
        true
    }

    /// Asks whether the PIN is good: what the answer holds puts it in place.
    ///
    /// # Errors
    /// Why it isn't, or what kept the authority from telling.
    fn log_in(&self, _pin: Secret, _deadline: Instant) -> Result<Entry<'_>, Refusal> {
        Err(Refusal::Trouble(Failure::new(Cause::Unsupported, "Login", "this token's credential is no PIN")))
    }

    /// Forgets the PIN, and the tokens that it has brought.
    fn log_out(&self) {}

    /// Whether it makes keys of that kind.
    fn makes(&self, _kind: Kind) -> bool {
        false
    }

    /// Whether such a key can be made, as far as that can be told without a request.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID.
    fn check_new(&self, _new: &NewKey) -> Result<(), Error> {
        Ok(())
    }

    /// Makes a key: some requests, and the one that makes it never twice.
    fn create(&self, _new: &NewKey) -> Pending<MadeKey> {
        unsupported("CreateKey")
    }

    /// Whether a key can have that label.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID.
    fn check_label(&self, _label: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Gives a listed key another label, which listings tell from then on.
    fn relabel(&self, _key: &KeyName, _label: &str) -> Pending<()> {
        unsupported("SetLabel")
    }

    /// Deletes a key so that it can be brought back, for `days` where that can be chosen. Answers how that is done.
    fn destroy(&self, _key: &KeyName, _immutable_id: &str, _days: u32) -> Pending<String> {
        unsupported("DeleteKey")
    }

    /// Hands the certificate over to a service that waits for one for that key. Answers whether it did.
    fn complete_certificate(&self, _key: &KeyName, _certificate: &Certificate) -> Pending<bool> {
        Pending::ready(Ok(false))
    }

    /// What CK_TOKEN_INFO and CK_SLOT_INFO say of the maker; scripts match on it in `pkcs11:` URIs.
    fn identity(&self) -> Identity;

    /// Where its keys live, for log lines: `AWS KMS in eu-central-1`, `https://v.vault.azure.net`.
    fn place(&self) -> String;

    /// Where requests really go, as far as it is known, for the line of a failure.
    fn endpoint(&self) -> String {
        self.place()
    }
}

/// What a service may do with a key of that kind for these purposes.
pub fn schemes_for(backend: &dyn Backend, kind: Kind, purposes: &[Purpose]) -> Vec<Scheme> {
    let schemes = backend.schemes(kind).into_iter();
    schemes.filter(|scheme| purposes.contains(&scheme.family.purpose())).collect()
}

/// The purposes for which a service may have a key of that kind.
pub fn purposes_of(backend: &dyn Backend, kind: Kind) -> Vec<Purpose> {
    let schemes = backend.schemes(kind);
    let has = |purpose: &Purpose| schemes.iter().any(|scheme| scheme.family.purpose() == *purpose);
    [Purpose::Sign, Purpose::Decrypt, Purpose::Derive].into_iter().filter(has).collect()
}

fn unsupported<T: Clone>(operation: &'static str) -> Pending<T> {
    Pending::ready(Err(Failure::new(Cause::Unsupported, operation, "this service has nothing like it")))
}

/// The maker of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of CK_TOKEN_INFO")]
pub struct Identity {
    pub manufacturer: &'static str,
    pub model: &'static str,
}

/// A backend that many tokens share.
pub type SharedBackend = Arc<dyn Backend>;
