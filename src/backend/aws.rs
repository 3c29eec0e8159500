//! AWS KMS: what is asked of it and what its answers mean. Clients and credentials are made in `aws_client`.
//!
//! API reference: GetPublicKey, Sign, ListKeys and "Common Errors" of the AWS KMS API Reference.

use super::aws_client::Clients;
use super::http::{causes, words_of};
use super::runtime::{self, PerProcess};
use super::{Backend, Cause, Failure, Identity, KeyFacts, KeyName, Network, Pending, SharedBackend, Signature};
use crate::hash::Hash;
use crate::key::{self, Curve, Family, Kind, PublicKey, Scheme};
use crate::log_debug;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

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
        let id = key.id.clone();
        self.call(&GET_PUBLIC_KEY, Turn::Queued, &key.id, move |client| {
            let id = id.clone();
            async move { describe(&client, id).await }
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
        let Some((algorithm, _)) = ALGORITHMS.iter().find(|(_, known)| *known == scheme) else {
            return Pending::ready(Err(SIGN.failure(Cause::Unsupported, format!("no algorithm for {scheme:?}"))));
        };
        let (id, digest) = (immutable_id.unwrap_or(&key.id).to_owned(), Blob::new(digest));
        self.call(&SIGN, Turn::AtOnce, &key.id, move |client| {
            let (id, digest) = (id.clone(), digest.clone());
            async move { sign(&client, id, kind, algorithm, digest).await }
        })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        ALGORITHMS.iter().map(|(_, scheme)| *scheme).filter(|scheme| fits(*scheme, kind)).collect()
    }

    fn list(&self) -> Pending<Vec<KeyName>> {
        self.call(&LIST_KEYS, Turn::Long, "", |client| async move { list(&client).await })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "aws_kms", model: "0", serial: "0" }
    }

    fn place(&self) -> String {
        match (&self.settings.endpoint_url, &self.settings.region) {
            (Some(url), _) => format!("AWS KMS at {url}"),
            (None, Some(region)) => format!("AWS KMS in {region}"),
            (None, None) => "AWS KMS".to_owned(),
        }
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

/// An operation, and the permission that it needs.
struct Operation {
    name: &'static str,
    permission: &'static str,
}

const GET_PUBLIC_KEY: Operation = Operation { name: "GetPublicKey", permission: "kms:GetPublicKey" };
const SIGN: Operation = Operation { name: "Sign", permission: "kms:Sign" };
const LIST_KEYS: Operation = Operation { name: "ListKeys", permission: "kms:ListKeys" };

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

impl Aws {
    fn call<T, F>(
        &self,
        operation: &'static Operation,
        turn: Turn,
        key: &str,
        request: impl Fn(Client) -> F + Send + Sync + 'static,
    ) -> Pending<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T, Refused>> + Send + 'static,
    {
        let clients = self.clients.get(|| Clients::new(self.settings.clone()));
        let region = self.settings.region.clone().or_else(|| region_of_arn(key));
        let what = format!("{} {key} at {}", operation.name, self.place());
        let limit = self.settings.network.call_timeout;
        let pages = if turn == Turn::Long { MAX_PAGES } else { 1 };
        runtime::spawn(operation.name, runtime::NO_LIMIT, move || async move {
            let _turn = if turn == Turn::Queued { clients.turns.acquire().await.ok() } else { None };
            let start = Instant::now();
            let request = with_fresh_credentials(&clients, operation, region.as_deref(), request);
            let answer = runtime::in_time(operation.name, limit.saturating_mul(pages), request).await;
            let outcome = answer.as_ref().map_or_else(Failure::to_string, |_| "ok".into());
            log_debug!("{what}: {outcome} ({} ms)", start.elapsed().as_millis());
            answer
        })
    }
}

/// Makes the request, and once more if the service calls the credentials expired: the SDK reads a file with temporary
/// credentials only once, and somebody may have written newer ones.
async fn with_fresh_credentials<T, F>(
    clients: &Clients,
    operation: &'static Operation,
    region: Option<&str>,
    request: impl Fn(Client) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Refused>>,
{
    let client = clients.client(operation.name, region).await?;
    match request(client).await {
        Err(Refused { expired: true, .. }) => {
            clients.forget();
            let client = clients.client(operation.name, region).await?;
            request(client).await.map_err(|refused| refused.failure)
        }
        answer => answer.map_err(|refused| refused.failure),
    }
}

/// Field 4 of `arn:aws:kms:eu-central-1:111122223333:key/...`.
fn region_of_arn(id: &str) -> Option<String> {
    let fields: Vec<&str> = id.split(':').collect();
    match fields[..] {
        ["arn", _, "kms", region, _, ..] if !region.is_empty() => Some(region.to_owned()),
        _ => None,
    }
}

/// SigningAlgorithm of the API: always of a digest, and PSS with salt as long as it.
#[rustfmt::skip]
static ALGORITHMS: [(SigningAlgorithmSpec, Scheme); 9] = [
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha256, Scheme { family: Family::RsaPkcs1, hash: Hash::Sha256 }),
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha384, Scheme { family: Family::RsaPkcs1, hash: Hash::Sha384 }),
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha512, Scheme { family: Family::RsaPkcs1, hash: Hash::Sha512 }),
    (SigningAlgorithmSpec::RsassaPssSha256, Scheme { family: Family::RsaPss, hash: Hash::Sha256 }),
    (SigningAlgorithmSpec::RsassaPssSha384, Scheme { family: Family::RsaPss, hash: Hash::Sha384 }),
    (SigningAlgorithmSpec::RsassaPssSha512, Scheme { family: Family::RsaPss, hash: Hash::Sha512 }),
    (SigningAlgorithmSpec::EcdsaSha256, Scheme { family: Family::Ecdsa, hash: Hash::Sha256 }),
    (SigningAlgorithmSpec::EcdsaSha384, Scheme { family: Family::Ecdsa, hash: Hash::Sha384 }),
    (SigningAlgorithmSpec::EcdsaSha512, Scheme { family: Family::Ecdsa, hash: Hash::Sha512 }),
];

