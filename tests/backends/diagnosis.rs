//! The diagnosis of slots: a good set-up has no warning, and each broken one is named with its fix.

use crate::server::{CLOSED_PORT, FILES, named};
use crate::{aws, azure, google, openssl, vault};
use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault, GoogleKey, VaultCertificate, VaultKey};
use cloud_kms_pkcs11::certificate::Certificate;
use cloud_kms_pkcs11::cloud::aws::Settings as Aws;
use cloud_kms_pkcs11::cloud::azure::{Credential, Settings as Azure};
use cloud_kms_pkcs11::cloud::google::{Credentials, Settings as Google};
use cloud_kms_pkcs11::cloud::vault::{Auth, Settings as Vault};
use cloud_kms_pkcs11::cloud::{Network, Secret};
use cloud_kms_pkcs11::config::{CertificateSource, Config, Key, Keys, Quirks, Service, Slot};
use cloud_kms_pkcs11::diagnosis::check::{Check, Outcome};
use cloud_kms_pkcs11::diagnosis::{SlotReport, slots};
use std::sync::Arc;
use std::time::Duration;

/// An emulator with the key "web" in each cloud. That of Azure has a certificate.
fn world() -> Emulator {
    let emulator = Emulator::start().unwrap();
    emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/web")).unwrap();
    emulator.vault("default").create_certificate("web", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
    emulator.google().create_key("web", GoogleKey::new("EC_SIGN_P256_SHA256")).unwrap();
    emulator
}

/// The name of the key of Google.
fn version() -> String {
    format!("{}/cryptoKeys/web/cryptoKeyVersions/1", GoogleKey::KEY_RING)
}

fn key(id: &str, certificate: CertificateSource) -> Key {
    Key { name: named(id), label: id.to_owned(), certificate }
}

fn slot_with(service: Service, keys: Keys) -> Slot {
    Slot {
        label: "slot".to_owned(),
        service: Arc::new(service),
        keys,
        hide_keys: Vec::new(),
        quirks: Quirks::default(),
        management: None,
    }
}

fn slot(service: Service, id: &str) -> Slot {
    slot_with(service, Keys::Named(vec![key(id, CertificateSource::Service)]))
}

/// The slots of the three clouds with the key "web".
fn good_slots(emulator: &Emulator) -> [Slot; 3] {
    [
        slot(Service::Aws(aws::settings(emulator)), "alias/web"),
        slot(Service::Azure(azure::settings(emulator)), "web"),
        slot(Service::Google(google::settings(emulator)), &version()),
    ]
}

fn reports(all: impl IntoIterator<Item = Slot>, sign: bool) -> Vec<SlotReport> {
    let _ = FILES.path();
    slots(&Config { slots: all.into_iter().collect(), ..Config::default() }, None, sign)
}

fn report(slot: Slot) -> SlotReport {
    reports([slot], false).remove(0)
}

/// Returns the check of that name, which must be no problem and no warning in any report of a good set-up.
#[track_caller]
fn found<'a>(report: &'a SlotReport, name: &str) -> &'a Check {
    let bad = report.checks.iter().find(|check| check.name == name && check.outcome != Outcome::Ok);
    let any = || report.checks.iter().find(|check| check.name == name);
    bad.or_else(any).unwrap_or_else(|| panic!("no check {name}: {report:#?}"))
}

/// Asserts that the report has this problem, with these words in its text and in its fix.
#[track_caller]
fn assert_problem(report: &SlotReport, name: &str, text: &str, fix: &str) {
    let check = found(report, name);
    assert_eq!(check.outcome, Outcome::Problem, "{report:#?}");
    assert!(check.text.contains(text), "{text:?} is not in {check:#?}");
    assert!(check.fix.as_ref().is_some_and(|own| own.contains(fix)), "{fix:?} is not in {check:#?}");
}

