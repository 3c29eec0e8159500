//! The credentials of Google Cloud: files, tokens and JWTs, made by openssl and shown by curl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::{Action, Fault, Google};
use common::{Answer, Bench, base64url, bench};
use serde_json::{Value, json};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A JWT that openssl has signed with the key of a credential file.
fn jwt(bench: &Bench, file: &Value, claims: &Value) -> String {
    let key = bench.write("key.pem", file["private_key"].as_str().unwrap().as_bytes());
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": file["private_key_id"] });
    let signed = [&header, claims].map(|part| base64url(part.to_string().as_bytes())).join(".");
    let arguments = ["pkeyutl", "-sign", "-inkey", &key, "-rawin", "-digest", "sha256"];
    format!("{signed}.{}", base64url(&bench.openssl(&arguments, signed.as_bytes())))
}

/// A request to Cloud KMS with a token: its status, and the reason of a refusal.
fn lists(bench: &Bench, token: &str) -> (u16, String) {
    let url = format!("{}/v1/projects/p/locations/global/keyRings", bench.emulator.http_url());
    let answer = bench.vault_url("GET", &url, token, None);
    (answer.status, answer.json()["error"]["details"][0]["reason"].as_str().unwrap_or_default().to_owned())
}

fn form(bench: &Bench, url: &str, fields: &[(&str, &str)]) -> Answer {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut arguments = Vec::new();
    for field in &fields {
        arguments.extend(["--data-urlencode", field]);
    }
    let proxy = bench.emulator.http_url();
    arguments.extend(["--proxy", &proxy, url]);
    bench.curl(&arguments)
}

#[test]
fn a_jwt_of_the_service_account_is_a_token() {
    let bench = bench();
    let file = bench.emulator.google().service_account_file().unwrap();
    let now = bench.emulator.control().now();
    let good = json!({
        "iss": Google::SERVICE_ACCOUNT, "sub": Google::SERVICE_ACCOUNT, "scope": SCOPE, "iat": now, "exp": now + 3600,
    });
    let with = |changes: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        lists(&bench, &jwt(&bench, &file, &claims))
    };
    let (ok, invalid) = ((200, String::new()), (401, "ACCESS_TOKEN_TYPE_UNSUPPORTED".to_owned()));
    assert_eq!(with(json!({})), ok);
    assert_eq!(with(json!({ "scope": null, "aud": "https://cloudkms.googleapis.com/" })), ok);
    assert_eq!(with(json!({ "scope": "https://www.googleapis.com/auth/cloudkms" })), ok);
    assert_eq!(with(json!({ "scope": null })), invalid);
    assert_eq!(with(json!({ "scope": null, "aud": "https://storage.googleapis.com/" })), invalid);
    assert_eq!(
        with(json!({ "scope": "https://www.googleapis.com/auth/devstorage" })).1,
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    );
    assert_eq!(with(json!({ "iss": "other@emulator-project.iam.gserviceaccount.com" })), invalid);
    assert_eq!(with(json!({ "sub": "other" })), invalid);
    assert_eq!(with(json!({ "exp": now + 3601 })), invalid, "longer than an hour");
    assert_eq!(with(json!({ "iat": now + 600, "exp": now + 1200 })), invalid, "of the future");
    assert_eq!(with(json!({ "iat": now - 1200, "exp": now - 600 })), (401, "ACCESS_TOKEN_EXPIRED".into()));
    let mut other = file.clone();
    other["private_key_id"] = json!("another");
    assert_eq!(lists(&bench, &jwt(&bench, &other, &good)), invalid);
    let (signed, signature) =
        jwt(&bench, &file, &good).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let swapped = signature.chars().rev().collect::<String>();
    assert_eq!(lists(&bench, &format!("{signed}.{swapped}")), invalid);
    bench.emulator.control().shift_clock(3600 + 301);
    assert_eq!(lists(&bench, &jwt(&bench, &file, &good)).1, "ACCESS_TOKEN_EXPIRED");
}

#[test]
fn the_token_endpoint_takes_a_jwt_under_its_real_name() {
    let bench = bench();
    let file = bench.emulator.google().service_account_file().unwrap();
    let url = file["token_uri"].as_str().unwrap();
    assert_eq!(url, "https://oauth2.googleapis.com/token");
    let now = bench.emulator.control().now();
    let ask = |changes: Value| {
        let mut claims =
            json!({ "iss": Google::SERVICE_ACCOUNT, "aud": url, "scope": SCOPE, "iat": now, "exp": now + 3600 });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        form(&bench, url, &[("grant_type", grant), ("assertion", &jwt(&bench, &file, &claims))])
    };
    let token = ask(json!({})).json();
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(3599)));
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(lists(&bench, token).0, 200);
    assert_eq!(lists(&bench, "ya29.other").1, "ACCESS_TOKEN_TYPE_UNSUPPORTED");
    let refused = |changes: Value| ask(changes).json()["error_description"].as_str().unwrap().to_owned();
    assert!(refused(json!({ "aud": "https://example.com/" })).contains("audience"));
    assert_eq!(refused(json!({ "iss": "nobody" })), "Invalid grant: account not found");
    assert!(refused(json!({ "exp": now + 7200 })).contains("short-lived"));
    assert_eq!(ask(json!({ "scope": "" })).json()["error"], "invalid_scope");
    assert_eq!(form(&bench, url, &[("grant_type", "password")]).json()["error"], "unsupported_grant_type");
    assert_eq!(bench.emulator.control().count("google.Token"), 6);
    bench.emulator.control().shift_clock(3600);
    assert_eq!(lists(&bench, token).1, "ACCESS_TOKEN_EXPIRED");
    bench.emulator.control().fault(Fault::new("google.Token", Action::Throttle { retry_after: None }).times(1));
    assert_eq!(form(&bench, url, &[("grant_type", "password")]).status, 429);
}

