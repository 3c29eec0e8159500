//! What the module asks of a cloud key service, and nothing about any of them.
//!

use super::failure::{Cause, Failure};
use super::http::network::Network;
use super::key::{CertificateName, KeyDescription, KeyName, ListedKey, SecretBytes, Signature, Target};
use super::login::{CommitLogin, LoginError, PinLogin};
use super::management::{CreatedKey, NewKey};
use super::runtime::Pending;
use super::secret::Secret;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Kind, PublicKey, Purpose, Scheme};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// A cloud key service with its settings and credentials.
///
/// A service that only signs implements the required methods. Everything else is a capability: a trait of its own, which
/// the service returns where it has the capability. Creating a backend makes no request; the first call connects.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Fetches the public half and the abilities of a key: one request.
    fn describe(&self, key: &KeyName) -> Pending<KeyDescription>;

    /// Signs, or computes a MAC: one request.
    ///
    /// `data` is exactly what the scheme takes: a digest as long as the scheme's hash, a DigestInfo, an ML-DSA mu, or
    /// the message.
    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature>;

    /// Returns every scheme that the service may offer for a key of `kind`. Makes no request.
    fn schemes(&self, kind: Kind) -> Vec<Scheme>;

    /// Whether `key` always names the same key: it is no alias, and it names a version where keys have versions.
    fn is_immutable(&self, key: &KeyName) -> bool;

    /// What selects the account in which the service looks up `key`, as far as it is known without a request: the name of a
    /// profile, for example. Empty if the place and the name are sufficient.
    fn account_of(&self, _key: &KeyName) -> String {
        String::new()
    }

    /// Lists all keys that the settings reach, in the service's order. Some of them may be unable to sign. With `labels`,
    /// the listing may take further requests.
    fn list(&self, labels: bool) -> Pending<Vec<ListedKey>>;

    /// The manufacturer and model in CK_TOKEN_INFO and CK_SLOT_INFO. Scripts match them in `pkcs11:` URIs.
    fn identity(&self) -> Identity;

    /// Where the keys are, for log lines: `AWS KMS in eu-central-1`, `https://v.vault.azure.net`.
    fn place(&self) -> String;

    /// Where requests go, as far as it is known, for the log line of a failure.
    fn endpoint(&self) -> String {
        self.place()
    }

    /// Whether each key has a single purpose: it signs, decrypts or derives.
    fn has_single_purpose(&self) -> bool {
        false
    }

    /// Whether each key has a single scheme, which belongs to the key and does not follow from its public key.
    fn has_single_scheme(&self) -> bool {
        false
    }

    /// The shortest and the longest message that the service takes unhashed (Ed25519, HMAC, ML-DSA, SLH-DSA), in bytes.
    fn message_lengths(&self) -> (usize, usize) {
        (1, 4096)
    }

    /// Verification of MACs.
    fn mac_verification(&self) -> Option<&dyn MacVerification> {
        None
    }

    /// Decryption.
    fn decryption(&self) -> Option<&dyn Decryption> {
        None
    }

    /// Key agreement.
    fn key_agreement(&self) -> Option<&dyn KeyAgreement> {
        None
    }

    /// Random bytes from the service.
    fn random_source(&self) -> Option<&dyn RandomSource> {
        None
    }

    /// Certificates that the service keeps with its keys.
    fn certificates(&self) -> Option<&dyn Certificates> {
        None
    }

    /// Certificates that the service's cloud stores apart from keys, by names of their own.
    fn named_certificates(&self) -> Option<&dyn NamedCertificates> {
        None
    }

    /// The login that the credential comes by, where the PIN of C_Login is the credential.
    fn login(&self) -> Option<&dyn PinLogin> {
        None
    }

    /// Keys that are created, labeled and destroyed.
    fn key_management(&self) -> Option<&dyn KeyManagement> {
        None
    }
}

