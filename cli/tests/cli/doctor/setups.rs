//! Broken set-ups: a good machine with one fault each. `doctor` names the fault with its fix, and nothing else.
//!
//! docs/tool.md has the same tables.

use super::machine::{Machine, REGISTRATION};
use crate::support::module_path;
use cloud_kms_emulator::{Action, Flaw, GoogleKey};
use serde_json::json;
use std::fmt::Write as _;

/// A set-up that does not work: what is wrong, what makes a good machine so, the outcome and the name of the check that
/// finds it, words of what is found, and words of the fix.
type Setup = (&'static str, fn(&mut Machine), &'static str, &'static str, &'static str);

/// Without access keys, the credentials are those of a profile.
const NO_ACCESS_KEY: [(&str, Option<&str>); 2] = [("AWS_ACCESS_KEY_ID", None), ("AWS_SECRET_ACCESS_KEY", None)];

#[rustfmt::skip]
const CONFIGURATION: &[Setup] = &[
    ("There is no configuration file.",
        |machine| machine.variables = vec![("CLOUD_KMS_PKCS11_CONFIG", None)],
        "problem configuration", "no configuration file found; searched", "create one of these files"),
    ("The variable CLOUD_KMS_PKCS11_CONFIG names a file that does not exist.",
        |machine| machine.variables = vec![("CLOUD_KMS_PKCS11_CONFIG", Some("/none.json"))],
        "problem configuration", "CLOUD_KMS_PKCS11_CONFIG names /none.json, which can't be opened", "correct the variable"),
    ("The configuration is a directory.",
        |machine| machine.variables = vec![("CLOUD_KMS_PKCS11_CONFIG", Some("/etc"))],
        "problem configuration", "/etc: can't be read: Is a directory", "it must be a file that this user can read"),
    ("This user may not read the configuration.",
        |machine| machine.set_mode("config.json", 0o000),
        "problem configuration", "config.json: can't be read", "this user can read"),
    ("The configuration ends in the middle.",
        |machine| machine.write("config.json", "{\n  \"slots\": [\n"),
        "problem configuration", "config.json:3: ", "correct the file"),
    ("An option is misspelled.",
        |machine| machine.set_option("/slots/0/kms_key", json!("alias/web")),
        "problem configuration", "unknown option \"kms_key\"", "did you mean"),
    ("An option has a value of the wrong type.",
        |machine| machine.set_option("/slots/1/key_name", json!(5)),
        "problem configuration", "slots[1].key_name: expected a string, found the number 5", "write it in double quotes"),
    ("The configuration has no slots.",
        |machine| machine.set_option("/slots", json!([])),
        "problem configuration", "config.json: loaded 0 slots", "add a slot for each key"),
    ("Everybody may write to the configuration.",
        |machine| machine.set_mode("config.json", 0o646),
        "problem configuration", "everybody can write to it (mode 0646)", "chmod o-w "),
    ("Everybody may read a file with a secret.",
        |machine| machine.set_mode("google.json", 0o644),
        "warning secrets", "google.json, a file with a secret: everybody can read it", "chmod o-r "),
];