/// KeySpec of the API, as far as this module serves it.
#[rustfmt::skip]
static SPECS: [(KeySpec, Kind); 7] = [
    (KeySpec::Rsa2048, Kind::Rsa(2048)),
    (KeySpec::Rsa3072, Kind::Rsa(3072)),
    (KeySpec::Rsa4096, Kind::Rsa(4096)),
    (KeySpec::EccNistP256, Kind::Ec(Curve::P256)),
    (KeySpec::EccNistP384, Kind::Ec(Curve::P384)),
    (KeySpec::EccNistP521, Kind::Ec(Curve::P521)),
    (KeySpec::EccSecgP256K1, Kind::Ec(Curve::Secp256k1)),
];

/// Each curve goes with one hash; an RSA key with each of them.
fn fits(scheme: Scheme, kind: Kind) -> bool {
    match kind {
        Kind::Rsa(_) => scheme.family != Family::Ecdsa,
        Kind::Ec(curve) => scheme.family == Family::Ecdsa && scheme.hash == curve.hash(),
    }
}

pub(super) async fn describe(client: &Client, id: String) -> Result<KeyFacts, Refused> {
    let reply = client.get_public_key().key_id(id).send().await;
    Ok(facts(reply.map_err(|e| refused(&GET_PUBLIC_KEY, e))?)?)
}

pub(super) async fn sign(
    client: &Client,
    id: String,
    kind: Kind,
    algorithm: &SigningAlgorithmSpec,
    digest: Blob,
) -> Result<Signature, Refused> {
    let request = client.sign().key_id(&id).message(digest).message_type(MessageType::Digest);
    let reply = request.signing_algorithm(algorithm.clone()).send().await.map_err(|e| refused(&SIGN, e))?;
    let bytes = reply.signature.unwrap_or_else(|| Blob::new([])).into_inner();
    Ok(Signature { bytes: in_pkcs11_form(kind, bytes)?, immutable_id: reply.key_id.unwrap_or(id) })
}

fn facts(reply: GetPublicKeyOutput) -> Result<KeyFacts, Failure> {
    let spec = reply.key_spec.as_ref();
    let der = reply.public_key.as_ref().map_or(&[][..], |blob| blob.as_ref());
    let public_key = PublicKey::from_spki(der).map_err(|unusable| {
        // Ed25519, ML-DSA, SM2 and whatever comes are right replies about keys that this module can't serve.
        let cause =
            if SPECS.iter().any(|(known, _)| Some(known) == spec) { Cause::Malformed } else { Cause::Unsupported };
        let spec = spec.map_or("unknown", KeySpec::as_str);
        GET_PUBLIC_KEY.failure(cause, format!("a key of KeySpec {spec}: {}", unusable.0))
    })?;
    let kind = public_key.kind();
    if let Some((spec, told)) = SPECS.iter().find(|(known, _)| Some(known) == spec)
        && *told != kind
    {
        let message = format!("KeySpec is {}, but the public key is of kind {}", spec.as_str(), kind.name());
        return Err(GET_PUBLIC_KEY.failure(Cause::Malformed, message));
    }
    let (schemes, refusal) = abilities(&reply, kind);
    Ok(KeyFacts { immutable_id: reply.key_id, public_key, schemes, refusal, hardware: true })
}

