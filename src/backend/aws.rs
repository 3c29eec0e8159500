//! AWS KMS: what is asked of it and what its answers mean. Clients and credentials are made in `aws_client`.
//!
//! API reference: GetPublicKey, Sign, ListKeys and "Common Errors" of the AWS KMS API Reference.

use super::aws_client::Clients;
use super::aws_http::BadBody;
use super::aws_keys::{ALGORITHMS, GET_PUBLIC_KEY, Operation, SIGN, facts, fits, in_pkcs11_form};
use super::call::{Call, Refused, Remedy};
use super::http::{causes, is_timeout, unreachable, words_of};
use super::runtime::{self, PerProcess};
use super::{Backend, Cause, Failure, Identity, KeyFacts, KeyName, Network, Pending, SharedBackend, Signature};
use crate::key::{Kind, Scheme};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What a slot says about AWS. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The region; None means that of the key's ARN, else what the SDK finds.
    pub region: Option<String>,
    /// A profile of the shared configuration and credentials files.
    pub profile: Option<String>,
    /// ARN of a role to assume with those credentials.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// Another endpoint than the region's.
    pub endpoint_url: Option<String>,
    /// How to reach it.
    pub network: Network,
}

/// The backend for these settings: no request, no file read.
pub fn open(settings: Settings) -> SharedBackend {
    Arc::new(Aws { settings, clients: PerProcess::new() })
}

struct Aws {
    settings: Settings,
    clients: PerProcess<Clients>,
}

impl Backend for Aws {
    fn describe(&self, key: &KeyName) -> Pending<KeyFacts> {
        let (clients, id) = (self.clients(), key.id.clone());
        runtime::spawn(GET_PUBLIC_KEY.name, move || async move { clients.describe(&id).await })
    }

    fn sign(
        &self,
        key: &KeyName,
        kind: Kind,
        immutable_id: Option<&str>,
        scheme: Scheme,
        digest: &[u8],
    ) -> Pending<Signature> {
        let Some((algorithm, _)) = ALGORITHMS.iter().find(|(_, known)| *known == scheme) else {
            return Pending::ready(Err(SIGN.failure(Cause::Unsupported, format!("no algorithm for {scheme:?}"))));
        };
        let order = Order {
            key: key.id.clone(),
            told: immutable_id.map(str::to_owned),
            kind,
            algorithm: algorithm.clone(),
            digest: digest.to_vec().into(),
        };
        let clients = self.clients();
        runtime::spawn(SIGN.name, move || async move { clients.sign(&order).await })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        ALGORITHMS.iter().map(|(_, scheme)| *scheme).filter(|scheme| fits(*scheme, kind)).collect()
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        !is_alias(&key.id)
    }

