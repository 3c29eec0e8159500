//! Endpoints and credentials from AWS's variables and shared files, with the meaning that AWS's own tools give them.

use crate::module_test;
use crate::support::world::World;
use cloud_kms_emulator::AwsKey;
use cryptoki_sys::*;
use serde_json::{Value, json};

const REGION: &str = "eu-central-1";

/// Variables, the shared configuration file, the slot's options, and the host that has to receive the request.
type Case<'a> = (Vec<(&'a str, &'a str)>, String, Value, &'a str);

/// The variables that a case may set.
const VARIABLES: [&str; 10] = [
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// Prepares a machine that reaches AWS through a proxy. The proxy is the emulator, which serves the real host names.
fn prepare(world: &World) {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    unsafe { std::env::set_var("HTTPS_PROXY", world.emulator.http_url()) };
}

/// Sets these variables, and removes all others of `VARIABLES`.
fn set(variables: &[(&str, &str)]) {
    VARIABLES.iter().for_each(|name| unsafe { std::env::remove_var(name) });
    variables.iter().for_each(|(name, value)| unsafe { std::env::set_var(name, value) });
}

fn configure(world: &World, options: &Value) {
    let mut slot = json!({ "label": "a", "kms_key_id": "alias/a", "aws_region": REGION });
    slot.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let config = json!({
        "ca_bundle": world.home.join("ca.pem"), "log_file": world.home.join("module.log"), "log_level": "debug", "retries": 0,
        "slots": [slot],
    });
    std::fs::write(world.home.join("config.json"), config.to_string()).unwrap();
}

fn shared(world: &World, text: &str) {
    std::fs::create_dir_all(world.home.join(".aws")).unwrap();
    std::fs::write(world.home.join(".aws/config"), text).unwrap();
}

/// Signs, between C_Initialize and C_Finalize of its own. Returns the services and hosts that were asked, or the
/// new lines of the log if signing failed.
fn signed(world: &World, slot: &Value) -> Result<Vec<(String, String)>, String> {
    configure(world, slot);
    world.emulator.control().reset();
    let before = world.log().len();
    let p11 = world.module();
    let session = p11.open(0);
    let key = p11.find_class(session, CKO_PRIVATE_KEY).first().copied();
    let signed = key.is_some_and(|key| p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"data").is_ok());
    p11.finalize().unwrap();
    let log = world.log()[before..].to_owned();
    if !signed {
        return Err(log);
    }
    let entries = world.emulator.control().log().into_iter();
    let service = |operation: &str| operation.split_once('.').map_or("", |(service, _)| service).to_owned();
    let mut hosts: Vec<_> = entries.map(|entry| (service(&entry.operation), entry.host)).collect();
    hosts.retain(|(service, _)| ["kms", "sts"].contains(&&**service));
    hosts.dedup();
    Ok(hosts)
}