fn abilities(reply: &GetPublicKeyOutput, kind: Kind) -> (Vec<Scheme>, Option<String>) {
    if let Some(usage) = reply.key_usage.as_ref().filter(|usage| **usage != KeyUsageType::SignVerify) {
        return (Vec::new(), Some(format!("its KeyUsage is {}", usage.as_str())));
    }
    let offered = reply.signing_algorithms();
    let known = ALGORITHMS.iter().filter(|(algorithm, scheme)| offered.contains(algorithm) && fits(*scheme, kind));
    let schemes: Vec<_> = known.map(|(_, scheme)| *scheme).collect();
    let names: Vec<_> = offered.iter().map(SigningAlgorithmSpec::as_str).collect();
    let refusal = schemes.is_empty().then(|| format!("its SigningAlgorithms are [{}]", names.join(", ")));
    (schemes, refusal)
}

/// KMS encodes ECDSA signatures in DER (ANSI X9.62); RSA ones are as PKCS#11 wants them.
fn in_pkcs11_form(kind: Kind, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let length = bytes.len();
    let converted = match kind {
        Kind::Rsa(bits) => Some(bytes).filter(|bytes| bytes.len() == bits.div_ceil(8)),
        Kind::Ec(curve) => key::ecdsa_from_der(&bytes, curve.width()),
    };
    let message = || format!("{length} bytes that are no signature of kind {}", kind.name());
    converted.ok_or_else(|| SIGN.failure(Cause::Malformed, message()))
}

/// More would be ten million keys.
const MAX_PAGES: u32 = 10_000;

pub(super) async fn list(client: &Client) -> Result<Vec<KeyName>, Refused> {
    let (mut keys, mut markers, mut marker) = (Vec::new(), HashSet::new(), None);
    for _ in 0..MAX_PAGES {
        let reply = client.list_keys().limit(1000).set_marker(marker).send().await;
        let reply = reply.map_err(|e| refused(&LIST_KEYS, e))?;
        // A page may be empty though more follow.
        let ids = reply.keys().iter().filter_map(|entry| entry.key_id.clone());
        keys.extend(ids.map(|id| KeyName { id, version: None }));
        marker = reply.next_marker.filter(|_| reply.truncated);
        match &marker {
            Some(next) if markers.insert(next.clone()) => {}
            Some(_) => return Err(LIST_KEYS.failure(Cause::Malformed, "a page's marker comes again").into()),
            None => return Ok(keys),
        }
    }
    Err(LIST_KEYS.failure(Cause::Malformed, "the pages don't end").into())
}

impl Operation {
    fn failure(&self, cause: Cause, message: impl Into<String>) -> Failure {
        Failure::new(cause, self.name, message)
    }
}

/// A failure, and whether newer credentials may help.
pub(super) struct Refused {
    pub(super) failure: Failure,
    expired: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, expired: false }
    }
}

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

const EXPIRED: [&str; 2] = ["ExpiredTokenException", "ExpiredToken"];

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
    let (cause, message, expired) = match &error {
        SdkError::ServiceError(context) => {
            let (code, status) = (context.err().code(), context.raw().status().as_u16());
            // "com.amazonaws.kms#NotFoundException"; the SDK strips the namespace in most places.
            let code = code.map(|code| code.rsplit('#').next().unwrap_or(code));
            let cause = code.and_then(cause_of_code).unwrap_or_else(|| cause_of_status(status));
            let code = code.map_or_else(|| format!("HTTP status {status}"), str::to_owned);
            let words = context.err().message().or((200..300).contains(&status).then_some("no reply of KMS"));
            let message = words.map_or(code.clone(), |words| format!("{code}: {words}"));
            (cause, message, EXPIRED.contains(&code.as_str()))
        }
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            (Cause::Malformed, format!("HTTP status {status}: {}", words_of(&error)), false)
        }
        SdkError::TimeoutError(_) => (Cause::TimedOut, words_of(&error), false),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => (Cause::TimedOut, words_of(&error), false),
        _ if is_about_credentials(&error) => (Cause::Credentials, format!("{}; {ADVICE}", words_of(&error)), false),
        SdkError::DispatchFailure(_) => (Cause::Unreachable, words_of(&error), false),
        _ => (Cause::Rejected, words_of(&error), false),
    };
    let message = match cause {
        Cause::Denied => format!("{message} (needed: {})", operation.permission),
        _ => message,
    };
    Refused { failure: Failure { cause, operation: operation.name, message, request_id }, expired }
}

const ADVICE: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in the slot or by AWS_PROFILE, \
     or give this machine or container a role";

fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| error.is::<aws_credential_types::provider::error::CredentialsError>())
}

#[cfg(test)]
mod tests {
    use super::*;

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