#[test]
fn a_good_set_up_has_no_warning() {
    let emulator = world();
    let aws_keys = [("RSA_2048", "SIGN_VERIFY"), ("RSA_2048", "ENCRYPT_DECRYPT"), ("ECC_NIST_P384", "KEY_AGREEMENT")];
    let mut more: Vec<Key> = aws_keys
        .into_iter()
        .map(|(spec, usage)| emulator.aws().create_key(AwsKey::new(spec).usage(usage)).unwrap().arn)
        .chain(
            ["HMAC_256", "ML_DSA_44", "ECC_NIST_EDWARDS25519"]
                .map(|spec| emulator.aws().create_key(AwsKey::new(spec)).unwrap().arn),
        )
        .map(|arn| key(&arn, CertificateSource::Service))
        .collect();
    more.push(key("alias/web", CertificateSource::Service));
    let several = slot_with(Service::Aws(aws::settings(&emulator)), Keys::Named(more));
    let discovered = slot_with(Service::Azure(azure::settings(&emulator)), Keys::Discovered);
    let all = good_slots(&emulator).into_iter().chain([several, discovered]);
    let reports = reports(all, true);
    for report in &reports {
        let worst = report.checks.iter().find(|check| check.outcome != Outcome::Ok || check.fix.is_some());
        assert_eq!(worst, None, "{report:#?}");
    }
    let names = |report: &SlotReport| report.checks.iter().map(|check| check.name).collect::<Vec<_>>();
    let start = ["credentials", "identity", "name", "tls", "clock", "key"];
    assert_eq!(names(&reports[0]), [&start[..], &["permission", "signature"]].concat());
    assert_eq!(names(&reports[1]), [&start[..], &["signature", "certificate"]].concat());
    assert_eq!(names(&reports[2]), [&start[..], &["permission", "signature"]].concat());
    let text = |report: usize, name: &str| found(&reports[report], name).text.clone();
    assert!(text(0, "identity").starts_with("arn:aws:iam::"), "{}", text(0, "identity"));
    assert!(text(0, "credentials").contains("the profile \"default\""), "{}", text(0, "credentials"));
    assert!(text(0, "key").contains("P-256, and signs; SHA-256 of its public half: "), "{}", text(0, "key"));
    assert!(text(1, "identity").contains("application emulator-client, object "), "{}", text(1, "identity"));
    assert!(text(1, "credentials").contains("client secret (option \"azure_client_secret\")"));
    assert!(text(1, "tls").contains("issued by CN="), "{}", text(1, "tls"));
    assert!(text(2, "identity").contains("service account "), "{}", text(2, "identity"));
    assert_eq!(reports[3].checks.iter().filter(|check| check.name == "permission").count(), 7);
    assert!(text(4, "key").contains("the service lists 1 keys, 1 of them enabled"), "{}", text(4, "key"));
    assert_eq!(emulator.control().count("vault.keys.sign"), 2, "one for each slot with the key");
}

#[test]
fn nothing_is_signed_without_being_asked_for() {
    let emulator = world();
    reports(good_slots(&emulator), false);
    let signed = emulator.control().log().into_iter().filter(|entry| entry.operation.ends_with("ign"));
    // DryRun makes no signature.
    let signed: Vec<_> = signed.filter(|entry| entry.status == 200).collect();
    assert!(signed.is_empty(), "{signed:?}");
}

#[test]
fn all_slots_are_asked_at_once() {
    let emulator = world();
    emulator.control().fault(Fault::new("kms.GetPublicKey", Action::Await { requests: 2 }));
    let other = aws::settings(&emulator);
    let network = Network { call_timeout: Duration::from_secs(19), ..other.network.clone() };
    let other = slot(Service::Aws(Aws { network, ..other }), "alias/web");
    for report in reports([good_slots(&emulator)[0].clone(), other], false) {
        assert!(report.checks.iter().all(|check| check.outcome == Outcome::Ok), "{report:#?}");
    }
}

#[test]
fn a_clock_that_is_off_is_named() {
    let emulator = world();
    for (seconds, outcome) in [(120, Outcome::Warning), (600, Outcome::Problem), (-600, Outcome::Problem)] {
        emulator.control().shift_clock(seconds);
        let report = report(slot(Service::Azure(azure::settings(&emulator)), "web"));
        let clock = found(&report, "clock");
        assert_eq!(clock.outcome, outcome, "{report:#?}");
        assert!(clock.fix.as_ref().unwrap().contains("set the clock of this machine"), "{clock:?}");
    }
}

#[test]
fn a_missing_permission_is_named() {
    let emulator = world();
    let [aws, azure, google] = good_slots(&emulator);
    for (operation, slot, needed) in [
        ("kms.Sign", &aws, "grant kms:Sign, to arn:aws:iam::"),
        ("kms.GetPublicKey", &aws, "grant kms:GetPublicKey, to arn:aws:iam::"),
        ("vault.keys.get", &azure, "grant keys/get, for example by the role Key Vault Crypto User, to application "),
        ("google.AsymmetricSign", &google, "grant the permission cloudkms.cryptoKeyVersions.useToSign on "),
        ("google.GetPublicKey", &google, "grant the permission cloudkms.cryptoKeyVersions.viewPublicKey on "),
    ] {
        emulator.control().fault(Fault::new(operation, Action::Deny));
        assert_problem(&report(slot.clone()), "permission", "permission denied", needed);
        emulator.control().clear_faults();
    }
    emulator.control().fault(Fault::new("vault.keys.sign", Action::Deny));
    let signed = reports([azure], true).remove(0);
    assert_problem(&signed, "permission", "Sign: permission denied", "grant keys/sign");
}

