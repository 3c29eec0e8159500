//! AWS KMS as a [`Backend`]: each method starts a request of the other files of this folder.
//!
//! API reference: GetPublicKey, Sign, ListKeys and "Common Errors" of the AWS KMS API Reference.

pub(crate) mod acm;
pub(crate) mod client;
pub(crate) mod connector;
pub(crate) mod credentials;
pub(crate) mod crypto;
pub(crate) mod diagnosis;
pub(crate) mod errors;
pub(crate) mod keys;
pub(crate) mod lifecycle;
pub(crate) mod listing;
pub(crate) mod login;
pub(crate) mod multi_region;
pub(crate) mod operations;
pub(crate) mod request;
pub(crate) mod settings;

use super::backend::{
    Backend, Decryption, Identity, KeyAgreement, KeyManagement, MacVerification, NamedCertificates, RandomSource,
    SharedBackend,
};
use super::key::KeyRequest;
use super::key::{CertificateName, KeyDescription, KeyName, ListedKey, SecretBytes, Signature, Target};
use super::login::{LoginState, PinLogin};
use super::management::{CreatedKey, NewKey};
use super::runtime;
use super::runtime::Pending;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Algorithm, Kind, PublicKey, Scheme};
pub use acm::name::{CertificateService, is_certificate_arn};
use client::Clients;
pub use credentials::shared_file_paths::files_with_access_keys;
use keys::{is_alias, schemes};
use operations::{
    CREATE_ALIAS, CREATE_KEY, DECRYPT, DERIVE, GENERATE_MAC, GET_PUBLIC_KEY, LIST_KEYS, RANDOM, SCHEDULE_DELETION,
    SIGN, VERIFY_MAC,
};
use settings::service_description;
pub use settings::{Login, Settings};
use std::fmt;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings. Sends no request and reads no file.
    pub fn open(&self) -> SharedBackend {
        Arc::new(Aws(LoginState::new(self.clone())))
    }
}

struct Aws(LoginState<Clients>);

impl Backend for Aws {
    fn describe(&self, key: &KeyName) -> Pending<KeyDescription> {
        let (clients, id) = (self.clients(), key.id.clone());
        runtime::spawn(GET_PUBLIC_KEY.name, move || async move { clients.describe(&id).await })
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let (clients, order) = (self.clients(), KeyRequest::new(target, scheme, data));
        let operation = if scheme.family == Algorithm::Hmac { &GENERATE_MAC } else { &SIGN };
        runtime::spawn(operation.name, move || async move { clients.sign(&order).await })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        schemes(kind)
    }

    /// KeyUsage, which can't be changed.
    fn has_single_purpose(&self) -> bool {
        true
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        !is_alias(&key.id)
    }

    /// An ARN contains the account and the region.
    fn account_of(&self, key: &KeyName) -> String {
        if key.id.starts_with("arn:") { String::new() } else { self.clients().settings.account() }
    }

    fn list(&self, labels: bool) -> Pending<Vec<ListedKey>> {
        let clients = self.clients();
        runtime::spawn(LIST_KEYS.name, move || async move { clients.list(labels).await })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "aws_kms", model: "0" }
    }

    fn place(&self) -> String {
        service_description(&self.0.settings)
    }

    fn endpoint(&self) -> String {
        self.clients().place(self.0.settings.region.as_deref())
    }

    fn mac_verification(&self) -> Option<&dyn MacVerification> {
        Some(self)
    }

    fn decryption(&self) -> Option<&dyn Decryption> {
        Some(self)
    }

    fn key_agreement(&self) -> Option<&dyn KeyAgreement> {
        Some(self)
    }

    fn random_source(&self) -> Option<&dyn RandomSource> {
        Some(self)
    }

    fn named_certificates(&self) -> Option<&dyn NamedCertificates> {
        Some(self)
    }

    fn login(&self) -> Option<&dyn PinLogin> {
        self.0.settings.login.is_some().then_some(&self.0)
    }

    fn key_management(&self) -> Option<&dyn KeyManagement> {
        Some(self)
    }
}

