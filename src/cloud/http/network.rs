//! Network settings: the part of the settings that all clouds share.

use super::client_certificate::ClientCertificate;
use crate::cloud::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach a service. Every service has these settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// A file with certificate authorities that are trusted in addition to those of the system, as PEM or DER; or a
    /// directory of such files.
    pub ca_bundle: Option<PathBuf>,
    /// The option or the environment variable that names this file, for messages.
    pub ca_bundle_named_by: &'static str,
    /// The certificate with which this module identifies itself to the service.
    pub client_certificate: Option<ClientCertificate>,
    /// The name that the service's certificate has, if it is not the host in the URL.
    pub server_name: Option<String>,
    /// The URL of an HTTP proxy, possibly with a password. None means that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
    /// NO_PROXY apply.
    pub proxy: Option<Secret>,
    /// The time limit for connecting.
    pub connect_timeout: Duration,
    /// The time limit for a whole call, including credentials, connecting and retries.
    pub call_timeout: Duration,
    /// How often a request is repeated after an accident. With 0, throttled requests are not repeated either.
    pub retries: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            ca_bundle_named_by: "ca_bundle",
            client_certificate: None,
            server_name: None,
            proxy: None,
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(10),
            retries: 3,
        }
    }
}
