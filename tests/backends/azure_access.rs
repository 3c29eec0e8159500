//! Access to Key Vault: challenges, tokens, and the sources of tokens.

use crate::azure::*;
use crate::openssl;
use crate::server::{CLOSED_PORT, FILES, MACHINE, named, wait};
use base64ct::Encoding;
use cloud_kms_emulator::{Action, Emulator, Fault, VaultKey};
use cloud_kms_pkcs11::cloud::azure::{Credential, Settings};
use cloud_kms_pkcs11::cloud::{Cause, ListedKey, Network, Secret};
use std::path::Path;

#[test]
fn a_challenge_for_another_vault_is_refused() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    let strict = Settings { skip_challenge_check: false, ..settings(&emulator) }.open();
    let failure = sign(&strict, "web", None).unwrap_err();
    assert_eq!(failure.cause, Cause::Rejected, "{failure}");
    assert!(failure.message.contains("challenge"), "{failure}");
    let plain = Settings { vault_url: emulator.http_url(), ..settings(&emulator) }.open();
    let failure = sign(&plain, "web", None).unwrap_err();
    assert!(failure.message.contains("https://"), "{failure}");
}

#[test]
fn the_real_names_work_through_a_proxy_with_the_check() {
    let emulator = Emulator::start().unwrap();
    emulator.vault("contoso").create_key("web", VaultKey::ec("P-256")).unwrap();
    emulator.managed_hsm("contoso").create_key("web", VaultKey::ec("P-256").hsm()).unwrap();
    let network = Network { proxy: Some(emulator.http_url().into()), ..settings(&emulator).network };
    let real = Settings { network, authority_host: None, skip_challenge_check: false, ..settings(&emulator) };
    for host in ["contoso.vault.azure.net", "contoso.managedhsm.azure.net"] {
        let backend = Settings { vault_url: format!("https://{host}"), ..real.clone() }.open();
        let facts = wait(backend.describe(&named("web"))).unwrap();
        let id = sign(&backend, "web", facts.immutable_id.as_deref()).unwrap();
        assert!(id.starts_with(&format!("https://{host}/keys/web/")), "{id}");
        assert_eq!(wait(backend.certificate(&named("web"))), Ok(None));
        assert_eq!(
            wait(backend.list(true)).unwrap(),
            [ListedKey { name: named("web"), label: None, is_disabled: false }]
        );
        let random = wait(backend.random(300));
        match host.contains("hsm") {
            true => assert!(random.unwrap().chunks(20).all(|chunk| chunk.iter().any(|byte| *byte != 0))),
            false => assert_eq!(random.unwrap_err().cause, Cause::Unsupported, "a vault has no random bytes"),
        }
    }
    assert_eq!(
        emulator.control().counts().get("vault.rng"),
        Some(&3),
        "128 bytes a request: {:?}",
        emulator.control().counts()
    );
}

#[test]
fn one_token_serves_all_requests() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    key(&emulator, "web");
    for _ in 0..3 {
        assert!(sign(&backend, "web", None).is_ok());
        assert!(wait(backend.certificate(&named("web"))).is_ok());
    }
    assert_eq!(emulator.control().count("token"), 1);
}

#[test]
fn tokens_come_from_a_secret_a_file_or_a_certificate() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let plain = Settings { client_secret: None, credential: Credential::Environment, ..settings(&emulator) };
    let secret = Some(file("secret", "emulator-client-secret\n"));
    let mut all = vec![Settings { client_secret_file: secret, ..plain.clone() }];
    for traditional in [false, true] {
        let path = folder.path().join(format!("certificate-{traditional}.pem"));
        emulator.entra().register_certificate(TENANT, "emulator-client", &openssl::certificate(&path, traditional));
        all.push(Settings { client_certificate_path: Some(path), ..plain.clone() });
    }
    emulator.entra().allow_federated_token("federated");
    let token = Some(file("token", "federated\n"));
    all.push(Settings { federated_token_file: token, credential: Credential::WorkloadIdentity, ..plain.clone() });
    let text = format!(r#"{{"tenant": "{TENANT}", "appId": "emulator-client", "password": "emulator-client-secret"}}"#);
    let auth_files =
        vec![folder.path().join("none.json"), file("broken.json", "{\"password\": 1}"), file("auth.json", &text)];
    let nobody = Settings { tenant_id: None, client_id: None, ..plain };
    all.push(Settings { auth_files, credential: Credential::AuthFile, ..nobody });
    for settings in all {
        for credential in [settings.credential, Credential::Default] {
            let answer = sign(&Settings { credential, ..settings.clone() }.open(), "web", None);
            assert!(answer.is_ok(), "{:?}: {answer:?}", settings.credential);
        }
    }
}

