//! Azure's clouds. The host name of a vault determines which tokens the vault accepts, and the vault's challenge
//! names its authority.
//!
//! "Azure Key Vault security domain, DNS suffixes"; "National clouds: Microsoft Entra authentication endpoints".

use crate::cloud::http::ServiceClient;
use azure_core::cloud::CustomConfiguration;
use azure_core::http::headers::WWW_AUTHENTICATE;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};

/// One of the clouds.
struct Cloud {
    /// The end of the names of vaults and Managed HSMs, after `vault.` and `managedhsm.`.
    domain: &'static str,
    /// The hosts that issue tokens for the cloud. Requests go to the first one.
    authorities: &'static [&'static str],
}

#[rustfmt::skip]
const CLOUDS: &[Cloud] = &[
    Cloud { domain: "azure.net", authorities: &["login.microsoftonline.com", "login.microsoft.com", "login.windows.net"] },
    Cloud { domain: "usgovcloudapi.net", authorities: &["login.microsoftonline.us"] },
    Cloud { domain: "azure.cn", authorities: &["login.chinacloudapi.cn", "login.partner.microsoftonline.cn"] },
    Cloud { domain: "microsoftazure.de", authorities: &["login.microsoftonline.de"] },
];

/// The services of a cloud that have keys.
const SERVICES: [&str; 2] = ["vault", "managedhsm"];

impl Cloud {
    fn authority(&self) -> String {
        format!("https://{}", self.authorities.first().copied().unwrap_or_default())
    }

    fn by_authority(host: &str) -> Option<&'static Self> {
        CLOUDS.iter().find(|cloud| cloud.authorities.contains(&host))
    }
}

/// Returns the cloud of a vault, and the resource that its tokens are for: `vault.azure.net` for
/// `https://NAME.vault.azure.net`.
fn cloud_and_resource(vault_url: &str) -> Option<(&'static Cloud, String)> {
    let host = host_of(vault_url)?.to_ascii_lowercase();
    CLOUDS.iter().find_map(|cloud| {
        let resources = SERVICES.iter().map(|service| format!("{service}.{}", cloud.domain));
        let found = resources.into_iter().find(|resource| host.ends_with(&format!(".{resource}")))?;
        Some((cloud, found))
    })
}

/// Returns the scope that the vault's own challenge will require, before the first challenge.
pub(crate) fn scope(vault_url: &str) -> String {
    let resource = cloud_and_resource(vault_url).map_or_else(|| "vault.azure.net".to_owned(), |(_, resource)| resource);
    format!("https://{resource}/.default")
}

/// The authority that the challenge of a vault has named, if there was a challenge. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenge(Arc<Mutex<Option<String>>>);

impl Challenge {
    /// Returns the authority to use if none is configured: the authority of the cloud that the host name belongs
    /// to, or else the authority that the vault names, if it is one of Microsoft's. A server cannot make the
    /// module send a secret to any other host.
    pub(crate) fn authority(&self, vault_url: &str) -> String {
        let by_name = cloud_and_resource(vault_url).map(|(cloud, _)| cloud.authority());
        let by_challenge = || self.host().filter(|host| Cloud::by_authority(host).is_some());
        by_name.or_else(|| by_challenge().map(|host| format!("https://{host}"))).unwrap_or_else(|| {
            // The vault has a custom host name, and no challenge has named an authority of Microsoft's yet.
            CLOUDS.first().map(Cloud::authority).unwrap_or_default()
        })
    }

    /// Returns advice for a refusal by the authority `asked`, if the vault names an authority of another cloud.
    pub(crate) fn contradiction(&self, asked: &str) -> Option<String> {
        let (host, asked) = (self.host()?, host_of(asked)?);
        let same = host == asked || Cloud::by_authority(&host).is_some_and(|cloud| cloud.authorities.contains(&asked));
        (!same).then(|| {
            format!("the vault names the authority {host}; set \"azure_authority_host\" or AZURE_AUTHORITY_HOST to it")
        })
    }

    fn host(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, header: &str) {
        if let Some(host) = ["authorization", "authorization_uri"].iter().find_map(|name| host_in(header, name)) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(host);
        }
    }
}

/// Returns the host of the URL that a challenge contains under this name: `Bearer
/// authorization="https://HOST/TENANT", ...`.
fn host_in(header: &str, name: &str) -> Option<String> {
    let (_, rest) = header.split_once(&format!("{name}=\""))?;
    let (url, _) = rest.split_once('"')?;
    host_of(url.strip_prefix("https://").map(|_| url)?).map(str::to_ascii_lowercase)
}

fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split([':', '/']).next().filter(|host| !host.is_empty())
}

/// The HTTP client for a vault. It records the authority that the vault's challenges name.
#[derive(Debug)]
pub(crate) struct ChallengeRecorder {
    pub(crate) connections: Arc<ServiceClient>,
    pub(crate) challenge: Challenge,
}

#[async_trait::async_trait]
impl HttpClient for ChallengeRecorder {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let reply = self.connections.execute_request(request).await?;
        if reply.status() == StatusCode::Unauthorized
            && let Some(header) = reply.headers().get_optional_str(&WWW_AUTHENTICATE)
        {
            self.challenge.record(header);
        }
        Ok(reply)
    }
}

/// The HTTP client for an authority. azure_identity expects each error reply to have the form of Entra's own
/// errors.
#[derive(Debug)]
pub(crate) struct AuthorityClient(pub(crate) Arc<ServiceClient>);

#[async_trait::async_trait]
impl HttpClient for AuthorityClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let reply = self.0.execute_request(request).await?;
        if reply.status().is_success() {
            return Ok(reply);
        }
        let (status, headers, body) = reply.deconstruct();
        let body = body.collect().await?;
        Ok(AsyncRawResponse::from_bytes(status, headers, sanitize_error(&body)))
    }
}

