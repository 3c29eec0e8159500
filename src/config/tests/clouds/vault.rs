//! Tests of the options for Vault, and of the variables of Vault's and OpenBao's own programs.

use crate::cloud::ClientCertificate;
use crate::cloud::vault::{Auth, Credential, Login, Pin, SecretId, Settings};
use crate::config::tests::*;

const KEY: &str = r#""transit_key": "k", "vault_address": "https://v:8200/""#;

fn vault_of(slot: &Slot) -> &Settings {
    match &*slot.service {
        Service::Vault(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn settings(mut world: TestEnvironment) -> Settings {
    vault_of(&world.config().slots[0]).clone()
}

fn auth(members: &str) -> Auth {
    settings(slot(&format!("{KEY}, {members}"))).auth
}

fn login(mount: &str, credential: Credential) -> Auth {
    Auth::Login(Login { mount: mount.into(), credential })
}

#[test]
fn a_slot_needs_a_key_and_an_address() {
    let mut world = slot(&format!("{KEY}, \"key_version\": \"2\""));
    let config = world.config();
    assert_eq!(only_key(&config).name, KeyName { id: "k".into(), version: Some("2".into()) });
    let Settings { address, mount, namespace, .. } = vault_of(&config.slots[0]);
    assert_eq!((address.as_str(), mount.as_str(), namespace), ("https://v:8200", "transit", &None));
    let other = settings(slot(&format!(r#"{KEY}, "transit_mount": "/a/b/", "vault_namespace": "team/x/""#)));
    assert_eq!((other.mount.as_str(), other.namespace.as_deref()), ("a/b", Some("team/x")));
    let by_variable = |name: &str| slot(r#""cloud": "vault", "transit_key": "k""#).set(name, "http://127.0.0.1:8200");
    assert_eq!(settings(by_variable("VAULT_ADDR")).address, "http://127.0.0.1:8200");
    assert_eq!(settings(by_variable("VAULT_ADDR").set("BAO_ADDR", "https://bao")).address, "https://bao");
}

#[test]
fn the_token_comes_from_the_first_place_that_has_one() {
    let token = |text: &str| Auth::Token(text.to_owned().into());
    assert_eq!(auth(r#""vault_token": "t""#), token("t"));
    assert_eq!(auth(r#""vault_token_file": "/t""#), Auth::TokenFile("/t".into()));
    let home = || slot(KEY).set("HOME", "/home/me");
    assert_eq!(settings(home()).auth, Auth::TokenFile("/home/me/.vault-token".into()));
    assert_eq!(settings(home().set("VAULT_TOKEN", "v")).auth, token("v"));
    assert_eq!(settings(home().set("VAULT_TOKEN", "v").set("BAO_TOKEN", "b")).auth, token("b"));
    assert_eq!(settings(slot(KEY)).auth, Auth::None);
}

#[test]
fn each_auth_method_arrives() {
    let app_role = |secret_id| login("approle", Credential::AppRole { role_id: "r".into(), secret_id });
    assert_eq!(auth(r#""vault_role_id": "r""#), app_role(None));
    let text = SecretId::Text("s".to_owned().into());
    assert_eq!(auth(r#""vault_role_id": "r", "vault_secret_id": "s""#), app_role(Some(text)));
    let file = SecretId::File("/s".into());
    assert_eq!(auth(r#""vault_role_id": "r", "vault_secret_id_file": "/s""#), app_role(Some(file)));
    let jwt = |role: Option<&str>, file: &str| Credential::Jwt { role: role.map(Into::into), file: file.into() };
    assert_eq!(auth(r#""vault_jwt_file": "/j""#), login("jwt", jwt(None, "/j")));
    assert_eq!(
        auth(r#""vault_auth": "kubernetes", "vault_role": "r", "vault_auth_mount": "cluster-a/""#),
        login("cluster-a", jwt(Some("r"), "/var/run/secrets/kubernetes.io/serviceaccount/token"))
    );
    let certificate = settings(slot(&format!(r#"{KEY}, "vault_auth": "cert", "vault_client_certificate_path": "/c""#)));
    assert_eq!(certificate.auth, login("cert", Credential::Certificate { role: None }));
    let files = ClientCertificate { certificate: "/c".into(), key: "/c".into() };
    assert_eq!(certificate.network.client_certificate, Some(files));
}

#[test]
fn a_slots_own_credential_replaces_those_of_the_file() {
    let of = |top: &str, members: &str| settings(own(&format!("{{{top}, \"slots\": [{{{KEY}, {members}}}]}}"))).auth;
    let token = Auth::Token("t".to_owned().into());
    assert_eq!(of(r#""vault_role_id": "r""#, r#""vault_token": "t""#), token);
    assert_eq!(of(r#""vault_auth": "approle", "vault_role_id": "r""#, r#""vault_token": "t""#), token);
    assert_eq!(of(r#""vault_token_file": "/t""#, r#""vault_token": "t""#), token);
    assert_eq!(of(r#""vault_token": "t""#, r#""vault_token_file": "/t""#), Auth::TokenFile("/t".into()));
    let app_role = login("approle", Credential::AppRole { role_id: "r".into(), secret_id: None });
    assert_eq!(of(r#""vault_token": "t""#, r#""vault_role_id": "r""#), app_role);
    assert_eq!(of(r#""vault_role_id": "r", "vault_token": "t""#, r#""vault_auth": "approle""#), app_role);
}

#[test]
fn the_pin_is_a_credential() {
    let token = settings(slot(&format!(r#"{KEY}, "login": "vault_token""#)));
    assert_eq!((token.auth, token.login), (Auth::None, Some(Pin::Token)));
    let secret = settings(slot(&format!(r#"{KEY}, "login": "vault_secret_id", "vault_role_id": "r""#)));
    assert_eq!(secret.login, Some(Pin::SecretId { mount: "approle".into(), role_id: "r".into() }));
}

#[test]
fn tls_is_configured_by_options_and_variables() {
    let network = |world| settings(world).network;
    let variables = slot(KEY)
        .set("VAULT_CACERT", "/ca.pem")
        .set("VAULT_CAPATH", "/ca")
        .set("VAULT_CLIENT_CERT", "/c")
        .set("VAULT_CLIENT_KEY", "/k")
        .set("BAO_TLS_SERVER_NAME", "vault.example.com");
    let found = network(variables);
    assert_eq!((found.ca_bundle, found.ca_bundle_named_by), (Some("/ca.pem".into()), "VAULT_CACERT"));
    assert_eq!(found.client_certificate, Some(ClientCertificate { certificate: "/c".into(), key: "/k".into() }));
    assert_eq!(found.server_name.as_deref(), Some("vault.example.com"));
    let directory = network(slot(KEY).set("VAULT_CAPATH", "/ca"));
    assert_eq!((directory.ca_bundle, directory.ca_bundle_named_by), (Some("/ca".into()), "VAULT_CAPATH"));
    let option = network(slot(&format!(r#"{KEY}, "ca_bundle": "/own.pem""#)).set("VAULT_CACERT", "/ca.pem"));
    assert_eq!((option.ca_bundle, option.ca_bundle_named_by), (Some("/own.pem".into()), "ca_bundle"));
}

#[test]
fn what_is_not_safe_is_warned_of() {
    let mut world = slot(r#""transit_key": "k", "vault_address": "http://v:8200""#).set("VAULT_SKIP_VERIFY", "true");
    world.config();
    let warnings = world.notes(Level::Warn);
    assert!(warnings.contains("slots[0].vault_address: http://v:8200: requests go to another machine"), "{warnings}");
    assert!(warnings.contains("VAULT_SKIP_VERIFY is ignored"), "{warnings}");
}

/// The members of a slot, and the message. `{key}` is a placeholder.
const MISTAKES: &[(&str, &str)] = &[
    (
        r#""cloud": "vault", "transit_key": "k""#,
        r#"1: slots[0]: missing option "vault_address"; write "vault_address": "https://HOST:8200", or set VAULT_ADDR"#,
    ),
    (
        r#"{key}, "vault_url": "https://v.vault.azure.net""#,
        r#"1: slots[0].vault_url: is an option for azure, but "transit_key" is an option for vault; remove one of the two"#,
    ),
    (
        r#""key_version": "1", "kms_key_id": "k""#,
        r#"1: slots[0].key_version: is an option for azure and vault, but "kms_key_id" is an option for aws; remove one of the two"#,
    ),
    (
        r#"{key}, "key_version": "v1""#,
        "1: slots[0].key_version: is not a version of a Transit key, which is a number from 1; `vault read \
         transit/keys/NAME` shows the versions",
    ),
    (
        r#""vault_address": "https://v", "transit_key": "transit/k""#,
        r#"1: slots[0].transit_key: "transit/k" is not a valid name of a Transit key: it has letters, digits, '_', '-' and '.', and a letter, a digit or '_' at both ends; write the path of the engine in "transit_mount""#,
    ),
    (
        r#"{key}, "vault_auth": "kubernetes""#,
        r#"1: slots[0]: missing option "vault_role", which the auth method "kubernetes" needs"#,
    ),
    (
        r#"{key}, "vault_auth": "approle""#,
        r#"1: slots[0]: missing option "vault_role_id", which the auth method "approle" needs"#,
    ),
    (
        r#"{key}, "vault_auth": "cert""#,
        r#"1: slots[0]: missing option "vault_client_certificate_path", which the auth method "cert" needs"#,
    ),
    (
        r#"{key}, "vault_token": "t", "vault_token_file": "t""#,
        r#"1: slots[0].vault_token_file: can't be combined with "vault_token"; remove one of the two"#,
    ),
    (
        r#"{key}, "vault_client_key_path": "k""#,
        r#"1: slots[0].vault_client_key_path: needs the certificate of this key; add "vault_client_certificate_path""#,
    ),
    (
        r#"{key}, "login": "vault_secret_id""#,
        r#"1: slots[0].login: is "vault_secret_id", which needs "vault_role_id"; add the RoleID of the AppRole"#,
    ),
    (
        r#"{key}, "login": "vault_token", "vault_token": "t""#,
        r#"1: slots[0].vault_token: can't be combined with "login"; remove one of the two"#,
    ),
    (
        r#"{key}, "login": "aws_profile""#,
        r#"1: slots[0].login: is "aws_profile", but the slot's key is in vault; expected one of none, vault_token, vault_secret_id"#,
    ),
    (
        r#""transit_key": "k", "vault_address": "vault:8200""#,
        "1: slots[0].vault_address: must be a URL that starts with http:// or https://",
    ),
];

#[test]
fn a_secret_in_the_file_is_warned_of_and_no_other() {
    let warnings = |mut world: TestEnvironment| {
        world.set_mode(OWN, 0o644);
        world.config();
        world.notes(Level::Warn)
    };
    let secret = "the file contains a secret";
    assert!(warnings(slot(&format!(r#"{KEY}, "vault_token": "t""#))).contains(secret));
    assert!(warnings(slot(&format!(r#"{KEY}, "vault_role_id": "r", "vault_secret_id": "s""#))).contains(secret));
    assert_eq!(warnings(slot(KEY).set("VAULT_TOKEN", "v")), "");
}

#[test]
fn mistakes_are_reported() {
    for (members, message) in MISTAKES {
        assert_eq!(error_of(slot(&members.replace("{key}", KEY))), *message);
    }
    let by_variable = slot(r#""transit_key": "k""#).set("VAULT_ADDR", "unix:///run/vault.sock");
    assert!(error_of(by_variable).contains("VAULT_ADDR is \"unix:///run/vault.sock\", but must be a URL"));
}
