//! Microsoft Entra: the token endpoint (OAuth 2.0 client credentials), the managed identity endpoints, and which tokens are good.
//!
//! "Microsoft identity platform and the OAuth 2.0 client credentials flow"; "How to use managed identities for Azure
//! resources on an Azure VM to acquire an access token".

use crate::azure::clouds::is_foreign;
use crate::clock::extended;
use crate::encoding::der;
use crate::encoding::{base64, base64url, base64url_decode, form_value};
use crate::http::{Reply, Request};
use crate::state::State;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) const TENANT: &str = "00000000-0000-0000-0000-000000000001";
pub(crate) const CLIENT: &str = "emulator-client";
pub(crate) const SECRET: &str = "emulator-client-secret";
/// What App Service would put into `IDENTITY_HEADER`.
pub(crate) const IDENTITY_HEADER: &str = "emulator-identity-header";

/// Clients and tokens.
pub(crate) struct Entra {
    directory: Mutex<Directory>,
}

struct Directory {
    clients: Vec<Client>,
    federated: Vec<String>,
    tokens: HashMap<String, Token>,
    lifetime: i64,
}

#[derive(Clone)]
struct Client {
    tenant: String,
    id: String,
    secret: Option<String>,
    /// Certificates in DER.
    certificates: Vec<Vec<u8>>,
}

#[derive(Clone)]
struct Token {
    audience: String,
    expires: i64,
    /// Asked for with `claims`.
    claims: bool,
}

impl Default for Entra {
    fn default() -> Self {
        let directory =
            Directory { clients: Vec::new(), federated: Vec::new(), tokens: HashMap::new(), lifetime: 3599 };
        let entra = Self { directory: Mutex::new(directory) };
        entra.register(TENANT, CLIENT, Some(SECRET));
        entra
    }
}

/// Why Key Vault does not take a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    Unknown,
    Expired,
    Audience(String),
    NeedsClaims,
}

impl Entra {
    pub(crate) fn register(&self, tenant: &str, id: &str, secret: Option<&str>) {
        let mut directory = self.directory();
        let known = directory.clients.iter_mut().find(|client| client.tenant == tenant && client.id == id);
        if let Some(client) = known {
            client.secret = secret.map(str::to_owned);
            return;
        }
        let (tenant, id, secret) = (tenant.to_owned(), id.to_owned(), secret.map(str::to_owned));
        directory.clients.push(Client { tenant, id, secret, certificates: Vec::new() });
    }

    pub(crate) fn register_certificate(&self, tenant: &str, id: &str, certificate: &[u8]) {
        let mut directory = self.directory();
        for client in directory.clients.iter_mut().filter(|client| client.tenant == tenant && client.id == id) {
            client.certificates.push(certificate.to_vec());
        }
    }

    pub(crate) fn allow_federated(&self, token: &str) {
        self.directory().federated.push(token.to_owned());
    }

    pub(crate) fn set_lifetime(&self, seconds: i64) {
        self.directory().lifetime = seconds;
    }

    /// Makes a token; anyone who can read it sees what a real one says.
    pub(crate) fn issue(&self, state: &State, client: &str, audience: &str, claims: bool) -> (String, i64) {
        let mut directory = self.directory();
        let (now, lifetime) = (state.clock.now(), directory.lifetime);
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": "emulator" });
        let payload = json!({
            "aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now, "nbf": now, "exp": now + lifetime,
            "appid": client, "idtyp": "app", "oid": state.ids.uuid(), "tid": TENANT, "ver": "1.0",
        });
        let signature = state.ids.hex();
        let text =
            [header.to_string(), payload.to_string(), signature].map(|part| base64url(part.as_bytes())).join(".");
        let token = Token { audience: audience.trim_end_matches('/').to_owned(), expires: now + lifetime, claims };
        directory.tokens.insert(text.clone(), token);
        (text, lifetime)
    }

