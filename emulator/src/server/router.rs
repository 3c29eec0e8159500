//! From a request to a reply: whose it is, which faults it meets, who answers it.

use super::delivery::{Aborted, ReplyBody, response};
use crate::aws::kms::{self, KmsError};
use crate::aws::{machine, sso, sts};
use crate::azure::entra;
use crate::azure::vault::{self, Operation, Place, VaultError};
use crate::encoding::hex;
use crate::faults::Action;
use crate::faults::Tamper;
use crate::http::{Reply, Request};
use crate::state::Entry;
use crate::state::Fate;
use crate::state::State;
use crate::{clock, control};
use hyper::{Method, Response};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Kms,
    Sts,
    Vault,
    Token,
    Discovery,
    Identity,
    Machine,
    SignOn,
    Control,
    Nobody,
}

/// For how long [`Action::Await`] waits; then the request is answered all the same.
const AWAITED: Duration = Duration::from_secs(60);

/// A request, understood as far as faults and counts need it.
struct Call {
    service: Service,
    operation: String,
    /// The names of the key it is for; the first is as the client wrote it.
    names: Vec<String>,
    /// The challenge, if the token is not good.
    refused: Option<Reply>,
}

impl Call {
    fn of(state: &State, request: &Request) -> Self {
        let plain = |service, operation: &str| Self {
            service,
            operation: operation.to_owned(),
            names: Vec::new(),
            refused: None,
        };
        let path = request.path.as_str();
        if let Some(operation) = kms::operation(request) {
            return Self { names: kms::key_names(state, request), ..plain(Service::Kms, &format!("kms.{operation}")) };
        }
        if path.starts_with("/_control/") {
            return plain(Service::Control, "control");
        }
        if path == "/metadata/identity/oauth2/token" || path == "/msi/token" {
            return plain(Service::Identity, "imds");
        }
        if let Some(operation) = machine::operation(request) {
            return plain(Service::Machine, operation);
        }
        if let Some(operation) = sso::operation(request) {
            return plain(Service::SignOn, operation);
        }
        if request.method == Method::POST && (path.ends_with("/oauth2/v2.0/token") || path.ends_with("/oauth2/token")) {
            return plain(Service::Token, "token");
        }
        if path.ends_with("/.well-known/openid-configuration") || path.ends_with("/discovery/instance") {
            return plain(Service::Discovery, "discovery");
        }
        if request.method == Method::POST
            && path == "/"
            && let Some(operation) = sts::operation(request)
        {
            return plain(Service::Sts, &format!("sts.{operation}"));
        }
        let first = request.segments().into_iter().next().unwrap_or_default();
        if !["keys", "certificates", "deletedkeys", "deletedcertificates", "rng"].contains(&first.as_str()) {
            return plain(Service::Nobody, "unknown");
        }
        let asked = Operation::of(request);
        let names = asked.as_ref().and_then(Operation::key).map(str::to_owned).into_iter().collect();
        let refused = vault::authorize(state, request).err();
        let operation = match (&refused, asked) {
            (Some(_), _) => "vault.challenge".to_owned(),
            (None, Some(asked)) => asked.name(),
            (None, None) => "vault.unknown".to_owned(),
        };
        Self { service: Service::Vault, operation, names, refused }
    }

    /// What is to be signed, in hexadecimal.
    fn digest(&self, request: &Request) -> Option<String> {
        let member = match self.operation.as_str() {
            "kms.Sign" => "Message",
            "vault.keys.sign" => "value",
            _ => return None,
        };
        request.bytes(member).map(|digest| hex(&digest))
    }

    fn answer(&self, state: &State, request: &Request, tamper: Tamper) -> Reply {
        if let Some(refused) = &self.refused {
            return refused.clone();
        }
        match self.service {
            Service::Kms => kms::answer(state, request, tamper),
            Service::Sts => sts::answer(state, request),
            Service::Vault => vault::answer(state, request, tamper),
            Service::Token => entra::token(state, request),
            Service::Discovery => entra::discovery(request),
            Service::Identity => entra::managed_identity(state, request),
            Service::Machine => machine::answer(state, request),
            Service::SignOn => sso::answer(state, request),
            Service::Control => control::answer(state, request),
            Service::Nobody => {
                Reply::json(404, &json!({ "error": { "code": "NotFound", "message": "nobody serves this" } }))
            }
        }
    }

