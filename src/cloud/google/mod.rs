//! Google Cloud KMS as a [`Backend`]: each method starts a request of the other files of this folder.
//!
//! "REST Resource: v1.projects.locations.keyRings.cryptoKeys" of Google's documentation.

pub(crate) mod client;
pub(crate) mod credentials;
pub(crate) mod crypto;
pub(crate) mod diagnosis;
pub(crate) mod errors;
pub(crate) mod keys;
pub(crate) mod lifecycle;
pub(crate) mod listing;
pub(crate) mod names;
pub(crate) mod operations;
pub(crate) mod settings;
pub(crate) mod token;

use super::backend::{Backend, Decryption, Identity, KeyManagement, MacVerification, RandomSource, SharedBackend};
use super::failure::Failure;
use super::http::endpoint::url_without_credentials;
use super::key::{KeyDescription, KeyName, KeyRequest, ListedKey, SecretBytes, Signature, Target};
use super::management::{CreatedKey, NewKey};
use super::runtime;
use super::runtime::{Pending, PerProcess};
use crate::error::Error;
use crate::key::{Kind, Scheme};
use client::Clients;
use keys::algorithms::schemes;
use names::is_version;
pub use names::{KEY_RING_FORM, crypto_key_id, is_key, is_key_ring, relative_name};
use operations::{
    CREATE_KEY, DECRYPT, DESTROY_VERSION, GET_PUBLIC_KEY, LIST_KEYS, MAC_VERIFY, Operation, RANDOM, SIGN, UPDATE_KEY,
};
pub use settings::{Credentials, ProtectionLevel, Settings, Versions};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings. Sends no request and reads no file.
    pub fn open(&self) -> SharedBackend {
        Arc::new(Google { settings: self.clone(), clients: PerProcess::new() })
    }
}

struct Google {
    settings: Settings,
    clients: PerProcess<Clients>,
}

impl Backend for Google {
    fn describe(&self, key: &KeyName) -> Pending<KeyDescription> {
        let key = key.clone();
        self.call(&GET_PUBLIC_KEY, async move |clients| clients.describe(&key).await)
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let order = KeyRequest::new(target, scheme, data);
        self.call(&SIGN, async move |clients| clients.sign(&order).await)
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        schemes(kind)
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        is_version(&key.id)
    }

    fn list(&self, _labels: bool) -> Pending<Vec<ListedKey>> {
        self.call(&LIST_KEYS, async move |clients| clients.list().await)
    }

    /// The model is that of Google's own module.
    fn identity(&self) -> Identity {
        Identity { manufacturer: "Google", model: "Cloud KMS Token" }
    }

    fn place(&self) -> String {
        let place = self.settings.key_ring.clone().unwrap_or_else(|| "Google Cloud KMS".to_owned());
        match &self.settings.endpoint_url {
            Some(url) => format!("{place} at {}", url_without_credentials(url)),
            None => place,
        }
    }

    fn has_single_purpose(&self) -> bool {
        true
    }

    fn has_single_scheme(&self) -> bool {
        true
    }

    /// "Quotas": the input of asymmetricSign and macSign has at most 64 KiB. An empty input counts as a missing one.
    fn message_lengths(&self) -> (usize, usize) {
        (1, 65_536)
    }

    fn mac_verification(&self) -> Option<&dyn MacVerification> {
        Some(self)
    }

    fn decryption(&self) -> Option<&dyn Decryption> {
        Some(self)
    }

    /// The location of the key ring generates them.
    fn random_source(&self) -> Option<&dyn RandomSource> {
        self.settings.key_ring.as_ref().map(|_| self as &dyn RandomSource)
    }

    fn key_management(&self) -> Option<&dyn KeyManagement> {
        Some(self)
    }
}

impl MacVerification for Google {
    fn verify(&self, target: Target, scheme: Scheme, data: &[u8], mac: &[u8]) -> Pending<bool> {
        let (order, mac) = (KeyRequest::new(target, scheme, data), mac.to_vec());
        self.call(&MAC_VERIFY, async move |clients| clients.verify_mac(&order, &mac).await)
    }
}

impl Decryption for Google {
    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes> {
        let order = KeyRequest::new(target, scheme, ciphertext);
        self.call(&DECRYPT, async move |clients| clients.decrypt(&order).await)
    }
}

impl RandomSource for Google {
    fn random(&self, length: usize) -> Pending<SecretBytes> {
        self.call(&RANDOM, async move |clients| clients.random(length).await)
    }
}

impl KeyManagement for Google {
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

    fn relabel(&self, key: &KeyName, label: &str) -> Pending<()> {
        let (key, label) = (key.clone(), label.to_owned());
        self.call(&UPDATE_KEY, async move |clients| clients.relabel(&key, &label).await)
    }

    /// The time until the destruction is that of the crypto key.
    fn destroy(&self, key: &KeyName, immutable_id: &str, _days: u32) -> Pending<String> {
        let (key, version) = (key.clone(), immutable_id.to_owned());
        self.call(&DESTROY_VERSION, async move |clients| clients.destroy(&key, &version).await)
    }
}

impl fmt::Debug for Google {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Google {
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
        let clients = self.clients();
        runtime::spawn(operation.name, move || request(clients))
    }

    fn clients(&self) -> Arc<Clients> {
        self.clients.get(|| Clients::new(self.settings.clone()))
    }
}
