//! Tokens and logins of a real Vault, and how its server is recognized.

use crate::front::Front;
use crate::server::{FILES, holds_soon, named, wait};
use crate::vault::{administer, described, front, server, settings, text};
use cloud_kms_pkcs11::cloud::vault::{Auth, Credential, Login, Pin, SecretId, Settings};
use cloud_kms_pkcs11::cloud::{Cause, ClientCertificate, LoginError, Network};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn app_role(server: &Value, secret_id: SecretId) -> Credential {
    Credential::AppRole { role_id: text(server, "role_id"), secret_id: Some(secret_id) }
}

fn by_text(secret_id: &str) -> SecretId {
    SecretId::Text(secret_id.to_owned().into())
}

fn login(mount: &str, credential: Credential) -> Auth {
    Auth::Login(Login { mount: mount.into(), credential })
}

/// Creates an AppRole with these fields, and returns the login with it.
fn new_app_role(server: &Value, name: &str, mut fields: Value) -> Auth {
    fields["token_policies"] = json!(["signer"]);
    administer(server, &format!("POST /v1/auth/approle/role/{name}"), fields);
    let role = administer(server, &format!("GET /v1/auth/approle/role/{name}/role-id"), json!({}));
    let secret = administer(server, &format!("POST /v1/auth/approle/role/{name}/secret-id"), json!({}));
    let role_id = role["data"]["role_id"].as_str().unwrap().to_owned();
    let secret_id = Some(by_text(secret["data"]["secret_id"].as_str().unwrap()));
    login("approle", Credential::AppRole { role_id, secret_id })
}

#[test]
fn each_login_brings_a_token() {
    let Some(server) = server() else { return };
    let secret_file = FILES.path().join("secret-id");
    std::fs::write(&secret_file, format!("{}\n", text(&server, "secret_id"))).unwrap();
    let jwt = |role: &str, file: &str| Credential::Jwt { role: Some(role.into()), file: text(&server, file).into() };
    let certificate = Some(ClientCertificate {
        certificate: text(&server, "client_certificate").into(),
        key: text(&server, "client_key").into(),
    });
    let by_certificate = || Credential::Certificate { role: Some("signer".into()) };
    let with = |mount: &str, credential, client_certificate: Option<ClientCertificate>| {
        let network = Network { client_certificate, ..settings(&server).network };
        described(&Settings { auth: login(mount, credential), network, ..settings(&server) }, "p256")
    };
    with("approle", app_role(&server, by_text(&text(&server, "secret_id"))), None).unwrap();
    with("approle", app_role(&server, SecretId::File(secret_file)), None).unwrap();
    with("jwt", jwt("signer", "jwt_file"), None).unwrap();
    with("kubernetes", jwt("signer", "kubernetes_token_file"), None).unwrap();
    with("cert", by_certificate(), certificate.clone()).unwrap();
    with("cert", Credential::Certificate { role: None }, certificate).unwrap();
    for (mount, credential) in [
        ("approle", app_role(&server, by_text("wrong"))),
        ("jwt", jwt("nobody", "jwt_file")),
        ("kubernetes", jwt("nobody", "kubernetes_token_file")),
        ("cert", by_certificate()),
        ("nowhere", app_role(&server, by_text("wrong"))),
    ] {
        let failure = with(mount, credential, None).unwrap_err();
        assert_eq!(failure.cause, Cause::Credentials, "{failure}");
        assert!(failure.message.contains(&format!("no token by the auth method at {mount:?}")), "{failure}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let Some(server) = server() else { return };
    let missing = || std::path::PathBuf::from("/nowhere/token");
    for (auth, cause, words) in [
        (
            Auth::TokenFile(missing()),
            Cause::Credentials,
            "there is no token: /nowhere/token: the file does not exist; set VAULT_TOKEN",
        ),
        (
            login("approle", app_role(&server, SecretId::File(missing()))),
            Cause::Settings,
            "/nowhere/token: the file does not exist",
        ),
        (
            login("jwt", Credential::Jwt { role: None, file: missing() }),
            Cause::Settings,
            "/nowhere/token: the file does not exist",
        ),
    ] {
        let failure = described(&Settings { auth, ..settings(&server) }, "p256").unwrap_err();
        assert!(failure.cause == cause && failure.message.contains(words), "{failure}");
    }
}

#[test]
fn a_token_file_is_read_again_when_it_changes() {
    let Some(server) = server() else { return };
    let ((front, settings), file) = (front(&server), FILES.path().join("vault-sink"));
    let new_token = || {
        let reply = administer(&server, "POST /v1/auth/token/create", json!({ "policies": ["signer"] }));
        reply["auth"]["client_token"].as_str().unwrap().to_owned()
    };
    let backend = Settings { auth: Auth::TokenFile(file.clone()), ..settings }.open();
    let mut time = std::time::SystemTime::now();
    for token in [new_token(), new_token()] {
        std::fs::write(&file, &token).unwrap();
        // The clock of the file system may not have advanced.
        time += Duration::from_secs(1);
        std::fs::File::open(&file).unwrap().set_modified(time).unwrap();
        wait(backend.describe(&named("p256"))).unwrap();
        let seen = front.seen();
        assert_eq!((seen.len(), seen[0].token.clone()), (1, Some(token)), "both tokens are valid");
    }
    std::fs::write(&file, "hvs.wrong").unwrap();
    std::fs::File::open(&file).unwrap().set_modified(time + Duration::from_secs(1)).unwrap();
    let failure = wait(backend.describe(&named("p256"))).unwrap_err();
    assert_eq!(failure.cause, Cause::Credentials, "{failure}");
}

/// Revokes the token of the last request.
fn revoke_last(server: &Value, front: &Front) {
    let token = front.seen().pop().and_then(|seen| seen.token).unwrap();
    administer(server, "POST /v1/auth/token/revoke", json!({ "token": token }));
}

#[test]
fn a_login_is_repeated_when_its_token_has_ended() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    let auth = new_app_role(&server, "repeated", json!({}));
    let backend = Settings { auth, ..settings }.open();
    wait(backend.describe(&named("p256"))).unwrap();
    revoke_last(&server, &front);
    wait(backend.describe(&named("p256"))).unwrap();
    // A newer server says that the token is not valid. An older one is asked.
    let mut lines = front.lines();
    lines.retain(|line| line != "GET /v1/auth/token/lookup-self");
    let read = "GET /v1/transit/keys/p256";
    assert_eq!(lines, [read, "POST /v1/auth/approle/login", read]);
}

#[test]
fn a_denial_is_no_reason_for_another_login() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    let auth = new_app_role(&server, "denied", json!({}));
    let backend = Settings { auth, mount: "sys".into(), ..settings }.open();
    for _ in 0..3 {
        let failure = wait(backend.describe(&named("p256"))).unwrap_err();
        assert_eq!(failure.cause, Cause::Denied);
        assert!(
            failure.message.contains("needed: a policy with the capability \"read\" on \"sys/keys/p256\""),
            "{failure}"
        );
    }
    assert_eq!(front.lines().iter().filter(|line| line.contains("login")).count(), 1);
}

