//! Azure Key Vault and Managed HSM: what is asked of them and what their answers mean.
//! Clients and errors are in `azure_client`, tokens in `azure_credentials`.
//!
//! Key Vault REST API reference, version 2025-07-01: Get Key, Sign, Get Keys, Get Certificate.

use super::azure_client::{Clients, Operation, Refused, Vault, refused};
use super::azure_keys::{ALGORITHMS, GET_KEY, curve_of, facts, name_and_version, signature_len, version_of};
use super::runtime::{self, PerProcess};
use super::{Backend, Cause, Failure, Identity, KeyFacts, KeyName, Network, Pending, SharedBackend, Signature};
use crate::certificate::Certificate;
use crate::key::{Kind, Scheme};
use crate::{log_debug, log_info};
use azure_core::http::Url;
use azure_security_keyvault_certificates::models::CertificateClientGetCertificateOptions;
use azure_security_keyvault_keys::models::{
    KeyClientGetKeyOptions, KeyClientSignOptions, KeyOperationResult, SignParameters, SignatureAlgorithm,
};
use futures_core::Stream;
use secrecy::SecretString;
use std::collections::HashSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::pin;
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
    /// A PEM file with the application's certificate and private key.
    pub client_certificate_path: Option<PathBuf>,
    /// A file that holds a federated token; it is read again whenever a token is needed.
    pub federated_token_file: Option<PathBuf>,
    /// `azureauth.json` files to try in order (tenant, appId, password).
    pub auth_files: Vec<PathBuf>,
    /// URL of the authority; None means AZURE_AUTHORITY_HOST, else the public cloud's.
    pub authority_host: Option<String>,
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
}

/// A secret that compares, hashes and prints without showing itself.
#[derive(Clone)]
pub struct Secret(pub SecretString);

/// The backend for these settings: no request, no file read.
pub fn open(settings: Settings) -> SharedBackend {
    Arc::new(Azure { settings, clients: PerProcess::new() })
}

struct Azure {
    settings: Settings,
    clients: PerProcess<Clients>,
}

impl Backend for Azure {
    fn describe(&self, key: &KeyName) -> Pending<KeyFacts> {
        let name = key.clone();
        self.call(&GET_KEY, Turn::Queued, key, move |clients, vault| {
            let name = name.clone();
            async move { describe(&clients, &vault, &name).await }
        })
    }

    fn sign(
        &self,
        key: &KeyName,
        kind: Kind,
        immutable_id: Option<&str>,
        scheme: Scheme,
        digest: &[u8],
    ) -> Pending<Signature> {
        let Some((algorithm, _)) = ALGORITHMS.iter().find(|(_, known)| *known == (scheme, curve_of(kind))) else {
            return Pending::ready(Err(SIGN.failure(Cause::Unsupported, format!("no algorithm for {scheme:?}"))));
        };
        let request = Request {
            key: key.clone(),
            told: immutable_id.map(str::to_owned),
            length: signature_len(kind),
            algorithm: algorithm.clone(),
            digest: digest.to_vec(),
        };
        self.call(&SIGN, Turn::AtOnce, key, move |clients, vault| {
            let request = request.clone();
            async move { sign_anew(&clients, &vault, &request).await }
        })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        let own = ALGORITHMS.iter().filter(|(_, (_, curve))| *curve == curve_of(kind));
        own.map(|(_, (scheme, _))| *scheme).collect()
    }

    fn list(&self) -> Pending<Vec<KeyName>> {
        let all = KeyName { id: "all".into(), version: None };
        self.call(&GET_KEYS, Turn::Long, &all, |_, vault| async move { list(&vault).await })
    }

    fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        if self.settings.vault_url.contains(".managedhsm.") {
            return Pending::ready(Ok(None));
        }
        let name = key.clone();
        self.call(&GET_CERTIFICATE, Turn::Queued, key, move |_, vault| {
            let name = name.clone();
            async move { certificate(&vault, &name).await }
        })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "Microsoft", model: "Azure Key Vault", serial: "0" }
    }

    fn place(&self) -> String {
        self.settings.vault_url.clone()
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

#[rustfmt::skip]
const SIGN: Operation = Operation { name: "Sign", permission: "keys/sign", role: "Key Vault Crypto User" };
#[rustfmt::skip]
const GET_KEYS: Operation = Operation { name: "GetKeys", permission: "keys/list", role: "Key Vault Crypto User" };
#[rustfmt::skip]
const GET_CERTIFICATE: Operation = Operation { name: "GetCertificate", permission: "certificates/get", role: "Key Vault Certificate User" };

/// When a request may go out, and what its time limit bounds.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    /// At once: somebody waits for a signature.
    AtOnce,
    /// When one of the turns is free; the limit counts from then.
    Queued,
    /// At once, and the limit is for each of many pages.
    Long,
}

impl Azure {
    fn call<T, F>(
        &self,
        operation: &'static Operation,
        turn: Turn,
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
        let clients = self.clients.get(|| Clients::new(self.settings.clone()));
        let what = format!("{} {} at {}", operation.name, key.id, self.place());
        let limit = self.settings.network.call_timeout;
        let pages = if turn == Turn::Long { MAX_PAGES } else { 1 };
        runtime::spawn(operation.name, runtime::NO_LIMIT, move || async move {
            let _turn = if turn == Turn::Queued { clients.turns.acquire().await.ok() } else { None };
            let start = Instant::now();
            let request = with_second_try(&clients, operation, request);
            let answer = runtime::in_time(operation.name, limit.saturating_mul(pages), request).await;
            let outcome = answer.as_ref().map_or_else(Failure::to_string, |_| "ok".into());
            log_debug!("{what}: {outcome} ({} ms)", start.elapsed().as_millis());
            answer
        })
    }
}

