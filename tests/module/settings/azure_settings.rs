//! Azure's clouds and credentials from the user's point of view: the right authority without a setting, and
//! failures that name the responsible party.

use crate::module_test;
use crate::support::world::World;
use cloud_kms_emulator::{Action, EntraClients, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const VARIABLES: [&str; 3] = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"];

fn configure(world: &World, options: &Value) {
    let mut slot = json!({ "label": "z", "key_name": "z", "azure_tenant_id": EntraClients::TENANT, "azure_client_id": EntraClients::CLIENT });
    slot.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    slot.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let config = json!({
        "ca_bundle": world.home.join("ca.pem"), "log_file": world.home.join("module.log"), "log_level": "debug", "retries": 0,
        "slots": [slot],
    });
    std::fs::write(world.home.join("config.json"), config.to_string()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(world.home.join("config.json"), mode).unwrap();
}

/// Signs, between C_Initialize and C_Finalize of its own. If signing fails, returns the line of the log that gives
/// the reason.
fn signs(world: &World, options: &Value) -> Result<(), String> {
    configure(world, options);
    let before = world.log().len();
    let p11 = world.module();
    let session = p11.open(0);
    let key = p11.find_class(session, CKO_PRIVATE_KEY).first().copied();
    let signed = key.is_some_and(|key| p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"data").is_ok());
    p11.finalize().unwrap();
    assert!(!world.log().contains(EntraClients::SECRET) && !world.log().contains("s3cret"), "{}", world.log());
    let log = world.log()[before..].to_owned();
    let line = log.lines().rfind(|line| line.contains(" error: ")).unwrap_or(&log).to_owned();
    if signed { Ok(()) } else { Err(line) }
}

fn assert_failure_says(world: &World, options: &Value, words: &[&str]) {
    let line = signs(world, options).unwrap_err();
    for words in words {
        assert!(line.contains(words), "{words} in {line}");
    }
    for other in ["retry policy", "az: ", "managed identity", "not configured"] {
        assert!(!line.contains(other), "{other} in {line}");
    }
}

module_test! {
    fn a_vault_of_another_cloud_needs_no_setting(world) {
        unsafe { std::env::set_var("HTTPS_PROXY", world.emulator.http_url()) };
        world.emulator.vault("contoso").create_key("z", VaultKey::ec("P-256")).unwrap();
        world.emulator.managed_hsm("contoso").create_key("z", VaultKey::ec("P-256").hsm()).unwrap();
        for (cloud, authority) in [("usgovcloudapi.net", "login.microsoftonline.us"), ("azure.cn", "login.chinacloudapi.cn")] {
            for service in ["vault", "managedhsm"] {
                world.emulator.control().reset();
                let url = format!("https://contoso.{service}.{cloud}");
                assert_eq!(signs(world, &json!({ "vault_url": url })), Ok(()));
                let log = world.emulator.control().log();
                let asked: Vec<_> = log.iter().filter(|entry| entry.operation == "token").map(|entry| &*entry.host).collect();
                assert_eq!(asked, [authority], "{url}");
            }
        }
    }
}

module_test! {
    fn only_the_configured_credential_source_is_reported(world) {
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        let here = |more: Value| emulator_options(world, more);
        let variable = "no valid credentials: client secret (AZURE_CLIENT_SECRET): HTTP status 401: AADSTS7000215: ";
        unsafe { std::env::set_var("AZURE_CLIENT_SECRET", "s3cret-1") };
        assert_failure_says(world, &here(json!({})), &[variable, "Trace ID: ", "Correlation ID: "]);
        // The options in the file take precedence over the variables.
        let file = world.home.join("secret");
        std::fs::write(&file, "\u{feff}emulator-client-secret\r\n").unwrap();
        assert_eq!(signs(world, &here(json!({ "azure_client_secret_file": file }))), Ok(()));
        let own = "no valid credentials: client secret (option \"azure_client_secret\"): HTTP status 401: AADSTS7000215: ";
        assert_failure_says(world, &here(json!({ "azure_client_secret": "s3cret-2" })), &[own]);
        VARIABLES.iter().for_each(|name| unsafe { std::env::remove_var(name) });
        let nobody = json!({ "azure_client_secret": "s3cret-3", "azure_tenant_id": null });
        assert_failure_says(world, &here(nobody), &["client secret (option \"azure_client_secret\"): this source also needs \"azure_tenant_id\" or AZURE_TENANT_ID"]);
        let secret = json!({ "azure_client_secret": EntraClients::SECRET, "azure_authority_host": "https://127.0.0.1:1" });
        assert_failure_says(world, &here(secret), &["can't reach the service: no token for this request: client secret (option \"azure_client_secret\"): can't connect to 127.0.0.1:1"]);
        // A server in front of the authority replies in its own way.
        let page = Action::Page { status: 503, authenticate: None };
        world.emulator.control().fault(Fault::new("token", page).times(1));
        let secret = json!({ "azure_client_secret": EntraClients::SECRET });
        assert_failure_says(world, &here(secret), &["internal error of the service: no token for this request: client secret (option \"azure_client_secret\"): HTTP status 503: the reply is not one of Entra"]);
        world.emulator.control().fault(Fault::new("token", Action::Hang));
        let secret = json!({ "azure_client_secret": EntraClients::SECRET, "call_timeout_ms": 1500, "connect_timeout_ms": 1500 });
        assert_failure_says(world, &here(secret), &["no reply before the deadline: no token for this request: client secret (option \"azure_client_secret\"): no reply "]);
        world.emulator.control().clear_faults();
        let none = world.home.join("none");
        let missing = format!("{}: the file does not exist", none.display());
        for (option, name) in [
            ("azure_client_secret_file", "client secret"),
            ("azure_client_certificate_path", "client certificate"),
            ("azure_federated_token_file", "workload identity"),
            ("azure_auth_file", "azureauth.json"),
        ] {
            let words = format!("a setting on this machine is missing or wrong: no token for this request: {name} (option \"{option}\"): {missing}");
            assert_failure_says(world, &here(json!({ option: none })), &[&words]);
        }
        std::fs::write(&none, "{\"appId\": \"a\",\n \"password\": s3cret-4}").unwrap();
        assert_failure_says(world, &here(json!({ "azure_auth_file": none })), &[&format!("{}:2: this is not the JSON that az ad sp create-for-rbac prints", none.display())]);
        std::fs::write(&none, "").unwrap();
        assert_failure_says(world, &here(json!({ "azure_federated_token_file": none })), &["the file is empty"]);
    }
}

/// Returns options that lead to the emulator.
fn emulator_options(world: &World, more: Value) -> Value {
    let url = world.emulator.https_url();
    let mut options = json!({ "vault_url": url, "azure_authority_host": url, "verify_challenge_resource": false });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    options
}

fn openssl(world: &World, arguments: &str) -> Vec<u8> {
    let made = Command::new("openssl").args(arguments.split(' ')).current_dir(&world.home).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

module_test! {
    fn a_client_certificate_may_be_a_pfx_with_a_password(world) {
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        openssl(world, "req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 -keyout key.pem -out own.pem");
        openssl(world, "pkcs12 -export -in own.pem -inkey key.pem -passout pass:s3cret-5 -out own.pfx");
        let der = openssl(world, "x509 -in own.pem -outform DER");
        world.emulator.entra().register_certificate(EntraClients::TENANT, EntraClients::CLIENT, &der);
        let (file, password) = (world.home.join("own.pfx"), world.home.join("password"));
        std::fs::write(&password, "\u{feff}s3cret-5\r\n").unwrap();
        let both = json!({ "azure_client_certificate_path": file, "azure_client_certificate_password_file": password });
        let by_file = emulator_options(world, both);
        assert_eq!(signs(world, &by_file), Ok(()));
        let alone = emulator_options(world, json!({ "azure_client_certificate_path": file }));
        let name = format!("a setting on this machine is missing or wrong: no token for this request: client certificate (option \"azure_client_certificate_path\"): {}: ", file.display());
        assert_failure_says(world, &alone, &[&name, "the file is encrypted with a password; write the password into a file"]);
        unsafe { std::env::set_var("AZURE_CLIENT_CERTIFICATE_PASSWORD", "s3cret-5") };
        assert_eq!(signs(world, &alone), Ok(()));
        unsafe { std::env::set_var("AZURE_CLIENT_CERTIFICATE_PASSWORD", "s3cret-6") };
        assert_failure_says(world, &alone, &[&name, "the password in AZURE_CLIENT_CERTIFICATE_PASSWORD is wrong"]);
        std::fs::remove_file(&password).unwrap();
        assert_failure_says(world, &by_file, &[&format!("option \"azure_client_certificate_password_file\": {}: the file does not exist", password.display())]);
    }
}

module_test! {
    fn secrets_that_everybody_can_read_are_warned_of_once(world) {
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        world.emulator.entra().allow_federated_token("federated");
        let application = format!(r#"{{"tenant": "{}", "appId": "{}", "password": "{}"}}"#, EntraClients::TENANT, EntraClients::CLIENT, EntraClients::SECRET);
        for (option, text, is_secret) in [
            ("azure_client_secret_file", EntraClients::SECRET, true),
            ("azure_auth_file", &application, true),
            ("azure_federated_token_file", "federated", false),
        ] {
            let file = world.home.join(option);
            std::fs::write(&file, text).unwrap();
            let options = emulator_options(world, json!({ option: file }));
            for (bits, is_open) in [(0o640, false), (0o644, true), (0o644, false)] {
                mode(&file, bits);
                let before = world.log().len();
                assert_eq!(signs(world, &options), Ok(()), "{option}");
                let said = format!("warn: {}: the file contains a secret, and everybody can read it (mode 0644): chmod o-r {}", file.display(), file.display());
                let count = world.log()[before..].matches(&said).count();
                assert_eq!(count, usize::from(is_open && is_secret), "{option} {bits:o}: {}", &world.log()[before..]);
            }
        }
    }
}

module_test! {
    fn incomplete_credential_settings_are_reported_first(world) {
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        // No server listens at this address, so this machine has no identity.
        unsafe { std::env::set_var("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1") };
        unsafe { std::env::set_var("AZURE_CLIENT_SECRET", "s3cret-7") };
        unsafe { std::env::remove_var("AZURE_TENANT_ID") };
        std::fs::create_dir_all(world.home.join(".config/azure-keyvault-pkcs11")).unwrap();
        let broken = world.home.join(".config/azure-keyvault-pkcs11/azureauth.json");
        std::fs::write(&broken, "{\"tenant\": \"t\"}").unwrap();
        let line = signs(world, &emulator_options(world, json!({ "azure_tenant_id": null }))).unwrap_err();
        let first = format!(
            "no source returned a token: client secret: AZURE_CLIENT_SECRET is set, but this source also needs \"azure_tenant_id\" or AZURE_TENANT_ID; azureauth.json: {}: the file lacks ",
            broken.display()
        );
        assert!(line.contains(&first), "{line}");
        let last = "; not configured: client certificate, workload identity";
        assert!(line.ends_with(last) && line.contains("; managed identity: this machine has no managed identity: "), "{line}");
        for each in ["client secret: AZURE_CLIENT_SECRET is set", "client certificate: no \"azure_client_certificate_path\" or AZURE_CLIENT_CERTIFICATE_PATH", "managed identity: this"] {
            let line = format!(" debug: {}: no token from {each}", world.emulator.https_url());
            assert!(world.log().contains(&line), "{line} in {}", world.log());
        }
    }
}

module_test! {
    fn a_named_source_reports_its_missing_settings(world) {
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        unsafe { std::env::remove_var("AZURE_CLIENT_SECRET") };
        let places = world.home.join(".config/azure-keyvault-pkcs11/azureauth.json");
        for (credential, words) in [
            ("environment", "client secret (no \"azure_client_secret_file\" or AZURE_CLIENT_SECRET), client certificate (no \"azure_client_certificate_path\" or AZURE_CLIENT_CERTIFICATE_PATH)".to_owned()),
            ("workload_identity", "workload identity (no \"azure_federated_token_file\" or AZURE_FEDERATED_TOKEN_FILE)".to_owned()),
            ("auth_file", format!("azureauth.json (no \"azure_auth_file\" or {}, ", places.display())),
        ] {
            let line = signs(world, &emulator_options(world, json!({ "azure_credential": credential }))).unwrap_err();
            assert!(line.contains(&format!("GetKey: no valid credentials: no source returned a token: not configured: {words}")), "{line}");
        }
        // The only folder on PATH does not contain the program.
        unsafe { std::env::set_var("PATH", &world.home) };
        let line = signs(world, &emulator_options(world, json!({ "azure_credential": "cli" }))).unwrap_err();
        assert!(line.contains("no valid credentials: az: az not found on PATH; install the Azure CLI"), "{line}");
    }
}

module_test! {
    fn a_missing_managed_identity_is_reported(world) {
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        unsafe { std::env::set_var("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1") };
        let named = emulator_options(world, json!({ "azure_credential": "managed_identity" }));
        let line = signs(world, &named).unwrap_err();
        let own = "GetKey: no valid credentials: managed identity: this machine has no managed identity: can't connect to 127.0.0.1:1 (Connection refused (os error 111))";
        assert!(line.ends_with(own), "{line}");
        unsafe { std::env::set_var("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.emulator.http_url()) };
        assert_eq!(signs(world, &named), Ok(()));
    }
}
