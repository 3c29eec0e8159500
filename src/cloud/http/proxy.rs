//! The proxy between this machine and a service: which proxy is used, what names the proxy, and what it replies.

use super::network::Network;
use super::resolver::addresses;
use super::tls;
use crate::cloud::failure::Cause;
use crate::cloud::failure::error_chain::causes;
use crate::cloud::failure::obstacle::Obstacle;
use crate::log_warn;
use http::{StatusCode, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// Which hosts are reached through which proxy. The HTTP client uses the same rules.
pub(crate) struct Proxies {
    matcher: Matcher,
    is_option: bool,
}

impl Proxies {
    pub(crate) fn of(network: &Network) -> Self {
        match &network.proxy {
            Some(url) => Self { matcher: Matcher::builder().all(url.expose()).build(), is_option: true },
            None => {
                warn_of_invalid_variables();
                Self { matcher: Matcher::from_env(), is_option: false }
            }
        }
    }

    /// Returns the proxy for requests to the URL.
    pub(crate) fn for_url(&self, url: &Uri) -> Option<Proxy> {
        let intercept = self.matcher.intercept(url)?;
        let named_by = if self.is_option { "the option \"proxy\"" } else { variable_for(url) };
        Some(Proxy { intercept, named_by, url: url.clone() })
    }
}

/// The environment variables for each scheme. The first of a pair that is set counts. If its value is not the URL
/// of a proxy, the next pair counts.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];

/// Returns the variable of the pair that counts, and its value.
fn set_variable(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)))
}

fn is_proxy(value: &str, url: &Uri) -> bool {
    Matcher::builder().all(value).build().intercept(url).is_some()
}

/// Returns the variable that names the proxy for a URL.
fn variable_for(url: &Uri) -> &'static str {
    let own = if url.scheme_str() == Some("http") { HTTP } else { HTTPS };
    let found = [own, ALL].into_iter().filter_map(set_variable).find(|(_, value)| is_proxy(value, url));
    found.map_or("the environment", |(name, _)| name)
}

/// Returns the variables that do not hold the URL of a proxy. The HTTP client ignores such variables.
pub fn invalid_variables() -> impl Iterator<Item = &'static str> {
    let any = Uri::from_static("https://any.example");
    let set = [HTTPS, HTTP, ALL].into_iter().filter_map(set_variable);
    set.filter(move |(_, value)| !value.is_empty() && !is_proxy(value, &any)).map(|(name, _)| name)
}

fn warn_of_invalid_variables() {
    for name in invalid_variables() {
        log_warn!("{name} is not the URL of a proxy, so it is ignored; set it to http://HOST:PORT");
    }
}

/// A proxy on the way to a URL. The Display form does not show the proxy's password.
pub(crate) struct Proxy {
    intercept: Intercept,
    named_by: &'static str,
    /// The URL that is requested through the proxy.
    url: Uri,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.intercept.uri().to_string();
        write!(f, "the proxy {} (from {})", url.trim_end_matches('/'), self.named_by)
    }
}

/// The beginning of the HTTP client's message for a failure between the client and a proxy.
const TUNNEL_ERROR: &str = "tunnel error: ";
/// The HTTP client's message for a failure that occurred before the proxy could reply.
const TUNNEL_NOT_CONNECTED: &str = "tunnel error: failed to create underlying connection";

/// How long a proxy may take to repeat its reply.
const PATIENCE: Duration = Duration::from_secs(2);

