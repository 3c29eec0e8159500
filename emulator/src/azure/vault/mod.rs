//! Azure Key Vault and Managed HSM: which vault and operation is meant, and whether the token is good (Key Vault REST API).
//!
//! The operations are named in `vault::asked`; what they do is in `vault::keys`, `vault::deleted`, `vault::crypto`,
//! `vault::certificates`, `vault::enrolment` and `vault::import`, the keys in `vault::store`.

pub(crate) mod certificates;
pub(crate) mod keys;
mod operation;

use super::clouds::{CLOUDS, Cloud};
use super::entra::token_endpoint;
use super::entra::token_endpoint::{BadToken, TENANT};
use crate::faults::Tamper;
use crate::http::{Reply, Request};
use crate::state::State;
use hyper::Method;
pub(crate) use operation::Asked;
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
            token_endpoint::CLIENT,
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

impl From<crate::crypto::Unable> for VaultError {
    fn from(_: crate::crypto::Unable) -> Self {
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
    cloud: &'static Cloud,
}

impl Place {
    pub(crate) fn of(state: &State, request: &Request) -> Self {
        let host = request.hostname();
        let label = |suffix: &str| host.strip_suffix(suffix).map(str::to_owned);
        for cloud in &CLOUDS {
            for (service, hsm) in [("vault", false), ("managedhsm", true)] {
                if let Some(vault) = label(&format!(".{service}.{}", cloud.domain)) {
                    return Self { vault, hsm, real: true, cloud };
                }
            }
        }
        let vault = label(".localhost").unwrap_or_else(|| "default".to_owned());
        Self { hsm: state.vaults.is_hsm(&vault), vault, real: false, cloud: &CLOUDS[0] }
    }

    /// The name in the store: a Managed HSM may have the name of a vault.
    pub(crate) fn store_name(&self) -> String {
        if self.hsm && self.real {
            format!("{}{}", self.vault, crate::state::azure::vaults::HSM)
        } else {
            self.vault.clone()
        }
    }

    fn resource(&self) -> String {
        format!("https://{}.{}", if self.hsm { "managedhsm" } else { "vault" }, self.cloud.domain)
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
    match state.entra.check(token, &place.resource(), claims, now) {
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
    let claims = token_endpoint::claims(state.clock.now());
    let header = format!(
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"insufficient_claims\", claims=\"{claims}\""
    );
    let text = "AKV10045: Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp";
    VaultError::new(401, "Unauthorized", text).reply().with("www-authenticate", header)
}

fn challenge(place: &Place, request: &Request, more: &str, text: &str) -> Reply {
    let login =
        if place.real { format!("https://{}", place.cloud.authority) } else { format!("https://{}", request.host) };
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
    answer.unwrap_or_else(|error| error.reply())
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
    fn answer(&self, asked: &Asked) -> Result<Reply, VaultError> {
        if let Some(name) = asked.key().filter(|name| !is_name(name)) {
            return Err(VaultError::bad_parameter(format!("The request URI contains an invalid name: {name}")));
        }
        let body = match asked {
            Asked::List => self.list_keys(),
            Asked::Versions(name) => self.list_versions(name),
            Asked::Get(name, version) => self.get_key(name, version),
            Asked::Create(name) => self.create_key(name),
            Asked::Operate { name, version, operation } => self.operate(name, version, operation),
            Asked::Update(name, version) => self.update_key(name, version),
            Asked::Delete(name) => self.delete_key(name),
            Asked::ListDeleted => self.list_deleted_keys(),
            Asked::GetDeleted(name) => self.get_deleted_key(name),
            Asked::Recover(name) => self.recover_key(name),
            Asked::Purge(name) => return self.purge_key(name).map(|()| Reply::empty(204)),
            Asked::ListCertificates => self.list_certificates(),
            Asked::CertificateVersions(name) => self.certificate_versions(name),
            Asked::GetCertificate(name, version) => self.get_certificate(name, version),
            Asked::CreateCertificate(name) => self.create_certificate(name),
            Asked::ImportCertificate(name) => self.import_certificate(name),
            Asked::Pending(name) => self.pending(name),
            Asked::DeletePending(name) => self.delete_pending(name),
            Asked::Merge(name) => self.merge(name),
            Asked::DeleteCertificate(name) => self.delete_certificate(name),
            Asked::GetDeletedCertificate(name) => self.get_deleted_certificate(name),
            Asked::RecoverCertificate(name) => self.recover_certificate(name),
            Asked::PurgeCertificate(name) => return self.purge_certificate(name).map(|()| Reply::empty(204)),
            Asked::Random => self.random(),
        };
        Ok(Reply::json(asked.status(), &body?))
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
            let bytes = crate::encoding::base64url_decode(marker)
                .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
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
        let token = crate::encoding::base64url(json!({ "NextMarker": after }).to_string().as_bytes());
        let (base, path) = (self.request.base_url(), &self.request.path);
        format!("{base}{port}{path}?api-version={version}&$skiptoken={token}&maxresults={limit}")
    }
}

/// Key Vault REST API, "Vault-name and object-name": 1 to 127 letters, digits and hyphens.
fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
