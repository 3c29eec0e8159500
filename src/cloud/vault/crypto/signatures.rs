//! Signatures with a key of Transit, one by one or many in one request.
//!
//! "Sign data" of "Transit secrets engine (API)". A signature has the form `vault:v3:BASE64`, with the version of the key.

use super::{key_version, parts, unsupported, version};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::transport::json_body;
use crate::cloud::key::{KeyRequest, Signature};
use crate::cloud::runtime::request_id;
use crate::cloud::vault::batches::{Place, Waiting};
use crate::cloud::vault::client::{Clients, Request};
use crate::cloud::vault::keys::hash_algorithm;
use crate::cloud::vault::operations::{HMAC, SIGN};
use crate::key::{Algorithm, Kind, Salt};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
struct SignReply {
    signature: String,
}

#[derive(Deserialize)]
struct BatchReply {
    batch_results: Vec<ItemReply>,
}

/// The result of one input. Without a signature, there is an error.
#[derive(Deserialize)]
struct ItemReply {
    signature: Option<String>,
}

/// What signatures of the same kind have in common: everything but the input.
#[derive(Clone)]
struct SignRequest {
    /// The path, as segments.
    path: Vec<String>,
    fields: Value,
}

impl Clients {
    /// Signs the data, or computes a MAC. If the version that was described earlier may no longer be used, describes the key
    /// again and signs once more.
    ///
    /// # Errors
    /// Fails with [`Cause::NotFound`] if the key was rotated: the version that is described now has another public key.
    pub(crate) async fn sign(self: &Arc<Self>, order: &KeyRequest) -> Result<Signature, Failure> {
        let version = version(order);
        let first = self.sign_with(order, version).await;
        let (Err(refused), None, Some(old)) = (&first, &order.key.version, version) else { return first };
        if !matches!(refused.cause, Cause::NotFound | Cause::Disabled) {
            return first;
        }
        let Ok(reply) = self.read_key(&order.key).await else { return first };
        let new = reply.version(&order.key);
        if new == old {
            return first;
        }
        // MACs have no public key. Whoever verifies them names the version.
        if order.scheme.family == Algorithm::Hmac {
            return self.sign_with(order, Some(&new)).await;
        }
        let message = format!(
            "the key was rotated: Vault says {:?} about version {old}, and version {new} is another key; search for the key again",
            refused.message,
        );
        Err(SIGN.failure(Cause::NotFound, message))
    }

    async fn sign_with(self: &Arc<Self>, order: &KeyRequest, version: Option<&str>) -> Result<Signature, Failure> {
        let (text, operation) = match order.scheme.family {
            Algorithm::Hmac => (self.generate_hmac(order, version).await?, &HMAC),
            _ => (self.signature(order, version).await?, &SIGN),
        };
        let malformed = |why: &str| operation.failure(Cause::Malformed, why);
        let (by, encoded) = parts(&text).ok_or_else(|| malformed("the reply is not vault:vN:BASE64"))?;
        if let Some(asked) = version.filter(|asked| *asked != by) {
            return Err(malformed(&format!("version {asked} was requested, but version {by} signed")));
        }
        // The encoding `jws` of ECDSA signatures is r and s in base64url.
        let decoded = match order.scheme.family {
            Algorithm::Ecdsa => Base64UrlUnpadded::decode_vec(encoded.trim_end_matches('=')),
            _ => Base64::decode_vec(encoded),
        };
        let bytes = decoded.map_err(|_| malformed("the signature is not base64"))?;
        if bytes.len() != order.kind.signature_len() {
            return Err(malformed(&format!("the {} bytes are not a signature of {}", bytes.len(), order.kind.name())));
        }
        Ok(Signature { bytes, immutable_id: format!("{}/{}/{by}", self.settings.mount, order.key.id) })
    }

    async fn signature(self: &Arc<Self>, order: &KeyRequest, version: Option<&str>) -> Result<String, Failure> {
        let (request, input) = (self.sign_request(order, version)?, Base64::encode_string(&order.data));
        // A server needs more time for an RSA signature than for a request. In a batch it makes them one after the other.
        let is_quick = !matches!(order.kind, Kind::Rsa(_));
        let attempt = async || match is_quick {
            true => self.sign_in_turn(&request, &input).await,
            false => self.sign_alone(&request, &input).await,
        };
        self.run(&SIGN, &order.key.id, None, attempt).await
    }