#[test]
fn wrong_credentials_are_named() {
    let emulator = world();
    let azure = azure::settings(&emulator);
    let tenant = Azure { tenant_id: Some("00000000-dead".into()), ..azure.clone() };
    let tenant = report(slot(Service::Azure(tenant), "web"));
    assert_problem(&tenant, "credentials", "AADSTS90002", "\"azure_tenant_id\"");
    assert!(tenant.checks.iter().all(|check| check.name != "key"), "the key fails for the same reason: {tenant:#?}");
    let secret = Some(Secret("wrong".to_owned().into()));
    let secret = Azure { client_secret: secret, ..azure };
    assert_problem(
        &report(slot(Service::Azure(secret), "web")),
        "credentials",
        "AADSTS7000215",
        "az ad app credential reset",
    );
    let with_profile = |name: &str| {
        let profile = Some(name.to_owned());
        let settings = Aws { profile, ..aws::settings(&emulator) };
        report(slot(Service::Aws(settings), "alias/web"))
    };
    assert_problem(&with_profile("unknown"), "credentials", "InvalidClientTokenId", "correct the access key id");
    assert_problem(&with_profile("absent"), "credentials", "the profile \"absent\"", "");
    let file = Credentials::File("/nonexistent/google.json".into());
    let settings = Google { credentials: file, ..google::settings(&emulator) };
    assert_problem(
        &report(slot(Service::Google(settings), &version())),
        "credentials",
        "google.json",
        "correct or renew",
    );
}

#[test]
fn a_key_that_cannot_be_used_is_named_with_the_command_that_helps() {
    let emulator = world();
    let [aws, azure, google] = good_slots(&emulator);
    emulator.aws().disable_key("alias/web").unwrap();
    emulator.vault("default").set_enabled("web", "", false).unwrap();
    emulator.google().disable("web").unwrap();
    let enable = "run `aws kms enable-key --key-id alias/web --region eu-central-1`";
    assert_problem(&report(aws.clone()), "key", "is disabled", enable);
    let enable = format!("run `az keyvault key set-attributes --id {}/keys/web --enabled true`", emulator.https_url());
    assert_problem(&report(azure.clone()), "key", "it is disabled", &enable);
    assert_problem(
        &report(google.clone()),
        "key",
        "DISABLED",
        "run `gcloud kms keys versions enable 1 --key web --keyring ",
    );
    emulator.aws().schedule_deletion("alias/web").unwrap();
    assert_problem(&report(aws), "key", "pending deletion", "aws kms cancel-key-deletion");
    emulator.vault("default").set_enabled("web", "", true).unwrap();
    emulator.vault("default").set_validity("web", "", None, Some(1_600_000_000)).unwrap();
    assert_problem(&report(azure), "key", "it expired at 2020", "--expires");
    emulator.google().destroy("web").unwrap();
    assert_problem(&report(google), "key", "DESTROY_SCHEDULED", "run `gcloud kms keys versions restore 1 ");
}

#[test]
fn a_missing_key_is_named() {
    let emulator = world();
    let [aws, azure, google] = good_slots(&emulator);
    let other = |slot: &Slot, id: &str| {
        report(Slot { keys: Keys::Named(vec![key(id, CertificateSource::Service)]), ..slot.clone() })
    };
    assert_problem(&other(&aws, "alias/none"), "key", "not found", "aws kms list-aliases --region eu-central-1");
    assert_problem(&other(&azure, "none"), "key", "not found", "az keyvault key recover --id ");
    let none = version().replace("/web/", "/none/");
    assert_problem(&other(&google, &none), "key", "not found", "gcloud kms keys list --keyring projects/");
}

#[test]
fn obstacles_on_the_way_are_named() {
    let emulator = world();
    let good = Network {
        call_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(30),
        retries: 0,
        ..azure::settings(&emulator).network
    };
    let proxy = Emulator::start().unwrap();
    proxy.control().fault(Fault::new("connect", Action::Page { status: 403, authenticate: None }));
    let through = |url: String| Network { proxy: Some(url.into()), ..good.clone() };
    let no_authority = Network { ca_bundle: None, ..good.clone() };
    let local = emulator.https_url();
    for (url, network, name, text, fix) in [
        ("https://kms.invalid", &good, "name", "kms.invalid", "DNS"),
        (&local, &no_authority, "tls", "which is not a trusted authority", "\"ca_bundle\""),
        (&local, &through(format!("http://{CLOSED_PORT}")), "proxy", "can't be reached", "proxy"),
        (&local, &through(proxy.http_url()), "proxy", "answered 403 Forbidden", "administrator to allow this host"),
        (&format!("https://{CLOSED_PORT}"), &good, "connection", "Connection refused", "firewall"),
    ] {
        let settings = Aws { endpoint_url: Some(url.to_owned()), network: network.clone(), ..aws::settings(&emulator) };
        let report = report(slot(Service::Aws(settings), "alias/web"));
        assert_problem(&report, name, text, fix);
        let about = |check: &&Check| ["key", "permission"].contains(&check.name);
        assert_eq!(report.checks.iter().find(about), None, "the key fails for the same reason: {report:#?}");
    }
}

