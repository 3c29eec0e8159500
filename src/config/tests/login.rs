//! Tests of the option `login`.

use crate::cloud::azure::Credential;
use crate::config::tests::*;

const VAULT: &str = r#""vault_url": "https://v.vault.azure.net", "key_name": "k""#;
const KMS: &str = r#""kms_key_id": "k""#;

fn two(top: &str, slots: [&str; 2]) -> TestEnvironment {
    own(&format!("{{{top}, \"slots\": [{{{}}}, {{{}}}]}}", slots[0], slots[1]))
}

#[test]
fn each_login_arrives() {
    let config = slot(&format!(r#"{VAULT}, "login": "azure_client_secret", "azure_client_id": "c""#)).config();
    let settings = azure_of(&config.slots[0]);
    assert_eq!((settings.credential, settings.client_id.as_deref()), (Credential::Login, Some("c")));
    assert!(settings.auth_files.is_empty() && config.slots[0].service.settings().needs_login());

    let config =
        slot(&format!(r#"{KMS}, "login": "aws_web_identity_token", "aws_role_arn": "arn:aws:iam::1:role/r""#)).config();
    assert_eq!(aws_of(&config.slots[0]).login, Some(aws::Login::WebIdentityToken(None)));
    assert!(config.slots[0].service.settings().needs_login());

    let config = slot(&format!(r#"{KMS}, "login": "aws_profile", "aws_role_arn": "arn:aws:iam::1:role/r""#)).config();
    assert_eq!(aws_of(&config.slots[0]).login, Some(aws::Login::Profile(None)));
    assert!(aws_of(&config.slots[0]).role_arn.is_some());

    let config = slot(&format!(r#"{KMS}, "login": "none""#)).config();
    assert!(!config.slots[0].service.settings().needs_login());
}

#[test]
fn the_files_login_is_for_its_own_cloud() {
    let config = two(r#""login": "azure_client_secret""#, [VAULT, KMS]).config();
    assert!(config.slots[0].service.settings().needs_login() && !config.slots[1].service.settings().needs_login());
    let config = two(r#""login": "aws_profile""#, [VAULT, KMS]).config();
    assert!(!config.slots[0].service.settings().needs_login() && config.slots[1].service.settings().needs_login());
    let config = two(r#""login": "aws_profile""#, [VAULT, &format!(r#"{KMS}, "login": "none""#)]).config();
    assert!(config.slots.iter().all(|slot| !slot.service.settings().needs_login()));
}

#[test]
fn a_slots_login_hides_the_files_credentials() {
    let top = r#""aws_profile": "p", "azure_client_secret_file": "s", "azure_credential": "environment""#;
    let with = |slot: &str, login: &str| format!(r#"{slot}, "login": "{login}""#);
    let config = two(top, [&with(VAULT, "azure_client_secret"), &with(KMS, "aws_profile")]).config();
    let azure = azure_of(&config.slots[0]);
    assert_eq!((azure.credential, &azure.client_secret_file), (Credential::Login, &None));
    assert_eq!(aws_of(&config.slots[1]).profile, None);
}

#[test]
fn options_that_contradict_a_login_are_refused() {
    for (members, message) in [
        (
            r#""login": "azure_client_secret", "azure_client_secret": "a-secret""#,
            "1: slots[0].azure_client_secret: can't be combined with \"login\"; remove one of the two",
        ),
        (
            r#""login": "azure_client_secret", "azure_credential": "cli""#,
            "1: slots[0].azure_credential: can't be combined with \"login\"; remove one of the two",
        ),
        (
            r#""login": "aws_profile""#,
            "1: slots[0].login: is \"aws_profile\", but the slot's key is in azure; expected one of none, azure_client_secret",
        ),
        (
            r#""login": "pin""#,
            "1: slots[0].login: expected one of none, azure_client_secret, aws_web_identity_token, aws_profile, vault_token, vault_secret_id, found \"pin\"",
        ),
    ] {
        assert_eq!(error_of(slot(&format!("{VAULT}, {members}"))), message);
    }
    for (members, message) in [
        (
            r#""login": "aws_profile", "aws_profile": "p""#,
            "1: slots[0].aws_profile: can't be combined with \"login\"; remove one of the two",
        ),
        (
            r#""login": "aws_web_identity_token""#,
            "1: slots[0].login: is \"aws_web_identity_token\", which needs \"aws_role_arn\"; add the ARN of the role",
        ),
        (
            r#""login": "aws_web_identity_token", "aws_role_arn": "r", "aws_external_id": "e""#,
            "1: slots[0].aws_external_id: can't be combined with \"login\"; remove one of the two",
        ),
    ] {
        assert_eq!(error_of(slot(&format!("{KMS}, {members}"))), message);
    }
}

#[test]
fn a_slots_own_credential_contradicts_the_files_login() {
    let secret = format!(r#"{VAULT}, "azure_client_secret_file": "s""#);
    let error = error_of(two(r#""login": "azure_client_secret""#, [&secret, KMS]));
    assert_eq!(
        error,
        "1: slots[0].azure_client_secret_file: can't be combined with \"login\": \"azure_client_secret\" of the top level; \
         remove this option, or write \"login\": \"none\" in this slot"
    );
}