    pub(crate) fn check(&self, token: &str, audience: &str, needs_claims: bool, now: i64) -> Result<(), BadToken> {
        let known = self.directory().tokens.get(token).cloned().ok_or(BadToken::Unknown)?;
        if known.audience != audience {
            return Err(BadToken::Audience(known.audience));
        }
        if known.expires <= now {
            return Err(BadToken::Expired);
        }
        if needs_claims && !known.claims {
            return Err(BadToken::NeedsClaims);
        }
        Ok(())
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as the token endpoint words it.
pub(crate) fn error(state: &State, status: u16, error: &str, code: u32, text: &str) -> Reply {
    let (trace, correlation) = (state.ids.uuid(), state.ids.uuid());
    let time = extended(state.clock.now()).replace('T', " ");
    let description = format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}");
    Reply::json(
        status,
        &json!({
            "error": error, "error_description": description, "error_codes": [code], "timestamp": time,
            "trace_id": trace, "correlation_id": correlation, "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}

/// `POST /{tenant}/oauth2/v2.0/token`, and the older `/oauth2/token` with `resource`.
pub(crate) fn token(state: &State, request: &Request) -> Reply {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let tenant = request.segments().first().cloned().unwrap_or_default();
    let value = |name: &str| form_value(&form, name).unwrap_or_default();
    if value("grant_type") != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{}'.", value("grant_type"));
        return error(state, 400, "unsupported_grant_type", 70_003, &text);
    }
    let id = value("client_id");
    if let Err(reply) = authenticate(state, &tenant, &id, &form) {
        return reply;
    }
    let scope = value("scope");
    let resource = value("resource");
    let audience = if resource.is_empty() {
        scope.split(' ').find_map(|scope| scope.strip_suffix("/.default"))
    } else {
        Some(resource.as_str())
    };
    let Some(audience) = audience else {
        let text =
            format!("The provided request must include a 'scope' input parameter that is valid: '{scope}' is not.");
        return error(state, 400, "invalid_scope", 70_011, &text);
    };
    if is_foreign(&request.hostname(), audience) {
        let text = format!(
            "The resource principal named {audience} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."
        );
        return error(state, 400, "invalid_resource", 500_011, &text);
    }
    let (token, lifetime) = state.entra.issue(state, &id, audience, !value("claims").is_empty());
    Reply::json(
        200,
        &json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token }),
    )
}

fn authenticate(state: &State, tenant: &str, id: &str, form: &str) -> Result<(), Reply> {
    let (clients, federated) = {
        let directory = state.entra.directory();
        (directory.clients.clone(), directory.federated.clone())
    };
    if !clients.iter().any(|client| client.tenant == tenant) {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        return Err(error(state, 400, "invalid_request", 90_002, &text));
    }
    let Some(client) = clients.iter().find(|client| client.tenant == tenant && client.id == id) else {
        let text = format!("Application with identifier '{id}' was not found in the directory '{tenant}'.");
        return Err(error(state, 400, "unauthorized_client", 700_016, &text));
    };
    if let Some(assertion) = form_value(form, "client_assertion") {
        if federated.contains(&assertion) {
            return Ok(());
        }
        return check_assertion(client, &assertion, state.clock.now())
            .map_err(|(code, text)| error(state, 401, "invalid_client", code, &text));
    }
    match form_value(form, "client_secret") {
        None => Err(error(
            state,
            401,
            "invalid_client",
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )),
        Some(secret) if client.secret.as_deref() == Some(secret.as_str()) => Ok(()),
        Some(_) => {
            let text = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{id}'."
            );
            Err(error(state, 401, "invalid_client", 7_000_215, &text))
        }
    }
}

/// A JWT signed with a registered certificate: "Microsoft identity platform application authentication certificate credentials".
fn check_assertion(client: &Client, assertion: &str, now: i64) -> Result<(), (u32, String)> {
    let malformed = || (50_027, "JWT token is invalid or malformed.".to_owned());
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return Err(malformed()) };
    let decode = |part: &str| base64url_decode(part).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (header_json, payload_json) = (decode(header).ok_or_else(malformed)?, decode(payload).ok_or_else(malformed)?);
    let signature = base64url_decode(signature).ok_or_else(malformed)?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let subject = text(&payload_json, "sub");
    if subject != client.id || text(&payload_json, "iss") != client.id {
        return Err((
            700_021,
            format!("Client assertion application identifier doesn't match 'client_id' parameter: '{subject}'."),
        ));
    }
    // RFC 7519 section 2: a NumericDate may have a fraction.
    #[allow(clippy::cast_precision_loss, reason = "seconds of our time are exact")]
    if payload_json.get("exp").and_then(Value::as_f64).is_none_or(|expires| expires <= now as f64) {
        return Err((700_024, "Client assertion is not within its valid time range.".to_owned()));
    }
    let signed = format!("{header}.{payload}");
    let good = client.certificates.iter().any(|certificate| {
        let sha1 = base64url(&crate::crypto::Hash::Sha1.of(certificate));
        let sha256 = base64url(&crate::crypto::Hash::Sha256.of(certificate));
        // Some clients pad the thumbprint.
        let thumbprint = |name: &str| text(&header_json, name).trim_end_matches('=').to_owned();
        let named = thumbprint("x5t") == sha1 || thumbprint("x5t#S256") == sha256;
        let spki = der::certificate_key(certificate).unwrap_or_default();
        named
            && match text(&header_json, "alg").as_str() {
                "RS256" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki)
                    .verify(signed.as_bytes(), &signature)
                    .is_ok(),
                "PS256" => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, spki)
                    .verify(signed.as_bytes(), &signature)
                    .is_ok(),
                _ => false,
            }
    });
    if good {
        Ok(())
    } else {
        Err((
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered on application."
                .to_owned(),
        ))
    }
}