#[test]
fn the_proxy_in_force_is_named() {
    let emulator = world();
    let azure = azure::settings(&emulator);
    let network = Network { proxy: Some(emulator.http_url().into()), ..azure.network.clone() };
    let report = report(slot(Service::Azure(Azure { network, ..azure }), "web"));
    let check = found(&report, "proxy");
    assert_eq!(check.outcome, Outcome::Ok, "{report:#?}");
    assert!(check.text.contains("(from the option \"proxy\")"), "{check:?}");
}

#[test]
fn a_certificate_of_another_key_is_named() {
    let emulator = world();
    let folder = tempfile::tempdir().unwrap();
    let der = openssl::certificate(&folder.path().join("other.pem"), false);
    let other = Certificate::from_der(&der).unwrap();
    let aws = Service::Aws(aws::settings(&emulator));
    let keys = Keys::Named(vec![key("alias/web", CertificateSource::Inline(vec![other]))]);
    let fix = "replace it by a certificate for the public half";
    assert_problem(&report(slot_with(aws.clone(), keys)), "certificate", "(CN=test) belongs to another key", fix);
    let file = CertificateSource::File("/nonexistent/web.pem".into());
    let report = report(slot_with(aws, Keys::Named(vec![key("alias/web", file)])));
    assert_problem(&report, "certificate", "/nonexistent/web.pem can't be used", "correct the path");
}

#[test]
fn replicas_are_looked_for_in_their_regions() {
    let emulator = world();
    let primary = emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").multi_region()).unwrap();
    let settings =
        Aws { failover_regions: vec!["eu-west-1".to_owned(), "eu-north-1".to_owned()], ..aws::settings(&emulator) };
    let with = |id: &str| report(slot(Service::Aws(settings.clone()), id));
    emulator.aws().replicate_key(&primary.id, "eu-west-1").unwrap();
    let command = format!(
        "run `aws kms replicate-key --key-id {} --replica-region eu-north-1 --region eu-central-1`",
        primary.arn
    );
    assert_problem(&with(&primary.arn), "replicas", "eu-north-1: GetPublicKey: not found", &command);
    emulator.aws().replicate_key(&primary.id, "eu-north-1").unwrap();
    let report = with(&primary.arn);
    let check = found(&report, "replicas");
    assert_eq!((&check.outcome, check.text.contains("eu-west-1, eu-north-1")), (&Outcome::Ok, true), "{report:#?}");
    assert_problem(&with("alias/web"), "replicas", "not a multi-Region key", "remove \"aws_failover_regions\"");
}

#[test]
fn nothing_is_asked_about_keys_before_a_login() {
    let emulator = world();
    let settings = Azure { credential: Credential::Login, client_secret: None, ..azure::settings(&emulator) };
    let report = report(slot(Service::Azure(settings), "web"));
    assert!(report.checks.iter().all(|check| check.outcome == Outcome::Ok), "{report:#?}");
    assert!(found(&report, "credentials").text.contains("the application's client secret"), "{report:#?}");
    for operation in ["vault.keys.get", "vault.keys.sign"] {
        assert_eq!(emulator.control().count(operation), 0, "{operation}");
    }
}

#[test]
fn a_real_vault_tells_its_token_and_its_policies() {
    let Some(server) = vault::server() else { return };
    let settings = vault::settings(&server);
    let good = reports([slot(Service::Vault(settings.clone()), "p256")], true).remove(0);
    let worst = good.checks.iter().find(|check| check.outcome != Outcome::Ok);
    assert_eq!(worst, None, "{good:#?}");
    assert!(found(&good, "identity").text.contains("policies "), "{good:#?}");
    found(&good, "permission");
    let wrong = Vault { auth: Auth::Token("wrong".to_owned().into()), ..settings.clone() };
    assert_problem(&report(slot(Service::Vault(wrong), "p256")), "credentials", "no valid credentials", "replace it");
    assert_problem(
        &report(slot(Service::Vault(settings.clone()), "missing")),
        "key",
        "not found",
        "vault list transit/keys",
    );
    let mount = Vault { mount: "other/transit".to_owned(), ..settings };
    assert_problem(
        &report(slot(Service::Vault(mount), "p256")),
        "permission",
        "denied",
        "on \"other/transit/keys/p256\"",
    );
}
