//! A real Vault: the server "vault" in the file that CONTRACT_SERVERS names. Its cases are those of `others.rs`; here are the
//! logins, the failures and random bytes.

use crate::server::{FILES, named, wait};
use cloud_kms_pkcs11::cloud::vault::{Auth, Credential, Login, Settings};
use cloud_kms_pkcs11::cloud::{Cause, Failure, KeyDescription, Network, ServiceSettings};
use serde_json::Value;
use std::sync::LazyLock;

/// Returns the description of the server, if there is one.
fn server() -> Option<Value> {
    LazyLock::force(&FILES);
    let file = std::env::var_os("CONTRACT_SERVERS").map(|path| std::fs::read(path).unwrap());
    let servers: Option<Value> = file.map(|file| serde_json::from_slice(&file).unwrap());
    let vault = servers.and_then(|servers| servers["servers"].get("vault").cloned());
    if vault.is_none() {
        eprintln!("CONTRACT_SERVERS names no Vault: nothing to do");
    }
    vault
}

fn text(server: &Value, name: &str) -> String {
    server[name].as_str().unwrap().to_owned()
}

fn settings(server: &Value) -> Settings {
    Settings {
        address: text(server, "address"),
        auth: Auth::Token(text(server, "token").into()),
        network: Network { ca_bundle: Some(text(server, "ca_bundle").into()), retries: 0, ..Network::default() },
        ..Settings::default()
    }
}

fn described(settings: &Settings, key: &str) -> Result<KeyDescription, Failure> {
    wait(settings.open().describe(&named(key)))
}

#[test]
fn each_login_brings_a_token() {
    let Some(server) = server() else { return };
    let app_role =
        |secret_id: String| Credential::AppRole { role_id: text(&server, "role_id"), secret_id: secret_id.into() };
    let jwt = |role: &str| Credential::Jwt { role: role.into(), file: text(&server, "jwt_file").into() };
    let with = |mount: &str, credential| {
        let auth = Auth::Login(Login { mount: mount.into(), credential });
        described(&Settings { auth, ..settings(&server) }, "p256")
    };
    with("approle", app_role(text(&server, "secret_id"))).unwrap();
    with("jwt", jwt("signer")).unwrap();
    for (mount, credential) in
        [("approle", app_role("wrong".into())), ("jwt", jwt("nobody")), ("nowhere", app_role("wrong".into()))]
    {
        let failure = with(mount, credential).unwrap_err();
        assert_eq!(failure.cause, Cause::Credentials, "{failure}");
        assert!(failure.message.contains(&format!("no token by the auth method at {mount:?}")), "{failure}");
    }
    let file = FILES.path().join("vault-token");
    std::fs::write(&file, format!("{}\n", text(&server, "token"))).unwrap();
    let auth = Auth::TokenFile(file.clone());
    assert!(described(&Settings { auth, ..settings(&server) }, "p256").is_ok());
}

#[test]
fn a_token_file_is_read_again_when_its_token_is_rejected() {
    let Some(server) = server() else { return };
    let file = FILES.path().join("vault-token-that-changes");
    std::fs::write(&file, "hvs.expired").unwrap();
    let backend = Settings { auth: Auth::TokenFile(file.clone()), ..settings(&server) }.open();
    let failure = wait(backend.describe(&named("p256"))).unwrap_err();
    assert!([Cause::Denied, Cause::Credentials].contains(&failure.cause), "{failure}");
    std::fs::write(&file, text(&server, "token")).unwrap();
    assert!(wait(backend.describe(&named("p256"))).is_ok());
}

#[test]
fn failures_say_what_is_wrong() {
    let Some(server) = server() else { return };
    let other_mount = Settings { mount: "other/transit".into(), ..settings(&server) };
    let forbidden = Settings { mount: "sys".into(), ..settings(&server) };
    for (settings, key, causes, words) in [
        (settings(&server), "missing", &[Cause::NotFound][..], "no such key"),
        (settings(&server), "a/../b c", &[Cause::NotFound, Cause::Rejected, Cause::Unsupported, Cause::Denied], ""),
        (settings(&server), "aes", &[Cause::Unsupported], "aes256-gcm96"),
        (other_mount, "p256", &[Cause::Denied, Cause::NotFound], "other/transit/keys/p256"),
        (forbidden, "p256", &[Cause::Denied], "needed: a policy with the capability \"read\" on \"sys/keys/p256\""),
        (
            Settings { auth: Auth::Token("wrong".to_owned().into()), ..settings(&server) },
            "p256",
            &[Cause::Denied],
            "permission denied",
        ),
        (
            Settings { auth: Auth::Token("not\na token".to_owned().into()), ..settings(&server) },
            "p256",
            &[Cause::Settings],
            "no token has",
        ),
        (
            Settings { address: "https://127.0.0.1:1".into(), ..settings(&server) },
            "p256",
            &[Cause::Unreachable],
            "127.0.0.1:1",
        ),
    ] {
        let failure = described(&settings, key).unwrap_err();
        assert!(causes.contains(&failure.cause) && failure.message.contains(words), "{key}: {failure}");
    }
}

#[test]
fn the_service_makes_random_bytes() {
    let Some(server) = server() else { return };
    let backend = settings(&server).open();
    let [first, second] = [0; 2].map(|_| wait(backend.random(1000)).unwrap());
    assert!(first.len() == 1000 && first != second);
}

#[test]
fn a_pinned_version_stays() {
    let Some(server) = server() else { return };
    let backend = settings(&server).open();
    let version = |version: Option<&str>| {
        let mut name = named("rotated");
        name.version = version.map(str::to_owned);
        wait(backend.describe(&name))
    };
    assert_eq!(version(None).unwrap().immutable_id.as_deref(), Some("transit/rotated/3"));
    let (second, third) = (version(Some("2")).unwrap(), version(Some("3")).unwrap());
    assert_eq!(second.immutable_id.as_deref(), Some("transit/rotated/2"));
    assert_ne!(second.public_key, third.public_key);
    assert_eq!(version(Some("4")).unwrap_err().cause, Cause::NotFound);
}