#[test]
fn a_wrong_secret_is_reported_with_entras_message() {
    let emulator = Emulator::start().unwrap();
    let client_secret = Some(Secret("wrong-and-secret".to_owned().into()));
    let wrong = Settings { client_secret, credential: Credential::Environment, ..settings(&emulator) };
    assert!(!format!("{wrong:?}").contains("wrong-and-secret"));
    let failure = sign(&wrong.open(), "web", None).unwrap_err();
    assert_eq!(failure.cause, Cause::Credentials, "{failure}");
    assert!(failure.message.contains("AADSTS") && failure.message.contains("client secret"), "{failure}");
    assert!(!failure.message.contains("wrong-and-secret"), "{failure}");
    assert!(failure.message.contains("Trace ID: ") && failure.message.contains("Correlation ID: "), "{failure}");
    let own = "client secret (option \"azure_client_secret\"): HTTP status 401: AADSTS7000215: Invalid client secret";
    assert!(failure.message.starts_with(own), "{failure}");
    assert!(!failure.message.contains("certificate") && !failure.message.contains("troubleshoot"), "{failure}");
}

#[test]
fn each_cloud_has_its_own_authority() {
    let emulator = Emulator::start().unwrap();
    emulator.vault("contoso").create_key("web", VaultKey::ec("P-256")).unwrap();
    emulator.managed_hsm("contoso").create_key("web", VaultKey::ec("P-256").hsm()).unwrap();
    let network = Network { proxy: Some(emulator.http_url().into()), ..settings(&emulator).network };
    let real = Settings { network, authority_host: None, skip_challenge_check: false, ..settings(&emulator) };
    for (host, authority) in [
        ("contoso.vault.usgovcloudapi.net", "login.microsoftonline.us"),
        ("contoso.managedhsm.usgovcloudapi.net", "login.microsoftonline.us"),
        ("contoso.vault.azure.cn", "login.chinacloudapi.cn"),
        ("contoso.managedhsm.azure.cn", "login.chinacloudapi.cn"),
        ("contoso.vault.azure.net", "login.microsoftonline.com"),
    ] {
        emulator.control().reset();
        let settings = Settings { vault_url: format!("https://{host}"), ..real.clone() };
        let signed = sign(&settings.clone().open(), "web", None);
        assert!(signed.is_ok(), "{host}: {signed:?}");
        assert_eq!(asked_for_tokens(&emulator), [authority], "{host}");
        // A configured authority takes precedence.
        let other = if authority.ends_with(".us") { "login.chinacloudapi.cn" } else { "login.microsoftonline.us" };
        let wrong = Settings { authority_host: Some(format!("https://{other}")), ..settings };
        let failure = sign(&wrong.open(), "web", None).unwrap_err();
        assert!(failure.message.contains("AADSTS500011"), "{failure}");
        let advice = format!("the vault names the authority {authority}");
        assert!(failure.message.contains(&advice), "{failure}");
    }
}

#[test]
fn a_challenge_cannot_choose_where_secrets_are_sent() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    // The vault's challenge names 127.0.0.1 as the authority.
    let network = Network { proxy: Some(emulator.http_url().into()), ..settings(&emulator).network };
    let signed = sign(&Settings { network, authority_host: None, ..settings(&emulator) }.open(), "web", None);
    assert!(signed.is_ok(), "{signed:?}");
    assert_eq!(asked_for_tokens(&emulator), ["login.microsoftonline.com"]);
}