/// The configured settings of a service. Each cloud creates its [`Backend`] from its settings with a function `open`.
///
/// The settings exist in every build, so that the configuration of every cloud is read by the same code. The backend
/// exists only in a build with the feature of the cloud.
pub trait ServiceSettings: Send + Sync + fmt::Debug {
    /// Returns the name of the cloud and the place of the keys in it, as far as the settings determine them. Serial
    /// numbers of tokens are derived from both, so neither may depend on the machine or change in a release.
    fn cloud_and_place(&self) -> (&'static str, String);

    /// Returns what limits a listing within the place, such as a key ring. It also determines the serial number of a token
    /// that discovers its keys.
    fn listing_scope(&self) -> String {
        String::new()
    }

    /// Returns how to reach the service: timeouts, retries, proxy and certificate authorities.
    fn network(&self) -> &Network;

    /// Returns whether the settings contain the secret of a credential.
    fn contains_credential(&self) -> bool;

    /// Returns whether the credential is the PIN of C_Login. Each token of such a service has its own login.
    fn needs_login(&self) -> bool;
}

/// The capability to verify MACs.
pub trait MacVerification {
    /// Verifies `mac` over `data`: one request.
    fn verify(&self, target: Target, scheme: Scheme, data: &[u8], mac: &[u8]) -> Pending<bool>;
}

/// The capability to decrypt.
pub trait Decryption {
    /// Decrypts: one request. Every fault of a ciphertext is [`Cause::Undecryptable`], with the same message.
    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes>;

    /// Unwraps a secret key, where the service has an operation of its own for that: one request.
    fn unwrap(&self, target: Target, scheme: Scheme, wrapped: &[u8]) -> Pending<SecretBytes> {
        self.decrypt(target, scheme, wrapped)
    }
}

/// The capability to derive shared secrets.
pub trait KeyAgreement {
    /// Derives the secret shared with the owner of `peer`, which is on the same curve: one request.
    fn derive(&self, target: Target, peer: &PublicKey) -> Pending<SecretBytes>;
}

/// The capability to generate random bytes.
pub trait RandomSource {
    /// Returns `length` random bytes.
    fn random(&self, length: usize) -> Pending<SecretBytes>;
}

/// The capability to keep certificates with keys.
pub trait Certificates {
    /// Fetches the certificate of a key, followed by its chain. Returns None where the key has no certificate.
    fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>>;

    /// Completes a pending certificate request of the key with `certificate`. Returns whether a request was pending.
    fn complete_certificate(&self, key: &KeyName, certificate: &Certificate) -> Pending<bool>;
}

/// The capability to fetch certificates by names of their own.
pub trait NamedCertificates {
    /// Fetches a certificate, followed by its chain: one request. Never None.
    fn named_certificate(&self, name: &CertificateName) -> Pending<Option<Vec<Certificate>>>;
}

/// The capability to create, label and destroy keys.
pub trait KeyManagement {
    /// Whether the service creates keys of `kind`.
    fn can_create(&self, kind: Kind) -> bool;

    /// Checks whether such a key can be created, as far as that is known without a request.
    ///
    /// # Errors
    /// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID.
    fn check_new(&self, new: &NewKey) -> Result<(), Error>;

    /// Creates a key. Takes several requests; the request that creates the key is never repeated.
    fn create(&self, new: &NewKey) -> Pending<CreatedKey>;

    /// Checks whether a key can have that label.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID.
    fn check_label(&self, label: &str) -> Result<(), Error>;

    /// Changes the label of a listed key. Later listings report the new label.
    fn relabel(&self, key: &KeyName, label: &str) -> Pending<()>;

    /// Deletes a key so that it can be recovered, for `days` where the service lets its user choose. Returns a sentence
    /// on how the key is recovered.
    fn destroy(&self, key: &KeyName, immutable_id: &str, days: u32) -> Pending<String>;
}

/// The capabilities as methods: a missing one fails with [`Cause::Unsupported`].
impl dyn Backend {
    /// See [`MacVerification::verify`].
    pub fn verify(&self, target: Target, scheme: Scheme, data: &[u8], mac: &[u8]) -> Pending<bool> {
        self.mac_verification().map_or_else(|| unsupported("Verify"), |own| own.verify(target, scheme, data, mac))
    }

    /// See [`Decryption::decrypt`].
    pub fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes> {
        self.decryption().map_or_else(|| unsupported("Decrypt"), |own| own.decrypt(target, scheme, ciphertext))
    }