/// Converts an error of Entra to a form that azure_identity can parse. azure_identity cannot parse a description
/// that contains escapes, such as those of the line breaks or quotes in Entra's descriptions.
fn sanitize_error(body: &[u8]) -> String {
    let parsed = serde_json::from_slice::<serde_json::Value>(body).ok();
    let Some(mut error) = parsed.filter(|value| value.get("error").is_some()) else { return FOREIGN_REPLY.into() };
    if let Some(serde_json::Value::String(words)) = error.get_mut("error_description") {
        let harmless = words.replace('"', "'").replace('\\', "/");
        let all: Vec<&str> =
            harmless.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
        *words = all.join(" ");
    }
    error.to_string()
}

const FOREIGN_REPLY: &str =
    r#"{"error": "", "error_description": "the reply is not one of Entra; check the authority host and the proxy"}"#;

/// Returns the same options for requests to the authority at this URL.
pub(crate) fn with_authority(options: ClientOptions, url: &str) -> ClientOptions {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = url.to_owned();
    ClientOptions { cloud: Some(Arc::new(cloud.into())), ..options }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_tells_whom_its_tokens_are_for() {
        for (url, domain) in [
            ("https://my.vault.azure.net", "vault.azure.net"),
            ("https://my.vault.azure.cn:443", "vault.azure.cn"),
            ("https://My.Vault.usgovcloudapi.net", "vault.usgovcloudapi.net"),
            ("https://my.managedhsm.usgovcloudapi.net", "managedhsm.usgovcloudapi.net"),
            ("https://my.managedhsm.azure.net/", "managedhsm.azure.net"),
            ("https://127.0.0.1:8443", "vault.azure.net"),
            ("https://localhost", "vault.azure.net"),
        ] {
            assert_eq!(scope(url), format!("https://{domain}/.default"), "{url}");
        }
    }

    #[test]
    fn an_error_of_entra_is_readable_whatever_is_escaped_in_it() {
        #[derive(serde::Deserialize)]
        struct AsAzureIdentityHasIt<'a> {
            error_description: &'a str,
        }
        let body = br#"{"error": "invalid_client", "error_codes": [7], "error_description": "AADSTS7: \"a\\b\".\r\nTrace ID: 1\r\n\u00e9"}"#;
        assert!(
            serde_json::from_slice::<AsAzureIdentityHasIt>(body).is_err(),
            "azure_identity reads this reply now; remove the workaround"
        );
        let plain = sanitize_error(body);
        let read: AsAzureIdentityHasIt = serde_json::from_str(&plain).unwrap();
        assert_eq!(read.error_description, "AADSTS7: 'a/b'. Trace ID: 1 \u{e9}");
        for other in [&b"<html>"[..], b"", b"[]", b"{}"] {
            let text = super::sanitize_error(other);
            let read: AsAzureIdentityHasIt = serde_json::from_str(&text).unwrap();
            assert!(read.error_description.starts_with("the reply is not one of Entra"));
        }
    }

    #[test]
    fn a_vault_tells_its_authority() {
        for (url, authority) in [
            ("https://my.vault.azure.net", "login.microsoftonline.com"),
            ("https://my.vault.usgovcloudapi.net", "login.microsoftonline.us"),
            ("https://my.managedhsm.usgovcloudapi.net/", "login.microsoftonline.us"),
            ("https://my.vault.azure.cn", "login.chinacloudapi.cn"),
            ("https://my.managedhsm.azure.cn:443", "login.chinacloudapi.cn"),
            ("https://my.vault.microsoftazure.de", "login.microsoftonline.de"),
            // A host name that only ends in the same letters belongs to no cloud.
            ("https://vault.azure.cn", "login.microsoftonline.com"),
            ("https://my.evilvault.azure.cn", "login.microsoftonline.com"),
            ("https://keys.example", "login.microsoftonline.com"),
        ] {
            assert_eq!(Challenge::default().authority(url), format!("https://{authority}"), "{url}");
        }
    }

    #[test]
    fn a_challenge_is_followed_to_known_authorities_only() {
        let after = |header: &str| {
            let challenge = Challenge::default();
            challenge.record(header);
            challenge.authority("https://keys.example")
        };
        let gov = "Bearer authorization=\"https://login.microsoftonline.us/tenant\", resource=\"https://vault.usgovcloudapi.net\"";
        assert_eq!(after(gov), "https://login.microsoftonline.us");
        assert_eq!(
            after("Bearer authorization=\"https://evil.example/t\", resource=\"x\""),
            "https://login.microsoftonline.com"
        );
        assert_eq!(
            after("Bearer authorization=\"http://login.microsoftonline.us/t\""),
            "https://login.microsoftonline.com"
        );
        assert_eq!(
            after("Bearer authorization=\"https://login.microsoftonline.us.evil.example/t\""),
            "https://login.microsoftonline.com"
        );
        assert_eq!(
            after("Bearer authorization=\"https://login.microsoftonline.us@evil.example/t\""),
            "https://login.microsoftonline.com"
        );
        assert_eq!(after("Bearer"), "https://login.microsoftonline.com");
        let challenge = Challenge::default();
        challenge.record(gov);
        // The host name takes precedence.
        assert_eq!(challenge.authority("https://my.vault.azure.cn"), "https://login.chinacloudapi.cn");
        assert!(challenge.contradiction("https://login.microsoftonline.com").is_some());
        assert_eq!(challenge.contradiction("https://login.microsoftonline.us/"), None);
    }
}
