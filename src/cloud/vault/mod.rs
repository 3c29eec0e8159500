//! The Transit engine of HashiCorp Vault and OpenBao as a [`Backend`]: each method starts a request of the other files of
//! this folder.
//!
//! "Transit secrets engine (API)" of Vault's documentation.

pub(crate) mod batches;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod credentials;
pub(crate) mod crypto;
pub(crate) mod diagnosis;
pub(crate) mod errors;
pub(crate) mod keys;
pub(crate) mod lifecycle;
pub(crate) mod listing;
pub(crate) mod login;
pub(crate) mod operations;
pub(crate) mod settings;
pub(crate) mod token;

use super::backend::{
    Backend, Certificates, Decryption, Identity, KeyManagement, MacVerification, RandomSource, SharedBackend,
};
use super::failure::{Cause, Failure};
use super::http::endpoint::url_without_credentials;
use super::key::{KeyDescription, KeyName, KeyRequest, ListedKey, SecretBytes, Signature, Target};
use super::login::{LoginState, PinLogin};
use super::management::{CreatedKey, NewKey};
use super::runtime;
use super::runtime::Pending;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Kind, Scheme};
use client::Clients;
use keys::{facts, schemes};
use operations::{
    CREATE_KEY, DECRYPT, DELETE_KEY, LIST_KEYS, Operation, RANDOM, READ_KEY, SET_CERTIFICATE, SIGN, VERIFY,
};
pub use settings::{Auth, Credential, Login, Pin, SecretId, Settings, is_key_name};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings. Sends no request and reads no file.
    pub fn open(&self) -> SharedBackend {
        Arc::new(Vault(LoginState::new(self.clone())))
    }
}

struct Vault(LoginState<Clients>);

impl Backend for Vault {
    fn describe(&self, key: &KeyName) -> Pending<KeyDescription> {
        let key = key.clone();
        self.call(&READ_KEY, async move |clients| facts(&clients.settings.mount, &key, &clients.read_key(&key).await?))
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let order = KeyRequest::new(target, scheme, data);
        self.call(&SIGN, async move |clients| clients.sign(&order).await)
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        schemes(kind)
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        key.version.is_some()
    }

    fn list(&self, _labels: bool) -> Pending<Vec<ListedKey>> {
        self.call(&LIST_KEYS, async move |clients| clients.list().await)
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "HashiCorp", model: "Vault Transit" }
    }

    fn place(&self) -> String {
        let Settings { address, mount, namespace, .. } = &self.0.settings;
        let address = url_without_credentials(address);
        match namespace {
            Some(namespace) => format!("{mount} in the namespace {namespace} of {address}"),
            None => format!("{mount} at {address}"),
        }
    }

    /// Vault limits a text in a request to 1 MiB, and the message is in base64.
    fn message_lengths(&self) -> (usize, usize) {
        (0, 524_288)
    }

    fn mac_verification(&self) -> Option<&dyn MacVerification> {
        Some(self)
    }

    fn decryption(&self) -> Option<&dyn Decryption> {
        Some(self)
    }

    fn random_source(&self) -> Option<&dyn RandomSource> {
        Some(self)
    }

    fn certificates(&self) -> Option<&dyn Certificates> {
        Some(self)
    }

    fn login(&self) -> Option<&dyn PinLogin> {
        self.0.settings.login.is_some().then_some(&self.0)
    }

    fn key_management(&self) -> Option<&dyn KeyManagement> {
        Some(self)
    }
}

impl MacVerification for Vault {
    fn verify(&self, target: Target, scheme: Scheme, data: &[u8], mac: &[u8]) -> Pending<bool> {
        let (order, mac) = (KeyRequest::new(target, scheme, data), mac.to_vec());
        self.call(&VERIFY, async move |clients| clients.verify_hmac(&order, &mac).await)
    }
}

impl Decryption for Vault {
    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes> {
        let order = KeyRequest::new(target, scheme, ciphertext);
        self.call(&DECRYPT, async move |clients| clients.decrypt(&order).await)
    }
}

impl RandomSource for Vault {
    fn random(&self, length: usize) -> Pending<SecretBytes> {
        self.call(&RANDOM, async move |clients| clients.random(length).await)
    }
}

impl Certificates for Vault {
    fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        let key = key.clone();
        self.call(&READ_KEY, async move |clients| clients.certificate(&key).await)
    }

    fn complete_certificate(&self, key: &KeyName, certificate: &Certificate) -> Pending<bool> {
        let (key, certificate) = (key.clone(), certificate.clone());
        self.call(&SET_CERTIFICATE, async move |clients| clients.set_certificate(&key, &certificate).await)
    }
}

impl KeyManagement for Vault {
    fn can_create(&self, kind: Kind) -> bool {
        lifecycle::can_create(kind)
    }

    fn check_new(&self, new: &NewKey) -> Result<(), Error> {
        lifecycle::check_new(new)
    }

    fn create(&self, new: &NewKey) -> Pending<CreatedKey> {
        let new = new.clone();
        self.call(&CREATE_KEY, async move |clients| clients.create(&new).await)
    }

    fn check_label(&self, label: &str) -> Result<(), Error> {
        lifecycle::check_label(label)
    }

    fn relabel(&self, _key: &KeyName, _label: &str) -> Pending<()> {
        Pending::ready(
            Err(CREATE_KEY.failure(Cause::Unsupported, "keys of Transit have no labels besides their names")),
        )
    }

    fn destroy(&self, key: &KeyName, _immutable_id: &str, _days: u32) -> Pending<String> {
        let key = key.clone();
        self.call(&DELETE_KEY, async move |clients| clients.destroy(&key).await)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Vault {
    /// Starts a call.
    fn call<T, F>(
        &self,
        operation: &'static Operation,
        request: impl FnOnce(Arc<Clients>) -> F + Send + 'static,
    ) -> Pending<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let clients = self.0.clients();
        runtime::spawn(operation.name, move || request(clients))
    }
}