module_test! {
    fn the_endpoint_is_the_one_that_every_tool_of_aws_takes(world) {
        prepare(world);
        unsafe { std::env::set_var("NO_PROXY", "127.0.0.1") };
        let (own, nobody) = (world.emulator.http_url(), "http://127.0.0.1:1");
        let here = own.strip_prefix("http://").unwrap();
        let usual = format!("kms.{REGION}.amazonaws.com");
        let (fips, dual) = (format!("kms-fips.{REGION}.amazonaws.com"), format!("kms.{REGION}.api.aws"));
        let services = |kms: &str| format!("[default]\nservices = own\n[services own]\nkms =\n  endpoint_url = {kms}\n");
        let none = json!({});
        #[rustfmt::skip]
        let cases: Vec<Case> = vec![
            (vec![], String::new(), none.clone(), &usual),
            (vec![("AWS_ENDPOINT_URL_KMS", &own)], String::new(), none.clone(), here),
            (vec![("AWS_ENDPOINT_URL", &own)], String::new(), none.clone(), here),
            (vec![("AWS_ENDPOINT_URL_KMS", &own), ("AWS_ENDPOINT_URL", nobody)], services(nobody), none.clone(), here),
            (vec![], format!("[default]\nendpoint_url = {own}\n"), none.clone(), here),
            (vec![], services(&own), none.clone(), here),
            (vec![("AWS_ENDPOINT_URL", &own)], services(nobody), none.clone(), here),
            (vec![("AWS_ENDPOINT_URL_KMS", nobody)], services(nobody), json!({ "aws_endpoint_url": own }), here),
            (vec![("AWS_ENDPOINT_URL_KMS", nobody), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")], services(nobody), none.clone(), &usual),
            (vec![], format!("[default]\nignore_configured_endpoint_urls = true\nendpoint_url = {nobody}\n"), none.clone(), &usual),
            (vec![("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")], String::new(), json!({ "aws_endpoint_url": own }), here),
            (vec![("AWS_USE_FIPS_ENDPOINT", "true")], String::new(), none.clone(), &fips),
            (vec![], "[default]\nuse_fips_endpoint = true\n".into(), none.clone(), &fips),
            (vec![], String::new(), json!({ "aws_use_fips_endpoint": true }), &fips),
            (vec![("AWS_USE_FIPS_ENDPOINT", "true")], String::new(), json!({ "aws_use_fips_endpoint": false }), &usual),
            (vec![("AWS_USE_DUALSTACK_ENDPOINT", "true")], String::new(), none.clone(), &dual),
            (vec![], "[default]\nuse_dualstack_endpoint = true\n".into(), none.clone(), &dual),
            (vec![], String::new(), json!({ "aws_use_dualstack_endpoint": true }), &dual),
        ];
        for (variables, file, slot, host) in cases {
            set(&variables);
            shared(world, &file);
            let asked = signed(world, &slot);
            assert_eq!(asked, Ok(vec![("kms".to_owned(), host.to_owned())]), "{variables:?} {file:?} {slot}");
        }
    }
}

module_test! {
    fn a_role_is_assumed_where_the_settings_say(world) {
        prepare(world);
        unsafe { std::env::set_var("NO_PROXY", "127.0.0.1") };
        let own = world.emulator.http_url();
        let here = own.strip_prefix("http://").unwrap();
        let role = "arn:aws:iam::111122223333:role/signer";
        let by_slot = json!({ "aws_role_arn": role });
        let profile = format!("[profile r]\nrole_arn = {role}\ncredential_source = Environment\n");
        let by_profile = json!({ "aws_profile": "r" });
        let services = format!("[default]\nservices = own\n[services own]\nsts =\n  endpoint_url = {own}\n");
        let in_profile = format!("{profile}services = own\n[services own]\nsts =\n  endpoint_url = {own}\n");
        let (usual, fips) = (format!("sts.{REGION}.amazonaws.com"), format!("sts-fips.{REGION}.amazonaws.com"));
        #[rustfmt::skip]
        let cases: Vec<Case> = vec![
            (vec![], String::new(), by_slot.clone(), &usual),
            (vec![("AWS_ENDPOINT_URL_STS", &own)], String::new(), by_slot.clone(), here),
            (vec![], services, by_slot.clone(), here),
            (vec![("AWS_USE_FIPS_ENDPOINT", "true")], String::new(), by_slot.clone(), &fips),
            (vec![], profile.clone(), by_profile.clone(), &usual),
            (vec![("AWS_ENDPOINT_URL_STS", &own)], profile.clone(), by_profile.clone(), here),
            (vec![], in_profile, by_profile.clone(), here),
            (vec![("AWS_USE_FIPS_ENDPOINT", "true")], profile.clone(), by_profile.clone(), &fips),
            (vec![], profile.clone(), json!({ "aws_profile": "r", "aws_use_fips_endpoint": true }), &fips),
        ];
        for (variables, file, slot, host) in cases {
            set(&variables);
            shared(world, &file);
            let asked = signed(world, &slot).unwrap();
            let sts = asked.iter().find(|(service, _)| service == "sts").map(|(_, host)| &**host);
            assert_eq!(sts, Some(host), "{variables:?} {file:?} {slot}");
        }
    }
}

/// Asserts that signing fails and that the line of the error contains `words`. Returns the line.
fn assert_failure_says(world: &World, variables: &[(&str, &str)], slot: &Value, words: &[&str]) -> String {
    set(variables);
    let log = signed(world, slot).unwrap_err();
    let line = log.lines().rfind(|line| line.contains(" error: "));
    let line = line.unwrap_or_else(|| panic!("no line in {log}")).to_owned();
    for words in words {
        assert!(line.contains(words), "{words} in {line}");
    }
    assert!(!line.contains("not enabled") && !line.contains("dispatch failure"), "{line}");
    line
}

module_test! {
    fn a_line_says_where_a_request_really_went(world) {
        prepare(world);
        unsafe { std::env::set_var("HTTPS_PROXY", "http://127.0.0.1:1") };
        shared(world, "");
        let at = |url: &str| format!("in AWS KMS at {url}");
        assert_failure_says(world, &[], &json!({}), &["in AWS KMS in eu-central-1: "]);
        assert_failure_says(world, &[("AWS_USE_FIPS_ENDPOINT", "true")], &json!({}), &[&at("https://kms-fips.eu-central-1.amazonaws.com: ")]);
        assert_failure_says(world, &[("AWS_ENDPOINT_URL_KMS", "https://kms.example")], &json!({}), &[&at("https://kms.example (AWS_ENDPOINT_URL_KMS): ")]);
        let both = [("AWS_ENDPOINT_URL", "https://kms.example"), ("AWS_USE_FIPS_ENDPOINT", "true")];
        assert_failure_says(world, &both, &json!({}), &["https://kms.example (AWS_ENDPOINT_URL) contradicts use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT"]);
        shared(world, "[default]\nendpoint_url = https://kms.example\n");
        assert_failure_says(world, &[], &json!({}), &[&at("https://kms.example (shared AWS configuration): ")]);
    }
}

module_test! {
    fn unencrypted_endpoints_are_warned_about(world) {
        prepare(world);
        unsafe { std::env::set_var("HTTP_PROXY", "http://127.0.0.1:1") };
        shared(world, "");
        let (far, kms) = ("http://far.example", "AWS_ENDPOINT_URL_KMS: http://far.example: requests to another machine are not encrypted");
        let sts = "AWS_ENDPOINT_URL_STS: http://far.example: requests for credentials to another machine are not encrypted";
        let own = world.emulator.http_url();
        for (variables, warnings) in [
            (vec![("AWS_ENDPOINT_URL_KMS", far)], vec![kms]),
            (vec![("AWS_ENDPOINT_URL_STS", far), ("AWS_ENDPOINT_URL_KMS", &own)], vec![sts]),
            (vec![("AWS_ENDPOINT_URL", far)], vec!["AWS_ENDPOINT_URL: http://far.example: requests to another machine"]),
            (vec![("AWS_ENDPOINT_URL", &own)], vec![]),
        ] {
            set(&variables);
            let before = world.log().len();
            let _ = signed(world, &json!({}));
            let log = world.log()[before..].to_owned();
            assert_eq!(log.matches("another machine").count(), warnings.len(), "{variables:?} {log}");
            assert!(warnings.iter().all(|words| log.contains(words)), "{variables:?} {log}");
        }
    }
}

module_test! {
    fn files_and_profiles_that_are_not_there_are_named(world) {
        prepare(world);
        let none = world.home.join("none").display().to_string();
        let own = world.home.join(".aws/config").display().to_string();
        shared(world, "[profile other]\nregion = eu-central-1\n");
        let typo = json!({ "aws_profile": "tpyo" });
        assert_failure_says(world, &[], &typo, &["a setting on this machine is missing or wrong: the profile \"tpyo\" (option \"aws_profile\") was not found in the shared AWS files: ", &own, "credentials (this file does not exist)"]);
        for gone in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            unsafe { std::env::remove_var(gone) };
        }
        let short = "; not configured: credential_process, variables, ";
        assert_failure_says(world, &[("AWS_PROFILE", "tpyo")], &json!({}), &[short, "a setting on this machine is missing or wrong: the profile \"tpyo\" (AWS_PROFILE) was not found in the shared AWS files"]);
        let missing = format!("names {none}: the file does not exist");
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            assert_failure_says(world, &[(name, &none)], &json!({}), &[&format!("a setting on this machine is missing or wrong: {name} {missing}")]);
        }
        unsafe { std::env::set_var("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/signer") };
        let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", &*none);
        assert_failure_says(world, &[token], &json!({}), &[&format!("a setting on this machine is missing or wrong: {} {missing}", token.0)]);
        std::fs::write(&none, "\u{feff}token\r\n").unwrap();
        assert_failure_says(world, &[token], &json!({}), &["the file does not consist of the token alone"]);
        std::fs::remove_file(&none).unwrap();
        let credentials = world.home.join(".aws/credentials");
        std::fs::write(&credentials, "\u{feff}[default]\naws_access_key_id = a\naws_secret_access_key = s3cret\n").unwrap();
        let line = assert_failure_says(world, &[], &json!({}), &[&format!("missing or wrong: {}: the AWS SDK can't read this encoding; save the file as UTF-8 without a byte order mark", credentials.display())]);
        assert_eq!(line.matches("could not parse").count(), 1, "{line}");
        assert!(!world.log().contains("s3cret"));
    }
}

