//! Azure Key Vault and Managed HSM: what is asked of them and what their answers mean.
//! Clients and errors are in `azure_client`, tokens in `azure_credentials`.
//!
//! Key Vault REST API reference, version 2025-07-01: Get Key, Sign, Get Keys, Get Certificate.

use super::azure_client::{Clients, Operation, Vault, refused};
use super::azure_keys::{ALGORITHMS, GET_KEY, curve_of, facts, name_and_version, signature_len, version_of};
use super::call::{Call, Refused};
use super::runtime::{self, PerProcess};
pub use super::secret::Secret;
use super::{Backend, Cause, Failure, Identity, KeyFacts, KeyName, Network, Pending, SharedBackend, Signature};
use crate::certificate::Certificate;
use crate::key::{Kind, Scheme};
use crate::log_info;
use azure_core::http::Url;
use azure_core::http::pager::{PagerContinuation, PagerOptions};
use azure_security_keyvault_certificates::models::CertificateClientGetCertificateOptions;
use azure_security_keyvault_keys::models::{
    KeyClientGetKeyOptions, KeyClientListKeyPropertiesOptions, KeyClientSignOptions, KeyOperationResult,
    ListKeyPropertiesResult, SignParameters, SignatureAlgorithm,
};
use futures_core::Stream;
use std::collections::HashSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use zeroize::Zeroizing;

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
        self.call(&GET_KEY, key, move |clients, vault| {
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
            digest: digest.to_vec().into(),
        };
        self.call(&SIGN, key, move |clients, vault| {
            let request = request.clone();
            async move { sign_anew(&clients, &vault, &request).await }
        })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        let own = ALGORITHMS.iter().filter(|(_, (_, curve))| *curve == curve_of(kind));
        own.map(|(_, (scheme, _))| *scheme).collect()
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        key.version.is_some()
    }

    fn list(&self) -> Pending<Vec<KeyName>> {
        let clients = self.clients();
        runtime::spawn(GET_KEYS.name, move || async move { list(&clients).await })
    }

    fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        if self.settings.vault_url.contains(".managedhsm.") {
            return Pending::ready(Ok(None));
        }
        let name = key.clone();
        self.call(&GET_CERTIFICATE, key, move |_, vault| {
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

impl Azure {
    fn clients(&self) -> Arc<Clients> {
        self.clients.get(|| Clients::new(self.settings.clone()))
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
    let turns = (operation.name != SIGN.name).then_some(&clients.turns);
    let call = Call { operation: operation.name, what: &asked, network: &clients.settings.network, turns };
    let attempt = async || request(clients.vault(operation.name).await?).await;
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
    pub(super) digest: Zeroizing<Vec<u8>>,
}

/// Signs; and where the version that was resolved earlier is gone, disabled or expired, resolves and signs once more.
pub(super) async fn sign_anew(clients: &Clients, vault: &Vault, request: &Request) -> Result<Signature, Refused> {
    let told = request.told.as_deref().and_then(version_of);
    let first = sign(vault, request, request.key.version.as_deref().or(told)).await;
    let (Err(refused), None, Some(old)) = (&first, &request.key.version, &request.told) else { return first };
    if !matches!(refused.failure.cause, Cause::Missing | Cause::Disabled) {
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
    let parameters =
        SignParameters { algorithm: Some(request.algorithm.clone()), value: Some(request.digest.to_vec()) };
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

/// All keys of the vault, page by page; each page has the time of a whole call.
pub(super) async fn list(clients: &Arc<Clients>) -> Result<Vec<KeyName>, Failure> {
    let (mut keys, mut links, mut next) = (Vec::new(), HashSet::new(), None);
    for _ in 0..MAX_PAGES {
        let page = call(clients, &GET_KEYS, "all", |vault| page(vault, next.clone())).await?;
        // A page may be empty though more follow.
        let ids = page.value.into_iter().filter_map(|key| key.kid);
        keys.extend(ids.filter_map(|id| Some(KeyName { id: name_and_version(&id)?.0.to_owned(), version: None })));
        next = page.next_link.filter(|link| !link.is_empty());
        match &next {
            Some(link) if links.insert(link.clone()) => {}
            Some(_) => return Err(GET_KEYS.failure(Cause::Malformed, "a page's link comes again")),
            None => return Ok(keys),
        }
    }
    Err(GET_KEYS.failure(Cause::Malformed, "the pages don't end"))
}

/// The first page, or the one that the page before has named.
async fn page(vault: Vault, link: Option<String>) -> Result<ListKeyPropertiesResult, Refused> {
    let foreign = || GET_KEYS.failure(Cause::Malformed, "the next page is said to be on another host");
    let endpoint = vault.keys.endpoint();
    // The request carries our token.
    let link = link.map(|link| endpoint.join(&link).ok().filter(|link| is_of(endpoint, link)).ok_or_else(foreign));
    let method_options =
        PagerOptions { continuation: link.transpose()?.map(PagerContinuation::Link), ..Default::default() };
    let options = KeyClientListKeyPropertiesOptions { method_options, ..Default::default() };
    let pager = vault.keys.list_key_properties(Some(options)).map_err(|e| refused(&GET_KEYS, e))?;
    let mut pages = pin!(pager.into_pages());
    let page = poll_fn(|context| pages.as_mut().poll_next(context)).await;
    let page = page.ok_or_else(|| GET_KEYS.failure(Cause::Malformed, "no page"))?;
    page.and_then(|page| page.into_model()).map_err(|e| refused(&GET_KEYS, e))
}

fn is_of(vault: &Url, link: &Url) -> bool {
    (link.scheme(), link.host(), link.port_or_known_default())
        == (vault.scheme(), vault.host(), vault.port_or_known_default())
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
