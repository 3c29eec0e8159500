//! Azure Key Vault and Managed HSM: which vault and operation is meant, and whether the token is good (Key Vault REST API).
//!
//! What the operations do is in `vault::keys`, `vault::crypto` and `vault::certificates`, the keys in `vault::store`.

pub(crate) mod certificates;
mod crypto;
pub(crate) mod keys;
pub(crate) mod store;

use crate::entra::{self, BadToken, TENANT};
use crate::state::{State, Tamper};
use crate::wire::{Reply, Request};
use hyper::Method;
use serde_json::{Value, json};

/// An error as Key Vault words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VaultError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) inner: Option<String>,
}

impl VaultError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), inner: None }
    }

    pub(crate) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(400, "BadParameter", message)
    }

    pub(crate) fn forbidden(inner: &str, message: impl Into<String>) -> Self {
        Self { inner: Some(inner.to_owned()), ..Self::new(403, "Forbidden", message) }
    }

    pub(crate) fn throttled() -> Self {
        let text =
            "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached";
        Self::new(429, "Throttled", text)
    }

    /// A denial of Azure role-based access control.
    pub(crate) fn denied(operation: &str, place: &Place) -> Self {
        let action = operation.trim_start_matches("vault.").replace('.', "/");
        let text = format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid={};iss=https://sts.windows.net/{TENANT}/\r\nAction: 'Microsoft.KeyVault/vaults/{action}/action'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null\r\nVault: {};location=westeurope\r\n",
            entra::CLIENT,
            place.vault
        );
        Self::forbidden("ForbiddenByRbac", text)
    }

    pub(crate) fn reply(&self) -> Reply {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(inner) = &self.inner {
            error["innererror"] = json!({ "code": inner });
        }
        Reply::json(self.status, &json!({ "error": error }))
    }
}

impl From<crate::keys::Unable> for VaultError {
    fn from(_: crate::keys::Unable) -> Self {
        Self::new(500, "InternalServerError", "An internal error occurred.")
    }
}

/// Which vault a host name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) vault: String,
    pub(crate) hsm: bool,
    /// Reached under its real name.
    pub(crate) real: bool,
}

impl Place {
    pub(crate) fn of(state: &State, request: &Request) -> Self {
        let host = request.hostname();
        let label = |suffix: &str| host.strip_suffix(suffix).map(str::to_owned);
        if let Some(vault) = label(".vault.azure.net") {
            return Self { vault, hsm: false, real: true };
        }
        if let Some(vault) = label(".managedhsm.azure.net") {
            return Self { vault, hsm: true, real: true };
        }
        let vault = label(".localhost").unwrap_or_else(|| "default".to_owned());
        Self { hsm: state.vaults.is_hsm(&vault), vault, real: false }
    }

    /// The name in the store: a Managed HSM may have the name of a vault.
    pub(crate) fn store_name(&self) -> String {
        if self.hsm && self.real { format!("{}{}", self.vault, store::HSM) } else { self.vault.clone() }
    }

    fn resource(&self) -> &'static str {
        if self.hsm { "https://managedhsm.azure.net" } else { "https://vault.azure.net" }
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    List,
    Versions(String),
    Get(String, String),
    Create(String),
    Operate { name: String, version: String, operation: String },
    Update(String, String),
    Delete(String),
    Deleted(Option<String>),
    ListCertificates,
    CertificateVersions(String),
    GetCertificate(String, String),
    Random,
}