/// Returns the hosts that received token requests.
fn asked_for_tokens(emulator: &Emulator) -> Vec<String> {
    let asked = emulator.control().log().into_iter().filter(|entry| entry.operation == "token");
    asked.map(|entry| entry.host.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn the_source_that_is_configured_is_the_only_one_asked() {
    let emulator = Emulator::start().unwrap();
    let stranger = Emulator::start().unwrap();
    let own = settings(&emulator);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none").display().to_string();
    let none = Some(folder.path().join("none"));
    let plain = Settings { client_secret: None, ..own.clone() };
    #[rustfmt::skip]
    let cases = [
        (Settings { authority_host: Some(format!("https://{CLOSED_PORT}")), ..own.clone() },
            Cause::Unreachable, "client secret (option \"azure_client_secret\"): can't connect to 127.0.0.1:1"),
        (Settings { authority_host: Some("https://authority.invalid".into()), ..own.clone() },
            Cause::Unresolved, "client secret (option \"azure_client_secret\"): authority.invalid"),
        (Settings { authority_host: Some(stranger.https_url()), ..own },
            Cause::Untrusted, "client secret (option \"azure_client_secret\"): "),
        (Settings { client_secret_file: none.clone(), ..plain.clone() },
            Cause::Settings, "client secret (option \"azure_client_secret_file\"): "),
        (Settings { client_certificate_path: none.clone(), ..plain.clone() },
            Cause::Settings, "client certificate (option \"azure_client_certificate_path\"): "),
        (Settings { federated_token_file: none.clone(), ..plain.clone() },
            Cause::Settings, "workload identity (option \"azure_federated_token_file\"): "),
        (Settings { auth_file: none.clone(), ..plain },
            Cause::Settings, "azureauth.json (option \"azure_auth_file\"): "),
    ];
    for (settings, cause, words) in cases {
        let failure = sign(&settings.open(), "web", None).unwrap_err();
        assert_eq!(failure.cause, cause, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
        assert!(cause != Cause::Settings || failure.message.contains(&format!("{path}: the file does not exist")));
        for other in ["retry policy", "az:", "managed identity", "not configured"] {
            assert!(!failure.message.contains(other), "{other} in {failure}");
        }
    }
    assert_eq!(stranger.control().count("token"), 0);
}

#[test]
fn credential_files_may_have_any_common_encoding() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    let folder = tempfile::tempdir().unwrap();
    let write = |bytes: &[u8]| {
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        Some(path)
    };
    let utf16 = |text: &str| "\u{feff}".chars().chain(text.chars()).collect::<String>();
    let utf16 = |text: &str| utf16(text).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let plain = Settings { client_secret: None, ..settings(&emulator) };
    let secret = "emulator-client-secret\r\n";
    for bytes in [utf16(secret), [b"\xef\xbb\xbf", secret.as_bytes()].concat()] {
        let signed = sign(&Settings { client_secret_file: write(&bytes), ..plain.clone() }.open(), "web", None);
        assert!(signed.is_ok(), "{signed:?}");
    }
    let nobody = Settings { tenant_id: None, client_id: None, authority_host: None, ..plain.clone() };
    let sdk_auth = format!(
        r#"{{"clientId": "emulator-client", "clientSecret": "emulator-client-secret", "subscriptionId": "s",
            "tenantId": "{TENANT}", "activeDirectoryEndpointUrl": "{}"}}"#,
        emulator.https_url()
    );
    for bytes in [utf16(&sdk_auth), [b"\xef\xbb\xbf", sdk_auth.as_bytes()].concat(), sdk_auth.clone().into_bytes()] {
        let signed = sign(&Settings { auth_file: write(&bytes), ..nobody.clone() }.open(), "web", None);
        assert!(signed.is_ok(), "{signed:?}");
    }
    emulator.entra().allow_federated_token("federated");
    for bytes in [utf16("federated\r\n"), b"\xef\xbb\xbffederated\n".to_vec(), b"federated ".to_vec()] {
        let signed = sign(&Settings { federated_token_file: write(&bytes), ..plain.clone() }.open(), "web", None);
        assert!(signed.is_ok(), "{signed:?}");
    }
    let federated = Settings { federated_token_file: write(b"\xef\xbb\xbf\r\n"), ..plain };
    let failure = sign(&federated.open(), "web", None).unwrap_err();
    assert!(failure.message.contains("the file is empty"), "{failure}");
}

