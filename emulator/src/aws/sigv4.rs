//! Signature Version 4, checked as AWS does: IAM User Guide, "Create a signed AWS API request".
//!
//! It knows nothing of KMS or STS: each names the errors in its own way.

use crate::clock;
use crate::crypto::{Hash, mac};
use crate::encoding::hex;
use crate::http::Request;
use crate::state::aws::Credentials;

/// Who signed a request, and for which region.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) arn: String,
    pub(crate) region: String,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Incomplete(String),
    UnknownKey,
    Expired,
    Mismatch(String),
}

const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. \
    Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const SKEW: i64 = 5 * 60;

/// Checks the request's signature, clock, session token and expiry.
pub(crate) fn check(credentials: &Credentials, request: &Request, service: &str, now: i64) -> Result<Caller, Refusal> {
    let header = request.header("authorization").ok_or(Refusal::Missing)?;
    let parsed = Authorization::parse(header)?;
    let credential = credentials.get(parsed.access_key).ok_or(Refusal::UnknownKey)?;
    if credential.token.as_deref() != request.header("x-amz-security-token") {
        return Err(Refusal::UnknownKey);
    }
    if credential.expires.is_some_and(|expires| expires <= now) {
        return Err(Refusal::Expired);
    }
    let date = request.header("x-amz-date").unwrap_or_default();
    check_clock(date, now)?;
    if parsed.service != service {
        return Err(Refusal::Mismatch(format!("Credential should be scoped to correct service: '{service}'. ")));
    }
    if !date.starts_with(parsed.date) {
        let text = format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{date}'.",
            parsed.date,
            date.get(..8).unwrap_or_default()
        );
        return Err(Refusal::Mismatch(text));
    }
    let expected = parsed.signature_of(&credential.secret, date, &canonical_request(request, &parsed.signed_headers));
    if expected != parsed.signature {
        return Err(Refusal::Mismatch(WRONG_SIGNATURE.to_owned()));
    }
    Ok(Caller { arn: credential.arn, region: parsed.region.to_owned() })
}

/// The region that a request names in its credential scope, whether or not its signature is right.
pub(crate) fn region(request: &Request) -> Option<String> {
    let parsed = Authorization::parse(request.header("authorization")?).ok()?;
    Some(parsed.region.to_owned())
}

fn check_clock(date: &str, now: i64) -> Result<(), Refusal> {
    let signed = clock::parse_basic(date).ok_or_else(|| {
        Refusal::Incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
        )
    })?;
    let server = clock::basic(now);
    if signed < now - SKEW {
        let limit = clock::basic(now - SKEW);
        return Err(Refusal::Mismatch(format!(
            "Signature expired: {date} is now earlier than {limit} ({server} - 5 min.)"
        )));
    }
    if signed > now + SKEW {
        let limit = clock::basic(now + SKEW);
        return Err(Refusal::Mismatch(format!(
            "Signature not yet current: {date} is still later than {limit} ({server} + 5 min.)"
        )));
    }
    Ok(())
}

struct Authorization<'a> {
    access_key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Result<Self, Refusal> {
        let missing = |what: &str| {
            Refusal::Incomplete(format!("Authorization header requires '{what}' parameter. Authorization={header}"))
        };
        let Some(parameters) = header.strip_prefix("AWS4-HMAC-SHA256") else {
            return Err(Refusal::Incomplete(format!(
                "Unsupported AWS 'algorithm': '{}'.",
                header.split(' ').next().unwrap_or_default()
            )));
        };
        let value = |name: &str| {
            let found = parameters.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| missing(name))
        };
        let (credential, headers, signature) = (value("Credential")?, value("SignedHeaders")?, value("Signature")?);
        let scope: Vec<&str> = credential.split('/').collect();
        let [access_key, date, region, service, "aws4_request"] = scope.as_slice() else {
            return Err(Refusal::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
            )));
        };
        let signed_headers: Vec<&str> = headers.split(';').collect();
        if !signed_headers.contains(&"host") {
            return Err(Refusal::Mismatch(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
            ));
        }
        Ok(Self { access_key, date, region, service, signed_headers, signature })
    }

    fn signature_of(&self, secret: &str, date: &str, canonical: &str) -> String {
        let hash = |key: &[u8], message: &str| mac(Hash::Sha256, key, message.as_bytes());
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Hash::Sha256.of(canonical.as_bytes())));
        let key = hash(format!("AWS4{secret}").as_bytes(), self.date);
        let key = [self.region, self.service, "aws4_request"].iter().fold(key, |key, part| hash(&key, part));
        hex(&hash(&key, &text))
    }
}

fn canonical_request(request: &Request, signed_headers: &[&str]) -> String {
    let mut query: Vec<&str> = request.query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let headers: String = signed_headers
        .iter()
        .map(|name| {
            let values = request.headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
            let values: Vec<String> =
                values.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
            format!("{name}:{}\n", values.join(","))
        })
        .collect();
    let (method, path, query) = (&request.method, &request.path, query.join("&"));
    let body = hex(&Hash::Sha256.of(&request.body));
    format!("{method}\n{path}\n{query}\n{headers}\n{}\n{body}", signed_headers.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::aws::Credential;
    use hyper::{HeaderMap, Method};

    const NOW: i64 = 1_440_938_160;

    fn request(method: Method, signature: &str) -> Request {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let mut headers = HeaderMap::new();
        headers.insert("host", "example.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        headers.insert("authorization", authorization.parse().unwrap());
        let (path, host) = ("/".to_owned(), "example.amazonaws.com".to_owned());
        Request { method, path, query: String::new(), headers, body: Vec::new(), host, origin: Default::default() }
    }

    fn credentials() -> Credentials {
        let known = Credentials::default();
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned();
        known.allow("AKIDEXAMPLE", Credential { secret, token: None, expires: None, arn: "someone".to_owned() });
        known
    }

    /// The published Signature Version 4 test suite: get-vanilla and post-vanilla.
    #[test]
    fn the_published_vectors_pass() {
        let get = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        let post = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        let known = credentials();
        assert_eq!(check(&known, &request(Method::GET, get), "service", NOW).unwrap().region, "us-east-1");
        assert!(check(&known, &request(Method::POST, post), "service", NOW + 299).is_ok());
        assert_eq!(
            check(&known, &request(Method::POST, get), "service", NOW).unwrap_err(),
            Refusal::Mismatch(WRONG_SIGNATURE.into())
        );
    }

    #[test]
    fn clocks_scopes_and_headers_are_checked() {
        let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        let (known, good) = (credentials(), request(Method::GET, signature));
        assert!(
            matches!(check(&known, &good, "service", NOW + 301), Err(Refusal::Mismatch(text)) if text.starts_with("Signature expired"))
        );
        assert!(
            matches!(check(&known, &good, "service", NOW - 301), Err(Refusal::Mismatch(text)) if text.starts_with("Signature not yet"))
        );
        assert!(matches!(check(&known, &good, "kms", NOW), Err(Refusal::Mismatch(_))));
        let mut bare = good.clone();
        bare.headers.remove("authorization");
        assert_eq!(check(&known, &bare, "service", NOW).unwrap_err(), Refusal::Missing);
        bare.headers.insert("authorization", "AWS4-HMAC-SHA256 Credential=x".parse().unwrap());
        assert!(matches!(check(&known, &bare, "service", NOW), Err(Refusal::Incomplete(_))));
        known.forget("AKIDEXAMPLE");
        assert_eq!(check(&known, &good, "service", NOW).unwrap_err(), Refusal::UnknownKey);
    }
}
