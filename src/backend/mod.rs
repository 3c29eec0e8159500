//! What the module asks of a cloud key service, and nothing about any of them.
//!
//! A cloud is one file beside this one. The calls are synchronous for the core: each starts its request and answers
//! at once with a [`Pending`], so that many can be under way together; `async` stays behind this line.

pub mod aws;
mod aws_client;
mod aws_endpoint;
mod aws_errors;
mod aws_files;
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
mod azure_auth_file;
mod azure_certificate;
mod azure_client;
mod azure_cloud;
mod azure_credentials;
#[cfg(any(test, fuzzing))]
pub mod azure_fuzzing;
mod azure_keys;
mod azure_listing;
mod azure_login;
mod azure_manage;
mod azure_managed_identity;
mod azure_sources;
mod azure_token_error;
mod azure_uses;
pub mod blocking;
mod call;
mod credential_file;
mod endpoint;
mod error_chain;
mod failure;
#[cfg(any(test, fuzzing))]
pub mod fake;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod http;
mod login;
mod management;
mod obstacle;
mod order;
mod pages;
mod park;
mod password_encryption;
mod pkcs12;
mod program;
mod proxy;
mod resolver;
pub mod runtime;
mod secret;
mod tls;
mod trust;
mod verifier;

use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Kind, PublicKey, Purpose, Scheme};
pub use endpoint::{is_open_endpoint, shown_url};
pub use failure::{CAUSES, Cause, Failure};
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

/// How to reach a service: the part of the settings that all services share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// A PEM file of certificate authorities that are trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The option or the variable that named that file, for messages.
    pub ca_bundle_named_by: &'static str,
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
            ca_bundle_named_by: "ca_bundle",
            proxy: None,
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(10),
            retries: 3,
        }
    }
}

/// A backend that many tokens share.
pub type SharedBackend = Arc<dyn Backend>;
