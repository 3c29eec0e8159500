//! Tokens of each type of credentials, from a server in memory.

mod external_accounts;
mod mistakes;

use super::*;
use crate::cloud::failure::Failure;
use crate::cloud::google::settings::Settings;
use crate::cloud::http::exchange::Reply;
use crate::cloud::http::transport::Transport;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use http::{HeaderMap, HeaderValue};
use memory::Memory;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use zeroize::Zeroizing;

/// A request that the server in memory has seen.
#[derive(Clone, Debug)]
struct Seen {
    url: String,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn form(&self) -> BTreeMap<String, String> {
        let url = reqwest::Url::parse(&format!("https://h/?{}", self.body)).unwrap();
        url.query_pairs().into_owned().collect()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

type Fetched = (Result<(AccessToken, Duration), Failure>, Vec<Seen>);

/// Fetches a token with these settings. The server replies in this order.
fn fetch_from(settings: &Settings, memory: &Memory, replies: &[Value]) -> Fetched {
    fetch_in(|_| None, settings, memory, replies)
}

/// Like [`fetch_from`], with these environment variables.
fn fetch_in(variable: fn(&str) -> Option<String>, settings: &Settings, memory: &Memory, replies: &[Value]) -> Fetched {
    let (seen, replies) = (Arc::new(Mutex::new(Vec::new())), replies.to_vec());
    let own = seen.clone();
    let server = move |request: &reqwest::Request| {
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let (url, headers) = (request.url().to_string(), request.headers().clone());
        let mut seen = own.lock().unwrap();
        seen.push(Seen { url, headers, body: String::from_utf8(body.to_vec()).unwrap() });
        let reply = replies.get(seen.len() - 1).cloned().unwrap_or_else(|| panic!("unexpected: {seen:#?}"));
        let body = reply.as_str().map_or_else(|| reply.to_string(), str::to_owned);
        let headers = HeaderMap::from_iter([("metadata-flavor".parse().unwrap(), HeaderValue::from_static("Google"))]);
        Ok(Reply { status: 200, headers, body: Zeroizing::new(body.into_bytes()) })
    };
    let answer = fetch_by(server, variable, settings, memory).map_err(|refused| refused.failure);
    let seen = seen.lock().unwrap().clone();
    (answer, seen)
}

fn fetch_by(
    server: impl Fn(&reqwest::Request) -> Result<Reply, FailedAttempt> + Send + Sync + 'static,
    variable: fn(&str) -> Option<String>,
    settings: &Settings,
    memory: &Memory,
) -> Result<(AccessToken, Duration), FailedAttempt> {
    let context = Context { operation: "Sign", settings, transport: &Transport::to(server), memory, variable };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(fetch(&context))
}

struct File {
    folder: tempfile::TempDir,
    settings: Settings,
}

/// Writes a credential file, and returns settings that name it.
fn file(contents: &Value) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adc.json");
    std::fs::write(&path, contents.as_str().map_or_else(|| contents.to_string(), str::to_owned)).unwrap();
    File { settings: Settings { credentials: Credentials::File(path), ..Settings::default() }, folder }
}

fn fetch_with(contents: &Value, replies: &[Value]) -> Fetched {
    fetch_from(&file(contents).settings, &Memory::default(), replies)
}

fn failure_of(contents: &Value) -> Failure {
    let (answer, seen) = fetch_with(contents, &[]);
    assert!(seen.is_empty());
    answer.unwrap_err()
}

fn secret(token: &AccessToken) -> &str {
    token.token.as_ref().unwrap().expose()
}

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

fn pem() -> String {
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&*KEY).unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", Base64::encode_string(der.as_ref()))
}

fn service_account() -> Value {
    json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": pem(),
        "client_email": "signer@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
    })
}

fn user() -> Value {
    json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s&cret", "refresh_token": "1//r+t",
        "quota_project_id": "q", "account": "",
    })
}

fn token_reply(token: &str) -> Value {
    json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer", "scope": "x" })
}

/// Returns header and claims of a token, whose signature must verify.
fn jwt(token: &str) -> (Value, Value) {
    let (text, signature) = token.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, KEY.public_key().as_ref());
    key.verify(text.as_bytes(), &Base64UrlUnpadded::decode_vec(signature).unwrap()).unwrap();
    let parsed = |part: &str| serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap();
    let (header, claims) = text.split_once('.').unwrap();
    (parsed(header), parsed(claims))
}