    fn list(&self) -> Pending<Vec<KeyName>> {
        let clients = self.clients();
        runtime::spawn(LIST_KEYS.name, move || async move { clients.list().await })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "aws_kms", model: "0", serial: "0" }
    }

    fn place(&self) -> String {
        place(&self.settings)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

/// How all keys are listed.
const LIST_KEYS: Operation = Operation { name: "ListKeys", permission: "kms:ListKeys" };

impl Aws {
    fn clients(&self) -> Arc<Clients> {
        self.clients.get(|| Clients::new(self.settings.clone()))
    }
}

/// What is to be signed, by which key, and how.
pub(super) struct Order {
    pub(super) key: String,
    pub(super) told: Option<String>,
    pub(super) kind: Kind,
    pub(super) algorithm: SigningAlgorithmSpec,
    pub(super) digest: Zeroizing<Vec<u8>>,
}

impl Clients {
    pub(super) async fn describe(&self, id: &str) -> Result<KeyFacts, Failure> {
        let attempt = |client: Client| {
            let request = client.get_public_key().key_id(id);
            async move { Ok(facts(request.send().await.map_err(|e| refused(&GET_PUBLIC_KEY, e))?)?) }
        };
        self.call(&GET_PUBLIC_KEY, id, attempt).await
    }

    pub(super) async fn sign(&self, order: &Order) -> Result<Signature, Failure> {
        let id = order.told.as_ref().unwrap_or(&order.key);
        let attempt = |client: Client| {
            let request =
                client.sign().key_id(id).message(Blob::new(order.digest.to_vec())).message_type(MessageType::Digest);
            let request = request.signing_algorithm(order.algorithm.clone());
            async move {
                let reply = request.send().await.map_err(|e| refused(&SIGN, e))?;
                let bytes = reply.signature.unwrap_or_else(|| Blob::new([])).into_inner();
                let immutable_id = reply.key_id.unwrap_or_else(|| id.clone());
                Ok(Signature { bytes: in_pkcs11_form(order.kind, bytes)?, immutable_id })
            }
        };
        match self.call(&SIGN, &order.key, attempt).await {
            Err(failure) if matches!(failure.cause, Cause::Disabled | Cause::Missing) => {
                Err(self.moved(order).await.unwrap_or(failure))
            }
            answer => answer,
        }
    }

    /// A key signs no more: whether its alias means another one by now.
    async fn moved(&self, order: &Order) -> Option<Failure> {
        let told = order.told.as_ref().filter(|_| is_alias(&order.key))?;
        let attempt = |client: Client| {
            let request = client.get_public_key().key_id(&order.key);
            async move { Ok(request.send().await.map_err(|e| refused(&GET_PUBLIC_KEY, e))?.key_id) }
        };
        let now = self.call(&GET_PUBLIC_KEY, &order.key, attempt).await.ok().flatten().filter(|now| now != told)?;
        let message = format!("the alias moved from {told}, which signs no more, to {now}. It will be loaded anew");
        Some(SIGN.failure(Cause::Missing, message))
    }

    /// Signatures go out at once; what is loaded waits for its turn.
    async fn call<T, F>(
        &self,
        operation: &'static Operation,
        key: &str,
        request: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Refused>>,
    {
        let region = self.settings.region.clone().or_else(|| region_of_arn(key));
        let asked = Asked { operation: operation.name, key, settings: &self.settings };
        let turns = (operation.name == GET_PUBLIC_KEY.name).then_some(&self.turns);
        let call = Call { operation: operation.name, what: &asked, network: &self.settings.network, turns };
        let attempt = async || request(self.client(operation.name, region.as_deref()).await?).await;
        call.made(attempt, |refused, since| self.renew(refused, since)).await
    }

    /// All keys of the region, page by page; each page has the time of a whole call.
    pub(super) async fn list(&self) -> Result<Vec<KeyName>, Failure> {
        let (mut keys, mut markers, mut marker) = (Vec::new(), HashSet::new(), None);
        for _ in 0..MAX_PAGES {
            let page = |client: Client| {
                let request = client.list_keys().limit(1000).set_marker(marker.clone());
                async move { request.send().await.map_err(|e| refused(&LIST_KEYS, e)) }
            };
            let reply = self.call(&LIST_KEYS, "", page).await?;
            // A page may be empty though more follow.
            let ids = reply.keys().iter().filter_map(|entry| entry.key_id.clone());
            keys.extend(ids.map(|id| KeyName { id, version: None }));
            marker = reply.next_marker.filter(|_| reply.truncated);
            match &marker {
                Some(next) if markers.insert(next.clone()) => {}
                Some(_) => return Err(LIST_KEYS.failure(Cause::Malformed, "a page's marker comes again")),
                None => return Ok(keys),
            }
        }
        Err(LIST_KEYS.failure(Cause::Malformed, "the pages don't end"))
    }
}

/// What is asked of which key and where, for the log.
struct Asked<'a> {
    operation: &'static str,
    key: &'a str,
    settings: &'a Settings,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.operation, self.key, place(self.settings))
    }
}

fn place(settings: &Settings) -> String {
    match (&settings.endpoint_url, &settings.region) {
        (Some(url), _) => format!("AWS KMS at {url}"),
        (None, Some(region)) => format!("AWS KMS in {region}"),
        (None, None) => "AWS KMS".to_owned(),
    }
}

/// `alias/NAME`, or the ARN of an alias: a name that can come to mean another key.
fn is_alias(id: &str) -> bool {
    id.starts_with("alias/") || id.contains(":alias/")
}

/// Field 4 of `arn:aws:kms:eu-central-1:111122223333:key/...`.
fn region_of_arn(id: &str) -> Option<String> {
    let fields: Vec<&str> = id.split(':').collect();
    match fields[..] {
        ["arn", _, "kms", region, _, ..] if !region.is_empty() => Some(region.to_owned()),
        _ => None,
    }
}

/// More would be ten million keys.
const MAX_PAGES: u32 = 10_000;

/// Error codes of KMS, of STS and of the layer in front of them ("Common Errors"), without their namespace.
#[rustfmt::skip]
const CODES: &[(&str, Cause)] = &[
    ("NotFoundException", Cause::Missing),
    ("DisabledException", Cause::Disabled),
    ("KMSInvalidStateException", Cause::Disabled),
    ("InvalidKeyUsageException", Cause::Unsupported),
    ("UnsupportedOperationException", Cause::Unsupported),
    ("AccessDeniedException", Cause::Denied),
    ("AccessDenied", Cause::Denied),
    ("NotAuthorized", Cause::Denied),
    ("OptInRequired", Cause::Denied),
    ("ThrottlingException", Cause::Throttled),
    ("Throttling", Cause::Throttled),
    ("TooManyRequestsException", Cause::Throttled),
    ("RequestLimitExceeded", Cause::Throttled),
    ("LimitExceededException", Cause::Throttled),
    ("UnrecognizedClientException", Cause::Credentials),
    ("InvalidClientTokenId", Cause::Credentials),
    ("InvalidSignatureException", Cause::Credentials),
    ("SignatureDoesNotMatch", Cause::Credentials),
    ("IncompleteSignatureException", Cause::Credentials),
    ("IncompleteSignature", Cause::Credentials),
    ("MissingAuthenticationTokenException", Cause::Credentials),
    ("MissingAuthenticationToken", Cause::Credentials),
    ("ExpiredTokenException", Cause::Credentials),
    ("ExpiredToken", Cause::Credentials),
    ("RequestExpired", Cause::Credentials),
    ("KeyUnavailableException", Cause::Internal),
    ("DependencyTimeoutException", Cause::Internal),
    ("KMSInternalException", Cause::Internal),
    ("InternalFailure", Cause::Internal),
    ("InternalError", Cause::Internal),
    ("ServiceUnavailable", Cause::Internal),
    ("ServiceUnavailableException", Cause::Internal),
];

