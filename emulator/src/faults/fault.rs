//! What is to go wrong, with which operation and key, how often and for how long.
//!
//! It only decides that a fault applies; `router`, `delivery` and `server` carry it out.

use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One thing that goes wrong. As JSON: `{"operation": "kms.Sign", "times": 2, "action": "reset_before_reply"}` or
/// `{"operation": "vault.", "key": "my-key", "for_ms": 5000, "action": {"throttle": {"retry_after": 1}}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// An operation as it is counted (`kms.Sign`, `vault.keys.get`, `token`), a prefix that ends in a dot (`kms.`), or `*`.
    pub operation: String,
    /// Only requests for a key whose id, ARN, alias or name contains this.
    #[serde(default)]
    pub key: Option<String>,
    /// How many requests it hits; all, unless said.
    #[serde(default)]
    pub times: Option<u32>,
    /// For how many milliseconds it lasts; for ever, unless said.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// What happens.
    pub action: Action,
}

/// What happens to a request or a connection. In JSON the name in snake case, with its values if it has any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Wait, then go on as usual.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Wait until so many requests for the operation have come, this one counted, then go on as usual.
    Await {
        /// Requests since the start or the last reset.
        requests: u64,
    },
    /// An error in the form of the service that was asked.
    Error {
        /// The HTTP status.
        status: u16,
        /// `__type` of KMS, `code` of Key Vault, `error` of Entra.
        code: String,
        /// The message.
        message: String,
        /// Key Vault's `innererror.code`.
        #[serde(default)]
        innererror: Option<String>,
    },
    /// `ThrottlingException` or 429.
    Throttle {
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// `AccessDeniedException`, or 403 with `ForbiddenByRbac`.
    Deny,
    /// RST instead of a reply, after the request was read; nothing is done.
    ResetBeforeReply,
    /// RST after half of the reply's body.
    ResetMidReply,
    /// A whole reply, then the connection is closed without having announced it.
    CloseAfterReply,
    /// Half the body, then the connection is closed in good order.
    TruncatedBody,
    /// 200 with bytes that are not JSON.
    GarbageBody,
    /// 200 and no body.
    EmptyBody,
    /// A valid body with so many bytes of white space behind it.
    OversizedBody {
        /// Bytes of white space.
        bytes: u64,
    },
    /// The request is read and never answered.
    Hang,
    /// The body comes one byte at a time.
    Drip {
        /// Milliseconds before each byte.
        ms: u64,
    },
    /// A well-formed signature over another digest, or another MAC.
    WrongSignature,
    /// A signature or MAC that lacks its last byte.
    WrongLengthSignature,
    /// A true ECDSA signature whose r or s starts with a zero byte.
    ShortIntegers,
    /// An ECDSA signature that is not DER (KMS).
    InvalidDer,
    /// One bit of what was decrypted is wrong.
    WrongPlaintext,
    /// One bit of a shared secret is wrong (KMS).
    WrongSecret,
    /// What the service says to credentials or a token that have expired.
    ExpiredToken,
    /// What KMS says to a request signed ten minutes ago.
    ClockSkew,
    /// Key Vault's second 401: `error="insufficient_claims"`.
    ClaimsChallenge,
    /// For operation `connection`: accept and never speak.
    BlackHole,
    /// For operation `connection`: read the ClientHello and never answer it.
    TlsStall,
    /// For operation `connection`: answer the ClientHello with a fatal alert.
    TlsAlert {
        /// RFC 8446 section 6: 40 is handshake_failure, 70 is protocol_version.
        code: u8,
    },
    /// For operation `connection`: answer the ClientHello in plain HTTP.
    NoTls,
    /// For operation `connection`: show a certificate that clients have to refuse.
    Certificate(Flaw),
    /// A page that a proxy or a filter answers with in the service's place. For operation `connect`: to CONNECT.
    Page {
        /// The HTTP status.
        status: u16,
        /// `Proxy-Authenticate`.
        #[serde(default)]
        authenticate: Option<String>,
    },
}

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// It is an authority's, and the server's own.
    Authority,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    Future,
    /// It is for `other.example`.
    OtherName,
    /// It has no subjectAltName.
    NoName,
    /// Its own key has signed it.
    SelfSigned,
    /// An authority that nobody knows has signed it.
    Stranger,
    /// It is for clients only.
    Client,
}

impl Fault {
    /// A fault that hits every request for `operation`.
    pub fn new(operation: &str, action: Action) -> Self {
        Self { operation: operation.to_owned(), key: None, times: None, for_ms: None, action }
    }

    /// Accept connections and never speak.
    pub fn black_hole() -> Self {
        Self::new(CONNECTION, Action::BlackHole)
    }

    /// Accept connections and never finish a TLS handshake.
    pub fn tls_stall() -> Self {
        Self::new(CONNECTION, Action::TlsStall)
    }

    /// Only for keys whose id, ARN, alias or name contains `key`.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only for so long.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.for_ms = u64::try_from(duration.as_millis()).ok();
        self
    }

    fn concerns(&self, operation: &str, names: &[String]) -> bool {
        let here = match self.operation.as_str() {
            "*" => ![CONNECTION, CONNECT].contains(&operation),
            prefix if prefix.ends_with('.') => operation.starts_with(prefix),
            exact => operation == exact,
        };
        here && self.key.as_ref().is_none_or(|key| names.iter().any(|name| name.contains(key.as_str())))
    }
}

/// The operation that connection faults name.
pub(crate) const CONNECTION: &str = "connection";

/// The operation that faults of the proxy name.
pub(crate) const CONNECT: &str = "connect";

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    set: Mutex<Vec<(Fault, Instant)>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).push((fault, Instant::now()));
    }

    pub(crate) fn clear(&self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(fault, _)| fault.clone()).collect()
    }

    /// What happens to this request; a fault that is limited in number is used up by it.
    pub(crate) fn take(&self, operation: &str, names: &[String]) -> Vec<Action> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.retain(|(fault, since)| fault.for_ms.is_none_or(|limit| since.elapsed() < Duration::from_millis(limit)));
        let mut actions = Vec::new();
        for (fault, _) in set.iter_mut().filter(|(fault, _)| fault.concerns(operation, names)) {
            if let Some(times) = &mut fault.times {
                let Some(left) = times.checked_sub(1) else { continue };
                *times = left;
            }
            actions.push(fault.action.clone());
        }
        set.retain(|(fault, _)| fault.times != Some(0));
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_and_knows_its_key() {
        let faults = Faults::default();
        faults.add(Fault::new("kms.", Action::Hang).key("blue").times(1));
        assert!(faults.take("vault.keys.get", &["blue".into()]).is_empty());
        assert!(faults.take("kms.Sign", &["red".into()]).is_empty());
        assert_eq!(faults.take("kms.Sign", &["red".into(), "alias/blue".into()]), [Action::Hang]);
        assert!(faults.take("kms.Sign", &["alias/blue".into()]).is_empty());
        assert!(faults.list().is_empty());
    }

    #[test]
    fn faults_are_read_from_json() {
        let fault: Fault = serde_json::from_str(r#"{"operation":"*","action":"reset_mid_reply"}"#).unwrap();
        assert_eq!(fault.action, Action::ResetMidReply);
        let fault: Fault =
            serde_json::from_str(r#"{"operation":"kms.Sign","times":2,"action":{"throttle":{}}}"#).unwrap();
        assert_eq!(fault.action, Action::Throttle { retry_after: None });
        assert!(serde_json::from_str::<Fault>(r#"{"operation":"*","action":"explode"}"#).is_err());
    }
}
