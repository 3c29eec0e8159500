//! Tests of the messages for mistakes in the module's own file, with their place.

use crate::config::tests::*;

/// The members of a slot, and the message. `{key}`, `{azure}`, `{vault}` and `{arn}` are placeholders.
const SLOTS: &[(&str, &str)] = &[
    (
        "",
        r#"1: slots[0]: no key is named; add one of "kms_key_id", "kms_key_arn", "key_name", "transit_key", "google_key", "keys", "discover""#,
    ),
    ("{key}, \n\"kms_keyid\": 1", r#"2: slots[0]: unknown option "kms_keyid"; did you mean "kms_key_id"?"#),
    (r#"{key}, "region": 1"#, r#"1: slots[0]: unknown option "region"; did you mean "aws_region"?"#),
    (r#"{key}, "vaultUrl": 1"#, r#"1: slots[0]: unknown option "vaultUrl"; did you mean "vault_url"?"#),
    (
        r#"{key}, "log_level": "info""#,
        r#"1: slots[0]: option "log_level" is not allowed in a slot; move it to the top-level object"#,
    ),
    ("{key}, {key}", r#"1: "kms_key_id" occurs twice in the same object; remove one of the two"#),
    (r#""key_name": 5"#, "1: slots[0].key_name: expected a string, found the number 5; write it in double quotes"),
    (
        r#"{key}, "label": null"#,
        "1: slots[0].label: expected a string, found null; write a value, or remove the option",
    ),
    (r#"{key}, "label": """#, "1: slots[0].label: must not be empty; write a value, or remove the option"),
    (
        r#"{key}, "accept_bare_digest": "true""#,
        "1: slots[0].accept_bare_digest: expected true or false, found a string; remove the quotes",
    ),
    (
        r#"{key}, "retries": 1.5"#,
        "1: slots[0].retries: expected a whole number from 0 to 4294967295, found the number 1.5",
    ),
    (
        r#"{key}, "retries": -1"#,
        "1: slots[0].retries: expected a whole number from 0 to 4294967295, found the number -1",
    ),
    (
        r#"{key}, "retries": "3""#,
        "1: slots[0].retries: expected a whole number from 0 to 4294967295, found a string; remove the quotes",
    ),
    (
        r#"{key}, "call_timeout_ms": 0"#,
        "1: slots[0].call_timeout_ms: expected a whole number of milliseconds from 1 to 4294967295, found the number 0",
    ),
    (
        r#"{key}, "connect_timeout_ms": 20000"#,
        r#"1: slots[0].connect_timeout_ms: 20000 is more than "call_timeout_ms" (10000); reduce it, or raise "call_timeout_ms""#,
    ),
    (
        "{key}, \"hide_keys\": [\n\"P-256\",\n\"P256\"]",
        r#"3: slots[0].hide_keys[1]: expected one of rsa2048, rsa3072, rsa4096, P-256, P-384, P-521, secp256k1, Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87, SLH-DSA-SHA2-128s, HMAC-SHA-1, HMAC-SHA-224, HMAC-SHA-256, HMAC-SHA-384, HMAC-SHA-512, found "P256"; did you mean "P-256"?"#,
    ),
    (r#"{key}, "hide_keys": [1]"#, "1: slots[0].hide_keys[0]: expected a string, found the number 1"),
    (
        r#"{key}, "hide_keys": "P-256""#,
        r#"1: slots[0].hide_keys: expected an array of names, found a string; write it in brackets: ["NAME"]"#,
    ),
    (r#"{key}, "cloud": "gcp""#, r#"1: slots[0].cloud: expected one of aws, azure, vault, google, found "gcp""#),
    (
        r#"{key}, "cloud": "AWS""#,
        r#"1: slots[0].cloud: expected one of aws, azure, vault, google, found "AWS"; did you mean "aws"?"#,
    ),
    (r#"{key}, "proxy": "secret@p""#, "1: slots[0].proxy: must be a URL that starts with http:// or https://"),
    (
        "{key}, {vault}",
        r#"1: slots[0].vault_url: is an option for azure, but "kms_key_id" is an option for aws; remove one of the two"#,
    ),
    (
        r#"{azure}, "cloud": "aws""#,
        r#"1: slots[0].key_name: is an option for azure, but "cloud" is "aws"; remove one of the two"#,
    ),
    (r#"{key}, "keys": []"#, r#"1: slots[0].keys: can't be combined with "kms_key_id"; remove one of the two"#),
    (r#""label": "x", "keys": []"#, "1: slots[0].keys: must contain at least one key"),
    (
        r#""label": "x", "aws_region": "r", "keys": [{"kms_key_id": "{arn}"}]"#,
        r#"1: slots[0].keys[0].kms_key_id: the ARN names the region "eu-west-1", but "aws_region" is "r"; correct one of the two"#,
    ),
    (
        r#""kms_key_arn": "{arn}", "aws_region": "r""#,
        r#"1: slots[0].kms_key_arn: the ARN names the region "eu-west-1", but "aws_region" is "r"; correct one of the two"#,
    ),
    (
        r#""label": "x", "keys": [{"kms_key_id": "k"}, {"key_name": "k"}]"#,
        r#"1: slots[0].keys[1].key_name: is an option for azure, but "kms_key_id" is an option for aws; remove one of the two"#,
    ),
    (
        r#"{key}, "discover": true"#,
        r#"1: slots[0].discover: can't be combined with "kms_key_id"; remove one of the two"#,
    ),
    (
        r#"{key}, "kms_key_arn": "{arn}""#,
        r#"1: slots[0].kms_key_arn: can't be combined with "kms_key_id"; remove one of the two"#,
    ),
    (
        r#""kms_key_arn": "arn:aws:kms:r:1:alias/x""#,
        r#"1: slots[0].kms_key_arn: is not the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID); write a key id, an alias or an alias ARN in "kms_key_id""#,
    ),
    (
        r#""kms_key_id": "arn:aws:s3:::bucket""#,
        "1: slots[0].kms_key_id: is not the ARN of a KMS key or alias; expected arn:aws:kms:REGION:ACCOUNT:key/ID or arn:aws:kms:REGION:ACCOUNT:alias/NAME",
    ),
    (
        r#""kms_key_id": "{arn}", "aws_region": "us-east-1""#,
        r#"1: slots[0].kms_key_id: the ARN names the region "eu-west-1", but "aws_region" is "us-east-1"; correct one of the two"#,
    ),
    (
        r#""key_name": "k""#,
        r#"1: slots[0]: missing option "vault_url"; write "vault_url": "https://NAME.vault.azure.net""#,
    ),
    (
        r#""key_name": "k_1""#,
        r#"1: slots[0].key_name: "k_1" is not a valid Key Vault key name: it has 1 to 127 ASCII letters, digits and hyphens; write a version in "key_version""#,
    ),
    (
        r#""key_name": "k", "key_version": "../x""#,
        r#"1: slots[0].key_version: "../x" is not a valid key version: it has ASCII letters and digits only; `az keyvault key list-versions` or `vault read transit/keys/NAME` shows the versions"#,
    ),
    (
        r#""key_name": "k", "vault_url": "http://v""#,
        "1: slots[0].vault_url: must start with https://, because credentials are sent to this server",
    ),
    (
        r#""key_name": "k", "vault_url": "https://v/keys/k""#,
        "1: slots[0].vault_url: must consist of https://, a host and optionally a port; remove the rest, such as a path",
    ),
    (
        r#""discover": true, "cloud": "aws""#,
        r#"1: slots[0]: missing option "label", which "discover" needs; add a name for the token"#,
    ),
    (
        r#""keys": [{"kms_key_id": "k"}]"#,
        r#"1: slots[0]: missing option "label", which "keys" needs; add a name for the token"#,
    ),
    (
        "\"label\": \"x\", \"keys\": [\n{\"label\": \"x\"}]",
        r#"2: slots[0].keys[0]: no key is named; add one of "kms_key_id", "key_name", "transit_key", "google_key""#,
    ),
    (r#""label": "x", "keys": [7]"#, "1: slots[0].keys[0]: expected an object, found the number 7"),
    (
        r#""label": "x", "keys": {"kms_key_id": "k"}"#,
        "1: slots[0].keys: expected an array of objects, found an object; write it in brackets: [{...}]",
    ),
    (
        r#""label": "x", "keys": [{"kms_key_id": "k", "aws_region": "r"}]"#,
        r#"1: slots[0].keys[0]: option "aws_region" is not allowed in a key; move it to the top-level object or a slot"#,
    ),
    (
        r#""label": "x", "certificate_path": "c", "keys": [{"kms_key_id": "k"}]"#,
        r#"1: slots[0].certificate_path: is an option for a slot with one key, but this slot has "keys"; remove it"#,
    ),
    (
        r#"{azure}, "azure_client_secret": "s3cret", "azure_client_secret_file": "f""#,
        r#"1: slots[0].azure_client_secret_file: can't be combined with "azure_client_secret"; remove one of the two"#,
    ),
    (
        r#"{azure}, "azure_client_secret": 12345"#,
        "1: slots[0].azure_client_secret: expected a string, found a number; write it in double quotes",
    ),
];

/// The text of the file, and the message.
const FILES: &[(&str, &str)] = &[
    ("[]", "1: expected an object, found an array"),
    ("{}", r#"1: missing option "slots"; add an array with an object for each slot"#),
    (r#"{"slots": {}}"#, "1: slots: expected an array of objects, found an object; write it in brackets: [{...}]"),
    (r#"{"slots": [1]}"#, "1: slots[0]: expected an object, found the number 1"),
    (
        r#"{"slots": [], "log_level": "loud"}"#,
        r#"1: log_level: expected one of off, error, warn, info, debug, found "loud""#,
    ),
    (
        r#"{"slots": [], "log_level": "warning"}"#,
        r#"1: log_level: expected one of off, error, warn, info, debug, found "warning"; did you mean "warn"?"#,
    ),
    (
        "{\"slots\": [],\n\"label\": \"x\"}",
        r#"2: option "label" is not allowed in the top-level object; move it to a slot or a key"#,
    ),
    (
        "{\"connect_timeout_ms\": 5,\n\"slots\": [{\"kms_key_id\": \"k\",\n\"call_timeout_ms\": 4}]}",
        r#"1: connect_timeout_ms: 5 is more than "call_timeout_ms" (4); reduce it, or raise "call_timeout_ms""#,
    ),
    (r#"{"slots": [] // comment"#, "1: comments are not allowed in this file; remove the comment"),
];

#[test]
fn mistakes_are_reported_with_their_place() {
    let key = r#""kms_key_id": "k""#;
    let azure = format!(r#""key_name": "k", {VAULT}"#);
    for (members, message) in SLOTS {
        let members = members.replace("{key}", key).replace("{azure}", &azure).replace("{vault}", VAULT);
        let members = members.replace("{arn}", ARN);
        assert_eq!(error_of(slot(&members)), *message, "{members}");
    }
}

#[test]
fn top_level_mistakes_are_reported_with_their_place() {
    for (text, message) in FILES {
        assert_eq!(error_of(own(text)), *message, "{text}");
    }
    let error = error_of(own(r#"{"frobnicate": 1}"#));
    let start = "1: unknown option \"frobnicate\"; options allowed in the top-level object: slots, log_level, log_file, \
                 log_destination, cache, cache_folder, metrics_file, audit_file, audit_required, aws_region,";
    assert!(error.starts_with(start), "{error}");
}

/// The clouds of a build, the text of the file, and the message.
#[rustfmt::skip]
const BUILDS: &[(&[Cloud], &str, &str)] = &[
    (
        &[Cloud::Azure, Cloud::Vault],
        "{\"slots\": [{\"label\": \"a\",\n\"kms_key_id\": \"k\"}]}",
        "2: slots[0].kms_key_id: this build of the module has no support for aws; it has: azure, vault; remove the option, or \
         use a build with the cargo feature aws",
    ),
    (
        &[Cloud::Aws],
        "{\"azure_client_id\": \"c\", \"slots\": [{\"kms_key_id\": \"k\"}]}",
        "1: azure_client_id: this build of the module has no support for azure; it has: aws; remove the option, or use a \
         build with the cargo feature azure",
    ),
    (
        &[Cloud::Aws],
        "{\"slots\": [{\"label\": \"a\", \"keys\": [{\"key_version\": \"1\"}]}]}",
        "1: slots[0].keys[0].key_version: this build of the module has no support for azure or vault; it has: aws; remove the \
         option, or use a build with the cargo feature azure or vault",
    ),
    (
        &[Cloud::Aws, Cloud::Azure],
        "{\"slots\": [{\"label\": \"a\", \"discover\": true, \"cloud\": \"vault\"}]}",
        "1: slots[0].cloud: this build of the module has no support for vault; it has: aws, azure; remove the slot, or use a \
         build with the cargo feature vault",
    ),
    (
        &[Cloud::Azure],
        "{\"slots\": [{\"label\": \"a\", \"discover\": true}]}",
        "1: slots[0]: missing option \"cloud\", since no other option selects a cloud; write \"cloud\": \"azure\"",
    ),
];

#[test]
fn options_of_clouds_that_the_build_lacks_are_reported_with_their_place() {
    for (clouds, text, message) in BUILDS {
        assert_eq!(error_of(TestEnvironment { clouds: clouds.to_vec(), ..own(text) }), *message, "{text}");
    }
}
