//! What the tool refuses.

use super::algorithms::world_of;
use super::openssl::tool;
use crate::support::World;
use cloud_kms_emulator::AwsKey;
use serde_json::json;

/// Checks that the arguments fail with this exit code and this message, and write nothing.
fn refused(world: &World, arguments: &str, code: i32, part: &str) {
    let run = world.run_line(arguments);
    assert!(run.error(code).contains(part), "{arguments}, {part}: {run:?}");
    assert!(run.stdout.is_empty(), "{run:?}");
}

#[test]
fn a_wrong_command_line_has_exit_code_2() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    let slot = "--slot aws-ECC_NIST_P256";
    for (arguments, part) in [
        ("--subject web", "RFC 4514"),
        ("--subject CN=web --hash md5", "possible values: sha256, sha384, sha512"),
        ("--subject CN=web --san web", "write the kind before the name"),
        ("--subject CN=web --key-usage sign", "use some of: digitalSignature"),
        ("--subject CN=web --extended-key-usage sign", "use serverAuth"),
        ("--subject CN=web --force", "--out"),
    ] {
        refused(&world, &format!("csr {slot} {arguments}"), 2, part);
    }
    refused(&world, &format!("self-sign {slot} --subject CN=web --not-before now"), 2, "write 2026-01-31");
    refused(&world, &format!("self-sign {slot} --subject CN=web --serial 0"), 2, "greater than zero");
}

#[test]
fn contents_that_contradict_themselves_are_refused() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    for (arguments, part) in [
        ("--key-usage digitalSignature", "the subject has no name"),
        ("--ca --san dns:web", "an authority needs a name"),
        ("--subject CN=web --path-length 1", "only an authority has a path length"),
        ("--subject CN=web --key-usage keyCertSign", "only an authority may have the key usage keyCertSign"),
        ("--subject CN=web --ca --key-usage cRLSign", "an authority needs the key usage keyCertSign"),
        ("--subject CN=web --days 4000000000", "after the year 9999"),
    ] {
        refused(&world, &format!("self-sign --slot aws-ECC_NIST_P256 {arguments}"), 1, part);
    }
}

#[test]
fn an_algorithm_that_the_key_lacks_is_refused() {
    let labels = ["gcp-RSA_SIGN_PSS_2048_SHA256", "gcp-RSA_SIGN_PKCS1_2048_SHA256", "aws-ECC_NIST_EDWARDS25519"];
    let world = world_of(labels);
    for (label, arguments, part) in [
        (labels[0], "--hash sha512", "the key does not have a signature with SHA-512"),
        (labels[0], "--hash sha512", "the key has RSA PSS with SHA-256\n"),
        (labels[1], "--pss", "the key does not have RSA PSS"),
        (labels[1], "--pss --hash sha384", "the key does not have RSA PSS with SHA-384"),
        (labels[2], "--hash sha256", "the key does not have a signature with SHA-256"),
        (labels[2], "--pss", "the key has Ed25519"),
    ] {
        refused(&world, &format!("csr --slot {label} --subject CN=web {arguments}"), 1, part);
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused() {
    let world = World::new();
    let aws = world.emulator.aws();
    aws.create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/decrypt")).unwrap();
    aws.create_key(AwsKey::new("HMAC_256").usage("GENERATE_VERIFY_MAC").alias("alias/mac")).unwrap();
    world.configure(json!([
        { "label": "decrypt", "kms_key_id": "alias/decrypt" },
        { "label": "mac", "kms_key_id": "alias/mac" },
    ]));
    refused(&world, "csr --slot decrypt --subject CN=web", 1, "does not sign; it is for: decrypt, unwrap");
    refused(&world, "csr --slot mac --subject CN=web", 1, "it is a secret key, and certificates need a key pair");
}

#[test]
fn a_file_is_replaced_by_force_only() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    std::fs::write(world.path("web.csr"), "mine").unwrap();
    let requests = world.emulator.control().log().len();
    refused(&world, "csr --slot aws-ECC_NIST_P256 --subject CN=web --out web.csr", 1, "web.csr exists already");
    assert_eq!(world.emulator.control().log().len(), requests, "nothing was signed");
    assert_eq!(std::fs::read_to_string(world.path("web.csr")).unwrap(), "mine");
    tool(&world, "csr --slot aws-ECC_NIST_P256 --subject CN=web --out web.csr --force");
    assert!(
        std::fs::read_to_string(world.path("web.csr")).unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----\n")
    );
    refused(
        &world,
        "csr --slot aws-ECC_NIST_P256 --subject CN=web --out none/web.csr",
        1,
        "none/web.csr: No such file",
    );
}

#[test]
fn a_file_that_is_no_request_is_refused() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    tool(&world, "self-sign --slot aws-ECC_NIST_P256 --subject CN=Root --ca --out root.pem");
    tool(&world, "self-sign --slot aws-ECC_NIST_P256 --subject CN=web --out leaf.pem");
    tool(&world, "csr --slot aws-ECC_NIST_P256 --subject CN=web --out web.csr");
    std::fs::write(world.path("text"), "text").unwrap();
    let sign = "ca sign --slot aws-ECC_NIST_P256";
    for (arguments, part) in [
        ("--ca-certificate root.pem --csr root.pem", "the file contains CERTIFICATE, not CERTIFICATE REQUEST"),
        ("--ca-certificate root.pem --csr text", "text: this is not a certificate request"),
        ("--ca-certificate root.pem --csr none", "none: No such file"),
        ("--ca-certificate leaf.pem --csr web.csr", "CN=web is not a certification authority"),
        ("--ca-certificate text --csr web.csr", "text: it contains no certificate"),
        ("--csr web.csr", "the token has no certificate for this key"),
    ] {
        refused(&world, &format!("{sign} {arguments}"), 1, part);
    }
}