    /// The reply that a fault puts in the place of the true one, in the service's own form.
    fn forge(&self, state: &State, request: &Request, action: &Action) -> Option<Reply> {
        let place = Place::of(state, request);
        let short = self.operation.split_once('.').map_or(self.operation.as_str(), |(_, short)| short);
        let key = self.names.get(1).or(self.names.first()).cloned().unwrap_or_else(|| "*".to_owned());
        let kms = |error: KmsError| error.reply(400, state);
        let id = state.ids.uuid();
        Some(match (action, self.service) {
            (Action::Error { status, code, message, .. }, Service::Kms) => {
                KmsError::new(code, message).reply(*status, state)
            }
            (Action::Error { status, code, message, .. }, Service::Sts) => sts::error(*status, code, message, &id),
            (Action::Error { status, code, message, innererror }, Service::Vault) => {
                VaultError { inner: innererror.clone(), ..VaultError::new(*status, code, message) }.reply()
            }
            (Action::Error { status, code, message, .. }, Service::Machine) => {
                Reply::json(*status, &json!({ "code": code, "message": message }))
            }
            (Action::Error { status, code, message, .. }, Service::SignOn) => sso::error(*status, code, message),
            (Action::Error { status, code, message, .. }, _) => {
                Reply::json(*status, &json!({ "error": code, "error_description": message }))
            }
            (Action::Throttle { .. }, Service::Kms) => {
                let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
                kms(KmsError::new("ThrottlingException", text))
            }
            (Action::Throttle { .. }, Service::Sts) => sts::error(400, "Throttling", "Rate exceeded", &id),
            (Action::Throttle { retry_after }, service) => {
                let reply = match service {
                    Service::Vault => VaultError::throttled().reply(),
                    Service::Identity => Reply::json(
                        429,
                        &json!({ "error": "too_many_requests", "error_description": "Too many requests" }),
                    ),
                    _ => entra::error(
                        state,
                        429,
                        "temporarily_unavailable",
                        50_196,
                        "The server terminated an operation because it encountered a client request loop.",
                    ),
                };
                match retry_after {
                    Some(seconds) => reply.with("retry-after", seconds.to_string()),
                    None => reply,
                }
            }
            (Action::Deny, Service::Kms) => kms(kms::denied(short, &key)),
            (Action::Deny, Service::Sts) => sts::denied(short, &id),
            (Action::Deny, Service::Vault) => VaultError::denied(&self.operation, &place).reply(),
            (Action::Deny, Service::Machine) => machine::denied(),
            (Action::Deny, _) => {
                entra::error(state, 400, "unauthorized_client", 700_016, "Application was not found in the directory.")
            }
            (Action::ExpiredToken, Service::Kms) => kms(KmsError::expired()),
            (Action::ExpiredToken, Service::Sts) => {
                sts::error(403, "ExpiredToken", "The security token included in the request is expired", &id)
            }
            (Action::ExpiredToken, Service::Vault) => vault::expired(&place, request),
            (Action::ExpiredToken, _) => entra::error(
                state,
                401,
                "invalid_client",
                700_024,
                "Client assertion is not within its valid time range.",
            ),
            (Action::ClockSkew, Service::Kms) => {
                let now = state.clock.now();
                let (signed, limit, server) = (clock::basic(now - 600), clock::basic(now - 300), clock::basic(now));
                let text = format!("Signature expired: {signed} is now earlier than {limit} ({server} - 5 min.)");
                kms(KmsError::new("InvalidSignatureException", text))
            }
            (Action::ClaimsChallenge, Service::Vault) => vault::claims_challenge(state),
            _ => return None,
        })
    }
}

/// Answers one request, or ends the connection.
pub(crate) async fn answer(
    state: Arc<State>,
    fate: Arc<Fate>,
    request: Request,
) -> Result<Response<ReplyBody>, Aborted> {
    let call = Call::of(&state, &request);
    let observed = call.service != Service::Control;
    if observed && fate.silent.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let actions = if observed { state.faults.take(&call.operation, &call.names) } else { Vec::new() };
    let mut entry = Entry {
        operation: call.operation.clone(),
        key: call.names.first().cloned(),
        host: request.host.clone(),
        request: format!("{} {}", request.method, request.path),
        status: 0,
        connection: request.origin.connection,
        handshake: request.origin.handshake,
        digest: call.digest(&request),
    };
    if observed {
        state.traffic.count(&call.operation);
    }
    for action in &actions {
        match action {
            Action::Delay { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Action::Await { requests } => {
                let (state, operation, requests) = (state.clone(), call.operation.clone(), *requests);
                let all = tokio::task::spawn_blocking(move || state.traffic.wait(&operation, requests, AWAITED));
                all.await.map_err(|_| Aborted)?;
            }
            Action::Hang => {
                state.traffic.record(entry);
                return std::future::pending().await;
            }
            Action::ResetBeforeReply => {
                state.traffic.record(entry);
                fate.reset.store(true, Ordering::SeqCst);
                return Err(Aborted);
            }
            _ => {}
        }
    }
    if let Some(page) = actions.iter().find_map(page) {
        entry.status = page.status;
        state.traffic.record(entry);
        return response(page, &actions, fate);
    }
    let forged = actions.iter().find_map(|action| call.forge(&state, &request, action));
    let reply = match forged {
        Some(reply) => reply,
        None => {
            let (state, request, tamper) = (state.clone(), request.clone(), Tamper::of(&actions));
            tokio::task::spawn_blocking(move || call.answer(&state, &request, tamper)).await.map_err(|_| Aborted)?
        }
    };
    if observed {
        entry.status = reply.status;
        state.traffic.record(entry);
    }
    response(dressed(&state, &request, reply), &actions, fate)
}

/// The page of [`Action::Page`], without any header of a service.
pub(crate) fn page(action: &Action) -> Option<Reply> {
    let Action::Page { status, authenticate } = action else { return None };
    let page = Reply::new(*status, "text/html", b"<html><body>a proxy's own page</body></html>".to_vec());
    Some(match authenticate {
        Some(scheme) => page.with("proxy-authenticate", scheme.clone()),
        None => page,
    })
}

/// Headers that every service sends.
fn dressed(state: &State, request: &Request, reply: Reply) -> Reply {
    let known = |name: &str| reply.headers.iter().any(|(header, _)| *header == name);
    let has_amazon_id = known("x-amzn-requestid");
    let amazon = request.header("x-amz-target").is_some() || request.header("x-amz-date").is_some();
    let reply = reply.with("date", clock::http_date(state.clock.now()));
    if amazon {
        return if has_amazon_id { reply } else { reply.with("x-amzn-requestid", state.ids.uuid()) };
    }
    let reply = reply.with("x-ms-request-id", state.ids.uuid()).with("cache-control", "no-cache");
    match request.header("x-ms-client-request-id").map(str::to_owned) {
        Some(id) => reply.with("x-ms-client-request-id", id),
        None => reply,
    }
}
