//! Azure's clouds and credentials as a user meets them: the right authority without a setting, and whose fault it is.

use super::world::World;
use crate::module_test;
use cloud_kms_emulator::{Action, EntraClients, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};

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

/// Signs, in a life of its own; else the line of the log that says why not.
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

fn told(world: &World, options: &Value, words: &[&str]) {
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
    fn a_source_that_is_configured_says_itself_what_is_wrong(world) {
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        let here = |more: Value| {
            let url = world.emulator.https_url();
            let mut options = json!({ "vault_url": url, "azure_authority_host": url, "verify_challenge_resource": false });
            options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            options
        };
        let variable = "no valid credentials: client secret (AZURE_CLIENT_SECRET): HTTP status 401: AADSTS7000215: ";
        unsafe { std::env::set_var("AZURE_CLIENT_SECRET", "s3cret-1") };
        told(world, &here(json!({})), &[variable, "Trace ID: ", "Correlation ID: "]);
        // What stands in the file goes before the variables.
        let file = world.home.join("secret");
        std::fs::write(&file, "\u{feff}emulator-client-secret\r\n").unwrap();
        assert_eq!(signs(world, &here(json!({ "azure_client_secret_file": file }))), Ok(()));
        let own = "no valid credentials: client secret (option \"azure_client_secret\"): HTTP status 401: AADSTS7000215: ";
        told(world, &here(json!({ "azure_client_secret": "s3cret-2" })), &[own]);
        VARIABLES.iter().for_each(|name| unsafe { std::env::remove_var(name) });
        let nobody = json!({ "azure_client_secret": "s3cret-3", "azure_tenant_id": null });
        told(world, &here(nobody), &["client secret (option \"azure_client_secret\"): it also needs \"azure_tenant_id\" or AZURE_TENANT_ID"]);
        let secret = json!({ "azure_client_secret": EntraClients::SECRET, "azure_authority_host": "https://127.0.0.1:1" });
        told(world, &here(secret), &["can't reach the service: no token for it: client secret (option \"azure_client_secret\"): no connection to 127.0.0.1:1"]);
        // Whatever stands before the authority answers in its own way.
        let page = Action::Page { status: 503, authenticate: None };
        world.emulator.control().fault(Fault::new("token", page).times(1));
        let secret = json!({ "azure_client_secret": EntraClients::SECRET });
        told(world, &here(secret), &["client secret (option \"azure_client_secret\"): HTTP status 503: no reply of Entra"]);
        world.emulator.control().fault(Fault::new("token", Action::Hang));
        let secret = json!({ "azure_client_secret": EntraClients::SECRET, "call_timeout_ms": 1500, "connect_timeout_ms": 1500 });
        told(world, &here(secret), &["no answer in time"]);
        world.emulator.control().clear_faults();
        let none = world.home.join("none");
        let missing = format!("{}: there is no such file", none.display());
        for (option, name) in [
            ("azure_client_secret_file", "client secret"),
            ("azure_client_certificate_path", "client certificate"),
            ("azure_federated_token_file", "workload identity"),
            ("azure_auth_file", "azureauth.json"),
        ] {
            let words = format!("no valid credentials: {name} (option \"{option}\"): {missing}");
            told(world, &here(json!({ option: none })), &[&words]);
        }
        std::fs::write(&none, "{\"appId\": \"a\",\n \"password\": s3cret-4}").unwrap();
        told(world, &here(json!({ "azure_auth_file": none })), &[&format!("{}:2: this is not what az prints", none.display())]);
        std::fs::write(&none, "").unwrap();
        told(world, &here(json!({ "azure_federated_token_file": none })), &["the file is empty"]);
    }
}
