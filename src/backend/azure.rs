//! Azure Key Vault and Managed HSM: what is asked of them and what their answers mean.
//! Clients and errors are in `azure_client`, tokens in `azure_credentials`.
//!
//! Key Vault REST API reference, version 2025-07-01: Get Key, Get Certificate.

use super::azure_client::{Clients, Operation, Vault, refused};
use super::azure_keys::{GET_KEY, facts, schemes};
use super::azure_listing::{GET_KEYS, list};
use super::azure_manage::{self, CREATE_KEY, DELETE_KEY, PENDING_CERTIFICATE, UPDATE_KEY};
use super::azure_uses::{DECRYPT, RANDOM, SIGN, UNWRAP_KEY, decrypt, random, sign_anew, unwrap};
use super::call::{Call, Refused};
use super::login::Access;
use super::order::Order;
use super::runtime;
pub use super::secret::Secret;
use super::{
    Backend, Cause, Entry, Failure, Identity, KeyFacts, KeyName, ListedKey, MadeKey, Network, NewKey, Pending, Plain,
    Refusal, SharedBackend, Signature, Target,
};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::key::{Kind, Scheme};
use crate::log_info;
use azure_security_keyvault_certificates::models::CertificateClientGetCertificateOptions;
use azure_security_keyvault_keys::models::KeyClientGetKeyOptions;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// What a slot says about Azure. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// URL of the vault or Managed HSM, without a trailing slash.
    pub vault_url: String,
    /// Where the tokens come from.
    pub credential: Credential,
    /// The tenant; None means AZURE_TENANT_ID.
    pub tenant_id: Option<String>,
    /// The application, or the user-assigned managed identity; None means AZURE_CLIENT_ID.
    pub client_id: Option<String>,
    /// The application's secret in the configuration file itself.
    pub client_secret: Option<Secret>,
    /// A file that holds the application's secret.
    pub client_secret_file: Option<PathBuf>,
    /// A PEM or PKCS#12 file with the application's certificate and private key.
    pub client_certificate_path: Option<PathBuf>,
    /// A file that holds the password of that one; None means AZURE_CLIENT_CERTIFICATE_PASSWORD, if there is one.
    pub client_certificate_password_file: Option<PathBuf>,
    /// A file that holds a federated token; it is read again whenever a token is needed.
    pub federated_token_file: Option<PathBuf>,
    /// The `azureauth.json` that is to be used.
    pub auth_file: Option<PathBuf>,
    /// Where else one may lie; the first that can be read counts.
    pub auth_files: Vec<PathBuf>,
    /// URL of the authority; None means AZURE_AUTHORITY_HOST, else that of the vault's cloud.
    pub authority_host: Option<String>,
    /// CKM_RSA_PKCS signs whatever it is given, by the algorithm RSNULL.
    pub rsnull: bool,
    /// Skips the check that a vault's challenge names the vault's own domain. For emulators.
    pub skip_challenge_check: bool,
    /// How to reach it.
    pub network: Network,
}

/// Where the tokens come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The first of the following that is configured: environment or configuration (client secret, client certificate),
    /// workload identity, azureauth.json, the az program, managed identity.
    #[default]
    Default,
    /// Client secret or client certificate, from the configuration or the environment.
    Environment,
    /// A federated token in a file.
    WorkloadIdentity,
    /// azureauth.json.
    AuthFile,
    /// `az account get-access-token`.
    Cli,
    /// The machine's or container's managed identity.
    ManagedIdentity,
    /// The application's client secret, which is the PIN of C_Login; until then there is none.
    Login,
}

/// The backend for these settings: no request, no file read.
pub fn open(settings: Settings) -> SharedBackend {
    Arc::new(Azure(Access::new(settings)))
}

struct Azure(Access<Clients>);