#[rustfmt::skip]
const CREDENTIALS: &[Setup] = &[
    ("There are no AWS credentials.",
        |machine| machine.variables = NO_ACCESS_KEY.to_vec(),
        "problem credentials", "no valid credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"),
    ("AWS_PROFILE names a profile that ~/.aws/config does not have.",
        |machine| {
            machine.write(".aws/config", "[profile other]\nregion = eu-central-1\n");
            machine.variables = [&NO_ACCESS_KEY[..], &[("AWS_PROFILE", Some("absent"))]].concat();
        },
        "problem credentials", "the profile \"absent\" (AWS_PROFILE) was not found in the shared AWS files",
        "correct the name, or add the profile"),
    ("The option \"aws_profile\" names a profile that does not exist.",
        |machine| machine.set_option("/slots/0/aws_profile", json!("absent")),
        "problem credentials", "the profile \"absent\" (option \"aws_profile\") was not found in the shared AWS files",
        "correct the name, or add the profile"),
    ("The access key does not exist.",
        |machine| machine.variables = vec![("AWS_ACCESS_KEY_ID", Some("AKIAUNKNOWN"))],
        "problem credentials", "InvalidClientTokenId", "correct the access key id"),
    ("The secret access key is wrong.",
        |machine| machine.variables = vec![("AWS_SECRET_ACCESS_KEY", Some("wrong"))],
        "problem credentials", "SignatureDoesNotMatch", "correct the secret access key"),
    ("The tenant does not exist.",
        |machine| machine.variables = vec![("AZURE_TENANT_ID", Some("00000000-dead"))],
        "problem credentials", "AADSTS90002", "\"azure_tenant_id\""),
    ("The application does not exist.",
        |machine| machine.variables = vec![("AZURE_CLIENT_ID", Some("unknown"))],
        "problem credentials", "AADSTS700016", "correct the application (\"azure_client_id\" or AZURE_CLIENT_ID)"),
    ("The client secret is wrong.",
        |machine| machine.variables = vec![("AZURE_CLIENT_SECRET", Some("wrong"))],
        "problem credentials", "AADSTS7000215", "az ad app credential reset"),
    ("The credentials of Google are a file that does not exist.",
        |machine| machine.set_option("/google_credentials_file", json!("/none.json")),
        "problem credentials", "/none.json", "correct or renew"),
    ("The permission to read the public key in AWS KMS is missing.",
        |machine| machine.fault("kms.GetPublicKey", Action::Deny),
        "problem permission", "permission denied", "grant kms:GetPublicKey, to arn:aws:iam::"),
    ("The permission to sign in AWS KMS is missing.",
        |machine| machine.fault("kms.Sign", Action::Deny),
        "problem permission", "permission denied", "grant kms:Sign, to arn:aws:iam::"),
    ("The permission to read the key in Key Vault is missing.",
        |machine| machine.fault("vault.keys.get", Action::Deny),
        "problem permission", "permission denied",
        "grant keys/get, for example by the role Key Vault Crypto User, to application "),
    ("The permission to sign in Google Cloud KMS is missing.",
        |machine| machine.fault("google.AsymmetricSign", Action::Deny),
        "problem permission", "permission denied", "grant the permission cloudkms.cryptoKeyVersions.useToSign on "),
];

#[rustfmt::skip]
const CONNECTION: &[Setup] = &[
    ("The name of the host can't be resolved.",
        |machine| machine.set_option("/aws_endpoint_url", json!("https://kms.invalid")),
        "problem name", "kms.invalid", "the endpoint, and this machine's DNS"),
    ("No program listens at the endpoint.",
        |machine| machine.set_option("/aws_endpoint_url", json!("https://127.0.0.1:1")),
        "problem connection", "Connection refused", "check the endpoint, the network and the firewall"),
    ("The service accepts connections and does not answer.",
        |machine| {
            machine.set_option("/call_timeout_ms", json!(1000));
            machine.fault("connection", Action::BlackHole);
        },
        "problem connection", "no reply before the deadline", "check the network and the firewall, or raise"),
    ("The proxy refuses the host.",
        |machine| {
            machine.fault("connect", Action::Page { status: 403, authenticate: None });
            machine.set_option("/slots/1/proxy", json!(machine.world.emulator.http_url()));
        },
        "problem proxy", "answered 403 Forbidden", "ask the proxy's administrator to allow this host"),
    ("No program listens at the address of the proxy.",
        |machine| machine.set_option("/slots/1/proxy", json!("http://127.0.0.1:1")),
        "problem proxy", "can't be reached", "correct the proxy"),
    ("The authority of the service's certificate is not trusted.",
        |machine| machine.set_option("/ca_bundle", json!(null)),
        "problem tls", "which is not a trusted authority", "name the file in \"ca_bundle\""),
    ("The file of authorities does not exist.",
        |machine| machine.set_option("/ca_bundle", json!("/none.pem")),
        "problem connection", "ca_bundle /none.pem: No such file or directory", "correct the setting"),
    ("The service's certificate has expired.",
        |machine| machine.fault("connection", Action::Certificate(Flaw::Expired)),
        "problem tls", "expired on 2021-01-01", "install a new certificate on the server"),
    ("The service's certificate is for another host.",
        |machine| machine.fault("connection", Action::Certificate(Flaw::OtherName)),
        "problem tls", "is for other names: other.example", "check the URL, and which server answers there"),
    ("The clock of the machine is ten minutes behind.",
        |machine| machine.world.emulator.control().shift_clock(600),
        "problem clock", "s behind the service's", "set the clock of this machine"),
    ("The clock of the machine is ten minutes ahead.",
        |machine| machine.world.emulator.control().shift_clock(-600),
        "problem clock", "s ahead of the service's", "set the clock of this machine"),
];