/// What newer credentials may help against.
const EXPIRED: [&str; 2] = ["ExpiredTokenException", "ExpiredToken"];

/// What may mean that this machine's clock is wrong. The SDK learns the service's time from each reply.
const BY_CLOCK: [&str; 4] =
    ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"];

fn remedy_of_code(code: &str) -> Option<Remedy> {
    match code {
        code if EXPIRED.contains(&code) => Some(Remedy::Renewal),
        code if BY_CLOCK.contains(&code) => Some(Remedy::Once),
        _ => None,
    }
}

fn cause_of_code(code: &str) -> Option<Cause> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, cause)| *cause)
}

/// For replies without a code, which are not from KMS itself: a proxy's, a load balancer's.
fn cause_of_status(status: u16) -> Cause {
    match status {
        // The SDK takes a reply that it can't read for an error.
        200..300 => Cause::Malformed,
        401 | 403 => Cause::Denied,
        429 => Cause::Throttled,
        500.. => Cause::Internal,
        _ => Cause::Rejected,
    }
}

/// What an error of the SDK means. Its Debug form is never used: it shows the reply's raw body.
fn refused<E>(operation: &Operation, error: SdkError<E, HttpResponse>) -> Refused
where
    E: ProvideErrorMetadata + RequestId + Error + 'static,
{
    let request_id = error.request_id().map(str::to_owned);
    let (cause, message) = match &error {
        SdkError::ServiceError(context) => {
            let (code, status) = (code_of(&error), context.raw().status().as_u16());
            let cause = code.and_then(cause_of_code).unwrap_or_else(|| cause_of_status(status));
            let code = code.map_or_else(|| format!("HTTP status {status}"), str::to_owned);
            let words = context.err().message().or((200..300).contains(&status).then_some("no reply of KMS"));
            (cause, words.map_or(code.clone(), |words| format!("{code}: {words}")))
        }
        _ if causes(&error).any(|error| matches!(error.downcast_ref(), Some(BadBody::Cut(_)))) => {
            let cause = if is_timeout(&error) { Cause::TimedOut } else { Cause::Unreachable };
            (cause, words_of(&error))
        }
        SdkError::ResponseError(context) => {
            (Cause::Malformed, format!("HTTP status {}: {}", context.raw().status(), words_of(&error)))
        }
        SdkError::TimeoutError(_) => (Cause::TimedOut, words_of(&error)),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (Cause::TimedOut, words_of(&error)),
        _ if is_about_credentials(&error) => (Cause::Credentials, format!("{}; {ADVICE}", words_of(&error))),
        SdkError::DispatchFailure(_) => unreachable(words_of(&error)),
        _ => (Cause::Rejected, words_of(&error)),
    };
    let message = match cause {
        Cause::Denied => format!("{message} (needed: {})", operation.permission),
        Cause::Credentials if ["Signature expired", "not yet current"].iter().any(|said| message.contains(said)) => {
            format!("{message}; is this machine's clock right?")
        }
        _ => message,
    };
    let refused = Refused::from(Failure { cause, operation: operation.name, message, request_id });
    let remedy = code_of(&error).and_then(remedy_of_code).unwrap_or(refused.remedy);
    let seconds = error.raw_response().and_then(|reply| reply.headers().get("retry-after")?.parse().ok());
    Refused { remedy, wait: seconds.map(Duration::from_secs), ..refused }
}

/// `com.amazonaws.kms#NotFoundException` without its namespace, which the SDK strips in most places.
fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.code().map(|code| code.rsplit('#').next().unwrap_or(code)).filter(|code| !code.is_empty())
}

const ADVICE: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in the slot or by AWS_PROFILE, \
     or give this machine or container a role";

fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| error.is::<aws_credential_types::provider::error::CredentialsError>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Curve, Family};

    #[test]
    fn an_arn_names_its_region() {
        for (id, region) in [
            ("arn:aws:kms:eu-central-1:111122223333:key/mrk-1", Some("eu-central-1")),
            ("arn:aws-cn:kms:cn-north-1:111122223333:alias/a", Some("cn-north-1")),
            ("arn:aws:iam::111122223333:role/r", None),
            ("arn:aws:kms::111122223333:key/x", None),
            ("alias/a", None),
        ] {
            assert_eq!(region_of_arn(id).as_deref(), region, "{id}");
        }
    }

    #[test]
    fn each_kind_has_its_schemes() {
        let of = |kind| open(Settings::default()).schemes(kind);
        assert_eq!(of(Kind::Rsa(2048)).len(), 6);
        for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1] {
            assert_eq!(of(Kind::Ec(curve)), [Scheme { family: Family::Ecdsa, hash: curve.hash() }]);
        }
    }
}
