//! Requests to token servers.

use super::access_token::{DEFAULT_LIFETIME, IssuedToken};
use super::memory::Memory;
use super::token_error::{Advice, refusal};
use crate::cloud::failure::error_chain::{causes, is_timeout, message_of};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::google::settings::Settings;
use crate::cloud::http::client_certificate::ClientCertificate;
use crate::cloud::http::endpoint::is_plaintext_remote;
use crate::cloud::http::exchange::{Reply, read_reply};
use crate::cloud::http::link_local;
use crate::cloud::http::network::Network;
use crate::cloud::http::transport::Transport;
use crate::cloud::secret::Secret;
use crate::host::process;
use crate::log_info;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::{Request, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// What a source of tokens needs for its requests.
pub(crate) struct Context<'a> {
    /// The operation that needs the token, for failures.
    pub(crate) operation: &'static str,
    pub(crate) settings: &'a Settings,
    pub(crate) transport: &'a Transport,
    pub(crate) memory: &'a Memory,
    /// Returns the value of an environment variable, if it is set and not empty.
    pub(crate) variable: fn(&str) -> Option<String>,
}

/// Returns the value of an environment variable, if it is set and not empty. The user who starts a privileged program
/// must not choose who the program is, so there is no variable then.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty() && !process::is_privileged())
}

/// How a request reaches its server.
pub(crate) enum Route<'a> {
    /// With the settings for connections to Google.
    Network,
    /// With this certificate of the client in addition.
    MutualTls(&'a ClientCertificate),
    /// Without a proxy, because the server is on this machine or its link.
    LinkLocal,
}

/// The reply of a token server. RFC 6749 section 5.1, RFC 8693 section 2.2.1.
#[derive(Deserialize)]
pub(crate) struct TokenReply {
    access_token: Zeroizing<String>,
    /// Seconds.
    expires_in: Option<u64>,
    token_type: Option<String>,
    /// The refresh token that replaces the one in the request.
    pub(crate) refresh_token: Option<Zeroizing<String>>,
}

impl TokenReply {
    /// Returns the token.
    ///
    /// # Errors
    /// Fails if the token is not one for the header `Authorization: Bearer`.
    pub(crate) fn issued(&self, context: &Context<'_>) -> Result<IssuedToken, FailedAttempt> {
        if self.token_type.as_ref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(context.refused(Cause::Malformed, "the reply has a token that is not a Bearer token"));
        }
        let lifetime = self.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        context.issued(&self.access_token, lifetime)
    }
}

