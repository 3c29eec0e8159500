//! How to reach a service: the part of the settings that all clouds share.

use crate::cloud::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach a service: the part of the settings that all services share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// A PEM file of certificate authorities that are trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The option or the variable that named that file, for messages.
    pub ca_bundle_named_by: &'static str,
    /// URL of an HTTP proxy, maybe with a password; None means what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
    pub proxy: Option<Secret>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a whole call may take: credentials, connecting, retries and all.
    pub call_timeout: Duration,
    /// How often a request is repeated after an accident; 0 means that throttling is not waited out, either.
    pub retries: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            ca_bundle_named_by: "ca_bundle",
            proxy: None,
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(10),
            retries: 3,
        }
    }
}