    /// See [`Decryption::unwrap`].
    pub fn unwrap(&self, target: Target, scheme: Scheme, wrapped: &[u8]) -> Pending<SecretBytes> {
        self.decryption().map_or_else(|| unsupported("Unwrap"), |own| own.unwrap(target, scheme, wrapped))
    }

    /// See [`KeyAgreement::derive`].
    pub fn derive(&self, target: Target, peer: &PublicKey) -> Pending<SecretBytes> {
        self.key_agreement().map_or_else(|| unsupported("DeriveSharedSecret"), |own| own.derive(target, peer))
    }

    /// See [`RandomSource::random`].
    pub fn random(&self, length: usize) -> Pending<SecretBytes> {
        self.random_source().map_or_else(|| unsupported("GenerateRandom"), |own| own.random(length))
    }

    /// See [`Certificates::certificate`]. A service without the capability has no certificates.
    pub fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        self.certificates().map_or_else(|| Pending::ready(Ok(None)), |own| own.certificate(key))
    }

    /// See [`Certificates::complete_certificate`].
    pub fn complete_certificate(&self, key: &KeyName, certificate: &Certificate) -> Pending<bool> {
        let none = || Pending::ready(Ok(false));
        self.certificates().map_or_else(none, |own| own.complete_certificate(key, certificate))
    }

    /// See [`NamedCertificates::named_certificate`].
    pub fn named_certificate(&self, name: &CertificateName) -> Pending<Option<Vec<Certificate>>> {
        let none = || unsupported("GetCertificate");
        self.named_certificates().map_or_else(none, |own| own.named_certificate(name))
    }

    /// What the PIN of C_Login is, where it is the credential.
    pub fn pin_description(&self) -> Option<&'static str> {
        self.login().map(PinLogin::pin_description)
    }

    /// Whether requests can be made: before a login that is needed, there is no credential.
    pub fn is_ready(&self) -> bool {
        self.login().is_none_or(PinLogin::is_logged_in)
    }

    /// See [`PinLogin::log_in`].
    ///
    /// # Errors
    /// As [`PinLogin::log_in`].
    pub fn log_in(&self, pin: Secret, deadline: Instant) -> Result<CommitLogin<'_>, LoginError> {
        let none = || {
            Failure::new(
                Cause::Unsupported,
                "Login",
                "the PIN of this token is not a credential; set the option \"login\"",
            )
        };
        self.login().ok_or_else(|| LoginError::Failed(none()))?.log_in(pin, deadline)
    }

    /// See [`PinLogin::log_out`].
    pub fn log_out(&self) {
        if let Some(login) = self.login() {
            login.log_out();
        }
    }

    /// See [`KeyManagement::can_create`].
    pub fn can_create(&self, kind: Kind) -> bool {
        self.key_management().is_some_and(|own| own.can_create(kind))
    }

    /// See [`KeyManagement::check_new`].
    ///
    /// # Errors
    /// As [`KeyManagement::check_new`].
    pub fn check_new(&self, new: &NewKey) -> Result<(), Error> {
        self.key_management().map_or(Ok(()), |own| own.check_new(new))
    }

    /// See [`KeyManagement::create`].
    pub fn create(&self, new: &NewKey) -> Pending<CreatedKey> {
        self.key_management().map_or_else(|| unsupported("CreateKey"), |own| own.create(new))
    }

    /// See [`KeyManagement::check_label`].
    ///
    /// # Errors
    /// As [`KeyManagement::check_label`].
    pub fn check_label(&self, label: &str) -> Result<(), Error> {
        self.key_management().map_or(Ok(()), |own| own.check_label(label))
    }

    /// See [`KeyManagement::relabel`].
    pub fn relabel(&self, key: &KeyName, label: &str) -> Pending<()> {
        self.key_management().map_or_else(|| unsupported("SetLabel"), |own| own.relabel(key, label))
    }

    /// See [`KeyManagement::destroy`].
    pub fn destroy(&self, key: &KeyName, immutable_id: &str, days: u32) -> Pending<String> {
        let none = || unsupported("DeleteKey");
        self.key_management().map_or_else(none, |own| own.destroy(key, immutable_id, days))
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
    Pending::ready(Err(Failure::new(Cause::Unsupported, operation, "this service has no such operation")))
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