module_test! {
    fn a_profile_says_what_is_wrong_with_it(world) {
        prepare(world);
        for gone in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            unsafe { std::env::remove_var(gone) };
        }
        let none = world.home.join("none").display().to_string();
        let role = "role_arn = arn:aws:iam::111122223333:role/signer\n";
        let profiles = [
            format!("[profile token]\n{role}web_identity_token_file = {none}\n"),
            format!("[profile far]\n{role}source_profile = token\n"),
            format!("[profile source]\n{role}source_profile = gone\n"),
            format!("[profile program]\ncredential_process = {none}/program\n"),
            "[profile region]\nregion = eu-central-1\n".to_owned(),
            "[profile half]\naws_access_key_id = a\n".to_owned(),
        ];
        shared(world, &profiles.concat());
        let file = format!("uses the web_identity_token_file {none}: the file does not exist");
        for (name, words) in [
            ("token", file.as_str()),
            ("far", &file),
            ("source", "could not find source profile gone referenced from source"),
            ("program", &format!("credential_process: exit status: 127: /bin/sh: 1: {none}/program: not found")),
            ("region", "has no settings for credentials; add one of aws_access_key_id, credential_process, "),
            ("half", "profile missing aws_secret_access_key"),
        ] {
            let own = format!("the profile \"{name}\" (option \"aws_profile\")");
            let line = assert_failure_says(world, &[], &json!({ "aws_profile": name }), &[words, &own]);
            assert!(!line.contains("set AWS_ACCESS_KEY_ID") && !line.contains("os error"), "{line}");
        }
        let line = assert_failure_says(world, &[("AWS_PROFILE", "token")], &json!({}), &["the profile \"token\" (AWS_PROFILE) ", &file]);
        assert!(!line.contains("os error"), "{line}");
        let credentials = world.home.join(".aws/credentials");
        std::fs::write(&credentials, "[default]\r\naws_access_key_id = emulator-access-key\r\naws_secret_access_key = emulator-secret-key\r\n").unwrap();
        set(&[]);
        let mode = |mode| std::fs::set_permissions(&credentials, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(signed(world, &json!({})).is_ok(), "Windows line endings are accepted");
        let open = format!("warn: {}: the file contains a secret, and everybody can read it (mode 0644): chmod o-r", credentials.display());
        assert_eq!(world.log().matches(&open).count(), 1, "{}", world.log());
        assert_eq!(world.log().matches(" a secret, and ").count(), 1, "no warning about the configuration file");
        std::fs::write(&credentials, "[default\naws_secret_access_key = s3cret\n").unwrap();
        let line = assert_failure_says(world, &[], &json!({}), &["missing or wrong: could not parse", &credentials.display().to_string(), "line 1"]);
        assert_eq!(line.matches("could not parse").count(), 1, "{line}");
        assert!(!world.log().contains("s3cret"));
    }
}