impl Asked {
    /// Reads method and path; `None` for what Key Vault does not have.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let segments = request.segments();
        let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if segments.len() > 1 && segments.last() == Some(&"") {
            segments.pop();
        }
        let owned = |text: &str| text.to_owned();
        Some(match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["keys"]) => Self::List,
            ("GET", ["keys", name, "versions"]) => Self::Versions(owned(name)),
            ("GET", ["keys", name]) => Self::Get(owned(name), String::new()),
            ("GET", ["keys", name, version]) => Self::Get(owned(name), owned(version)),
            ("POST", ["keys", name, "create"]) => Self::Create(owned(name)),
            ("POST", ["keys", name, operation]) => {
                Self::Operate { name: owned(name), version: String::new(), operation: owned(operation) }
            }
            ("POST", ["keys", name, version, operation]) => {
                Self::Operate { name: owned(name), version: owned(version), operation: owned(operation) }
            }
            ("PATCH", ["keys", name]) => Self::Update(owned(name), String::new()),
            ("PATCH", ["keys", name, version]) => Self::Update(owned(name), owned(version)),
            ("DELETE", ["keys", name]) => Self::Delete(owned(name)),
            ("GET", ["deletedkeys"]) => Self::Deleted(None),
            ("GET", ["deletedkeys", name]) => Self::Deleted(Some(owned(name))),
            ("GET", ["certificates"]) => Self::ListCertificates,
            ("GET", ["certificates", name, "versions"]) => Self::CertificateVersions(owned(name)),
            ("GET", ["certificates", name]) => Self::GetCertificate(owned(name), String::new()),
            ("GET", ["certificates", name, version]) => Self::GetCertificate(owned(name), owned(version)),
            ("POST", ["rng"]) => Self::Random,
            _ => return None,
        })
    }

    /// The name it is counted under.
    pub(crate) fn operation(&self) -> String {
        match self {
            Self::List => "vault.keys.list".to_owned(),
            Self::Versions(_) => "vault.keys.versions".to_owned(),
            Self::Get(..) => "vault.keys.get".to_owned(),
            Self::Create(_) => "vault.keys.create".to_owned(),
            Self::Operate { operation, .. } => format!("vault.keys.{operation}"),
            Self::Update(..) => "vault.keys.update".to_owned(),
            Self::Delete(_) => "vault.keys.delete".to_owned(),
            Self::Deleted(_) => "vault.deletedkeys.get".to_owned(),
            Self::ListCertificates => "vault.certificates.list".to_owned(),
            Self::CertificateVersions(_) => "vault.certificates.versions".to_owned(),
            Self::GetCertificate(..) => "vault.certificates.get".to_owned(),
            Self::Random => "vault.rng".to_owned(),
        }
    }

    /// The key it is about.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Versions(name) | Self::Create(name) | Self::Delete(name) | Self::CertificateVersions(name) => {
                Some(name)
            }
            Self::Get(name, _) | Self::Update(name, _) | Self::GetCertificate(name, _) => Some(name),
            Self::Operate { name, .. } => Some(name),
            Self::Deleted(name) => name.as_deref(),
            Self::List | Self::ListCertificates | Self::Random => None,
        }
    }
}

/// Checks the bearer token; the error is the challenge.
pub(crate) fn authorize(state: &State, request: &Request) -> Result<(), Reply> {
    let place = Place::of(state, request);
    let header = request.header("authorization").and_then(|value| value.split_once(' '));
    let Some(("Bearer", token)) = header else {
        return Err(challenge(&place, request, "", "AKV10000: Request is missing a Bearer or PoP token."));
    };
    let now = state.clock.now();
    let claims = state.switches().require_claims;
    match state.entra.check(token, place.resource(), claims, now) {
        Ok(()) => Ok(()),
        Err(BadToken::Unknown) => {
            let text = "AKV10046: Unable to resolve the key used for signature validation.";
            Err(challenge(&place, request, ", error=\"invalid_token\", error_description=\"AKV10046\"", text))
        }
        Err(BadToken::Expired) => Err(expired(&place, request)),
        Err(BadToken::Audience(found)) => {
            let text = format!("AKV10022: Invalid audience. Expected {}, found: {found}.", place.resource());
            Err(challenge(&place, request, "", &text))
        }
        Err(BadToken::NeedsClaims) => Err(claims_challenge(state)),
    }
}

/// The 401 for a token that has expired.
pub(crate) fn expired(place: &Place, request: &Request) -> Reply {
    let text = "[TokenExpired] Error validating token: 'S2S12086'.";
    challenge(place, request, ", error=\"invalid_token\", error_description=\"TokenExpired\"", text)
}

/// The 401 of Continuous Access Evaluation: a token asked for with these claims is wanted.
pub(crate) fn claims_challenge(state: &State) -> Reply {
    let claims = entra::claims(state.clock.now());
    let header = format!(
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"insufficient_claims\", claims=\"{claims}\""
    );
    let text = "AKV10045: Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp";
    VaultError::new(401, "Unauthorized", text).reply().with("www-authenticate", header)
}

fn challenge(place: &Place, request: &Request, more: &str, text: &str) -> Reply {
    let login =
        if place.real { "https://login.microsoftonline.com".to_owned() } else { format!("https://{}", request.host) };
    let header = format!("Bearer authorization=\"{login}/{TENANT}\", resource=\"{}\"{more}", place.resource());
    // Managed HSM sends no body.
    let reply = if place.hsm { Reply::empty(401) } else { VaultError::new(401, "Unauthorized", text).reply() };
    reply.with("www-authenticate", header)
}