impl MacVerification for Aws {
    fn verify(&self, target: Target, scheme: Scheme, data: &[u8], mac: &[u8]) -> Pending<bool> {
        let (clients, order, mac) = (self.clients(), KeyRequest::new(target, scheme, data), mac.to_vec());
        runtime::spawn(VERIFY_MAC.name, move || async move { clients.verify_mac(&order, &mac).await })
    }
}

impl Decryption for Aws {
    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes> {
        let (clients, order) = (self.clients(), KeyRequest::new(target, scheme, ciphertext));
        runtime::spawn(DECRYPT.name, move || async move { clients.decrypt(&order).await })
    }
}

impl KeyAgreement for Aws {
    fn derive(&self, target: Target, peer: &PublicKey) -> Pending<SecretBytes> {
        let (clients, order) = (self.clients(), KeyRequest::new(target, Algorithm::Ecdh.without_hash(), peer.spki()));
        runtime::spawn(DERIVE.name, move || async move { clients.derive(&order).await })
    }
}

impl RandomSource for Aws {
    fn random(&self, length: usize) -> Pending<SecretBytes> {
        let clients = self.clients();
        runtime::spawn(RANDOM.name, move || async move { clients.random(length).await })
    }
}

impl NamedCertificates for Aws {
    fn named_certificate(&self, name: &CertificateName) -> Pending<Option<Vec<Certificate>>> {
        let (clients, name) = (self.clients(), name.clone());
        let operation = CertificateService::of(&name).operation();
        runtime::spawn(operation.name, move || async move { acm::certificate(&clients, &name).await.map(Some) })
    }
}

impl KeyManagement for Aws {
    fn can_create(&self, kind: Kind) -> bool {
        lifecycle::can_create(kind)
    }

    fn check_new(&self, new: &NewKey) -> Result<(), Error> {
        lifecycle::check_new(new)
    }

    fn create(&self, new: &NewKey) -> Pending<CreatedKey> {
        let (clients, new) = (self.clients(), new.clone());
        runtime::spawn(CREATE_KEY.name, move || async move { clients.create(&new).await })
    }

    fn check_label(&self, label: &str) -> Result<(), Error> {
        lifecycle::check_label(label)
    }

    fn relabel(&self, key: &KeyName, label: &str) -> Pending<()> {
        let (clients, id, label) = (self.clients(), key.id.clone(), label.to_owned());
        runtime::spawn(CREATE_ALIAS.name, move || async move { clients.relabel(&id, &label).await })
    }

    fn destroy(&self, _key: &KeyName, immutable_id: &str, days: u32) -> Pending<String> {
        let (clients, id) = (self.clients(), immutable_id.to_owned());
        runtime::spawn(SCHEDULE_DELETION.name, move || async move { clients.destroy(&id, days).await })
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Aws {
    fn clients(&self) -> Arc<Clients> {
        self.0.clients()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backend::schemes_for;
    use crate::key::hash::Hash;
    use crate::key::{Curve, Purpose};

    #[test]
    fn each_kind_has_its_schemes() {
        let of = |kind| Settings::default().open().schemes(kind);
        assert_eq!(of(Kind::Rsa(2048)).len(), 8);
        let signing = schemes_for(&*Settings::default().open(), Kind::Rsa(2048), &[Purpose::Sign]);
        assert_eq!(signing.len(), 6, "an RSA key signs with six schemes");
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            assert_eq!(of(Kind::Ec(curve)), [Algorithm::Ecdsa.with_hash(curve.hash()), Algorithm::Ecdh.without_hash()]);
        }
        assert_eq!(of(Kind::Ec(Curve::Secp256k1)), [Algorithm::Ecdsa.with_hash(Hash::Sha256)]);
        assert_eq!(of(Kind::Ed25519), [Algorithm::Eddsa.without_hash()]);
        assert_eq!(of(Kind::Hmac(Hash::Sha384)), [Algorithm::Hmac.with_hash(Hash::Sha384)]);
    }
}