impl Proxy {
    /// Returns what an error of the HTTP client means, if the error is about the proxy. `trust` makes the TLS
    /// settings for a proxy that requires TLS.
    pub(crate) async fn obstacle(
        &self,
        error: &(dyn Error + Send + Sync + 'static),
        trust: impl FnOnce() -> Result<ClientConfig, Obstacle>,
    ) -> Option<Obstacle> {
        let is_tunnel = causes(error).any(|error| error.to_string().starts_with(TUNNEL_ERROR));
        // Plain HTTP is sent to the proxy itself, without a tunnel.
        let is_direct = self.url.scheme_str() == Some("http")
            && causes(error).filter_map(|error| error.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_connect);
        if !is_tunnel && !is_direct {
            return None;
        }
        if !matches!(self.intercept.uri().scheme_str(), Some("http" | "https")) {
            let message = format!("{self} has an unsupported type; set an HTTP proxy, http://HOST:PORT");
            return Some(Obstacle::permanent(Cause::Proxy, message));
        }
        if is_direct || causes(error).any(|error| error.to_string() == TUNNEL_NOT_CONNECTED) {
            return Some(self.unreachable_obstacle(error));
        }
        let target = self.target();
        Some(match tokio::time::timeout(PATIENCE, self.request_tunnel(trust)).await {
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => {
                let message =
                    format!("{self} refused to connect to {target}, but accepted the next attempt; try again");
                Obstacle::transient(Cause::Proxy, message)
            }
            Ok(Ok(answer)) => self.refusal_obstacle(&answer, &format!("CONNECT {target}")),
            Ok(Err(why)) => {
                Obstacle::transient(Cause::Proxy, format!("{self} opened no connection to {target}: {why}"))
            }
            Err(_) => Obstacle::transient(
                Cause::Proxy,
                format!("{self} opened no connection to {target}; no reply within {PATIENCE:?}"),
            ),
        })
    }

    /// Returns the obstacle for the proxy's own reply to a request of plain HTTP, or for the reply of a proxy that
    /// intercepts TLS.
    pub(crate) fn obstacle_of_reply(&self, status: StatusCode, schemes: Vec<String>) -> Obstacle {
        let reason = status.canonical_reason().unwrap_or_default().to_owned();
        let answer = ProxyReply { status: status.as_u16(), reason, schemes };
        let host = self.url.authority().map_or("", |authority| authority.as_str());
        self.refusal_obstacle(&answer, &format!("a request for {host}"))
    }

    fn unreachable_obstacle(&self, error: &(dyn Error + Send + Sync + 'static)) -> Obstacle {
        let host = self.intercept.uri().host().unwrap_or_default();
        if let Some(own) = tls::obstacle(error, host) {
            return Obstacle { cause: Cause::Proxy, message: format!("{self}: {}", own.message), ..own };
        }
        let words = causes(error).last().map(ToString::to_string).unwrap_or_default();
        let is_nameless = causes(error).any(|error| error.to_string() == "dns error");
        let why = if is_nameless { format!("{host} can't be resolved: {words}") } else { words };
        Obstacle::transient(Cause::Proxy, format!("{self} can't be reached: {why}"))
    }

    fn refusal_obstacle(&self, answer: &ProxyReply, what: &str) -> Obstacle {
        let ProxyReply { status, reason, .. } = answer;
        let message = format!("{self} answered {status} {reason} to {what}; {}", self.advice(answer));
        match status {
            500.. => Obstacle::transient(Cause::Proxy, message),
            _ => Obstacle::permanent(Cause::Proxy, message),
        }
    }

    fn advice(&self, answer: &ProxyReply) -> String {
        match answer.status {
            407 if !answer.schemes.is_empty() && !answer.schemes.iter().any(|scheme| scheme == "basic") => {
                format!(
                    "the proxy requires {} authentication, but this module supports Basic only",
                    answer.schemes.join(" or ")
                )
            }
            407 if self.intercept.basic_auth().is_none() => {
                "the proxy requires a name and a password; set http://NAME:PASSWORD@HOST:PORT".into()
            }
            407 => "the name or the password in the proxy's URL is wrong; \
                    write characters such as @ : / % as %40 %3A %2F %25"
                .into(),
            300..400 => "the proxy redirects to its own page; log in to the network first".into(),
            400..500 => "ask the proxy's administrator to allow this host".into(),
            500.. => "the proxy can't reach this host".into(),
            _ => "check that this is an HTTP proxy".into(),
        }
    }

    /// Returns the host and the port, for example `kms.eu-central-1.amazonaws.com:443`.
    fn target(&self) -> String {
        format!("{}:{}", self.url.host().unwrap_or_default(), self.url.port_u16().unwrap_or(443))
    }

    /// Requests the tunnel once more, to read the proxy's reply. The HTTP client reads the status of that reply
    /// but does not report it.
    async fn request_tunnel(&self, trust: impl FnOnce() -> Result<ClientConfig, Obstacle>) -> io::Result<ProxyReply> {
        let uri = self.intercept.uri();
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let mut addresses = addresses(host.to_owned()).await?;
        addresses.iter_mut().for_each(|address| address.set_port(port));
        let stream = TcpStream::connect(&addresses[..]).await?;
        if !is_tls {
            return self.request_tunnel_on(stream).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = TlsConnector::from(Arc::new(trust().map_err(io::Error::other)?));
        self.request_tunnel_on(tls.connect(name, stream).await?).await
    }

    async fn request_tunnel_on(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<ProxyReply> {
        let target = self.target();
        let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes());
        if let Some(credentials) = self.intercept.basic_auth() {
            request.reserve_exact(64 + credentials.len());
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(credentials.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        let mut head = Vec::new();
        let mut buffer = [0; 1024];
        while head.len() < LONGEST_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer).await? {
                0 => break,
                length => head.extend_from_slice(&buffer[..length]),
            }
        }
        ProxyReply::parse(&String::from_utf8_lossy(&head)).ok_or_else(|| io::Error::other(NO_HTTP))
    }
}

const NO_HTTP: &str = "the reply is not HTTP; check the port, and that this is an HTTP proxy";

const LONGEST_HEAD: usize = 16 << 10;

/// The reply of a proxy.
#[derive(Debug, PartialEq, Eq)]
struct ProxyReply {
    status: u16,
    reason: String,
    /// The authentication schemes that the proxy accepts, in lower case, for example "basic" or "negotiate".
    schemes: Vec<String>,
}

impl ProxyReply {
    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.lines();
        let (version, rest) = lines.next()?.split_once(' ')?;
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status: u16 = status.trim().parse().ok().filter(|_| version.starts_with("HTTP/1."))?;
        let usual = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
        let reason = Some(reason.trim()).filter(|reason| !reason.is_empty()).unwrap_or(usual);
        let fields = lines.filter_map(|line| line.split_once(':'));
        let wanted = fields.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authenticate"));
        let schemes = wanted.filter_map(|(_, value)| auth_scheme(value)).collect();
        Some(Self { status, reason: reason.chars().take(100).collect(), schemes })
    }
}

/// Returns the authentication scheme in the value of a Proxy-Authenticate field, in lower case.
pub(crate) fn auth_scheme(value: &str) -> Option<String> {
    value.split_whitespace().next().map(|scheme| scheme.trim_end_matches(',').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_proxies_write_it() {
        let answer = |status, reason: &str, schemes: &[&str]| {
            let schemes = schemes.iter().map(|scheme| (*scheme).to_owned()).collect();
            Some(ProxyReply { status, reason: reason.to_owned(), schemes })
        };
        for (head, expected) in [
            ("HTTP/1.1 403 Forbidden\r\nServer: squid\r\n\r\n", answer(403, "Forbidden", &[])),
            ("HTTP/1.0 502\r\n\r\n", answer(502, "Bad Gateway", &[])),
            ("HTTP/1.1 503 Host not in allow list\r\n\r\n", answer(503, "Host not in allow list", &[])),
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\n\
                 proxy-authenticate: Basic realm=\"x\"\r\n\r\n",
                answer(407, "Proxy Authentication Required", &["negotiate", "basic"]),
            ),
            ("SSH-2.0-OpenSSH_9.9\r\n", None),
            ("HTTP/1.1 none\r\n", None),
            ("", None),
        ] {
            assert_eq!(ProxyReply::parse(head), expected, "{head}");
        }
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let network = Network { proxy: Some("http://me:secret@proxy:3128".to_owned().into()), ..Network::default() };
        let proxy = Proxies::of(&network).for_url(&Uri::from_static("https://kms.example")).unwrap();
        assert_eq!(proxy.to_string(), "the proxy http://proxy:3128 (from the option \"proxy\")");
        assert_eq!(proxy.target(), "kms.example:443");
        let obstacle = proxy.obstacle_of_reply(StatusCode::PROXY_AUTHENTICATION_REQUIRED, vec!["basic".into()]);
        assert!(obstacle.message.contains("407 Proxy Authentication Required") && !obstacle.is_transient, "{obstacle}");
        assert!(!format!("{obstacle:?} {proxy}").contains("secret"));
        assert!(proxy.obstacle_of_reply(StatusCode::BAD_GATEWAY, vec![]).is_transient);
    }
}
