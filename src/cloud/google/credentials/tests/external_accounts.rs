//! Workload identity federation with each of its sources.

use super::*;

#[test]
fn the_token_of_another_provider_is_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt"), "ey.J.x\n").unwrap();
    let by_file = external(json!({ "file": folder.path().join("jwt") }));
    let (answer, seen) = fetch_with(&by_file, &[token_reply("sts-1")]);
    assert_eq!(secret(&answer.unwrap().0), "sts-1");
    let form = seen[0].form();
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", by_file["audience"].as_str().unwrap()),
        ("scope", "https://www.googleapis.com/auth/cloudkms"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", "ey.J.x"),
    ] {
        assert_eq!(form[name], value);
    }
    // A service account with another lifetime, and a server of the platform.
    let mut by_url = external(json!({
        "url": "http://169.254.169.254/metadata/identity/oauth2/token?resource=x", "headers": { "Metadata": "True" },
        "format": { "type": "json", "subject_token_field_name": "access_token" },
    }));
    by_url["service_account_impersonation_url"] = json!(URL);
    by_url["service_account_impersonation"] = json!({ "token_lifetime_seconds": 7200 });
    let (answer, seen) = fetch_with(&by_url, &[token_reply("ey.A.z"), token_reply("sts-2"), generated("ya29.c.x")]);
    let (token, lifetime) = answer.unwrap();
    assert_eq!((secret(&token), lifetime.as_secs()), ("ya29.c.x", 7200));
    assert_eq!(seen[0].header("metadata"), "True");
    assert_eq!(seen[1].form()["subject_token"], "ey.A.z");
    assert_eq!(seen[1].form()["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(seen[2].header("authorization"), "Bearer sts-2");
    assert!(seen[2].body.contains("\"7200s\""));
}

#[test]
fn a_user_of_a_workforce_pool_names_the_project() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwt"), "t").unwrap();
    let mut contents = external(json!({ "file": folder.path().join("jwt") }));
    contents["workforce_pool_user_project"] = json!("7");
    let failure = failure_of(&contents);
    assert!(failure.message.contains("\"audience\" names none"), "{failure}");
    contents["audience"] = json!("//iam.googleapis.com/locations/global/workforcePools/p/providers/i");
    let (answer, seen) = fetch_with(&contents, &[token_reply("t")]);
    assert!(answer.is_ok());
    assert_eq!(seen[0].form()["options"], r#"{"userProject":"7"}"#);
}

#[test]
fn a_machine_of_aws_names_itself() {
    let imds = "http://169.254.169.254/latest";
    let contents = external(json!({
        "environment_id": "aws1", "region_url": format!("{imds}/meta-data/placement/availability-zone"),
        "url": format!("{imds}/meta-data/iam/security-credentials"), "imdsv2_session_token_url": format!("{imds}/api/token"),
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    }));
    let key = json!({ "AccessKeyId": "A", "SecretAccessKey": "s3cret", "Token": "session", "Code": "Success" });
    let replies = [json!("imds-token"), json!("eu-west-1b"), json!("role"), key, token_reply("sts-1")];
    let (answer, seen) = fetch_with(&contents, &replies);
    assert_eq!(secret(&answer.unwrap().0), "sts-1");
    assert_eq!(seen[1].header("x-aws-ec2-metadata-token"), "imds-token");
    assert_eq!(seen[3].url, format!("{imds}/meta-data/iam/security-credentials/role"));
    let form = seen[4].form();
    // The token is encoded once more than the form.
    let subject = reqwest::Url::parse(&format!("https://h/?t={}", form["subject_token"])).unwrap();
    let request: Value = serde_json::from_str(&subject.query_pairs().next().unwrap().1).unwrap();
    assert!(request["url"].as_str().unwrap().starts_with("https://sts.eu-west-1.amazonaws.com/"), "{request}");
    assert!(!seen[4].body.contains("s3cret"));
}

#[test]
fn a_program_runs_only_if_it_is_allowed() {
    let failure = failure_of(&external(json!({ "executable": { "command": "/bin/true" } })));
    assert!(failure.message.contains("/bin/true: the credential file wants to run this program"), "{failure}");
    assert!(failure.message.contains("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1"), "{failure}");
}

#[test]
fn a_program_prints_the_token() {
    let _turn = crate::cloud::runtime::testing::share();
    let folder = tempfile::tempdir().unwrap();
    let (script, output) = (folder.path().join("print-token"), folder.path().join("output"));
    let text = "#!/bin/sh\n[ \"$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE\" = \"$1\" ] || exit 3\nprintf '{\"version\": 1, \
        \"success\": true, \"token_type\": \"urn:ietf:params:oauth:token-type:jwt\", \"id_token\": \"%s\", \
        \"expiration_time\": 4000000000}' \"$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE\"\n";
    std::fs::write(&script, text).unwrap();
    let command = format!("/bin/sh {} {}", script.display(), output.display());
    let contents = external(json!({ "executable": { "command": command, "output_file": output } }));
    let settings = file(&contents);
    let allowed = |name: &str| (name == "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES").then(|| "1".to_owned());
    let (answer, seen) = fetch_in(allowed, &settings.settings, &Memory::default(), &[token_reply("t")]);
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(seen[0].form()["subject_token"], contents["audience"].as_str().unwrap());
    // The program's own cache comes first.
    std::fs::write(&output, r#"{"version": 1, "success": true, "id_token": "kept", "expiration_time": 4000000000}"#)
        .unwrap();
    let (_, seen) = fetch_in(allowed, &settings.settings, &Memory::default(), &[token_reply("t")]);
    assert_eq!(seen[0].form()["subject_token"], "kept");
    // A program that fails is quoted.
    let contents = external(json!({ "executable": { "command": "/bin/sh -c nonsense-of-a-test" } }));
    let failing = file(&contents);
    let failure = fetch_in(allowed, &failing.settings, &Memory::default(), &[]).0.unwrap_err();
    assert!(failure.message.contains("/bin/sh: exit status: 127: "), "{failure}");
    assert!(failure.message.contains("nonsense-of-a-test"), "{failure}");
}

#[test]
fn a_certificate_names_the_workload() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let block = |base64: &str| format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    let certificate = write("own.pem", &block("AQID"));
    let chain = write("chain.pem", &(block("AQID") + &block("BAUG")));
    let workload = json!({ "cert_path": certificate, "key_path": folder.path().join("own.key") });
    let configuration = write("config.json", &json!({ "cert_configs": { "workload": workload } }).to_string());
    let mut contents = external(json!({
        "certificate": { "certificate_config_location": configuration, "trust_chain_path": chain },
    }));
    contents["token_url"] = json!("https://sts.mtls.googleapis.com/v1/token");
    contents["subject_token_type"] = json!("urn:ietf:params:oauth:token-type:mtls");
    let (answer, seen) = fetch_with(&contents, &[token_reply("t")]);
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(seen[0].form()["subject_token"], r#"["AQID","BAUG"]"#);
    write("config.json", "{\"cert_configs\": {}}");
    let failure = failure_of(&contents);
    assert!(failure.message.contains("config.json: the file lacks \"cert_configs.workload\""), "{failure}");
}
