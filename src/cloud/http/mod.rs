//! The HTTPS client that the services of all clouds share, and the obstacles between the client and a service.
//!
//! Services with the same network settings share one client.

pub(crate) mod ahead;
pub(crate) mod client_certificate;
pub(crate) mod endpoint;
pub(crate) mod exchange;
pub(crate) mod network;
pub(crate) mod proxy;
pub(crate) mod resolver;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod trust;
pub(crate) mod verifier;

use super::failure::error_chain::{causes, is_timeout, message_of};
use super::failure::obstacle::Obstacle;
use super::runtime::PerProcess;
use ahead::{AheadConnection, AheadLayer, ConnectionsAhead};
use http::{StatusCode, Uri};
use network::Network;
use proxy::{Proxies, Proxy};
use reqwest::{Client, ClientBuilder, Url, redirect::Policy};
use resolver::Resolver;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use trust::SystemRoots;

/// One client for each set of network settings, so that connections are shared. All clients share the trust
/// anchors of the system.
#[derive(Default)]
pub(crate) struct ClientPool {
    clients: Mutex<HashMap<Network, Arc<ServiceClient>>>,
    system: Arc<SystemRoots>,
}

impl ClientPool {
    /// Returns the clients of this process. Must be called on the host's threads only.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: PerProcess<ClientPool> = PerProcess::new();
        SHARED.get(Self::default)
    }

    /// Returns the client for these settings. The first call makes the client. Must be called on the runtime.
    pub(crate) fn get(&self, network: &Network) -> Result<Arc<ServiceClient>, Obstacle> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(network) {
            return Ok(client.clone());
        }
        let made = Arc::new(self.service_client(network, client(network, &self.system)?));
        clients.insert(network.clone(), made.clone());
        Ok(made)
    }

    /// Returns a client of its own, with new connections. Its replies contain [`reqwest::tls::TlsInfo`].
    pub(crate) fn inspecting_client(&self, network: &Network) -> Result<ServiceClient, Obstacle> {
        let client = builder(network, &self.system)?.tls_info(true).build().map_err(|e| message_of(&e))?;
        Ok(self.service_client(network, client))
    }

    fn service_client(&self, network: &Network, client: Client) -> ServiceClient {
        ServiceClient {
            current: Mutex::new((Instant::now(), client)),
            network: network.clone(),
            system: self.system.clone(),
            proxies: Proxies::of(network),
            ahead: ConnectionsAhead::default(),
        }
    }

    /// Gives up the connections that existed at `since`, because no reply has come on one of them since then. A
    /// router that forgets one connection forgets all of them, and each would take its own time to be noticed.
    pub(crate) fn renew(&self, network: &Network, since: Instant) {
        let client = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(network).cloned();
        if let Some(client) = client {
            client.renew(since);
        }
    }
}

/// A client with its connections, which can be given up for new connections.
pub(crate) struct ServiceClient {
    current: Mutex<(Instant, Client)>,
    network: Network,
    system: Arc<SystemRoots>,
    proxies: Proxies,
    ahead: ConnectionsAhead,
}

impl ServiceClient {
    /// Returns the proxy for requests to the URL, if there is one.
    pub(crate) fn proxy(&self, url: &Url) -> Option<Proxy> {
        self.proxies.for_url(&url.as_str().parse().ok()?)
    }

    pub(crate) fn current(&self) -> Client {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn renew(&self, since: Instant) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // If the time of many callers is over, only one of them makes a new client.
        if current.0 <= since
            && let Ok(new) = client(&self.network, &self.system)
        {
            *current = (Instant::now(), new);
        }
    }
}

impl ServiceClient {
    /// Opens a connection for the first request to `url`, while the request still waits for its credentials. Returns
    /// at once.
    pub(crate) fn connect_ahead(&self, url: Url) {
        if let Some(to) = self.ahead.register(url.origin().ascii_serialization()) {
            tokio::spawn(ahead::open(to, self.current().get(url).send()));
        }
    }

    /// Returns the connection that was opened ahead for requests to that URL, if there is one.
    pub(crate) fn connection_ahead(&self, url: &Url) -> AheadConnection {
        self.ahead.take(url)
    }
}

/// Advice for a host name that has no address.
pub(crate) const UNRESOLVED_ADVICE: &str = "check the region, the vault's name or the endpoint, and this machine's DNS";

