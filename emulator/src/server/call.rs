//! The service of a request, and what faults and counts need to know of the request.

use crate::aws::{acm, kms, machine, sigv4, sso, sts};
use crate::azure::entra;
use crate::azure::vault::{self, Operation};
use crate::control;
use crate::encoding::hex;
use crate::faults::Tamper;
use crate::google;
use crate::google::identity::Endpoint;
use crate::http::{Reply, Request};
use crate::state::{Entry, State};
use hyper::Method;
use serde_json::json;

/// Whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Acm,
    Kms,
    Sts,
    Vault,
    GoogleKms,
    GoogleIdentity(Endpoint),
    Token,
    Discovery,
    Identity,
    Machine,
    SignOn,
    Control,
    Nobody,
}

/// A request, understood as far as faults and counts need it.
pub(super) struct Call {
    pub(super) service: Service,
    pub(super) operation: String,
    /// The names of the key it is for; the first is as the client wrote it.
    pub(super) names: Vec<String>,
    /// The region that a request to AWS is signed for.
    pub(super) region: Option<String>,
    /// The challenge, if the token is not good.
    pub(super) refused: Option<Reply>,
}

impl Call {
    pub(super) fn of(state: &State, request: &Request) -> Self {
        let plain = |service, operation: &str| Self {
            service,
            operation: operation.to_owned(),
            names: Vec::new(),
            region: sigv4::region(request),
            refused: None,
        };
        let path = request.path.as_str();
        if let Some(operation) = kms::operation(request) {
            return Self { names: kms::key_names(state, request), ..plain(Service::Kms, &format!("kms.{operation}")) };
        }
        if let Some(operation) = acm::operation(request) {
            return Self { names: acm::certificate_names(request), ..plain(Service::Acm, operation) };
        }
        if path.starts_with("/_control/") {
            return plain(Service::Control, "control");
        }
        if let Some(endpoint) = Endpoint::of(request) {
            return plain(Service::GoogleIdentity(endpoint), endpoint.operation());
        }
        if google::kms::is_for(request) {
            let operation = format!("google.{}", google::kms::method(request));
            return Self { names: google::kms::names(request), ..plain(Service::GoogleKms, &operation) };
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
        Self::for_vault(state, request)
    }

    fn for_vault(state: &State, request: &Request) -> Self {
        let operation = Operation::of(request);
        let names = operation.as_ref().and_then(Operation::key).map(str::to_owned).into_iter().collect();
        let refused = vault::authorize(state, request).err();
        let operation = match (&refused, operation) {
            (Some(_), _) => "vault.challenge".to_owned(),
            (None, Some(operation)) => operation.name(),
            (None, None) => "vault.unknown".to_owned(),
        };
        Self { service: Service::Vault, operation, names, region: None, refused }
    }

    /// What is to be signed, in hexadecimal.
    pub(super) fn digest(&self, request: &Request) -> Option<String> {
        if self.operation == "google.AsymmetricSign" {
            return google::kms::signed(request).map(|signed| hex(&signed));
        }
        let member = match self.operation.as_str() {
            "kms.Sign" => "Message",
            "vault.keys.sign" => "value",
            _ => return None,
        };
        request.bytes(member).map(|digest| hex(&digest))
    }

    pub(super) fn answer(&self, state: &State, request: &Request, tamper: Tamper) -> Reply {
        if let Some(refused) = &self.refused {
            return refused.clone();
        }
        match self.service {
            Service::Acm => acm::answer(state, request),
            Service::Kms => kms::answer(state, request, tamper),
            Service::Sts => sts::answer(state, request),
            Service::Vault => vault::answer(state, request, tamper),
            Service::GoogleKms => google::kms::answer(state, request, tamper),
            Service::GoogleIdentity(endpoint) => endpoint.answer(state, request),
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

    /// The entry of the log, for a request that got no reply yet.
    pub(super) fn entry(&self, request: &Request) -> Entry {
        Entry {
            operation: self.operation.clone(),
            key: self.names.first().cloned(),
            region: self.region.clone(),
            host: request.host.clone(),
            request: format!("{} {}", request.method, request.path),
            status: 0,
            connection: request.origin.connection,
            handshake: request.origin.handshake,
            quota_project: request.header("x-goog-user-project").map(str::to_owned),
            digest: self.digest(request),
        }
    }
}