#[test]
fn a_token_is_renewed_before_it_ends_and_fetched_anew_when_it_has_ended() {
    let Some(server) = server() else { return };
    let is_seen = |auth, words: &str| {
        let (front, settings) = front(&server);
        let (backend, mut lines) = (Settings { auth, ..settings }.open(), Vec::new());
        let sought = std::cell::RefCell::new(&mut lines);
        assert!(
            holds_soon(|| {
                wait(backend.describe(&named("p256"))).unwrap();
                sought.borrow_mut().extend(front.lines());
                sought.borrow().iter().filter(|line| line.contains(words)).count() >= 2
            }),
            "{words}"
        );
        lines
    };
    let renewable = new_app_role(&server, "renewable", json!({ "token_ttl": "2s" }));
    let lines = is_seen(renewable, "POST /v1/auth/token/renew-self");
    assert_eq!(lines.iter().filter(|line| line.contains("login")).count(), 1);
    let batch = new_app_role(&server, "batch", json!({ "token_ttl": "1s", "token_type": "batch" }));
    let lines = is_seen(batch, "POST /v1/auth/approle/login");
    assert!(!lines.iter().any(|line| line.contains("renew-self")));
}

#[test]
fn the_pin_is_checked_by_the_server() {
    let Some(server) = server() else { return };
    let soon = || Instant::now() + Duration::from_secs(60);
    let with = |login| Settings { auth: Auth::None, login: Some(login), ..settings(&server) }.open();
    let secret_id = Pin::SecretId { mount: "approle".into(), role_id: text(&server, "role_id") };
    for (login, good) in [(Pin::Token, text(&server, "token")), (secret_id, text(&server, "secret_id"))] {
        let backend = with(login.clone());
        let failure = wait(backend.describe(&named("p256"))).unwrap_err();
        assert!(failure.message.contains("no user is logged in"), "{failure}");
        let Err(LoginError::Incorrect(words)) = backend.log_in("wrong-pin".to_owned().into(), soon()).map(drop) else {
            panic!("{login:?}: a wrong PIN must be incorrect");
        };
        assert!(!words.contains("wrong-pin"), "{words}");
        backend.log_in(good.into(), soon()).unwrap_or_else(|error| panic!("{login:?}: {error:?}"))();
        wait(backend.describe(&named("p256"))).unwrap();
        backend.log_out();
        assert!(wait(backend.describe(&named("p256"))).is_err());
    }
}

#[test]
fn the_server_is_recognized_by_its_authority_and_name() {
    let Some(server) = server() else { return };
    let with = |network| described(&Settings { network, ..settings(&server) }, "p256").map(drop);
    let network = || settings(&server).network;
    let folder = FILES.path().join("authorities");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(text(&server, "ca_bundle"), folder.join("own.pem")).unwrap();
    std::fs::write(folder.join("README"), "no certificate").unwrap();
    assert_eq!(with(Network { ca_bundle: Some(folder), ..network() }), Ok(()));
    assert_eq!(with(Network { server_name: Some("localhost".into()), ..network() }), Ok(()));
    let failure = with(Network { server_name: Some("vault.example.com".into()), ..network() }).unwrap_err();
    assert_eq!(failure.cause, Cause::Untrusted, "{failure}");
    let failure = with(Network { ca_bundle: None, ..network() }).unwrap_err();
    assert!(failure.cause == Cause::Untrusted && failure.message.contains("ca_bundle"), "{failure}");
    let failure = with(Network { server_name: Some("not a name".into()), ..network() }).unwrap_err();
    assert_eq!(failure.cause, Cause::Settings, "{failure}");
}
