//! Credential files and replies that are wrong.

use super::*;
use crate::cloud::failure::refused::RetryPolicy;

#[test]
fn credentials_of_another_universe_are_not_used() {
    let mut elsewhere = service_account();
    elsewhere["universe_domain"] = json!("example.goog");
    for (contents, own, wanted) in
        [(user(), "googleapis.com", "example.goog"), (elsewhere, "example.goog", "googleapis.com")]
    {
        let mut file = file(&contents);
        file.settings.universe_domain = Some(wanted.to_owned());
        let (answer, seen) = fetch_from(&file.settings, &Memory::default(), &[]);
        let failure = answer.unwrap_err();
        assert!(failure.cause == Cause::Settings && seen.is_empty(), "{failure}");
        let said = format!("belongs to the universe {own}, but the universe of the settings is {wanted}");
        assert!(failure.message.contains(&said) && failure.message.contains("google_universe_domain"), "{failure}");
    }
}

#[test]
fn each_mistake_in_a_file_is_named() {
    let without = |mut contents: Value, name: &str| {
        contents.as_object_mut().unwrap().remove(name);
        contents
    };
    let with = |mut contents: Value, name: &str, value: Value| {
        contents[name] = value;
        contents
    };
    let impersonated = json!({
        "type": "impersonated_service_account", "service_account_impersonation_url": URL, "source_credentials": user(),
    });
    for (contents, words) in [
        (json!("{"), "adc.json:1: this is not valid JSON"),
        (json!("{\n\"type\": 7, \"private_key\": \"s3cret\"}"), "adc.json:2: a value has another type"),
        (json!({}), "lacks \"type\""),
        (json!({ "installed": { "client_id": "c", "client_secret": "s3cret" } }), "the file of an OAuth client"),
        (
            with(user(), "type", json!("gdch_service_account")),
            "type \"gdch_service_account\" are not supported; supported are",
        ),
        (with(user(), "type", json!("api_key")), "type \"api_key\" are not supported; supported are service_account"),
        (without(user(), "refresh_token"), "the file lacks \"refresh_token\""),
        (with(user(), "client_secret", json!("")), "the file lacks \"client_secret\""),
        (with(user(), "universe_domain", json!("x.goog")), "no credentials of this type in the universe x.goog"),
        (
            with(user(), "token_uri", json!("http://oauth2.googleapis.com/token")),
            "which is not encrypted; write https://",
        ),
        (with(user(), "token_uri", json!("oauth2")), "\"token_uri\" is \"oauth2\", which is not a URL"),
        (with(user(), "token_uri", json!("https://u:p@h/")), "which is not a URL of a server"),
        (without(service_account(), "client_email"), "the file lacks \"client_email\""),
        (with(service_account(), "private_key", json!("s3cret")), "\"private_key\" is not a key in PEM"),
        (without(impersonated.clone(), "source_credentials"), "lacks \"source_credentials\""),
        (
            with(impersonated.clone(), "source_credentials", without(user(), "client_id")),
            "lacks \"source_credentials.client_id\"",
        ),
        (with(impersonated.clone(), "source_credentials", impersonated), "are impersonated themselves"),
        (external(json!({})), "has none of file, url, executable"),
        (external(json!({ "file": "/a", "url": "https://b" })), "both \"file\" and \"url\""),
        (external(json!({ "file": "/nowhere/jwt" })), "/nowhere/jwt: the file does not exist"),
        (external(json!({ "url": "http://tokens.example/" })), "which is not encrypted"),
        (external(json!({ "certificate": {} })), "needs either \"use_default_certificate_config\""),
        (without(external(json!({ "file": "/a" })), "audience"), "lacks \"audience\""),
    ] {
        let failure = failure_of(&contents);
        assert_eq!(failure.cause, Cause::Credentials, "{failure}");
        assert!(failure.message.contains(words) && !failure.message.contains("s3cret"), "{failure}\n{words}");
    }
}

#[test]
fn a_reply_without_a_usable_token_is_malformed() {
    for reply in [
        json!({}),
        json!("<html>"),
        json!({ "access_token": "" }),
        json!({ "access_token": "a\nb" }),
        json!({ "access_token": "s3cret", "token_type": "mac" }),
    ] {
        let failure = fetch_with(&user(), &[reply]).0.unwrap_err();
        assert!(failure.cause == Cause::Malformed && !failure.message.contains("s3cret"), "{failure}");
        assert!(failure.message.starts_with("no access token for the user (/"), "{failure}");
    }
}

#[test]
fn no_debug_output_has_a_secret() {
    let members: Members = serde_json::from_value(external(json!({
        "url": "https://h", "headers": { "a": "s3cret" }, "format": { "type": "text" },
    })))
    .unwrap();
    let shown = format!("{:?}", Source::new(members).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
    for contents in [user(), service_account()] {
        let shown = format!("{:?}", Source::new(serde_json::from_value(contents).unwrap()).unwrap());
        assert!(!shown.contains("s&cret") && !shown.contains("1//r+t") && shown.len() < 1000, "{shown}");
    }
}

#[test]
fn a_machine_without_a_metadata_server_is_told() {
    let refused = |cause: Cause, message: &'static str, credentials: Credentials| {
        let settings = Settings { credentials, ..Settings::default() };
        let server = move |_: &reqwest::Request| Err(Failure::new(cause, "Sign", message).into());
        fetch_by(server, |_| None, &settings, &Memory::default()).unwrap_err()
    };
    let file = || Credentials::FileOrMetadata("/nowhere/adc.json".into());
    // A pod may start before its metadata server.
    for (cause, message, remedy) in [
        (Cause::TimedOut, "no reply within 3 s", RetryPolicy::Never),
        (
            Cause::Unreachable,
            "can't connect to 169.254.169.254: Connection refused (os error 111)",
            RetryPolicy::Limited,
        ),
    ] {
        let refused = refused(cause, message, file());
        let words = &refused.failure.message;
        assert_eq!((refused.failure.cause, refused.remedy), (Cause::Credentials, remedy), "{words}");
        assert!(words.contains(&format!("this machine has no metadata server ({message})")), "{words}");
        assert!(words.contains("there is no file /nowhere/adc.json either"), "{words}");
        assert!(words.contains("run gcloud auth application-default login"), "{words}");
    }
    assert!(!refused(Cause::TimedOut, "late", Credentials::Metadata).failure.message.contains("no file"));
}

#[test]
fn a_server_that_is_not_the_metadata_server_gets_no_trust() {
    let server = |_: &reqwest::Request| {
        let body = Zeroizing::new(token_reply("t").to_string().into_bytes());
        Ok(Reply { status: 200, headers: HeaderMap::new(), body })
    };
    let answer = fetch_by(server, |_| None, &Settings::default(), &Memory::default());
    let failure = answer.unwrap_err().failure;
    assert_eq!(failure.cause, Cause::Credentials);
    assert!(failure.message.contains("is not a metadata server of Google (no metadata-flavor: Google)"), "{failure}");
}