impl Backend for Azure {
    fn describe(&self, key: &KeyName) -> Pending<KeyFacts> {
        let name = key.clone();
        self.call(&GET_KEY, key, move |clients, vault| {
            let name = name.clone();
            async move { describe(&clients, &vault, &name).await }
        })
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let order = Order::new(target, scheme, data);
        self.call(&SIGN, target.name, move |clients, vault| {
            let order = order.clone();
            async move { sign_anew(&clients, &vault, &order).await }
        })
    }

    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<Plain> {
        let order = Order::new(target, scheme, ciphertext);
        self.call(&DECRYPT, target.name, move |_, vault| {
            let order = order.clone();
            async move { decrypt(&vault, &order).await }
        })
    }

    fn unwrap(&self, target: Target, scheme: Scheme, wrapped: &[u8]) -> Pending<Plain> {
        let order = Order::new(target, scheme, wrapped);
        self.call(&UNWRAP_KEY, target.name, move |_, vault| {
            let order = order.clone();
            async move { unwrap(&vault, &order).await }
        })
    }

    fn random(&self, length: usize) -> Pending<Plain> {
        if !self.is_managed_hsm() {
            let message = "only a Managed HSM gives random bytes; leave out \"random\" for a vault";
            return Pending::ready(Err(RANDOM.failure(Cause::Unsupported, message)));
        }
        let clients = self.clients();
        runtime::spawn(RANDOM.name, move || async move { random(&clients, length).await })
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

    fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        if self.is_managed_hsm() {
            return Pending::ready(Ok(None));
        }
        let name = key.clone();
        self.call(&GET_CERTIFICATE, key, move |_, vault| {
            let name = name.clone();
            async move { certificate(&vault, &name).await }
        })
    }