#[rustfmt::skip]
const KEYS: &[Setup] = &[
    ("The key in AWS KMS does not exist.",
        |machine| machine.set_option("/slots/0/kms_key_id", json!("alias/none")),
        "problem key", "not found", "aws kms list-aliases --region eu-central-1"),
    ("The key in Key Vault does not exist.",
        |machine| machine.set_option("/slots/1/key_name", json!("none")),
        "problem key", "not found", "az keyvault key recover --id "),
    ("The key in Google Cloud KMS does not exist.",
        |machine| {
            let name = format!("{}/cryptoKeys/none/cryptoKeyVersions/1", GoogleKey::KEY_RING);
            machine.set_option("/slots/2/google_key", json!(name));
        },
        "problem key", "not found", "gcloud kms keys list --keyring projects/"),
    ("The key in AWS KMS is disabled.",
        |machine| machine.world.emulator.aws().disable_key("alias/web").unwrap(),
        "problem key", "is disabled", "aws kms enable-key --key-id alias/web --region eu-central-1"),
    ("The key in Key Vault is disabled.",
        |machine| machine.world.emulator.vault("default").set_enabled("web", "", false).unwrap(),
        "problem key", "it is disabled", "az keyvault key set-attributes --id "),
    ("The key in Key Vault has expired.",
        |machine| machine.world.emulator.vault("default").set_validity("web", "", None, Some(1_600_000_000)).unwrap(),
        "problem key", "it expired at 2020", "--expires"),
    ("The key version in Google Cloud KMS is disabled.",
        |machine| machine.world.emulator.google().disable("web").unwrap(),
        "problem key", "DISABLED", "gcloud kms keys versions enable 1 --key web --keyring "),
    ("The key in AWS KMS is to be deleted.",
        |machine| machine.world.emulator.aws().schedule_deletion("alias/web").unwrap(),
        "problem key", "pending deletion", "aws kms cancel-key-deletion"),
    ("The key version in Google Cloud KMS is to be destroyed.",
        |machine| machine.world.emulator.google().destroy("web").unwrap(),
        "problem key", "DESTROY_SCHEDULED", "gcloud kms keys versions restore 1 "),
    ("The certificate is a file that does not exist.",
        |machine| machine.set_option("/slots/0/certificate_path", json!("/none.pem")),
        "problem certificate", "/none.pem can't be used", "correct the path"),
    ("The certificate belongs to another key.",
        |machine| machine.certify("azure", &[]),
        "problem certificate", "(CN=web) belongs to another key", "replace it by a certificate for the public half"),
    ("The certificate has expired.",
        |machine| machine.certify("aws", &["--not-before", "2020-01-01"]),
        "problem certificate", "it has expired", "have a new certificate issued for this key"),
    ("The certificate is not yet valid.",
        |machine| machine.certify("aws", &["--not-before", "2100-01-01"]),
        "problem certificate", "it is not valid before 2100-01-01", "set the clock of this machine if it is wrong"),
];