/// Makes the request, and once more where that helps: with a new token, or with the body that the SDK has lost.
async fn with_second_try<T, F>(
    clients: &Arc<Clients>,
    operation: &'static Operation,
    request: impl Fn(Arc<Clients>, Vault) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Refused>>,
{
    let vault = clients.vault(operation.name).await?;
    let first = match request(clients.clone(), vault).await {
        Err(refused) if refused.is_about_token() => {
            clients.forget();
            refused
        }
        Err(refused) if refused.is_about_lost_body() => refused,
        answer => return answer.map_err(|refused| refused.failure),
    };
    log_debug!("{}; trying once more", first.failure);
    let vault = clients.vault(operation.name).await?;
    request(clients.clone(), vault).await.map_err(|refused| refused.failure)
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
    let facts = facts(reply.into_model().map_err(|e| refused(&GET_KEY, e))?)?;
    if let Some(id) = &facts.immutable_id {
        let mut told = clients.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(id.clone(), facts.public_key.clone());
    }
    Ok(facts)
}

/// What is to be signed, and how.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) key: KeyName,
    pub(super) told: Option<String>,
    pub(super) length: usize,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) digest: Vec<u8>,
}

/// Signs; and where the version that was resolved earlier is gone, disabled or expired, resolves and signs once more.
pub(super) async fn sign_anew(clients: &Clients, vault: &Vault, request: &Request) -> Result<Signature, Refused> {
    let told = request.told.as_deref().and_then(version_of);
    let first = sign(vault, request, request.key.version.as_deref().or(told)).await;
    let (Err(refused), None, Some(old)) = (&first, &request.key.version, &request.told) else { return first };
    if !refused.is_gone() {
        return first;
    }
    let Ok(now) = describe(clients, vault, &request.key).await else { return first };
    let Some(new) = now.immutable_id.filter(|new| version_of(new) != told) else { return first };
    let known = clients.told.lock().unwrap_or_else(PoisonError::into_inner).get(old).cloned();
    if known.is_some_and(|known| known == now.public_key) {
        return sign(vault, request, version_of(&new)).await;
    }
    let message = format!(
        "the key was rotated: of version {} the service says {:?}, version {} has another public key. It will be loaded anew",
        told.unwrap_or_default(),
        refused.failure.message,
        version_of(&new).unwrap_or_default()
    );
    Err(SIGN.failure(Cause::Missing, message).into())
}

async fn sign(vault: &Vault, request: &Request, version: Option<&str>) -> Result<Signature, Refused> {
    let parameters = SignParameters { algorithm: Some(request.algorithm.clone()), value: Some(request.digest.clone()) };
    let parameters = parameters.try_into().map_err(|e| refused(&SIGN, e))?;
    let options = KeyClientSignOptions { key_version: version.map(str::to_owned), ..Default::default() };
    let reply = vault.keys.sign(&request.key.id, parameters, Some(options)).await.map_err(|e| refused(&SIGN, e))?;
    let reply = reply.into_model().map_err(|e| refused(&SIGN, e))?;
    Ok(signature(reply, request.length, version)?)
}

fn signature(reply: KeyOperationResult, length: usize, version: Option<&str>) -> Result<Signature, Failure> {
    let malformed = |message: String| SIGN.failure(Cause::Malformed, message);
    let bytes = reply.result.unwrap_or_default();
    if bytes.len() != length {
        return Err(malformed(format!("a signature of {} bytes instead of {length}", bytes.len())));
    }
    let immutable_id = reply.kid.unwrap_or_default();
    match (version_of(&immutable_id), version) {
        (Some(by), Some(asked)) if by != asked => {
            Err(malformed(format!("version {asked} was asked, and {by} has signed")))
        }
        (None, _) => Err(malformed("it does not say which version has signed".into())),
        _ => Ok(Signature { bytes, immutable_id }),
    }
}

/// More would be 250,000 keys.
const MAX_PAGES: u32 = 10_000;

pub(super) async fn list(vault: &Vault) -> Result<Vec<KeyName>, Refused> {
    let (mut keys, mut links) = (Vec::new(), HashSet::new());
    let pager = vault.keys.list_key_properties(None).map_err(|e| refused(&GET_KEYS, e))?;
    let mut pages = pin!(pager.into_pages());
    for _ in 0..MAX_PAGES {
        let Some(page) = poll_fn(|context| pages.as_mut().poll_next(context)).await else { return Ok(keys) };
        let page = page.and_then(|page| page.into_model()).map_err(|e| refused(&GET_KEYS, e))?;
        // A page may be empty though more follow.
        let ids = page.value.into_iter().filter_map(|key| key.kid);
        keys.extend(ids.filter_map(|id| Some(KeyName { id: name_and_version(&id)?.0.to_owned(), version: None })));
        let Some(link) = page.next_link else { continue };
        // The next request carries our token.
        if !is_of(vault.keys.endpoint(), &link) {
            return Err(GET_KEYS.failure(Cause::Malformed, "the next page is said to be on another host").into());
        }
        if !links.insert(link) {
            return Err(GET_KEYS.failure(Cause::Malformed, "a page's link comes again").into());
        }
    }
    Err(GET_KEYS.failure(Cause::Malformed, "the pages don't end").into())
}

fn is_of(vault: &Url, link: &str) -> bool {
    let same = |link: Url| (link.scheme(), link.host()) == (vault.scheme(), vault.host());
    vault.join(link).is_ok_and(same)
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

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Secret {}

impl std::hash::Hash for Secret {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        use secrecy::ExposeSecret;
        self.0.expose_secret().hash(state);
    }
}
