//! One fault: what goes wrong, with which operation and key, how often and for how long.

use super::action::Action;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    /// Only requests that are signed for this region.
    #[serde(default)]
    pub region: Option<String>,
    /// How many requests it hits; all, unless said.
    #[serde(default)]
    pub times: Option<u32>,
    /// For how many milliseconds it lasts; for ever, unless said.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// A fault that hits every request for `operation`.
    pub fn new(operation: &str, action: Action) -> Self {
        Self { operation: operation.to_owned(), key: None, region: None, times: None, for_ms: None, action }
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

    /// Only for requests that are signed for this region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
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

    pub(super) fn concerns(&self, operation: &str, names: &[String], region: Option<&str>) -> bool {
        let here = match self.operation.as_str() {
            "*" => ![CONNECTION, CONNECT].contains(&operation),
            prefix if prefix.ends_with('.') => operation.starts_with(prefix),
            exact => operation == exact,
        };
        let here = here && self.region.as_ref().is_none_or(|own| Some(own.as_str()) == region);
        here && self.key.as_ref().is_none_or(|key| names.iter().any(|name| name.contains(key.as_str())))
    }
}

/// The operation that connection faults name.
pub(crate) const CONNECTION: &str = "connection";

/// The operation that faults of the proxy name.
pub(crate) const CONNECT: &str = "connect";

#[cfg(test)]
mod tests {
    use super::*;

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