impl ServiceClient {
    /// Returns what an error of the client means, if a user can act on it.
    pub(crate) async fn obstacle(&self, url: &str, error: &(dyn Error + Send + Sync + 'static)) -> Option<Obstacle> {
        if is_timeout(error) {
            return None;
        }
        if let Some(own) = Obstacle::missing_resource(error) {
            return Some(own);
        }
        let url: Uri = url.parse().ok()?;
        if let Some(proxy) = self.proxies.for_url(&url) {
            let trust = || trust::client_config(&self.system.authorities()?, &self.network);
            if let Some(own) = proxy.obstacle(error, trust).await {
                return Some(own);
            }
        }
        let host = url.host().unwrap_or_default();
        let known = tls::obstacle(error, host).or_else(|| Obstacle::unresolved_host(error, host, UNRESOLVED_ADVICE));
        known.or_else(|| connect_obstacle(error, &url))
    }

    /// Returns the obstacle if a reply comes from the proxy and not from the service. Proxies reply to plain HTTP
    /// themselves, as do proxies that intercept TLS. `field` returns a header field of the reply.
    pub(crate) fn proxy_reply<'a>(
        &self,
        url: &str,
        status: u16,
        field: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Option<Obstacle> {
        let status = StatusCode::from_u16(status).ok()?;
        if status.is_success() || status.is_informational() {
            return None;
        }
        let wants_login = status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        let is_of_service = REQUEST_ID_FIELDS.iter().any(|name| field(name).is_some())
            || field("server").is_some_and(|server| GOOGLE_SERVERS.contains(&server))
            || field("via").is_some_and(|via| via.ends_with(" google"));
        let is_page =
            field("content-type").is_none_or(|kind| PROXY_CONTENT_TYPES.iter().any(|page| kind.starts_with(page)));
        if !wants_login && (is_of_service || !is_page) {
            return None;
        }
        let schemes = field("proxy-authenticate").and_then(proxy::auth_scheme).into_iter().collect();
        Some(self.proxies.for_url(&url.parse().ok()?)?.obstacle_of_reply(status, schemes))
    }
}

fn connect_obstacle(error: &(dyn Error + 'static), url: &Uri) -> Option<Obstacle> {
    let is_connect = causes(error).filter_map(|error| error.downcast_ref::<reqwest::Error>()).any(|e| e.is_connect());
    let port = if url.scheme_str() == Some("http") { 80 } else { 443 };
    let place = format!("{}:{}", url.host().unwrap_or_default(), url.port_u16().unwrap_or(port));
    is_connect.then(|| Obstacle::failed_connection(error, &place))
}

/// Header fields that show that a reply is the service's own. Each reply of AWS and Azure has one of them.
const REQUEST_ID_FIELDS: [&str; 3] = ["x-amzn-requestid", "x-amz-request-id", "x-ms-request-id"];

/// The field `server` of Google's own replies. The pages of its front ends are HTML.
const GOOGLE_SERVERS: [&str; 4] = ["ESF", "scaffolding", "GSE", "gws"];

/// The content types of proxies' error pages. The errors of the services' APIs are JSON or XML.
const PROXY_CONTENT_TYPES: [&str; 2] = ["text/html", "text/plain"];

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

/// The maximum length of a reply, in bytes. No reply is longer, not even a page of a listing or a certificate with
/// its chain.
pub(crate) const LARGEST_REPLY: usize = 4 << 20;

pub(crate) const REPLY_TOO_LARGE: &str = "the reply is larger than 4 MiB";

/// Makes a client for a service that may be anywhere.
fn client(network: &Network, system: &SystemRoots) -> Result<Client, Obstacle> {
    Ok(builder(network, system)?.build().map_err(|e| message_of(&e))?)
}

fn builder(network: &Network, system: &SystemRoots) -> Result<ClientBuilder, Obstacle> {
    let builder = Client::builder()
        .redirect(Policy::none())
        .dns_resolver(Resolver)
        .connector_layer(AheadLayer)
        .tls_backend_preconfigured(trust::client_config(&system.authorities()?, network)?)
        .connect_timeout(network.connect_timeout)
        // If a server accepts the connection and sends nothing, there is time for a second attempt within the
        // call.
        .read_timeout(network.call_timeout / 2);
    Ok(with_proxy(builder, network)?)
}

/// Makes a client for the metadata services of a machine. They are near, on a link of the machine itself, where a
/// proxy would be wrong. They speak plain HTTP.
pub(crate) fn link_local() -> Result<Client, String> {
    let builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .dns_resolver(Resolver)
        .tls_certs_only([])
        .connect_timeout(Duration::from_secs(1));
    builder.build().map_err(|e| message_of(&e))
}

fn with_proxy(builder: ClientBuilder, network: &Network) -> Result<ClientBuilder, String> {
    match &network.proxy {
        // Without the option, the client itself reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
        None => Ok(builder),
        Some(url) => {
            let why = |e: reqwest::Error| causes(&e).last().map(ToString::to_string).unwrap_or_default();
            let wrong =
                |e| format!("the option \"proxy\" is not the URL of a proxy ({}); write http://HOST:PORT", why(e));
            Ok(builder.proxy(reqwest::Proxy::all(url.expose()).map_err(wrong)?))
        }
    }
}
