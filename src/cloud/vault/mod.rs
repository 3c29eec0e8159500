//! The Transit engine of HashiCorp Vault and OpenBao as a [`Backend`]: each method starts a request of the other files of
//! this folder. No option of the configuration selects it yet.
//!
//! "Transit secrets engine (API)" of Vault's documentation.

pub(crate) mod client;
pub(crate) mod crypto;
pub(crate) mod errors;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod operations;
pub(crate) mod settings;

use super::backend::{Backend, Decryption, Identity, MacVerification, RandomSource, ServiceSettings, SharedBackend};
use super::failure::Failure;
use super::http::network::Network;
use super::key::{KeyDescription, KeyName, KeyRequest, ListedKey, SecretBytes, Signature, Target};
use super::runtime;
use super::runtime::{Pending, PerProcess};
use crate::key::{Kind, Scheme};
use client::{Clients, Request};
use http::Method;
use keys::{KeyReply, facts, schemes};
use operations::{DECRYPT, LIST_KEYS, RANDOM, READ_KEY, SIGN, VERIFY};
pub use settings::{Auth, Credential, Login, Settings};
use std::fmt;
use std::sync::Arc;

impl ServiceSettings for Settings {
    fn cloud_and_place(&self) -> (&'static str, String) {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        ("vault", format!("{}/{namespace}/{}", self.address.to_ascii_lowercase(), self.mount))
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn contains_credential(&self) -> bool {
        match &self.auth {
            Auth::Token(_) | Auth::Login(Login { credential: Credential::AppRole { .. }, .. }) => true,
            Auth::TokenFile(_) | Auth::Login(_) => false,
        }
    }

    fn needs_login(&self) -> bool {
        false
    }

    fn open(&self) -> SharedBackend {
        Arc::new(Vault { settings: self.clone(), clients: PerProcess::new() })
    }
}

struct Vault {
    settings: Settings,
    clients: PerProcess<Clients>,
}

impl Backend for Vault {
    fn describe(&self, key: &KeyName) -> Pending<KeyDescription> {
        let (clients, key) = (self.clients(), key.clone());
        runtime::spawn(READ_KEY.name, move || async move { clients.describe(&key).await })
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let (clients, order) = (self.clients(), KeyRequest::new(target, scheme, data));
        runtime::spawn(SIGN.name, move || async move { clients.sign(&order).await })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        schemes(kind)
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        key.version.is_some()
    }

    fn list(&self, _labels: bool) -> Pending<Vec<ListedKey>> {
        let clients = self.clients();
        runtime::spawn(LIST_KEYS.name, move || async move { clients.list().await })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "HashiCorp", model: "Vault Transit" }
    }

    fn place(&self) -> String {
        let Settings { address, mount, namespace, .. } = &self.settings;
        match namespace {
            Some(namespace) => format!("{mount} in the namespace {namespace} of {address}"),
            None => format!("{mount} at {address}"),
        }
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
}

impl MacVerification for Vault {
    fn verify(&self, target: Target, scheme: Scheme, data: &[u8], mac: &[u8]) -> Pending<bool> {
        let (clients, order, mac) = (self.clients(), KeyRequest::new(target, scheme, data), mac.to_vec());
        runtime::spawn(VERIFY.name, move || async move { clients.verify_hmac(&order, &mac).await })
    }
}

impl Decryption for Vault {
    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes> {
        let (clients, order) = (self.clients(), KeyRequest::new(target, scheme, ciphertext));
        runtime::spawn(DECRYPT.name, move || async move { clients.decrypt(&order).await })
    }
}

impl RandomSource for Vault {
    fn random(&self, length: usize) -> Pending<SecretBytes> {
        let clients = self.clients();
        runtime::spawn(RANDOM.name, move || async move { clients.random(length).await })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Vault {
    fn clients(&self) -> Arc<Clients> {
        self.clients.get(|| Clients::new(self.settings.clone()))
    }
}

impl Clients {
    async fn describe(&self, key: &KeyName) -> Result<KeyDescription, Failure> {
        let path: Vec<&str> = self.mount().into_iter().chain(["keys", &key.id]).collect();
        let request = Request { method: Method::GET, path: &path, body: None };
        let reply: KeyReply = self.call(&READ_KEY, &key.id, &request).await?;
        facts(&self.settings.mount, key, &reply)
    }
}