#[test]
fn a_user_has_a_refresh_token_until_it_is_revoked() {
    let bench = bench();
    let file = bench.emulator.google().authorized_user_file();
    let text = |name: &str| file[name].as_str().unwrap();
    let ask = |secret: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", text("client_id")),
            ("client_secret", secret),
            ("refresh_token", text("refresh_token")),
        ];
        form(&bench, "https://oauth2.googleapis.com/token", &fields)
    };
    let token = ask(text("client_secret")).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(lists(&bench, &token).0, 200);
    let wrong = ask("other");
    assert_eq!((wrong.status, &wrong.json()["error"]), (401, &json!("invalid_client")));
    bench.emulator.google().revoke_refresh_token();
    let revoked = ask(text("client_secret"));
    assert_eq!((revoked.status, &revoked.json()["error"]), (400, &json!("invalid_grant")));
    bench.emulator.google().forget_tokens();
    assert_eq!(lists(&bench, &token).0, 401);
}

#[test]
fn a_foreign_token_is_exchanged_and_another_account_impersonated() {
    let bench = bench();
    let google = bench.emulator.google();
    let token_file = bench.folder.path().join("token");
    let file = google.external_account_file(&token_file, Some(Google::OTHER_ACCOUNT));
    let exchange = |subject: &str, audience: &str, scope: &str| {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", file["subject_token_type"].as_str().unwrap()),
            ("audience", audience),
            ("scope", scope),
            ("subject_token", subject),
        ];
        form(&bench, file["token_url"].as_str().unwrap(), &fields)
    };
    let audience = file["audience"].as_str().unwrap();
    let token = exchange(Google::SUBJECT_TOKEN, audience, SCOPE).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(lists(&bench, &token).0, 200);
    assert_eq!(exchange("other", audience, SCOPE).json()["error"], "invalid_grant");
    assert_eq!(exchange(Google::SUBJECT_TOKEN, "//example.com", SCOPE).json()["error"], "invalid_target");
    let issued = google.issue_id_token("https://example.com").unwrap();
    assert_eq!(exchange(&issued, audience, SCOPE).status, 200);

    let entra = bench.emulator.entra().issue_token("https://example.com");
    assert_eq!(exchange(&entra, audience, SCOPE).status, 200);

    // The token that impersonates need not be good for Cloud KMS.
    let iam = exchange(Google::SUBJECT_TOKEN, audience, "https://www.googleapis.com/auth/iam").json();
    let iam = iam["access_token"].as_str().unwrap();
    assert_eq!(lists(&bench, iam), (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT".into()));
    let url = google.without_proxy(&file)["service_account_impersonation_url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&bench.emulator.http_url()));
    let impersonate = |url: &str, token: &str, body: Value| bench.vault_url("POST", url, token, Some(&body));
    let made = impersonate(&url, iam, json!({ "scope": [SCOPE], "lifetime": "600s" })).json();
    assert!(made["expireTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(lists(&bench, made["accessToken"].as_str().unwrap()).0, 200);
    assert_eq!(impersonate(&url, iam, json!({ "scope": [SCOPE], "lifetime": "3601s" })).status, 400);
    assert_eq!(impersonate(&url, iam, json!({})).status, 400);
    assert_eq!(impersonate(&url, "other", json!({ "scope": [SCOPE] })).status, 401);
    let stranger = url.replace(Google::OTHER_ACCOUNT, "signer@example.com");
    let denied = impersonate(&stranger, iam, json!({ "scope": [SCOPE] }));
    let metadata = denied.json()["error"]["details"][0]["metadata"].clone();
    assert_eq!((denied.status, &metadata["permission"]), (403, &json!("iam.serviceAccounts.getAccessToken")));
    bench.emulator.control().shift_clock(601);
    assert_eq!(lists(&bench, made["accessToken"].as_str().unwrap()).1, "ACCESS_TOKEN_EXPIRED");
}

#[test]
fn a_machine_gets_the_token_of_its_service_account() {
    let bench = bench();
    let url = |path: &str| format!("{}/computeMetadata/v1/{path}", bench.emulator.http_url());
    let get = |path: &str| bench.curl(&["-H", "Metadata-Flavor: Google", &url(path)]);
    let account = "instance/service-accounts/default";
    let token = get(&format!("{account}/token"));
    assert_eq!(token.header("metadata-flavor").as_deref(), Some("Google"));
    assert_eq!(lists(&bench, token.json()["access_token"].as_str().unwrap()).0, 200);
    assert_eq!(get(&format!("{account}/email")).text(), Google::SERVICE_ACCOUNT);
    assert_eq!(get("universe/universe-domain").text(), "googleapis.com");
    assert_eq!(get("project/project-id").text(), Google::PROJECT);
    assert_eq!(get("instance/service-accounts/other/token").status, 404);
    assert_eq!(get(&format!("{account}/identity?audience=x")).text().split('.').count(), 3);
    assert_eq!(bench.curl(&[&url(&format!("{account}/token"))]).status, 403, "without the header");
    let far = ["-H", "Metadata-Flavor: Google", "-H", "X-Forwarded-For: 10.0.0.1", &url(&format!("{account}/token"))];
    assert_eq!(bench.curl(&far).status, 403, "by a proxy");
    assert_eq!(bench.emulator.control().count("google.MetadataToken"), 4);
    let narrow = get(&format!("{account}/token?scopes=https://www.googleapis.com/auth/iam")).json();
    assert_eq!(lists(&bench, narrow["access_token"].as_str().unwrap()).0, 403);
}

/// A request to the control interface of Google.
fn control(bench: &Bench, method: &str, path: &str, body: &str) -> Answer {
    let url = format!("{}/_control/google/{path}", bench.emulator.http_url());
    bench.curl(&["-X", method, "--data-binary", body, &url])
}

#[test]
fn the_control_interface_makes_keys() {
    let bench = bench();
    let control = |method: &str, path: &str, body: &str| control(&bench, method, path, body);
    let made =
        control("POST", "keys", r#"{"id": "k", "algorithm": "EC_SIGN_P256_SHA256", "protection_level": "SOFTWARE"}"#)
            .json();
    let name = made["name"].as_str().unwrap();
    assert!(control("GET", "keys/k/public.pem", "").text().starts_with("-----BEGIN PUBLIC KEY-----"));
    let second = control("POST", "keys/k/versions", "").json();
    assert_eq!(second["version"], json!(format!("{name}/cryptoKeyVersions/2")));
    let state = |version: &str| bench.emulator.google().version_state(version).unwrap();
    for (verb, body, expected) in [
        ("disable", "", "DISABLED"),
        ("enable", "", "ENABLED"),
        ("destroy", "", "DESTROY_SCHEDULED"),
        ("state", r#"{"state": "IMPORT_FAILED"}"#, "IMPORT_FAILED"),
    ] {
        assert_eq!(control("POST", &format!("keys/{name}/cryptoKeyVersions/1/{verb}"), body).status, 200);
        assert_eq!(
            (state(&format!("{name}/cryptoKeyVersions/1")).as_str(), state("k").as_str()),
            (expected, "ENABLED")
        );
    }
    assert_eq!(control("POST", "keys/k/state", r#"{"state": "GOOD"}"#).status, 400);
    assert_eq!(control("POST", "keys/k/label", r#"{"name": "a", "value": "b"}"#).status, 200);
    assert_eq!(bench.emulator.google().labels(name).unwrap()["a"], "b");
    assert_eq!(control("POST", "keys/k/algorithm", r#"{"algorithm": "EC_SIGN_P384_SHA384"}"#).status, 200);
    let third = control("POST", "keys/k/versions", "").json();
    let version = bench.google("GET", third["version"].as_str().unwrap(), None).json();
    assert_eq!(version["algorithm"], "EC_SIGN_P384_SHA384");
    assert_eq!((control("DELETE", "keys/k", "").status, control("DELETE", "keys/k", "").status), (200, 404));
    for body in [
        r#"{"id": "k", "algorithm": "RSA"}"#,
        r#"{"id": "a b", "algorithm": "HMAC_SHA256"}"#,
        r#"{"algorithm": "HMAC_SHA256"}"#,
    ] {
        assert_eq!(control("POST", "keys", body).status, 400);
    }
}

#[test]
fn the_control_interface_makes_credentials() {
    let bench = bench();
    let control = |method: &str, path: &str| control(&bench, method, path, "");
    for (name, kind) in [
        ("service-account", "service_account"),
        ("authorized-user", "authorized_user"),
        ("impersonated", "impersonated_service_account"),
    ] {
        assert_eq!(control("GET", &format!("{name}.json")).json()["type"], kind);
    }
    let local = control("GET", "local/service-account.json").json();
    assert_eq!(local["token_uri"], json!(format!("{}/token", bench.emulator.http_url())));
    let token = control("GET", "token").json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(lists(&bench, &token).0, 200);
    assert_eq!((control("DELETE", "tokens").status, lists(&bench, &token).0), (200, 401));
}