const URL: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@p:generateAccessToken";

fn generated(token: &str) -> Value {
    json!({ "accessToken": token, "expireTime": "2014-10-02T15:01:23Z" })
}

fn external(source: Value) -> Value {
    json!({
        "type": "external_account", "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source,
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    })
}

#[test]
fn a_service_account_signs_its_token_itself() {
    let memory = Memory::default();
    memory.learn_time(Some("Wed, 18 May 2033 03:33:20 GMT"));
    let file = file(&service_account());
    let (answer, seen) = fetch_from(&file.settings, &memory, &[]);
    let (token, lifetime) = answer.unwrap();
    assert!(seen.is_empty(), "no request");
    let (header, claims) = jwt(secret(&token));
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    let issued = claims["iat"].as_u64().unwrap();
    assert!((1_999_999_990..2_000_000_600).contains(&issued), "the time is that of the server: {issued}");
    let email = "signer@p.iam.gserviceaccount.com";
    let expected = json!({
        "iss": email, "sub": email, "scope": "https://www.googleapis.com/auth/cloudkms", "iat": issued, "exp": issued + 3600,
    });
    assert_eq!(claims, expected);
    assert_eq!(lifetime, Duration::from_secs(3590));
    let path = file.folder.path().join("adc.json");
    assert_eq!(token.origin, format!("service account {email} ({})", path.display()));
    assert_eq!((token.quota_project, token.universe_domain.as_str()), (None, "googleapis.com"));
}

#[test]
fn a_key_in_pkcs1_form_signs() {
    // PrivateKeyInfo, RFC 5958: the last element of the sequence contains the key in PKCS#1 form.
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&*KEY).unwrap();
    let pkcs1 = Base64::encode_string(&der.as_ref()[26..]);
    let mut contents = service_account();
    contents["private_key"] =
        json!(format!("-----BEGIN RSA PRIVATE KEY-----\n{pkcs1}\n-----END RSA PRIVATE KEY-----\n"));
    let (answer, _) = fetch_with(&contents, &[]);
    jwt(secret(&answer.unwrap().0));
}

