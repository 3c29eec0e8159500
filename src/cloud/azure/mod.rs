//! Azure Key Vault and Managed HSM as a [`Backend`]: each method starts a request of the other files of this folder.
//!
//! Key Vault REST API reference, version 2025-07-01: Get Key, Get Certificate.

pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod credentials;
pub(crate) mod crypto;
pub(crate) mod diagnosis;
pub(crate) mod environment;
pub(crate) mod errors;
pub(crate) mod keys;
pub(crate) mod lifecycle;
pub(crate) mod listing;
pub(crate) mod login;
pub(crate) mod operations;
pub(crate) mod settings;

use super::backend::{Backend, Certificates, Decryption, Identity, KeyManagement, RandomSource, SharedBackend};
use super::failure::Cause;
use super::failure::refused::FailedAttempt;
use super::key::KeyRequest;
use super::key::{KeyDescription, KeyName, ListedKey, SecretBytes, Signature, Target};
use super::login::{LoginState, PinLogin};
use super::management::{CreatedKey, NewKey};
use super::runtime;
use super::runtime::Pending;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Kind, Scheme};
use certificates::certificate;
use client::{Clients, Vault, call};
use crypto::{decrypt, random, sign_resolving_rotation, unwrap};
use keys::{describe, schemes};
use listing::list;
use operations::{
    CREATE_KEY, DECRYPT, DELETE_KEY, GET_CERTIFICATE, GET_KEY, GET_KEYS, Operation, PENDING_CERTIFICATE, RANDOM, SIGN,
    UNWRAP_KEY, UPDATE_KEY,
};
pub use settings::{Credential, Settings};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings. Sends no request and reads no file.
    pub fn open(&self) -> SharedBackend {
        Arc::new(Azure(LoginState::new(self.clone())))
    }
}

struct Azure(LoginState<Clients>);

impl Backend for Azure {
    fn describe(&self, key: &KeyName) -> Pending<KeyDescription> {
        let name = key.clone();
        self.call(&GET_KEY, key, move |clients, vault| {
            let name = name.clone();
            async move { describe(&clients, &vault, &name).await }
        })
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let order = KeyRequest::new(target, scheme, data);
        self.call(&SIGN, target.name, move |clients, vault| {
            let order = order.clone();
            async move { sign_resolving_rotation(&clients, &vault, &order).await }
        })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        schemes(kind, self.0.settings.rsnull)
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        key.version.is_some()
    }

    fn list(&self, _labels: bool) -> Pending<Vec<ListedKey>> {
        let clients = self.clients();
        runtime::spawn(GET_KEYS.name, move || async move { list(&clients).await })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "Microsoft", model: "Azure Key Vault" }
    }

    fn place(&self) -> String {
        self.0.settings.vault_url.clone()
    }

    fn decryption(&self) -> Option<&dyn Decryption> {
        Some(self)
    }

    fn random_source(&self) -> Option<&dyn RandomSource> {
        Some(self)
    }

    /// A Managed HSM has no certificates.
    fn certificates(&self) -> Option<&dyn Certificates> {
        (!self.is_managed_hsm()).then_some(self)
    }

    fn login(&self) -> Option<&dyn PinLogin> {
        (self.0.settings.credential == Credential::Login).then_some(&self.0)
    }

    fn key_management(&self) -> Option<&dyn KeyManagement> {
        Some(self)
    }
}

impl Decryption for Azure {
    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes> {
        let order = KeyRequest::new(target, scheme, ciphertext);
        self.call(&DECRYPT, target.name, move |_, vault| {
            let order = order.clone();
            async move { decrypt(&vault, &order).await }
        })
    }

    fn unwrap(&self, target: Target, scheme: Scheme, wrapped: &[u8]) -> Pending<SecretBytes> {
        let order = KeyRequest::new(target, scheme, wrapped);
        self.call(&UNWRAP_KEY, target.name, move |_, vault| {
            let order = order.clone();
            async move { unwrap(&vault, &order).await }
        })
    }
}

