//! What the module asks of a cloud key service, and nothing about any of them.
//!
//! A cloud is one file beside this one. The calls are synchronous for the core: each starts its request and answers
//! at once with a [`Pending`], so that many can be under way together; `async` stays behind this line.

pub mod aws;
mod aws_client;
mod aws_errors;
#[cfg(any(test, fuzzing))]
pub mod aws_fuzzing;
mod aws_http;
mod aws_keys;
mod aws_listing;
mod aws_login;
mod aws_manage;
mod aws_uses;
pub mod azure;
mod azure_assertion;
mod azure_client;
mod azure_credentials;
#[cfg(any(test, fuzzing))]
pub mod azure_fuzzing;
mod azure_keys;
mod azure_login;
mod azure_manage;
mod azure_uses;
mod call;
#[cfg(any(test, fuzzing))]
pub mod fake;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod http;
mod login;
mod management;
mod order;
mod park;
mod program;
mod resolver;
pub mod runtime;
mod secret;
mod trust;

use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Kind, PublicKey, Purpose, Scheme};
use cryptoki_sys::*;
pub use login::{Entry, Refusal};
pub use management::{MadeKey, NewKey};
pub use runtime::Pending;
pub use secret::Secret;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    /// All that the service will do with it; empty for a key that can't be used.
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

    /// That of it which holds for a key of which only the public half is known: some services have keys that sign and
    /// keys that decrypt.
    fn usual_schemes(&self, kind: Kind) -> Vec<Scheme> {
        self.schemes(kind)
    }

    /// How many bytes of a message the service takes as they are (Ed25519, HMAC).
    fn longest_message(&self) -> usize {
        4096
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
    pub serial: &'static str,
}

/// Why a service did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of trouble, which decides the CK_RV.
    pub cause: Cause,
    /// What was asked: "Sign", "GetPublicKey".
    pub operation: &'static str,
    /// The service's own words, or the client's; never key material, tokens or whole replies.
    pub message: String,
    /// The service's id of the request, to be quoted to its support.
    pub request_id: Option<String>,
}

/// The kinds of trouble that a user can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The credentials are good but do not permit this.
    Denied,
    /// No such key, version or certificate.
    Missing,
    /// The key is disabled, expired, not yet valid or about to be deleted.
    Disabled,
    /// Too many requests, after all retries.
    Throttled,
    /// No answer within the deadline.
    TimedOut,
    /// No connection, or one that broke.
    Unreachable,
    /// No credentials, or the service does not accept them.
    Credentials,
    /// The service refused the request as wrong.
    Rejected,
    /// The service had an internal error, after all retries.
    Internal,
    /// The reply was not what the service's document says.
    Malformed,
    /// The service, or this key, has no such operation.
    Unsupported,
    /// C_Finalize, or a fork, ended the call.
    Interrupted,
    /// The service's name has no address.
    Unresolved,
    /// The proxy is not there, or does not let the request through.
    Proxy,
    /// The service's certificate is not one of an authority that is trusted here, or is of another name or time.
    Untrusted,
    /// The ciphertext was not made for this key, or was changed.
    Undecryptable,
}

/// The one table of causes: the CK_RV, ulDeviceError, and what a person reads. docs/errors.md is checked against it.
#[rustfmt::skip]
pub const CAUSES: &[(Cause, CK_RV, CK_ULONG, &str)] = &[
    (Cause::Denied,      CKR_FUNCTION_REJECTED,          1, "permission denied"),
    (Cause::Missing,     CKR_KEY_HANDLE_INVALID,         2, "no such key"),
    (Cause::Disabled,    CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "the key is disabled"),
    (Cause::Throttled,   CKR_DEVICE_ERROR,               4, "throttled"),
    (Cause::TimedOut,    CKR_DEVICE_ERROR,               5, "no answer in time"),
    (Cause::Unreachable, CKR_DEVICE_ERROR,               6, "can't reach the service"),
    (Cause::Credentials, CKR_DEVICE_ERROR,               7, "no valid credentials"),
    (Cause::Rejected,    CKR_FUNCTION_FAILED,            8, "the service refused the request"),
    (Cause::Internal,    CKR_DEVICE_ERROR,               9, "the service failed"),
    (Cause::Malformed,   CKR_DEVICE_ERROR,              10, "the service's reply makes no sense"),
    (Cause::Unsupported, CKR_FUNCTION_NOT_SUPPORTED,    11, "not supported by the service"),
    (Cause::Interrupted, CKR_FUNCTION_CANCELED,         12, "interrupted"),
    (Cause::Unresolved,  CKR_DEVICE_ERROR,              13, "the service's name has no address"),
    (Cause::Proxy,       CKR_DEVICE_ERROR,              14, "the proxy does not help"),
    (Cause::Untrusted,   CKR_DEVICE_ERROR,              15, "the service's certificate is not trusted"),
    (Cause::Undecryptable, CKR_ENCRYPTED_DATA_INVALID,  16, "the ciphertext does not decrypt"),
];

impl Failure {
    /// A failure without a request id.
    pub fn new(cause: Cause, operation: &'static str, message: impl Into<String>) -> Self {
        Self { cause, operation, message: message.into(), request_id: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = CAUSES.iter().find(|row| row.0 == self.cause).map_or("", |row| row.3);
        write!(f, "{}: {words}: {}", self.operation, self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let row = CAUSES.iter().find(|row| row.0 == failure.cause);
        let (rv, device_error) = row.map_or((CKR_GENERAL_ERROR, 0), |row| (row.1, row.2));
        Error { device_error, ..Error::new(rv, failure.to_string()) }
    }
}

/// How to reach a service: the part of the settings that all services share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// A PEM file of certificate authorities that are trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// URL of an HTTP proxy, maybe with a password; None means what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
    pub proxy: Option<Secret>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a whole call may take: credentials, connecting, retries and all.
    pub call_timeout: Duration,
    /// How often a request is repeated after an accident; 0 means that throttling is not waited out, either.
    pub retries: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            proxy: None,
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(10),
            retries: 3,
        }
    }
}

/// A backend that many tokens share.
pub type SharedBackend = Arc<dyn Backend>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_cause() {
        let document = include_str!("../../docs/errors.md");
        for (number, row) in CAUSES.iter().enumerate() {
            assert_eq!(row.2, number as CK_ULONG + 1, "numbers are never used again");
            let line = format!("| {} | {} | {} |", crate::error::name(row.1), row.2, row.3);
            assert!(document.contains(&line), "docs/errors.md lacks {line}");
        }
    }
}
