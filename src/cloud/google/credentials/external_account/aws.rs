//! AWS as the other provider of identities: the token is a signed request with which Google asks AWS who has signed it.
//!
//! "Determining the subject token in AWS", <https://google.aip.dev/auth/4117>; "AWS Signature Version 4".

use super::super::credential_file::CredentialSource;
use super::super::token_error::NO_ADVICE;
use super::super::token_server::{Context, host_of, percent_encode};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::secret::Secret;
use crate::key::hash::hex;
use aws_lc_rs::{digest, hmac};
use der::DateTime;
use http::{HeaderValue, Method};
use reqwest::{Request, Url};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::time::Duration;
use zeroize::Zeroizing;

/// A workload of AWS.
#[derive(Debug)]
pub(crate) struct Aws {
    region_url: Option<String>,
    credentials_url: Option<String>,
    session_token_url: Option<String>,
    /// The URL of the request, with `{region}` in it.
    verification_url: String,
}

/// An access key of AWS. The names are those of the instance metadata service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKey {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    /// The token of temporary keys.
    #[serde(default, deserialize_with = "optional_secret")]
    token: Option<Secret>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::from)
}

fn optional_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(Secret::from))
}

const DEFAULT_VERIFICATION_URL: &str = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

impl Aws {
    pub(crate) fn new(environment: &str, source: &CredentialSource) -> Result<Self, String> {
        if environment != "aws1" {
            return Err(format!("\"credential_source.environment_id\" is {environment:?}; only \"aws1\" is supported"));
        }
        let verification_url = source.regional_cred_verification_url.as_deref().unwrap_or(DEFAULT_VERIFICATION_URL);
        Ok(Self {
            region_url: source.region_url.clone(),
            credentials_url: source.url.clone(),
            session_token_url: source.imdsv2_session_token_url.clone(),
            verification_url: verification_url.to_owned(),
        })
    }

    pub(crate) async fn token(
        &self,
        context: &Context<'_>,
        audience: &str,
    ) -> Result<Zeroizing<String>, FailedAttempt> {
        let variable = context.variable;
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let key = AccessKey::of_environment(variable);
        let session = if region.is_none() || key.is_none() { self.session_token(context).await? } else { None };
        let region = match region {
            Some(region) => region,
            None => self.region(context, session.as_ref()).await?,
        };
        let key = match key {
            Some(key) => key,
            None => self.access_key(context, session.as_ref()).await?,
        };
        let url =
            context.token_url(&self.verification_url.replace("{region}", &region), "regional_cred_verification_url")?;
        let request = key.signed_request(&url, &region, audience, context.memory.now());
        request.ok_or_else(|| context.bad_credentials("the clock of this machine has no valid date"))
    }

    /// Requests the token that version 2 of the instance metadata service demands.
    async fn session_token(&self, context: &Context<'_>) -> Result<Option<Zeroizing<String>>, FailedAttempt> {
        let Some(url) = &self.session_token_url else { return Ok(None) };
        let header = ("x-aws-ec2-metadata-token-ttl-seconds", "300");
        self.text(context, Method::PUT, url, "imdsv2_session_token_url", Some(header)).await.map(Some)
    }

    async fn region(
        &self,
        context: &Context<'_>,
        session: Option<&Zeroizing<String>>,
    ) -> Result<String, FailedAttempt> {
        let lacking = || {
            context.bad_credentials(
                "the region of AWS is not known; set AWS_REGION, or \"region_url\" in the credential file",
            )
        };
        let url = self.region_url.as_ref().ok_or_else(lacking)?;
        let zone = self.text(context, Method::GET, url, "region_url", session_header(session)).await?;
        // The reply is the name of an availability zone, such as us-east-1d.
        let region = zone.strip_suffix(|last: char| last.is_ascii_lowercase()).unwrap_or(&zone);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        match !region.is_empty() && region.bytes().all(is_name) {
            true => Ok(region.to_owned()),
            false => Err(context.bad_credentials("\"region_url\": the reply is not an availability zone of AWS")),
        }
    }

    async fn access_key(
        &self,
        context: &Context<'_>,
        session: Option<&Zeroizing<String>>,
    ) -> Result<AccessKey, FailedAttempt> {
        let lacking = || {
            context.bad_credentials("there is no access key of AWS; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \"url\" in the credential file")
        };
        let url = self.credentials_url.as_ref().ok_or_else(lacking)?;
        let role = self.text(context, Method::GET, url, "credential_source.url", session_header(session)).await?;
        let mut of_role = url.trim_end_matches('/').to_owned().into_bytes();
        of_role.push(b'/');
        percent_encode(&role, &mut of_role);
        let of_role = String::from_utf8_lossy(&of_role);
        let text = self.text(context, Method::GET, &of_role, "credential_source.url", session_header(session)).await?;
        // The name of the role is not quoted: a wrong server may have replied with a secret.
        let wrong = |_| {
            context.bad_credentials("\"credential_source.url\": the reply for the role is no access key; check the URL")
        };
        serde_json::from_str(&text).map_err(wrong)
    }

