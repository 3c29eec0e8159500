//! Replies that faults send instead of the service's own.

use super::call::{Call, Service};
use crate::aws::kms::{self, KmsError};
use crate::aws::{acm, machine, sso, sts};
use crate::azure::entra;
use crate::azure::vault::{self, Place, VaultError};
use crate::clock;
use crate::faults::Action;
use crate::google::forged;
use crate::http::{Reply, Request};
use crate::state::State;
use serde_json::json;

/// The reply of an action, in the service's own form; `None` if the action forges none.
pub(super) fn forge(call: &Call, state: &State, request: &Request, action: &Action) -> Option<Reply> {
    let forgery = Forgery { call, state, request, id: state.ids.uuid() };
    match action {
        Action::Error { status, code, message, innererror } => {
            Some(forgery.error(*status, code, message, innererror.as_ref()))
        }
        Action::Throttle { retry_after } => Some(forgery.throttled(*retry_after)),
        Action::Deny => Some(forgery.denied()),
        Action::ExpiredToken => Some(forgery.expired()),
        Action::ClockSkew if [Service::Acm, Service::Kms].contains(&call.service) => Some(clock_skew(state)),
        Action::ServiceDisabled if call.service == Service::GoogleKms => Some(forged::service_disabled()),
        Action::PolicyViolated if call.service == Service::GoogleKms => Some(forged::policy_violated()),
        Action::ClaimsChallenge if call.service == Service::Vault => Some(vault::claims_challenge(state)),
        _ => None,
    }
}

/// A reply to a request that its service does not see.
struct Forgery<'a> {
    call: &'a Call,
    state: &'a State,
    request: &'a Request,
    /// The request's id, for the services that put it into the body.
    id: String,
}

impl Forgery<'_> {
    fn error(&self, status: u16, code: &str, message: &str, inner: Option<&String>) -> Reply {
        match self.call.service {
            Service::Acm | Service::Kms => KmsError::new(code, message).reply(status, self.state),
            Service::Sts => sts::error(status, code, message, &self.id),
            Service::Vault => VaultError { inner: inner.cloned(), ..VaultError::new(status, code, message) }.reply(),
            Service::GoogleKms | Service::GoogleIdentity(_) => {
                forged::error(self.request, status, code, message, inner.map(String::as_str))
            }
            Service::Machine => Reply::json(status, &json!({ "code": code, "message": message })),
            Service::SignOn => sso::error(status, code, message),
            _ => Reply::json(status, &json!({ "error": code, "error_description": message })),
        }
    }

    fn throttled(&self, retry_after: Option<u32>) -> Reply {
        let reply = match self.call.service {
            Service::Kms => {
                let text = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
                return self.kms(&KmsError::new("ThrottlingException", text));
            }
            Service::Acm => return self.kms(&KmsError::new("ThrottlingException", "Rate exceeded")),
            Service::Sts => return sts::error(400, "Throttling", "Rate exceeded", &self.id),
            Service::Vault => VaultError::throttled().reply(),
            Service::GoogleKms | Service::GoogleIdentity(_) => return forged::throttled(self.request, retry_after),
            Service::Identity => {
                Reply::json(429, &json!({ "error": "too_many_requests", "error_description": "Too many requests" }))
            }
            _ => {
                let text = "The server terminated an operation because it encountered a client request loop.";
                entra::error(self.state, 429, "temporarily_unavailable", 50_196, text)
            }
        };
        match retry_after {
            Some(seconds) => reply.with("retry-after", seconds.to_string()),
            None => reply,
        }
    }

    fn denied(&self) -> Reply {
        let operation = self.call.operation.as_str();
        let short = operation.split_once('.').map_or(operation, |(_, short)| short);
        match self.call.service {
            Service::Kms => {
                let key = self.call.names.get(1).or(self.call.names.first()).map_or("*", String::as_str);
                self.kms(&kms::denied(short, key))
            }
            Service::Acm => self.kms(&acm::denied(operation, self.call.names.first().map_or("*", String::as_str))),
            Service::Sts => sts::denied(short, &self.id),
            Service::Vault => VaultError::denied(operation, &Place::of(self.state, self.request)).reply(),
            Service::GoogleKms | Service::GoogleIdentity(_) => forged::denied(self.request),
            Service::Machine => machine::denied(),
            _ => {
                let text = "Application was not found in the directory.";
                entra::error(self.state, 400, "unauthorized_client", 700_016, text)
            }
        }
    }

    fn expired(&self) -> Reply {
        match self.call.service {
            Service::Acm | Service::Kms => self.kms(&KmsError::expired()),
            Service::Sts => {
                let text = "The security token included in the request is expired";
                sts::error(403, "ExpiredToken", text, &self.id)
            }
            Service::GoogleKms | Service::GoogleIdentity(_) => forged::expired(self.request),
            Service::Vault => vault::expired(&Place::of(self.state, self.request), self.request),
            _ => {
                let text = "Client assertion is not within its valid time range.";
                entra::error(self.state, 401, "invalid_client", 700_024, text)
            }
        }
    }

    fn kms(&self, error: &KmsError) -> Reply {
        error.reply(400, self.state)
    }
}

/// What KMS says to a request signed ten minutes ago.
fn clock_skew(state: &State) -> Reply {
    let now = state.clock.now();
    let (signed, limit, server) = (clock::basic(now - 600), clock::basic(now - 300), clock::basic(now));
    let text = format!("Signature expired: {signed} is now earlier than {limit} ({server} - 5 min.)");
    KmsError::new("InvalidSignatureException", text).reply(400, state)
}

/// The page of [`Action::Page`], without any header of a service.
pub(super) fn page(action: &Action) -> Option<Reply> {
    let Action::Page { status, authenticate } = action else { return None };
    let page = Reply::new(*status, "text/html", b"<html><body>a proxy's own page</body></html>".to_vec());
    Some(match authenticate {
        Some(scheme) => page.with("proxy-authenticate", scheme.clone()),
        None => page,
    })
}