#[rustfmt::skip]
const HOST: &[Setup] = &[
    ("The module is not where it should be.",
        |machine| machine.variables = vec![("CLOUD_KMS_PKCS11_MODULE", Some("/none.so"))],
        "problem module", "/none.so can't be loaded", "name the module's file by --module"),
    ("The file of the module is no library.",
        |machine| machine.variables = vec![("CLOUD_KMS_PKCS11_MODULE", Some("/etc/passwd"))],
        "problem module", "/etc/passwd can't be loaded: ", "--module"),
    ("The module is not registered in p11-kit.",
        |machine| machine.remove(REGISTRATION),
        "warning p11-kit", "the module is not registered", ">/etc/pkcs11/modules/cloud-kms-pkcs11.module"),
    ("The registration names a file that does not exist.",
        |machine| machine.write(REGISTRATION, "# by hand\nmodule: /opt/libcloud_kms_pkcs11.so\n"),
        "problem p11-kit", "cloud-kms-pkcs11.module names /opt/libcloud_kms_pkcs11.so, which does not exist",
        "write the line \"module: "),
    // pkcs11.conf(5): the programs that may not see the module.
    ("The registration keeps p11-kit from loading the module.",
        |machine| machine.write(REGISTRATION, &format!("module: {}\ndisable-in: p11-kit\n", module_path().display())),
        "problem p11-kit", "but p11-kit does not load it", "p11-kit list-modules"),
];

/// The tables, with their titles in the document.
const GROUPS: [(&str, &[Setup]); 5] = [
    ("the configuration", CONFIGURATION),
    ("credentials and permissions", CREDENTIALS),
    ("the way to the service", CONNECTION),
    ("keys and certificates", KEYS),
    ("the machine", HOST),
];

/// Returns what `doctor` should have said about a set-up and has not, or what it has said about something else.
fn mistake((name, spoil, check, text, fix): &Setup) -> Option<String> {
    let mut machine = Machine::good();
    spoil(&mut machine);
    let report = machine.report(&[]);
    let troubles = report.troubles();
    // The check, the same fault in other checks, and the variable that is the fault.
    let is_about_fault = |trouble: &String| {
        let is_variable = |(name, _): &(&str, _)| trouble.starts_with(&format!("warning {name}: "));
        trouble.starts_with(&format!("{check}: "))
            || trouble.contains(text)
            || machine.variables.iter().any(is_variable)
    };
    let code = Some(i32::from(check.starts_with("problem")));
    let is_named = report.has(check, text, fix) && report.code == code && !text.is_empty() && !fix.is_empty();
    let is_right = is_named && troubles.iter().all(is_about_fault);
    (!is_right).then(|| format!("{name}\n  {check}: {text}; {fix}\nexit code {:?}: {troubles:#?}", report.code))
}

fn assert_named(setups: &[Setup]) {
    assert_eq!(Machine::good().report(&[]).troubles(), Vec::<String>::new());
    let mistakes: Vec<String> = setups.iter().filter_map(mistake).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
}

#[test]
fn broken_configurations_are_named() {
    assert_named(CONFIGURATION);
}

#[test]
fn missing_credentials_and_permissions_are_named() {
    assert_named(CREDENTIALS);
}

#[test]
fn obstacles_on_the_way_to_the_service_are_named() {
    assert_named(CONNECTION);
}

#[test]
fn unusable_keys_and_certificates_are_named() {
    assert_named(KEYS);
}

#[test]
fn broken_machines_are_named() {
    assert_named(HOST);
}

#[test]
fn the_document_has_the_same_tables() {
    let mut tables = String::new();
    for (title, setups) in GROUPS {
        write!(tables, "| {title} | check | what it finds | fix |\n|---|---|---|---|\n").unwrap();
        for (name, _, check, text, fix) in setups {
            writeln!(tables, "| {name} | {check} | {} | {} |", text.trim(), fix.trim()).unwrap();
        }
        tables.push('\n');
    }
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tool.md");
    let is_written = std::fs::read_to_string(document).unwrap().contains(&tables);
    assert!(is_written, "docs/tool.md has other tables than these:\n{tables}");
}
