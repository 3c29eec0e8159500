//! Access tokens of Google from every type of credentials, against the emulator, which checks them.

use crate::server::{FILES, MACHINE, holds_in_child, named, wait};
use cloud_kms_emulator::{Action, Emulator, Fault, Google, GoogleKey};
use cloud_kms_pkcs11::cloud::google::{Credentials, Settings};
use cloud_kms_pkcs11::cloud::{Cause, Failure, Network, SharedBackend};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

const ACCOUNT: &str = Google::OTHER_ACCOUNT;

/// An emulator with one key.
fn emulator() -> Emulator {
    let emulator = Emulator::start().unwrap();
    emulator.google().create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256").reuse()).unwrap();
    emulator
}

/// Writes a file of its own with this text, and returns its path.
fn write(text: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = FILES.path().join(format!("google-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, text).unwrap();
    path
}

fn settings(emulator: &Emulator, credentials: Credentials) -> Settings {
    // The environment names the metadata server.
    std::sync::LazyLock::force(&FILES);
    let network = Network { call_timeout: Duration::from_secs(20), ..Network::default() };
    Settings { endpoint_url: Some(emulator.http_url()), credentials, network, ..Settings::default() }
}

/// Returns settings with a credential file, whose servers are those of the emulator.
fn with_file(emulator: &Emulator, file: &Value) -> Settings {
    let mut file = file.clone();
    // A user's file has no URL, unless someone adds it.
    for user in ["", "/source_credentials"] {
        if let Some(members) = file.pointer_mut(user).filter(|members| members["type"] == "authorized_user") {
            members["token_uri"] = json!("https://oauth2.googleapis.com/token");
        }
    }
    let file = emulator.google().without_proxy(&file);
    settings(emulator, Credentials::File(write(&file.to_string())))
}

fn describe(backend: &SharedBackend) -> Result<(), Failure> {
    wait(backend.describe(&named(&format!("{}/cryptoKeys/k/cryptoKeyVersions/1", GoogleKey::KEY_RING)))).map(drop)
}

fn failure(settings: &Settings) -> Failure {
    describe(&settings.open()).unwrap_err()
}

/// Counts the requests for tokens.
fn token_requests(emulator: &Emulator) -> [u64; 3] {
    ["google.Token", "google.StsToken", "google.GenerateAccessToken"].map(|name| emulator.control().count(name))
}

#[test]
fn each_type_of_credentials_brings_a_token() {
    let emulator = emulator();
    let google = emulator.google();
    let subject_token = write(Google::SUBJECT_TOKEN);
    let mut by_program = google.external_account_file(&subject_token, None);
    let output = json!({ "version": 1, "success": true, "id_token": Google::SUBJECT_TOKEN });
    by_program["credential_source"] =
        json!({ "executable": { "command": format!("cat {}", write(&output.to_string()).display()) } });
    for (file, requests) in [
        (google.service_account_file().unwrap(), [0, 0, 0]),
        (google.authorized_user_file(), [1, 0, 0]),
        (google.external_account_file(&subject_token, None), [0, 1, 0]),
        (google.external_account_file(&subject_token, Some(ACCOUNT)), [0, 1, 1]),
        (by_program, [0, 1, 0]),
        (google.impersonated_file(ACCOUNT), [1, 0, 1]),
    ] {
        emulator.control().reset();
        emulator.google().create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256").reuse()).unwrap();
        let backend = with_file(&emulator, &file).open();
        // The second request has the same token.
        (0..2).for_each(|_| describe(&backend).unwrap());
        assert_eq!(token_requests(&emulator), requests, "{}", file["type"]);
        let project = file["quota_project_id"].as_str().map(str::to_owned);
        assert!(emulator.control().log().last().unwrap().quota_project == project, "{}", file["type"]);
    }
}

#[test]
fn a_machine_has_credentials_of_its_own() {
    let emulator = &*MACHINE;
    emulator.google().create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256").reuse()).unwrap();
    let before = emulator.control().count("google.MetadataToken");
    for (number, credentials) in
        [Credentials::Metadata, Credentials::FileOrMetadata("/nowhere/adc.json".into())].into_iter().enumerate()
    {
        describe(&settings(emulator, credentials).open()).unwrap();
        assert_eq!(emulator.control().count("google.MetadataToken"), before + 1 + number as u64);
    }
}

#[test]
fn the_real_names_work_through_a_proxy() {
    let emulator = emulator();
    let google = emulator.google();
    let bundle = write(&emulator.ca_pem());
    let network = |ca_bundle| Network {
        call_timeout: Duration::from_secs(20),
        proxy: Some(emulator.http_url().into()),
        ca_bundle,
        ..Network::default()
    };
    let subject_token = write(Google::SUBJECT_TOKEN);
    for (file, impersonated_account, requests) in [
        (google.authorized_user_file(), None, [1, 0, 0]),
        (google.external_account_file(&subject_token, Some(ACCOUNT)), None, [1, 1, 1]),
        (google.service_account_file().unwrap(), Some(ACCOUNT), [1, 1, 2]),
    ] {
        let credentials = Credentials::File(write(&file.to_string()));
        let impersonated_account = impersonated_account.map(str::to_owned);
        let settings = Settings {
            credentials,
            impersonated_account,
            network: network(Some(bundle.clone())),
            ..Settings::default()
        };
        describe(&settings.open()).unwrap();
        assert_eq!(token_requests(&emulator), requests);
        // A token goes to nobody whose certificate is not trusted.
        let failure = failure(&Settings { network: network(None), ..settings });
        assert_eq!((failure.cause, token_requests(&emulator)), (Cause::Untrusted, requests), "{failure}");
    }
}

#[test]
fn a_token_that_the_service_rejects_is_replaced() {
    let emulator = emulator();
    let google = emulator.google();
    let backend = with_file(&emulator, &google.authorized_user_file()).open();
    describe(&backend).unwrap();
    google.forget_tokens();
    describe(&backend).unwrap();
    assert_eq!(token_requests(&emulator), [2, 0, 0]);
    // The clock of the machine differs from that of the service by an hour.
    emulator.control().shift_clock(4000);
    describe(&backend).unwrap();
    assert_eq!(token_requests(&emulator), [3, 0, 0]);
}

#[test]
fn a_wrong_clock_costs_one_request() {
    for seconds in [-86_400, 86_400] {
        let emulator = emulator();
        emulator.control().shift_clock(seconds);
        let backend = with_file(&emulator, &emulator.google().service_account_file().unwrap()).open();
        let requests = || emulator.control().count("google.GetPublicKey");
        describe(&backend).unwrap();
        assert_eq!(requests(), 2, "the first token is from another day");
        describe(&backend).unwrap();
        assert_eq!(requests(), 3);
    }
}

#[test]
fn a_revoked_login_says_what_to_do() {
    let emulator = emulator();
    let google = emulator.google();
    google.revoke_refresh_token();
    let failure = failure(&with_file(&emulator, &google.authorized_user_file()));
    assert_eq!(failure.cause, Cause::Credentials);
    for words in ["no access token for the user (", "invalid_grant: Token has been expired or revoked.", "gcloud auth"]
    {
        assert!(failure.message.contains(words), "{failure}");
    }
}

#[test]
fn refused_credentials_are_explained() {
    let emulator = emulator();
    let google = emulator.google();
    let changed = |mut file: Value, name: &str, value: &str| {
        file[name] = json!(value);
        file
    };
    let subject_token = write("a.wrong.token");
    let nobody = "nobody@elsewhere.iam.gserviceaccount.com";
    for (file, words) in [
        (changed(google.authorized_user_file(), "client_secret", "s3cret"), "\"client_secret\") of the file is wrong"),
        (changed(google.authorized_user_file(), "client_id", "c"), "invalid_client"),
        (google.external_account_file(&subject_token, None), "HTTP status 400"),
        (google.impersonated_file(nobody), "roles/iam.serviceAccountTokenCreator"),
        (changed(google.service_account_file().unwrap(), "client_email", nobody), &format!("service account {nobody}")),
        (changed(google.service_account_file().unwrap(), "universe_domain", "x.goog"), "service account"),
    ] {
        let universe_domain = file["universe_domain"].as_str().filter(|own| *own == "x.goog").map(|_| "googleapis.com");
        let settings = Settings { universe_domain: universe_domain.map(str::to_owned), ..with_file(&emulator, &file) };
        let failure = failure(&settings);
        let cause = if universe_domain.is_some() { Cause::Settings } else { Cause::Credentials };
        assert_eq!(failure.cause, cause, "{failure}");
        assert!(failure.message.contains(words) && !failure.message.contains("s3cret"), "{failure}");
    }
}

#[test]
fn accidents_of_the_token_server_are_survived() {
    let emulator = emulator();
    let google = emulator.google();
    let file = google.authorized_user_file();
    let fault = |action| Fault { times: Some(2), ..Fault::new("google.Token", action) };
    let error = Action::Error { status: 503, code: "x".into(), message: "later".into(), innererror: None };
    for action in [error, Action::Throttle { retry_after: None }, Action::ResetBeforeReply] {
        emulator.control().fault(fault(action));
        describe(&with_file(&emulator, &file).open()).unwrap();
    }
    emulator.control().fault(fault(Action::GarbageBody));
    let malformed = failure(&with_file(&emulator, &file));
    assert!(malformed.cause == Cause::Malformed && malformed.message.contains("has no token"), "{malformed}");
    emulator.control().clear_faults();
    // A server that never replies costs no more than the time of the call.
    emulator.control().fault(fault(Action::Hang));
    let settings = with_file(&emulator, &file);
    let network = Network { call_timeout: Duration::from_secs(2), retries: 0, ..settings.network.clone() };
    let late = failure(&Settings { network, ..settings });
    assert!(late.cause == Cause::TimedOut && late.message.contains("/token"), "{late}");
}

#[test]
fn many_threads_share_a_token() {
    let emulator = emulator();
    let backend = with_file(&emulator, &emulator.google().authorized_user_file()).open();
    std::thread::scope(|threads| {
        for _ in 0..16 {
            threads.spawn(|| describe(&backend).unwrap());
        }
    });
    assert_eq!(token_requests(&emulator), [1, 0, 0]);
    assert!(holds_in_child(|| describe(&backend).is_ok()), "a child logs in itself");
    assert_eq!(token_requests(&emulator), [2, 0, 0]);
}

#[test]
fn a_new_file_is_used_at_once() {
    let emulator = emulator();
    let google = emulator.google();
    let settings = with_file(&emulator, &google.authorized_user_file());
    let Credentials::File(path) = &settings.credentials else { panic!("{settings:?}") };
    let backend = settings.open();
    describe(&backend).unwrap();
    let account = google.without_proxy(&google.service_account_file().unwrap());
    for (number, (text, project)) in [("{".to_owned(), true), (account.to_string(), false)].into_iter().enumerate() {
        std::fs::write(path, text).unwrap();
        // The clock of the file system may not have advanced.
        let time = SystemTime::now() + Duration::from_secs(1 + number as u64);
        std::fs::File::open(path).unwrap().set_modified(time).unwrap();
        describe(&backend).unwrap();
        let log = emulator.control().log();
        assert_eq!(log.last().unwrap().quota_project.is_some(), project, "the user's file names a project");
    }
    assert_eq!(token_requests(&emulator), [1, 0, 0]);
}