/// Answers one request whose token was checked.
pub(crate) fn answer(state: &State, request: &Request, tamper: Tamper) -> Reply {
    let place = Place::of(state, request);
    let call = Call { state, request, vault: place.store_name(), place, tamper, now: state.clock.now() };
    let answer = match (Asked::of(request), request.query_value("api-version")) {
        (None, _) if request.method == Method::GET => {
            Err(VaultError::new(404, "NotFound", "The requested resource was not found."))
        }
        (None, _) => Err(VaultError::new(405, "MethodNotAllowed", "The requested method is not allowed.")),
        (_, None) => Err(VaultError::bad_parameter("api-version must be specified")),
        (Some(asked), Some(_)) => call.answer(&asked),
    };
    match answer {
        Ok(body) => Reply::json(200, &body),
        Err(error) => error.reply(),
    }
}

/// One authorized call.
struct Call<'a> {
    state: &'a State,
    request: &'a Request,
    place: Place,
    /// The vault's name in the store.
    vault: String,
    tamper: Tamper,
    now: i64,
}

impl Call<'_> {
    fn answer(&self, asked: &Asked) -> Result<Value, VaultError> {
        match asked {
            Asked::List => self.list_keys(),
            Asked::Versions(name) => self.list_versions(name),
            Asked::Get(name, version) => self.get_key(name, version),
            Asked::Create(name) => self.create_key(name),
            Asked::Operate { name, version, operation } => self.operate(name, version, operation),
            Asked::Update(name, version) => self.update_key(name, version),
            Asked::Delete(name) => self.delete_key(name),
            Asked::Deleted(name) => self.deleted_keys(name.as_deref()),
            Asked::ListCertificates => self.list_certificates(),
            Asked::CertificateVersions(name) => self.certificate_versions(name),
            Asked::GetCertificate(name, version) => self.get_certificate(name, version),
            Asked::Random => self.random(),
        }
    }

    fn body(&self) -> Result<Value, VaultError> {
        self.request
            .json()
            .filter(Value::is_object)
            .ok_or_else(|| VaultError::bad_parameter("Property has invalid value\r\n"))
    }

    /// `https://host/keys/name/version`, or without the version.
    fn id(&self, collection: &str, name: &str, version: &str) -> String {
        let base = self.request.base_url();
        let end = if version.is_empty() { String::new() } else { format!("/{version}") };
        format!("{base}/{collection}/{name}{end}")
    }

    /// One page of a list sorted by name: at most 25, and a link to the next.
    fn page(&self, items: Vec<(String, Value)>) -> Result<Value, VaultError> {
        let limit = match self.request.query_value("maxresults") {
            None => 25,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| (1..=25).contains(count))
                .ok_or_else(|| VaultError::bad_parameter("maxresults must be between 1 and 25"))?,
        };
        let marker = self.request.query_value("$skiptoken");
        let after = marker.as_ref().map(|marker| {
            let bytes =
                crate::wire::base64url_decode(marker).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            let after = bytes.and_then(|value| value.get("NextMarker").and_then(Value::as_str).map(str::to_owned));
            after.ok_or_else(|| VaultError::bad_parameter("Invalid skiptoken"))
        });
        let after = after.transpose()?;
        if after.is_none() && self.state.switches().vault_empty_page {
            return Ok(json!({ "value": [], "nextLink": self.next_link("", limit) }));
        }
        let after = after.unwrap_or_default();
        let mut rest = items.into_iter().filter(|(name, _)| *name > after);
        let page: Vec<(String, Value)> = rest.by_ref().take(limit).collect();
        let last = page.last().map(|(name, _)| name.clone()).unwrap_or_default();
        let next = rest.next().map(|_| self.next_link(&last, limit));
        let values: Vec<Value> = page.into_iter().map(|(_, value)| value).collect();
        Ok(json!({ "value": values, "nextLink": next }))
    }

    /// The real services write the default port and an unescaped `$skiptoken`.
    fn next_link(&self, after: &str, limit: usize) -> String {
        let port = if self.place.real { ":443" } else { "" };
        let version = self.request.query_value("api-version").unwrap_or_default();
        let token = crate::wire::base64url(json!({ "NextMarker": after }).to_string().as_bytes());
        let (base, path) = (self.request.base_url(), &self.request.path);
        format!("{base}{port}{path}?api-version={version}&$skiptoken={token}&maxresults={limit}")
    }
}