    fn sign_request(&self, order: &KeyRequest, version: Option<&str>) -> Result<SignRequest, Failure> {
        // Vault takes 0 for the longest possible salt.
        if order.scheme.salt == Salt::Length(0) {
            return Err(SIGN.failure(Cause::Unsupported, "Vault makes no PSS signature without a salt"));
        }
        let mut fields = match order.scheme.family {
            Algorithm::RsaPkcs1 => json!({ "signature_algorithm": "pkcs1v15" }),
            Algorithm::RsaPss => {
                let salt = match order.scheme.salt {
                    Salt::Length(length) => length.to_string(),
                    Salt::Digest | Salt::Any => "hash".to_owned(),
                };
                json!({ "signature_algorithm": "pss", "salt_length": salt })
            }
            Algorithm::Ecdsa => json!({ "marshaling_algorithm": "jws" }),
            _ => json!({}),
        };
        fields["prehashed"] = json!(order.kind != Kind::Ed25519);
        if let Some(version) = key_version(version) {
            fields["key_version"] = json!(version);
        }
        // Without a hash: a DigestInfo, or the message of Ed25519.
        let hash = order.scheme.hash.map_or(Some("none"), hash_algorithm).ok_or_else(|| unsupported(&SIGN, order))?;
        let mut path = self.path(&["sign", &order.key.id]);
        if order.kind != Kind::Ed25519 {
            path.push(hash);
        }
        let path = path.into_iter().map(str::to_owned).collect();
        Ok(SignRequest { path, fields })
    }

    /// Signs at once if few requests are under way, and otherwise with others.
    async fn sign_in_turn(self: &Arc<Self>, request: &SignRequest, input: &str) -> Result<String, FailedAttempt> {
        let kind = request.kind();
        match self.batches.enter(&kind, input) {
            Place::AtOnce => {
                let mut turn = Turn::new(self, request, kind);
                turn.ends_with(self.sign_alone(request, input).await)
            }
            Place::Waiting(answer) => match answer.await {
                Ok(Some(answer)) => answer.map(|(signature, id)| {
                    request_id::remember(id);
                    signature
                }),
                _ => self.sign_alone(request, input).await,
            },
        }
    }

    async fn sign_alone(self: &Arc<Self>, request: &SignRequest, input: &str) -> Result<String, FailedAttempt> {
        let mut fields = request.fields.clone();
        fields["input"] = json!(input);
        Ok(self.send_sign_request::<SignReply>(request, &fields).await?.signature)
    }

    /// Signs many inputs, and answers their callers.
    async fn sign_together(self: &Arc<Self>, mut turn: Turn, inputs: Vec<Waiting>) {
        let request = turn.request.clone();
        let mut fields = request.fields.clone();
        fields["batch_input"] = inputs.iter().map(|waiting| json!({ "input": waiting.input })).collect();
        let reply = self.send_sign_request::<BatchReply>(&request, &fields);
        let limit = self.settings.network.call_timeout;
        let reply = tokio::time::timeout(limit, reply).await.unwrap_or_else(|_| {
            Err(SIGN.failure(Cause::TimedOut, format!("no reply within {limit:?} (option \"call_timeout_ms\")")).into())
        });
        match turn.ends_with(reply) {
            Ok(BatchReply { batch_results }) => {
                let id = request_id::take();
                let signatures =
                    batch_results.into_iter().map(|item| item.signature.map(|text| Ok((text, id.clone()))));
                let signatures = signatures.chain(std::iter::repeat_with(|| None));
                for (waiting, answer) in inputs.into_iter().zip(signatures) {
                    let _ = waiting.answer.send(answer);
                }
            }
            Err(refused) => {
                for waiting in inputs {
                    let _ = waiting.answer.send(Some(Err(refused.clone())));
                }
            }
        }
    }

    async fn send_sign_request<T: serde::de::DeserializeOwned>(
        self: &Arc<Self>,
        request: &SignRequest,
        fields: &Value,
    ) -> Result<T, FailedAttempt> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        self.data(&SIGN, &Request { method: Method::POST, path: &path, body: Some(json_body(fields)) }).await
    }
}

impl SignRequest {
    /// Returns a text that only requests with the same path and fields have.
    fn kind(&self) -> String {
        format!("{} {}", self.path.join("/"), self.fields)
    }
}

/// A place among the requests that are under way. When it is dropped, even if the time of its caller is over, what waits is sent.
struct Turn {
    clients: Arc<Clients>,
    request: SignRequest,
    kind: String,
    start: Instant,
    /// The time that the request has taken, if it has succeeded.
    took: Option<Duration>,
}

impl Turn {
    fn new(clients: &Arc<Clients>, request: &SignRequest, kind: String) -> Self {
        Self { clients: clients.clone(), request: request.clone(), kind, start: Instant::now(), took: None }
    }

    fn ends_with<T>(&mut self, answer: Result<T, FailedAttempt>) -> Result<T, FailedAttempt> {
        self.took = answer.is_ok().then(|| self.start.elapsed());
        answer
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.clients.batches.leave(&self.kind, self.took);
        // Without a runtime, C_Finalize has ended all calls.
        let runtime = tokio::runtime::Handle::try_current();
        if let (false, Ok(runtime)) = (next.is_empty(), runtime) {
            let (clients, turn) = (self.clients.clone(), Turn::new(&self.clients, &self.request, self.kind.clone()));
            runtime.spawn(request_id::scope(async move { clients.sign_together(turn, next).await }));
        }
    }
}