/// What clients ask before they ask for a token: the OpenID configuration and the list of known instances.
pub(crate) fn discovery(request: &Request) -> Reply {
    let base = request.base_url();
    if request.path.ends_with("/discovery/instance") {
        let host = request.host.clone();
        let tenant_url = form_value(&request.query, "authorization_endpoint").unwrap_or_default();
        let endpoint = tenant_url.split("/oauth2/").next().unwrap_or_default();
        return Reply::json(
            200,
            &json!({
                "tenant_discovery_endpoint": format!("{endpoint}/v2.0/.well-known/openid-configuration"),
                "api-version": "1.1",
                "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
            }),
        );
    }
    let tenant = request.segments().first().cloned().unwrap_or_default();
    Reply::json(
        200,
        &json!({
            "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": format!("{base}/{tenant}/v2.0"),
            "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }),
    )
}

/// The instance metadata service: all numbers are strings.
pub(crate) fn managed_identity(state: &State, request: &Request) -> Reply {
    let app_service = request.path.starts_with("/msi/");
    let allowed = if app_service {
        request.header("x-identity-header") == Some(IDENTITY_HEADER)
    } else {
        request.header("metadata") == Some("true")
    };
    if !allowed {
        let text = if app_service { "Invalid X-IDENTITY-HEADER" } else { "Required metadata header not specified" };
        return Reply::json(400, &json!({ "error": "invalid_request", "error_description": text }));
    }
    let Some(resource) = request.query_value("resource") else {
        return Reply::json(
            400,
            &json!({ "error": "invalid_request", "error_description": "Required query variable 'resource' is missing" }),
        );
    };
    let client = request.query_value("client_id").unwrap_or_else(|| CLIENT.to_owned());
    let (token, lifetime) = state.entra.issue(state, &client, &resource, false);
    let now = state.clock.now();
    Reply::json(
        200,
        &json!({
            "access_token": token, "client_id": client, "expires_in": lifetime.to_string(), "ext_expires_in": lifetime.to_string(),
            "expires_on": (now + lifetime).to_string(), "not_before": now.to_string(), "resource": resource, "token_type": "Bearer",
        }),
    )
}

/// The `claims` of a challenge, in base64: a token issued from now on.
pub(crate) fn claims(now: i64) -> String {
    base64(json!({ "access_token": { "nbf": { "essential": true, "value": now.to_string() } } }).to_string().as_bytes())
}