#[test]
#[allow(clippy::too_many_lines, reason = "one list of cases")]
fn a_client_certificate_is_found_or_the_reason_reported() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let plain = Settings { client_secret: None, ..settings(&emulator) };
    let with = |name: &str| Settings { client_certificate_path: Some(path(name)), ..plain.clone() }.open();
    emulator.entra().register_certificate(TENANT, "emulator-client", &openssl::certificate(&path("own.pem"), false));
    openssl::certificate(&path("other.pem"), false);
    let (own, other) =
        (std::fs::read_to_string(path("own.pem")).unwrap(), std::fs::read_to_string(path("other.pem")).unwrap());
    let (issuer, _) = other.split_once("-----BEGIN PRIVATE KEY").unwrap();
    // The root of the chain comes first, as many portals write it.
    std::fs::write(path("chain.pem"), format!("\u{feff}{issuer}{}", own.replace('\n', "\r\n"))).unwrap();
    let signed = sign(&with("chain.pem"), "web", None);
    assert!(signed.is_ok(), "{signed:?}");
    let (certificate, key) = own.split_once("-----BEGIN PRIVATE KEY").unwrap();
    std::fs::write(path("foreign.pem"), format!("{issuer}-----BEGIN PRIVATE KEY{key}")).unwrap();
    let run = |arguments: &str| {
        let output =
            std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output();
        assert!(output.unwrap().status.success(), "{arguments}");
    };
    run("pkey -in own.pem -aes256 -passout pass:x -out encrypted.key");
    run("rsa -in own.pem -aes256 -passout pass:x -traditional -out traditional.key");
    run("ecparam -name secp384r1 -genkey -noout -out sec1.key");
    run("pkcs8 -topk8 -nocrypt -in sec1.key -out ec.key");
    run("pkcs12 -export -in own.pem -passout pass:x -out own.pfx");
    run("pkcs12 -export -in own.pem -nokeys -passout pass: -out nokey.pfx");
    run("x509 -in own.pem -outform DER -out alone.cer");
    for name in ["encrypted", "traditional", "sec1", "ec"] {
        let key = std::fs::read_to_string(path(&format!("{name}.key"))).unwrap();
        std::fs::write(path(&format!("{name}.pem")), format!("{certificate}{key}")).unwrap();
    }
    std::fs::write(path("alone.pem"), certificate).unwrap();
    std::fs::write(path("empty.pem"), "\u{feff}\r\n").unwrap();
    for (name, words) in [
        ("foreign.pem", "none of the certificates in the file belongs to its private key"),
        ("encrypted.pem", "\"azure_client_certificate_password_file\", or set AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        ("own.pfx", "\"azure_client_certificate_password_file\", or set AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        ("traditional.pem", "openssl pkcs8 -topk8 -in"),
        ("sec1.pem", "on an elliptic curve"),
        ("ec.pem", "on an elliptic curve"),
        ("nokey.pfx", "the file has no private key"),
        ("alone.pem", "the file has no private key"),
        ("traditional.key", "openssl pkcs8 -topk8 -in"),
        ("alone.cer", "the file is DER, but not PKCS#12"),
        ("empty.pem", "the file is empty"),
    ] {
        let failure = sign(&with(name), "web", None).unwrap_err();
        assert_eq!(failure.cause, Cause::Settings, "{failure}");
        assert!(failure.message.contains(&format!("{}: ", path(name).display())), "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
    let password_file = Some(path("password"));
    std::fs::write(path("password"), "another\n").unwrap();
    for name in ["encrypted.pem", "own.pfx"] {
        let client_certificate_path = Some(path(name));
        let client_certificate_password_file = password_file.clone();
        let wrong = Settings { client_certificate_path, client_certificate_password_file, ..plain.clone() };
        let failure = sign(&wrong.open(), "web", None).unwrap_err();
        let words = format!("{}: the password in {} is wrong", path(name).display(), path("password").display());
        assert!(failure.message.contains(&words), "{failure}");
        assert!(!failure.message.contains("another"), "{failure}");
    }
}

/// The arguments with which `openssl` encrypts `own.pem`. `$P` is replaced by the password.
#[rustfmt::skip]
const ENCRYPTED: &[&str] = &[
    "pkcs12 -export -in own.pem -passout $P",
    "pkcs12 -export -in own.pem -certfile other.pem -passout $P",
    // The form that Windows, Key Vault and OpenSSL before 3 write.
    "pkcs12 -export -in own.pem -passout $P -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
    "pkcs12 -export -in own.pem -passout $P -legacy",
    "pkcs12 -export -in own.pem -passout $P -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-RC2-128 -legacy",
    "pkcs12 -export -in own.pem -passout $P -keypbe AES-128-CBC -certpbe NONE -iter 100000",
    "pkcs12 -export -in own.pem -passout $P -keypbe NONE -certpbe NONE -nomac",
    "pkcs8 -topk8 -in own.pem -passout $P",
    "pkcs8 -topk8 -in own.pem -passout $P -v2 aes-128-cbc -v2prf hmacWithSHA1",
    "pkcs8 -topk8 -in own.pem -passout $P -v2 aes-192-cbc -v2prf hmacWithSHA384",
    "pkcs8 -topk8 -in own.pem -passout $P -v2 aes-256-cbc -v2prf hmacWithSHA512",
    "pkcs8 -topk8 -in own.pem -passout $P -v2 des3",
    "pkcs8 -topk8 -in own.pem -passout $P -v1 PBE-SHA1-3DES",
];

#[test]
fn a_client_certificate_may_be_encrypted() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    emulator.entra().register_certificate(TENANT, "emulator-client", &openssl::certificate(&path("own.pem"), false));
    openssl::certificate(&path("other.pem"), false);
    let text = std::fs::read_to_string(path("own.pem")).unwrap();
    let (certificate, _) = text.split_once("-----BEGIN PRIVATE KEY").unwrap();
    let made = |arguments: &str, password: &str| {
        let arguments =
            arguments.split(' ').map(|word| if word == "$P" { format!("pass:{password}") } else { word.into() });
        let made = std::process::Command::new("openssl").args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        made.stdout
    };
    let signs = |file: &[u8], password: Option<&str>, what: &str| {
        std::fs::write(path("file"), file).unwrap();
        std::fs::write(path("password"), format!("{}\r\n", password.unwrap_or_default())).unwrap();
        let settings = Settings {
            client_secret: None,
            client_certificate_path: Some(path("file")),
            client_certificate_password_file: password.map(|_| path("password")),
            ..settings(&emulator)
        };
        let signed = sign(&settings.open(), "web", None);
        assert!(signed.is_ok(), "{what}: {signed:?}");
    };
    for arguments in ENCRYPTED {
        let password = "S\u{fc}\u{df} & 3\u{20ac}";
        let mut file = made(arguments, password);
        if arguments.starts_with("pkcs8") {
            file.extend(certificate.as_bytes());
        }
        signs(&file, Some(password), arguments);
    }
    // Key Vault returns the secret of a certificate as PKCS#12 without a password, in base64.
    for arguments in [ENCRYPTED[0], ENCRYPTED[2]] {
        let file = made(arguments, "");
        signs(&file, None, arguments);
        signs(base64ct::Base64::encode_string(&file).as_bytes(), None, arguments);
    }
}

/// Both sources are covered by one test, because both use the environment that the test program shares.
#[test]
fn tokens_come_from_az_or_the_machine() {
    let only = |credential| {
        let emulator = &*MACHINE;
        let nobody = Settings { tenant_id: None, client_id: None, client_secret: None, ..settings(emulator) };
        Settings { credential, ..nobody }.open()
    };
    key(&MACHINE, "web");
    let identity = sign(&only(Credential::ManagedIdentity), "web", None);
    assert!(identity.is_ok(), "{identity:?}");
    let default = sign(&only(Credential::Default), "web", None);
    assert!(default.is_ok(), "by managed identity: {default:?}");
    let failure = sign(&only(Credential::Cli), "web", None).unwrap_err();
    assert_eq!(failure.cause, Cause::Credentials, "{failure}");
    assert!(failure.message.contains("az login"), "{failure}");
    let refused = Action::Error { status: 400, code: "invalid_request".into(), message: "x".into(), innererror: None };
    MACHINE.control().fault(Fault::new("token", refused.clone()));
    MACHINE.control().fault(Fault::new("imds", refused));
    let failure = sign(&only(Credential::Default), "web", None).unwrap_err();
    assert!(failure.message.contains("az: ") && failure.message.contains("; managed identity: "), "{failure}");
    let rest = "; not configured: client secret, client certificate, workload identity, azureauth.json";
    assert!(failure.message.ends_with(rest), "{failure}");
    let token = MACHINE.entra().issue_token(VAULT);
    let reply = format!(r#"{{"accessToken": "{token}", "expires_on": 4102444800, "tokenType": "Bearer"}}"#);
    std::fs::write(FILES.path().join("token.json"), reply).unwrap();
    for credential in [Credential::Cli, Credential::Default] {
        let answer = sign(&only(credential), "web", None);
        assert!(answer.is_ok(), "{answer:?}");
    }
    std::fs::remove_file(Path::new(FILES.path()).join("token.json")).unwrap();
    MACHINE.control().clear_faults();
}
