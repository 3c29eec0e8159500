//! No secret of Google is ever logged: with every kind of credentials, in success and in failure, at the most detailed
//! log level.

use super::secrets::{MESSAGE, encodings_of};
use crate::module_test;
use crate::support::login_slots::set;
use crate::support::p11::P11;
use crate::support::world::{World, module_path, redirected};
use cloud_kms_emulator::{Action, Fault, Google, GoogleKey};
use cryptoki_sys::*;
use serde_json::{Value, json};

const SIGN: &str = "google.AsymmetricSign";
const SUBJECT: &str = "a-subject-token-of-somebody";

/// Credentials, and whether a key can sign with them.
struct Case {
    name: &'static str,
    /// The file with the credentials. Without a file, the metadata server is used.
    file: Option<Value>,
    options: Value,
    works: bool,
}

fn case(name: &'static str, file: impl Into<Option<Value>>, works: bool) -> Case {
    Case { name, file: file.into(), options: json!({}), works }
}

fn changed(mut file: Value, member: &str, value: &str) -> Value {
    file[member] = json!(value);
    file
}

fn cases(world: &World) -> Vec<Case> {
    let google = world.emulator.google();
    google.allow_subject_token(SUBJECT);
    let subject = |name: &str, text: &str| {
        let path = world.home.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (known, unknown) = (subject("subject", SUBJECT), subject("unknown", "a-subject-token-that-nobody-knows"));
    let account = google.service_account_file().unwrap();
    // A user's file has no URL, unless someone adds it.
    let user = changed(google.authorized_user_file(), "token_uri", "https://oauth2.googleapis.com/token");
    let key = account["private_key"].as_str().unwrap();
    let mut impersonated = google.impersonated_file(Google::OTHER_ACCOUNT);
    impersonated["source_credentials"] = user.clone();
    let account_options = json!({ "google_impersonate_service_account": Google::OTHER_ACCOUNT });
    vec![
        case("service account", account.clone(), true),
        Case { options: account_options, ..case("service account that impersonates", account.clone(), true) },
        case("user", user.clone(), true),
        case("user who impersonates", impersonated, true),
        case("workload identity", google.external_account_file(&known, None), true),
        case(
            "workload identity that impersonates",
            google.external_account_file(&known, Some(Google::OTHER_ACCOUNT)),
            true,
        ),
        case("metadata server", None, true),
        case("broken private key", changed(account.clone(), "private_key", &key.replacen('M', "!", 1)), false),
        case("half a private key", changed(account.clone(), "private_key", &key[..key.len() / 2]), false),
        case(
            "private key in a member of another name",
            changed(changed(account.clone(), "private_key", ""), "private-key", key),
            false,
        ),
        case("wrong client secret", changed(user.clone(), "client_secret", "a-wrong-client-secret"), false),
        case("wrong refresh token", changed(user, "refresh_token", "1//a-wrong-refresh-token"), false),
        case("unknown subject token", google.external_account_file(&unknown, None), false),
    ]
}

/// Returns the secrets of these tests: what the emulator has issued, and what is in the files.
fn secrets(world: &World) -> Vec<Vec<u8>> {
    let google = world.emulator.google();
    let account = google.service_account_file().unwrap();
    let key = account["private_key"].as_str().unwrap();
    let lines = key.lines().filter(|line| !line.starts_with('-') && line.len() > 20).map(str::to_owned);
    let wrong = ["a-wrong-client-secret", "a-wrong-refresh-token", "a-subject-token-that-nobody-knows", SUBJECT];
    let all = google.secrets().into_iter().chain(lines).chain(wrong.map(str::to_owned)).map(String::into_bytes);
    let digest = cloud_kms_pkcs11::key::hash::Hash::Sha256.digest(MESSAGE);
    all.chain([MESSAGE.to_vec(), digest]).collect()
}

/// Returns all faults of the service and of the servers that issue tokens.
fn faults() -> Vec<Fault> {
    let error = |code: &str| Action::Error { status: 500, code: code.into(), message: "oops".into(), innererror: None };
    let actions = [
        error("INTERNAL"),
        Action::Deny,
        Action::ExpiredToken,
        Action::GarbageBody,
        Action::EmptyBody,
        Action::TruncatedBody,
        Action::WrongSignature,
        Action::WrongChecksum,
        Action::Throttle { retry_after: None },
        Action::ResetBeforeReply,
        Action::Page { status: 502, authenticate: None },
    ];
    let places = [SIGN, "google.Token", "google.StsToken", "google.GenerateAccessToken", "google.MetadataToken"];
    actions.iter().flat_map(|action| places.map(|place| Fault::new(place, action.clone()).times(2))).collect()
}

fn signs(p11: P11) -> bool {
    let session = p11.open(0);
    let keys = p11.find_class(session, CKO_PRIVATE_KEY);
    keys.first().is_some_and(|key| p11.sign(session, *key, CKM_ECDSA_SHA256, &[], MESSAGE).is_ok())
}

/// Signs without and with faults. Returns whether the first signature was made.
fn sign_often(world: &World, p11: P11) -> bool {
    p11.initialize().unwrap();
    let signed = signs(p11);
    for fault in faults().into_iter().filter(|_| signed) {
        // After C_Finalize and C_Initialize the token is fetched again.
        if fault.operation != SIGN {
            p11.finalize().unwrap();
            p11.initialize().unwrap();
        }
        world.emulator.control().fault(fault);
        signs(p11);
        world.emulator.control().clear_faults();
    }
    p11.finalize().unwrap();
    signed
}

module_test! {
    fn no_secret_of_google_is_logged(world) {
        let google = world.emulator.google();
        let version = google.create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256")).unwrap().version;
        set("GCE_METADATA_HOST", world.emulator.http_url().trim_start_matches("http://"));
        let p11 = P11::load(&module_path());
        for case in cases(world) {
            let mut options = json!({
                "google_endpoint_url": world.emulator.http_url(), "retries": 0, "call_timeout_ms": 5000, "cache": false,
            });
            options.as_object_mut().unwrap().extend(case.options.as_object().unwrap().clone());
            if let Some(file) = &case.file {
                let path = world.home.join("credentials.json");
                std::fs::write(&path, google.without_proxy(file).to_string()).unwrap();
                options["google_credentials_file"] = json!(path);
            }
            // The account's own options lead to the token servers by Google's names.
            options["proxy"] = json!(world.emulator.http_url());
            world.configure_with(json!([{ "label": "k", "google_key": version }]), options);
            let (before, stderr) = (world.log().len(), world.home.join("stderr"));
            let signed = redirected(&stderr, || sign_often(world, p11));
            let log = world.log()[before..].to_owned() + &std::fs::read_to_string(&stderr).unwrap();
            std::fs::remove_file(&stderr).unwrap();
            assert_eq!(signed, case.works, "{}: {log}", case.name);
            assert!(log.lines().count() > if signed { 100 } else { 5 }, "{}: too few lines for level debug: {log}", case.name);
            let beginnings = ["Bearer ", "eyJ", "ya29."].map(str::to_owned);
            for form in secrets(world).iter().flat_map(|secret| encodings_of(secret)).chain(beginnings) {
                let line = log.lines().find(|line| line.contains(&form));
                assert_eq!(line, None, "{}: {form}", case.name);
            }
        }
    }
}