    fn pin(&self) -> Option<&'static str> {
        self.wants_login().then_some("the application's client secret")
    }

    fn is_ready(&self) -> bool {
        !self.wants_login() || self.0.is_entered()
    }

    fn log_in(&self, pin: Secret, deadline: Instant) -> Result<Entry<'_>, Refusal> {
        self.0.log_in(pin, deadline)
    }

    fn log_out(&self) {
        self.0.log_out();
    }

    fn makes(&self, kind: Kind) -> bool {
        azure_manage::makes(kind)
    }

    fn check_new(&self, new: &NewKey) -> Result<(), Error> {
        azure_manage::check_new(new)
    }

    fn create(&self, new: &NewKey) -> Pending<MadeKey> {
        let (clients, new, hsm) = (self.clients(), new.clone(), self.is_managed_hsm());
        runtime::spawn(CREATE_KEY.name, move || async move { azure_manage::create(&clients, &new, hsm).await })
    }

    fn check_label(&self, label: &str) -> Result<(), Error> {
        azure_manage::check_label(label)
    }

    fn relabel(&self, key: &KeyName, label: &str) -> Pending<()> {
        let (name, label) = (key.clone(), label.to_owned());
        self.call(&UPDATE_KEY, key, move |_, vault| {
            let (name, label) = (name.clone(), label.clone());
            async move { azure_manage::relabel(&vault, &name, &label).await }
        })
    }

    fn destroy(&self, key: &KeyName, _immutable_id: &str, _days: u32) -> Pending<String> {
        let name = key.clone();
        self.call(&DELETE_KEY, key, move |_, vault| {
            let name = name.clone();
            async move { azure_manage::destroy(&vault, &name).await }
        })
    }

    fn complete_certificate(&self, key: &KeyName, certificate: &Certificate) -> Pending<bool> {
        if self.is_managed_hsm() {
            return Pending::ready(Ok(false));
        }
        let (name, certificate) = (key.clone(), certificate.clone());
        self.call(&PENDING_CERTIFICATE, key, move |_, vault| {
            let (name, certificate) = (name.clone(), certificate.clone());
            async move { azure_manage::complete(&vault, &name, &certificate).await }
        })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "Microsoft", model: "Azure Key Vault" }
    }

    fn place(&self) -> String {
        self.0.settings.vault_url.clone()
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

#[rustfmt::skip]
const GET_CERTIFICATE: Operation = Operation { name: "GetCertificate", permission: "certificates/get", role: "Key Vault Certificate User", waits: true };

impl Azure {
    fn is_managed_hsm(&self) -> bool {
        self.0.settings.vault_url.contains(".managedhsm.")
    }

    fn wants_login(&self) -> bool {
        self.0.settings.credential == Credential::Login
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
        F: Future<Output = Result<T, Refused>> + Send + 'static,
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

pub(super) async fn call<T, F>(
    clients: &Arc<Clients>,
    operation: &'static Operation,
    key: &str,
    request: impl Fn(Vault) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Refused>>,
{
    let asked = Asked { operation: operation.name, key, vault_url: &clients.settings.vault_url };
    let turns = operation.waits.then_some(&clients.turns);
    let call = Call { operation: operation.name, what: &asked, network: &clients.settings.network, turns };
    let attempt = async || {
        let answer = request(clients.vault(operation.name).await?).await;
        answer.map_err(|refused| clients.of_login(refused))
    };
    call.made(attempt, |refused, since| clients.renew(refused, since)).await
}

/// What is asked of which key and where, for the log.
struct Asked<'a> {
    operation: &'static str,
    key: &'a str,
    vault_url: &'a str,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.operation, self.key, self.vault_url)
    }
}

/// The SDK puts names into the path as they are. "Object types, identifiers, and versioning".
fn checked(key: &KeyName) -> Result<(), String> {
    let fits = |part: &str, dash: bool| {
        let letters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || dash && byte == b'-');
        letters && (1..=127).contains(&part.len())
    };
    match &key.version {
        _ if !fits(&key.id, true) => Err(format!("{:?} is no name of a key: 1 to 127 of 0-9, a-z, A-Z and -", key.id)),
        Some(version) if !fits(version, false) => Err(format!("{version:?} is no version of a key")),
        _ => Ok(()),
    }
}

pub(super) async fn describe(clients: &Clients, vault: &Vault, key: &KeyName) -> Result<KeyFacts, Refused> {
    let options = KeyClientGetKeyOptions { key_version: key.version.clone(), ..Default::default() };
    let reply = vault.keys.get_key(&key.id, Some(options)).await.map_err(|e| refused(&GET_KEY, e))?;
    let facts = facts(reply.into_model().map_err(|e| refused(&GET_KEY, e))?, clients.settings.rsnull)?;
    if let (Some(id), Some(public_key)) = (&facts.immutable_id, &facts.public_key) {
        let mut told = clients.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(id.clone(), public_key.clone());
    }
    Ok(facts)
}

/// A key's certificate has its name, and its version: Key Vault makes both together.
pub(super) async fn certificate(vault: &Vault, key: &KeyName) -> Result<Option<Vec<Certificate>>, Refused> {
    let options =
        CertificateClientGetCertificateOptions { certificate_version: key.version.clone(), ..Default::default() };
    let reply = match vault.certificates.get_certificate(&key.id, Some(options)).await {
        Ok(reply) => reply.into_model().map_err(|e| refused(&GET_CERTIFICATE, e))?,
        Err(error) => {
            let refused = refused(&GET_CERTIFICATE, error);
            return match refused.failure.cause {
                Cause::Missing => Ok(None),
                Cause::Denied => {
                    log_info!("the certificate of key {} can't be looked for: {}", key.id, refused.failure);
                    Ok(None)
                }
                _ => Err(refused),
            };
        }
    };
    let Some(der) = reply.cer.filter(|der| !der.is_empty()) else { return Ok(None) };
    let certificate = Certificate::from_der(&der);
    Ok(Some(vec![certificate.map_err(|unusable| GET_CERTIFICATE.failure(Cause::Malformed, unusable.0))?]))
}