    async fn text(
        &self,
        context: &Context<'_>,
        method: Method,
        url: &str,
        member: &str,
        header: Option<(&'static str, &str)>,
    ) -> Result<Zeroizing<String>, FailedAttempt> {
        let (url, route) = context.workload_url(url, member)?;
        let host = host_of(&url);
        let mut request = Request::new(method, url);
        *request.timeout_mut() = Some(Duration::from_secs(5));
        if let Some((name, value)) = header {
            let wrong = |_| context.bad_credentials(format!("{host}: the session token is not one of AWS"));
            let mut value = HeaderValue::from_str(value).map_err(wrong)?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        let reply = context.send(request, route, &NO_ADVICE).await?;
        let text = std::str::from_utf8(&reply.body)
            .map_err(|_| context.bad_credentials(format!("{host}: the reply is not text")))?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    }
}

fn session_header(session: Option<&Zeroizing<String>>) -> Option<(&'static str, &str)> {
    session.map(|token| ("x-aws-ec2-metadata-token", token.as_str()))
}

impl AccessKey {
    fn of_environment(variable: fn(&str) -> Option<String>) -> Option<Self> {
        Some(Self {
            access_key_id: variable("AWS_ACCESS_KEY_ID")?,
            secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?.into(),
            token: variable("AWS_SESSION_TOKEN").map(Secret::from),
        })
    }

    /// Returns the signed request as a subject token: JSON, percent-encoded. None if the time has no date.
    fn signed_request(&self, url: &Url, region: &str, audience: &str, now: u64) -> Option<Zeroizing<String>> {
        let time = DateTime::from_unix_duration(Duration::from_secs(now)).ok()?;
        let date = format!("{:04}{:02}{:02}", time.year(), time.month(), time.day());
        let time = format!("{date}T{:02}{:02}{:02}Z", time.hour(), time.minutes(), time.seconds());
        let host = host_of(url);
        // In the order of the alphabet, as the signature demands.
        let mut headers = vec![("host", host.as_str()), ("x-amz-date", &time)];
        headers.extend(self.token.as_ref().map(|token| ("x-amz-security-token", token.expose())));
        headers.push(("x-goog-cloud-target-resource", audience));
        let authorization = self.authorization(url, &headers, (&date, &time), region);
        headers.push(("Authorization", &authorization));
        let headers: Vec<_> = headers.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let request = Zeroizing::new(json!({ "url": url.as_str(), "method": "POST", "headers": headers }).to_string());
        let mut token = Vec::with_capacity(3 * request.len());
        percent_encode(&request, &mut token);
        // All characters are ASCII now.
        String::from_utf8(token).ok().map(Zeroizing::new)
    }

    fn authorization(&self, url: &Url, headers: &[(&str, &str)], (date, time): (&str, &str), region: &str) -> String {
        let line = |(name, value): &(&str, &str)| format!("{name}:{}\n", value.trim());
        let lines = Zeroizing::new(headers.iter().map(line).collect::<String>());
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let (path, query, body) = (url.path(), canonical_query(url), sha256(b""));
        let request = Zeroizing::new(format!("POST\n{path}\n{query}\n{}\n{names}\n{body}", lines.as_str()));
        let scope = format!("{date}/{region}/sts/aws4_request");
        let hash = sha256(request.as_bytes());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let secret = Zeroizing::new(format!("AWS4{}", self.secret_access_key.expose()));
        let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        let mut key = mac(secret.as_bytes(), date);
        for part in [region, "sts", "aws4_request"] {
            key = mac(key.as_ref(), part);
        }
        let signature = hex(mac(key.as_ref(), &text).as_ref());
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key_id
        )
    }
}

fn canonical_query(url: &Url) -> String {
    let encoded = |text: &str| {
        let mut bytes = Vec::new();
        percent_encode(text, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut pairs: Vec<_> =
        url.query_pairs().map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures are those of botocore for the same request.
    #[test]
    fn a_signed_request_is_that_of_aws_s_own_library() {
        let audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws";
        let url = Url::parse(&DEFAULT_VERIFICATION_URL.replace("{region}", "eu-west-1")).unwrap();
        for (token, names, signature) in [
            (
                None,
                "host;x-amz-date;x-goog-cloud-target-resource",
                "fa752756145ee2cc8b95a9da6ce4dc5f41221dc6f5785cf7192bf88277b13a8e",
            ),
            (
                Some("FwoGZXIvYXdzEXAMPLE=="),
                "host;x-amz-date;x-amz-security-token;x-goog-cloud-target-resource",
                "95559abe277b535875fa40e232dcc3f58fb4f23eb5eaadbdcc6f1a0baf449305",
            ),
        ] {
            let key = AccessKey {
                access_key_id: "AKIDEXAMPLE".into(),
                secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned().into(),
                token: token.map(|token| token.to_owned().into()),
            };
            let encoded = key.signed_request(&url, "eu-west-1", audience, 1_760_000_000).unwrap();
            let form = Url::parse(&format!("https://h/?t={}", encoded.as_str())).unwrap();
            let request: serde_json::Value = serde_json::from_str(&form.query_pairs().next().unwrap().1).unwrap();
            assert_eq!(request["method"], "POST");
            assert_eq!(
                request["url"],
                "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
            );
            let headers = request["headers"].as_array().unwrap();
            let header =
                |name: &str| headers.iter().find(|own| own["key"] == name).map(|own| own["value"].as_str().unwrap());
            let scope = "AKIDEXAMPLE/20251009/eu-west-1/sts/aws4_request";
            let expected = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}");
            assert_eq!(header("Authorization"), Some(expected.as_str()));
            assert_eq!(header("x-amz-date"), Some("20251009T085320Z"));
            assert_eq!(header("x-goog-cloud-target-resource"), Some(audience));
            assert_eq!(header("x-amz-security-token"), token);
        }
    }

    #[test]
    fn only_the_first_version_is_supported() {
        let source = CredentialSource::default();
        assert!(Aws::new("aws1", &source).is_ok());
        assert!(Aws::new("aws2", &source).unwrap_err().contains("only \"aws1\" is supported"));
    }
}
