//! Tests of the messages for mistakes in the module's own file, with their place.

use crate::config::tests::*;

#[test]
#[allow(clippy::too_many_lines, reason = "one list of cases")]
fn mistakes_are_reported_with_their_place() {
    let key = r#""kms_key_id": "k""#;
    let azure = format!(r#""key_name": "k", {VAULT}"#);
    for (members, message) in [
        (
            "".to_owned(),
            r#"1: slots[0]: missing the key: one of "kms_key_id", "kms_key_arn", "key_name", "keys", "discover""#,
        ),
        (
            format!("{key}, \n\"kms_keyid\": 1"),
            r#"2: slots[0]: unknown option "kms_keyid"; did you mean "kms_key_id"?"#,
        ),
        (format!("{key}, \"region\": 1"), r#"1: slots[0]: unknown option "region"; did you mean "aws_region"?"#),
        (format!("{key}, \"vaultUrl\": 1"), r#"1: slots[0]: unknown option "vaultUrl"; did you mean "vault_url"?"#),
        (
            format!("{key}, \"log_level\": \"info\""),
            r#"1: slots[0]: option "log_level" can't stand here; its place: top level"#,
        ),
        (format!("{key}, {key}"), r#"1: "kms_key_id" stands here twice"#),
        (r#""key_name": 5"#.into(), "1: slots[0].key_name: expected a string, found the number 5"),
        (format!("{key}, \"label\": null"), "1: slots[0].label: expected a string, found null"),
        (format!("{key}, \"label\": \"\""), "1: slots[0].label: must not be empty"),
        (
            format!("{key}, \"accept_bare_digest\": \"true\""),
            "1: slots[0].accept_bare_digest: expected true or false, found a string",
        ),
        (
            format!("{key}, \"retries\": 1.5"),
            "1: slots[0].retries: expected a whole number from 0 to 4294967295, found the number 1.5",
        ),
        (
            format!("{key}, \"retries\": -1"),
            "1: slots[0].retries: expected a whole number from 0 to 4294967295, found the number -1",
        ),
        (
            format!("{key}, \"call_timeout_ms\": 0"),
            "1: slots[0].call_timeout_ms: expected a whole number of milliseconds from 1 to 4294967295, found the number 0",
        ),
        (
            format!("{key}, \"connect_timeout_ms\": 20000"),
            r#"1: slots[0].connect_timeout_ms: is 20000, more than "call_timeout_ms", 10000"#,
        ),
        (
            format!("{key}, \"hide_keys\": [\n\"P-256\",\n\"P256\"]"),
            "3: slots[0].hide_keys[1]: expected one of rsa2048, rsa3072, rsa4096, P-256, P-384, P-521, secp256k1, Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87, HMAC-SHA-224, HMAC-SHA-256, HMAC-SHA-384, HMAC-SHA-512, found \"P256\"",
        ),
        (format!("{key}, \"hide_keys\": [1]"), "1: slots[0].hide_keys[0]: expected a string, found the number 1"),
        (format!("{key}, \"cloud\": \"gcp\""), "1: slots[0].cloud: expected one of aws, azure, found \"gcp\""),
        (format!("{key}, \"proxy\": \"secret@p\""), "1: slots[0].proxy: must start with http:// or https://"),
        (
            format!("{key}, {VAULT}"),
            r#"1: slots[0].vault_url: is an option for azure, but "kms_key_id" is one for aws"#,
        ),
        (
            format!("{azure}, \"cloud\": \"aws\""),
            r#"1: slots[0].key_name: is an option for azure, but "cloud" is "aws""#,
        ),
        (format!("{key}, \"keys\": []"), r#"1: slots[0].keys: can't stand beside "kms_key_id""#),
        (r#""label": "x", "keys": []"#.into(), "1: slots[0].keys: must not be empty"),
        (
            format!(r#""label": "x", "aws_region": "r", "keys": [{{"kms_key_id": "{ARN}"}}]"#),
            r#"1: slots[0].keys[0].kms_key_id: the ARN is of region "eu-west-1", but "aws_region" is "r""#,
        ),
        (
            format!(r#""kms_key_arn": "{ARN}", "aws_region": "r""#),
            r#"1: slots[0].kms_key_arn: the ARN is of region "eu-west-1", but "aws_region" is "r""#,
        ),
        (
            r#""label": "x", "keys": [{"kms_key_id": "k"}, {"key_name": "k"}]"#.into(),
            r#"1: slots[0].keys[1].key_name: is an option for azure, but "kms_key_id" is one for aws"#,
        ),
        (format!("{key}, \"discover\": true"), r#"1: slots[0].discover: can't stand beside "kms_key_id""#),
        (format!("{key}, \"kms_key_arn\": \"{ARN}\""), r#"1: slots[0].kms_key_arn: can't stand beside "kms_key_id""#),
        (
            r#""kms_key_arn": "arn:aws:kms:r:1:alias/x""#.into(),
            "1: slots[0].kms_key_arn: is no ARN of a KMS key; other names of keys go into \"kms_key_id\"",
        ),
        (r#""kms_key_id": "arn:aws:s3:::bucket""#.into(), "1: slots[0].kms_key_id: is no ARN of a KMS key or alias"),
        (
            format!(r#""kms_key_id": "{ARN}", "aws_region": "us-east-1""#),
            r#"1: slots[0].kms_key_id: the ARN is of region "eu-west-1", but "aws_region" is "us-east-1""#,
        ),
        (r#""key_name": "k""#.into(), "1: slots[0]: missing \"vault_url\""),
        (
            r#""key_name": "k_1""#.into(),
            "1: slots[0].key_name: \"k_1\" can't be the name of a key: 1 to 127 ASCII letters, digits and hyphens, without a version",
        ),
        (
            r#""key_name": "k", "key_version": "../x""#.into(),
            "1: slots[0].key_version: \"../x\" can't be a key's version: only ASCII letters and digits",
        ),
        (
            r#""key_name": "k", "vault_url": "http://v""#.into(),
            "1: slots[0].vault_url: must start with https://: tokens are sent there",
        ),
        (
            r#""key_name": "k", "vault_url": "https://v/keys/k""#.into(),
            "1: slots[0].vault_url: must be https:// and a host, with nothing behind it",
        ),
        (r#""discover": true, "cloud": "aws""#.into(), r#"1: slots[0]: missing "label", which "discover" needs"#),
        (r#""keys": [{"kms_key_id": "k"}]"#.into(), r#"1: slots[0]: missing "label", which "keys" needs"#),
        (
            r#""label": "x", "keys": ["#.to_owned() + "\n{\"label\": \"x\"}]",
            r#"2: slots[0].keys[0]: missing the key: one of "kms_key_id", "key_name""#,
        ),
        (r#""label": "x", "keys": [7]"#.into(), "1: slots[0].keys[0]: expected an object, found the number 7"),
        (
            r#""label": "x", "keys": [{"kms_key_id": "k", "aws_region": "r"}]"#.into(),
            r#"1: slots[0].keys[0]: option "aws_region" can't stand here; its place: top level, slot"#,
        ),
        (
            r#""label": "x", "certificate_path": "c", "keys": [{"kms_key_id": "k"}]"#.into(),
            r#"1: slots[0].certificate_path: belongs to one key, and this slot has "keys""#,
        ),
        (
            format!("{azure}, \"azure_client_secret\": \"s3cret\", \"azure_client_secret_file\": \"f\""),
            r#"1: slots[0].azure_client_secret_file: can't stand beside "azure_client_secret""#,
        ),
        (
            format!("{azure}, \"azure_client_secret\": 12345"),
            "1: slots[0].azure_client_secret: expected a string, found a number",
        ),
    ] {
        let error = error_of(slot(&members));
        assert_eq!(error, message, "{members}");
    }
}

#[test]
fn top_level_mistakes_are_reported_with_their_place() {
    for (text, message) in [
        ("[]", "1: expected an object, found an array"),
        ("{}", "1: missing \"slots\""),
        (r#"{"slots": {}}"#, "1: slots: expected an array of objects, found an object"),
        (r#"{"slots": [1]}"#, "1: slots[0]: expected an object, found the number 1"),
        (
            r#"{"slots": [], "log_level": "loud"}"#,
            "1: log_level: expected one of off, error, warn, info, debug, found \"loud\"",
        ),
        ("{\"slots\": [],\n\"label\": \"x\"}", r#"2: option "label" can't stand here; its place: slot, key"#),
        (
            "{\"connect_timeout_ms\": 5,\n\"slots\": [{\"kms_key_id\": \"k\",\n\"call_timeout_ms\": 4}]}",
            r#"1: connect_timeout_ms: is 5, more than "call_timeout_ms", 4"#,
        ),
        (r#"{"slots": [] // comment"#, "1: comments are not allowed in this file"),
    ] {
        assert_eq!(error_of(own(text)), message, "{text}");
    }
    let error = error_of(own(r#"{"frobnicate": 1}"#));
    assert!(
        error.starts_with("1: unknown option \"frobnicate\"; allowed here: slots, log_level, log_file, log_destination, cache, cache_folder, aws_region,"),
        "{error}"
    );
}