#[test]
fn a_user_s_refresh_token_brings_a_token() {
    let (answer, seen) = fetch_with(&user(), &[token_reply("ya29.x")]);
    let (token, lifetime) = answer.unwrap();
    assert_eq!((secret(&token), lifetime.as_secs(), token.quota_project.as_deref()), ("ya29.x", 3599, Some("q")));
    assert_eq!(seen[0].url, "https://oauth2.googleapis.com/token");
    assert_eq!(seen[0].header("content-type"), "application/x-www-form-urlencoded");
    let expected =
        [("client_id", "c"), ("client_secret", "s&cret"), ("grant_type", "refresh_token"), ("refresh_token", "1//r+t")];
    assert_eq!(seen[0].form(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    // The project of the settings comes first.
    let mut file = file(&user());
    file.settings.quota_project = Some("mine".into());
    let (answer, _) = fetch_from(&file.settings, &Memory::default(), &[token_reply("ya29.x")]);
    assert_eq!(answer.unwrap().0.quota_project.as_deref(), Some("mine"));
}

#[test]
fn a_replaced_refresh_token_is_used() {
    let contents = json!({
        "type": "external_account_authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "old",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/i",
        "token_url": "https://sts.googleapis.com/v1/oauthtoken", "quota_project_id": "q",
    });
    let (file, memory) = (file(&contents), Memory::default());
    let mut reply = token_reply("sts-1");
    reply["refresh_token"] = json!("new");
    let (answer, seen) = fetch_from(&file.settings, &memory, &[reply]);
    assert_eq!(secret(&answer.unwrap().0), "sts-1");
    assert_eq!(seen[0].header("authorization"), "Basic Yzpz");
    assert_eq!(seen[0].body, "grant_type=refresh_token&refresh_token=old");
    let (answer, seen) = fetch_from(&file.settings, &memory, &[token_reply("sts-2")]);
    assert_eq!((secret(&answer.unwrap().0), seen[0].form()["refresh_token"].as_str()), ("sts-2", "new"));
}

#[test]
fn a_service_account_is_impersonated() {
    let contents = json!({
        "type": "impersonated_service_account", "service_account_impersonation_url": URL,
        "delegates": ["projects/-/serviceAccounts/b@p"], "source_credentials": user(), "quota_project_id": "mine",
    });
    let (answer, seen) = fetch_with(&contents, &[token_reply("ya29.x"), generated("ya29.c.y")]);
    let (token, lifetime) = answer.unwrap();
    assert_eq!((secret(&token), lifetime.as_secs()), ("ya29.c.y", 3600), "whatever the clock of this machine says");
    assert_eq!(token.quota_project.as_deref(), Some("mine"), "not that of the source");
    assert!(token.origin.starts_with("service account a@p by user (/"), "{}", token.origin);
    assert_eq!((seen[1].url.as_str(), seen[1].header("authorization")), (URL, "Bearer ya29.x"));
    let expected = json!({
        "scope": ["https://www.googleapis.com/auth/cloudkms"], "lifetime": "3600s",
        "delegates": ["projects/-/serviceAccounts/b@p"],
    });
    assert_eq!(serde_json::from_str::<Value>(&seen[1].body).unwrap(), expected);
    // The option impersonates with any credentials. Their own token then has a wider scope.
    let mut file = file(&service_account());
    file.settings.impersonated_account = Some("a@p".into());
    let (answer, seen) = fetch_from(&file.settings, &Memory::default(), &[generated("ya29.c.z")]);
    assert_eq!((secret(&answer.unwrap().0), seen[0].url.as_str()), ("ya29.c.z", URL));
    let (_, claims) = jwt(seen[0].header("authorization").strip_prefix("Bearer ").unwrap());
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    file.settings.impersonated_account = Some("a/../b".into());
    let failure = fetch_from(&file.settings, &Memory::default(), &[]).0.unwrap_err();
    assert!(failure.cause == Cause::Settings && failure.message.contains("not the email address"), "{failure}");
}

#[test]
fn the_metadata_server_has_a_token_and_the_universe() {
    let settings = Settings::default();
    let replies = [token_reply("ya29.m"), json!("example.goog\n")];
    let (answer, seen) = fetch_from(&settings, &Memory::default(), &replies);
    let (token, _) = answer.unwrap();
    assert_eq!((secret(&token), token.universe_domain.as_str()), ("ya29.m", "example.goog"));
    let base = "http://169.254.169.254/computeMetadata/v1";
    assert_eq!(seen[0].url, format!("{base}/instance/service-accounts/default/token"));
    assert_eq!(seen[1].url, format!("{base}/universe/universe-domain"));
    assert_eq!(seen[0].header("metadata-flavor"), "Google");
    // A known universe needs no request.
    let settings = Settings { universe_domain: Some("googleapis.com".into()), ..settings };
    let (answer, seen) = fetch_from(&settings, &Memory::default(), &replies[..1]);
    assert_eq!((answer.unwrap().0.universe_domain.as_str(), seen.len()), ("googleapis.com", 1));
}

#[test]
fn the_environment_has_its_say() {
    let settings = Settings { endpoint_url: Some("https://kms.example".into()), ..Settings::default() };
    let host = |name: &str| (name == "GCE_METADATA_HOST").then(|| "127.0.0.1:8080".to_owned());
    let (answer, seen) = fetch_in(host, &settings, &Memory::default(), &[token_reply("t")]);
    assert!(answer.is_ok());
    assert_eq!(seen[0].url, "http://127.0.0.1:8080/computeMetadata/v1/instance/service-accounts/default/token");
    let file = file(&external(json!({ "environment_id": "aws1" })));
    let variables = |name: &str| match name {
        "AWS_DEFAULT_REGION" => Some("us-east-2".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("A".to_owned()),
        _ => None,
    };
    let (answer, seen) = fetch_in(variables, &file.settings, &Memory::default(), &[token_reply("t")]);
    assert!(answer.is_ok() && seen[0].form()["subject_token"].contains("sts.us-east-2.amazonaws.com"));
    let failure = fetch_from(&file.settings, &Memory::default(), &[]).0.unwrap_err();
    assert!(failure.message.contains("set AWS_REGION"), "{failure}");
}