impl RandomSource for Azure {
    fn random(&self, length: usize) -> Pending<SecretBytes> {
        if !self.is_managed_hsm() {
            let message = "a vault has no random bytes, only a Managed HSM has; remove the option \"random\"";
            return Pending::ready(Err(RANDOM.failure(Cause::Unsupported, message)));
        }
        let clients = self.clients();
        runtime::spawn(RANDOM.name, move || async move { random(&clients, length).await })
    }
}

impl Certificates for Azure {
    fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        let name = key.clone();
        self.call(&GET_CERTIFICATE, key, move |_, vault| {
            let name = name.clone();
            async move { certificate(&vault, &name).await }
        })
    }

    fn complete_certificate(&self, key: &KeyName, certificate: &Certificate) -> Pending<bool> {
        let (name, certificate) = (key.clone(), certificate.clone());
        self.call(&PENDING_CERTIFICATE, key, move |_, vault| {
            let (name, certificate) = (name.clone(), certificate.clone());
            async move { certificates::merge(&vault, &name, &certificate).await }
        })
    }
}

impl KeyManagement for Azure {
    fn can_create(&self, kind: Kind) -> bool {
        lifecycle::can_create(kind)
    }

    fn check_new(&self, new: &NewKey) -> Result<(), Error> {
        lifecycle::check_new(new)
    }

    fn create(&self, new: &NewKey) -> Pending<CreatedKey> {
        let (clients, new, hsm) = (self.clients(), new.clone(), self.is_managed_hsm());
        runtime::spawn(CREATE_KEY.name, move || async move { lifecycle::create(&clients, &new, hsm).await })
    }

    fn check_label(&self, label: &str) -> Result<(), Error> {
        lifecycle::check_label(label)
    }

    fn relabel(&self, key: &KeyName, label: &str) -> Pending<()> {
        let (name, label) = (key.clone(), label.to_owned());
        self.call(&UPDATE_KEY, key, move |_, vault| {
            let (name, label) = (name.clone(), label.clone());
            async move { lifecycle::relabel(&vault, &name, &label).await }
        })
    }

    fn destroy(&self, key: &KeyName, _immutable_id: &str, _days: u32) -> Pending<String> {
        let name = key.clone();
        self.call(&DELETE_KEY, key, move |_, vault| {
            let name = name.clone();
            async move { lifecycle::destroy(&vault, &name).await }
        })
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Azure {
    fn is_managed_hsm(&self) -> bool {
        self.0.settings.vault_url.contains(".managedhsm.")
    }

    fn clients(&self) -> Arc<Clients> {
        self.0.clients()
    }

    /// Starts a call. Signatures go out at once; what is loaded waits for its turn.
    fn call<T, F>(
        &self,
        operation: &'static Operation,
        key: &KeyName,
        request: impl Fn(Arc<Clients>, Vault) -> F + Send + Sync + 'static,
    ) -> Pending<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, FailedAttempt>> + Send + 'static,
    {
        if let Err(message) = checked(key) {
            return Pending::ready(Err(operation.failure(Cause::Rejected, message)));
        }
        let (clients, id) = (self.clients(), key.id.clone());
        runtime::spawn(operation.name, move || async move {
            call(&clients, operation, &id, |vault| request(clients.clone(), vault)).await
        })
    }
}

/// The SDK puts names into the path as they are. "Object types, identifiers, and versioning".
fn checked(key: &KeyName) -> Result<(), String> {
    let fits = |part: &str, dash: bool| {
        let letters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || dash && byte == b'-');
        letters && (1..=127).contains(&part.len())
    };
    match &key.version {
        _ if !fits(&key.id, true) => {
            Err(format!("{:?} is not a valid Key Vault key name; write 1 to 127 of 0-9, a-z, A-Z and -", key.id))
        }
        Some(version) if !fits(version, false) => {
            Err(format!("{version:?} is not a valid version of a key; write its letters and digits only"))
        }
        _ => Ok(()),
    }
}
