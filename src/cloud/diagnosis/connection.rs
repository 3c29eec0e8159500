//! A connection to a server of a service: its addresses, the proxy, the certificate and the clock.

use crate::certificate::Certificate;
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::endpoint::url_without_credentials;
use crate::cloud::http::exchange::http_date;
use crate::cloud::http::network::Network;
use crate::cloud::http::resolver::addresses;
use crate::cloud::http::{ClientPool, ServiceClient, UNRESOLVED_ADVICE};
use http::Method;
use http::header::DATE;
use reqwest::tls::TlsInfo;
use reqwest::{Request, Url};
use std::net::IpAddr;
use std::time::SystemTime;

/// The name of the operation in failures.
const CONNECT: &str = "Connect";

/// What is known after a request without credentials to a server.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The URL of the server, without a password.
    pub url: String,
    /// The host in the URL.
    pub host: String,
    /// The addresses of the host. Unknown (`None`) if a proxy looks them up.
    pub addresses: Option<Result<Vec<IpAddr>, Failure>>,
    /// The proxy on the way to the server, and the setting that names it.
    pub proxy: Option<String>,
    /// What the reply shows; or what kept the request from the server.
    pub reply: Result<ServerReply, Failure>,
}

/// What a reply shows of its server.
#[derive(Clone, Debug)]
pub struct ServerReply {
    /// The certificate of the server. `None` for plain HTTP.
    pub certificate: Option<Certificate>,
    /// How many seconds the server's clock is ahead of this machine's. `None` if the reply has no date.
    pub clock_difference: Option<i64>,
}

impl Connection {
    /// Sends a request without credentials to a server. Any reply will do.
    pub(crate) async fn open(pool: &ClientPool, network: &Network, url: &str) -> Self {
        let shown = url_without_credentials(url);
        let unopened = |host: String, failure| Self {
            url: shown.clone(),
            host,
            addresses: None,
            proxy: None,
            reply: Err(failure),
        };
        let parsed = match Url::parse(url) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = format!("{shown:?} is not the URL of a server: {error}");
                return unopened(String::new(), Failure::new(Cause::Settings, CONNECT, message));
            }
        };
        let host = parsed.host_str().unwrap_or_default().to_owned();
        let client = match pool.inspecting_client(network) {
            Ok(client) => client,
            Err(obstacle) => return unopened(host, obstacle.failure(CONNECT)),
        };
        let proxy = client.proxy(&parsed).map(|proxy| proxy.to_string());
        let addresses = async || match proxy {
            Some(_) => None,
            None => Some(addresses_of(&host).await),
        };
        let limited = tokio::time::timeout(network.call_timeout, request(&client, parsed.clone()));
        let (addresses, reply) = futures_util::future::join(addresses(), limited).await;
        let late = |_| {
            let message = format!("no reply within {:?}; check the network and the firewall", network.call_timeout);
            Err(Failure::new(Cause::TimedOut, CONNECT, message))
        };
        Self { url: shown, host, addresses, proxy, reply: reply.unwrap_or_else(late) }
    }
}

async fn request(client: &ServiceClient, url: Url) -> Result<ServerReply, Failure> {
    let reply = client.request(CONNECT, Request::new(Method::GET, url)).await.map_err(|refused| refused.failure)?;
    let certificate = reply.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let date = reply.headers().get(DATE).and_then(|date| http_date(date.to_str().ok()?));
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    Ok(ServerReply {
        certificate: certificate.and_then(|der| Certificate::from_der(der).ok()),
        clock_difference: date.map(|date| date.cast_signed().saturating_sub(now.cast_signed())),
    })
}

async fn addresses_of(host: &str) -> Result<Vec<IpAddr>, Failure> {
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let unresolved = |error: std::io::Error| match Obstacle::missing_resource(&error) {
        Some(obstacle) => obstacle.failure(CONNECT),
        None => Failure::new(Cause::Unresolved, CONNECT, format!("{host}: {error}; {UNRESOLVED_ADVICE}")),
    };
    let mut found: Vec<IpAddr> =
        addresses(name).await.map_err(unresolved)?.iter().map(|address| address.ip()).collect();
    found.dedup();
    Ok(found)
}