impl Context<'_> {
    pub(crate) fn refused(&self, cause: Cause, message: impl Into<String>) -> FailedAttempt {
        Failure::new(cause, self.operation, message).into()
    }

    /// Returns the failure of credentials that are missing or wrong.
    pub(crate) fn bad_credentials(&self, message: impl Into<String>) -> FailedAttempt {
        self.refused(Cause::Credentials, message)
    }

    /// Returns the token, if it can be part of a header.
    pub(crate) fn issued(&self, token: &str, lifetime: Duration) -> Result<IssuedToken, FailedAttempt> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self
                .refused(Cause::Malformed, "the reply has an empty token, or one with characters that no token has"));
        }
        Ok(IssuedToken { token: Secret::from(token.to_owned()), lifetime })
    }

    /// Returns the URL of a token server, which gets a secret. `member` is the member of the credential file that
    /// contains the URL.
    ///
    /// # Errors
    /// Fails if the URL is none, or if it leads to another machine without TLS.
    pub(crate) fn token_url(&self, text: &str, member: &str) -> Result<Url, FailedAttempt> {
        let url = self.url(text, member)?;
        if is_plaintext_remote(url.as_str()) {
            return Err(self.bad_credentials(format!("{member:?} is {text:?}, which is not encrypted; write https://")));
        }
        Ok(url)
    }

    /// Returns the URL of a server that issues tokens to this workload, and the route to the server. Servers of the
    /// machine's own link have no TLS.
    ///
    /// # Errors
    /// As [`Self::token_url`].
    pub(crate) fn workload_url(&self, text: &str, member: &str) -> Result<(Url, Route<'static>), FailedAttempt> {
        let url = self.url(text, member)?;
        match is_link_local(&url) {
            true => Ok((url, Route::LinkLocal)),
            false => self.token_url(text, member).map(|url| (url, Route::Network)),
        }
    }

    fn url(&self, text: &str, member: &str) -> Result<Url, FailedAttempt> {
        let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        url.ok_or_else(|| self.bad_credentials(format!("{member:?} is {text:?}, which is not a URL of a server")))
    }

    /// Sends a form with secrets to a token server.
    pub(crate) async fn post_form(
        &self,
        url: Url,
        fields: &[(&str, &str)],
        authorization: Option<HeaderValue>,
        (route, advice): (Route<'_>, &Advice),
    ) -> Result<TokenReply, FailedAttempt> {
        let request = post(url, "application/x-www-form-urlencoded", form(fields), authorization);
        self.json(request, route, advice).await
    }

    /// Sends JSON with a token to a server of Google.
    pub(crate) async fn post_json<T: DeserializeOwned>(
        &self,
        url: Url,
        body: &serde_json::Value,
        authorization: HeaderValue,
        advice: &Advice,
    ) -> Result<T, FailedAttempt> {
        let body = Zeroizing::new(body.to_string().into_bytes());
        self.json(post(url, "application/json", body, Some(authorization)), Route::Network, advice).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        request: Request,
        route: Route<'_>,
        advice: &Advice,
    ) -> Result<T, FailedAttempt> {
        let host = host_of(request.url());
        let reply = self.send(request, route, advice).await?;
        // The error is not quoted, because the reply contains a token.
        let unreadable = |_| self.refused(Cause::Malformed, format!("{host}: the reply has no token"));
        serde_json::from_slice(&reply.body).map_err(unreadable)
    }

    /// Sends a request once. Returns the reply if its status is that of a success.
    pub(crate) async fn send(
        &self,
        request: Request,
        route: Route<'_>,
        advice: &Advice,
    ) -> Result<Reply, FailedAttempt> {
        let host = host_of(request.url());
        log_info!("asking {host} for a token");
        let reply = self.exchange(request, route).await?;
        match reply.status {
            200..300 => Ok(reply),
            _ => Err(refusal(self.operation, &host, &reply, advice)),
        }
    }

    async fn exchange(&self, request: Request, route: Route<'_>) -> Result<Reply, FailedAttempt> {
        let network = &self.settings.network;
        let with_certificate;
        let network = match route {
            Route::LinkLocal => return self.exchange_link_local(request).await,
            Route::Network => network,
            Route::MutualTls(own) => {
                with_certificate = Network { client_certificate: Some(own.clone()), ..network.clone() };
                &with_certificate
            }
        };
        self.transport.exchange(self.operation, network, request).await
    }

    async fn exchange_link_local(&self, request: Request) -> Result<Reply, FailedAttempt> {
        if let Some(reply) = self.transport.reply_in_memory(&request).await {
            return reply;
        }
        let host = host_of(request.url());
        let client = link_local().map_err(|why| self.refused(Cause::Settings, why))?;
        // These servers reply within milliseconds. If one does not, the failure can still be reported in time.
        let limit = self.settings.network.call_timeout / 3;
        let exchange = async {
            let reply = client.execute(request).await.map_err(|error| self.unreachable(&host, &error))?;
            read_reply(self.operation, reply).await
        };
        let late = |_| self.refused(Cause::TimedOut, format!("{host}: no reply within {limit:?}"));
        tokio::time::timeout(limit, exchange).await.map_err(late)?
    }

    fn unreachable(&self, host: &str, error: &reqwest::Error) -> FailedAttempt {
        let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
        match (error.is_connect(), is_timeout(error)) {
            (true, _) => self.refused(Cause::Unreachable, format!("can't connect to {host}: {why}")),
            (false, true) => self.refused(Cause::TimedOut, format!("{host}: {}", message_of(error))),
            (false, false) => self.refused(Cause::Unreachable, format!("{host}: {}", message_of(error))),
        }
    }
}

fn post(url: Url, content_type: &'static str, body: Zeroizing<Vec<u8>>, authorization: Option<HeaderValue>) -> Request {
    let mut request = Request::new(Method::POST, url);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(mut value) = authorization {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    *request.body_mut() = Some(Bytes::from_owner(body).into());
    request
}

/// Returns the fields of a form. The text is overwritten after the request.
fn form(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let length = fields.iter().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    // A vector that grows would leave copies of the secrets in memory.
    let mut body = Zeroizing::new(Vec::with_capacity(length));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push(b'&');
        }
        percent_encode(name, &mut body);
        body.push(b'=');
        percent_encode(value, &mut body);
    }
    body
}

/// Appends the text. All characters but the unreserved ones of RFC 3986 section 2.3 are encoded.
pub(crate) fn percent_encode(text: &str, to: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(byte),
            _ => {
                let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half & 15)];
                to.extend([b'%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
}

pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns whether a server without TLS is on this machine or its link (RFC 3927, RFC 4291 section 2.5.6), where the
/// metadata servers of all clouds are.
fn is_link_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let on_link = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        // The address of AWS's metadata server.
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local() || host == "fd00:ec2::254",
        Err(_) => host == "metadata.google.internal",
    };
    url.scheme() == "http" && (on_link || !is_plaintext_remote(url.as_str()))
}
