//! `sign`, `verify`, `decrypt` and `pubkey`. OpenSSL verifies, and encrypts.

use crate::support::{Run, World};
use cloud_kms_emulator::{AwsKey, GoogleKey, VaultKey};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const MESSAGE: &[u8] = b"what the tool signs\n";

/// A world with a key of each of these specs of AWS KMS, in a token with the spec as its label.
fn aws(specs: &[&str]) -> World {
    let world = World::new();
    let slots: Vec<Value> = specs.iter().map(|spec| aws_slot(&world, spec)).collect();
    world.configure(json!(slots));
    std::fs::write(world.path("message"), MESSAGE).unwrap();
    world
}

fn aws_slot(world: &World, spec: &str) -> Value {
    let alias = format!("alias/{spec}");
    world.emulator.aws().create_key(AwsKey::new(spec).alias(&alias).reuse()).unwrap();
    json!({ "label": spec, "kms_key_id": alias })
}

/// Runs OpenSSL in the home directory: the one that the variable OPENSSL names, or the machine's. Returns whether it has
/// succeeded.
fn openssl(world: &World, arguments: &str) -> bool {
    let program = std::env::var_os("OPENSSL").unwrap_or_else(|| "openssl".into());
    let output = Command::new(program).args(arguments.split(' ')).current_dir(world.path("")).output().unwrap();
    output.status.success()
}

/// Runs the tool with this input.
fn run_with_input(world: &World, arguments: &str, input: &[u8]) -> Run {
    let mut command = world.command(&arguments.split(' ').collect::<Vec<_>>());
    std::fs::write(world.path("stdin"), input).unwrap();
    Run::of(command.stdin(std::fs::File::open(world.path("stdin")).unwrap()))
}

/// Signs the message with a token's key, and lets OpenSSL verify it: the signature of this message, and of no other.
fn openssl_agrees(world: &World, label: &str, options: &str, verification: &str) {
    std::fs::write(world.path("other"), b"another message").unwrap();
    world.run_line(&format!("pubkey --slot {label} --out {label}.pem --force")).text();
    world.run_line(&format!("sign message --slot {label} --out signature --force{options}")).text();
    for (file, is_signed) in [("message", true), ("other", false)] {
        let command = verification.replace("KEY", &format!("{label}.pem")).replace("FILE", file);
        assert_eq!(openssl(world, &command), is_signed, "{label}{options}: {command}");
        let verified = world.run_line(&format!("verify {file} --signature signature --slot {label}{options}"));
        assert_eq!(verified.code == Some(0), is_signed, "{label}{options}: {verified:?}");
    }
}

const DGST: &str = "dgst -HASH -verify KEY -signature signature FILE";
const PSS: &str =
    "dgst -HASH -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -verify KEY -signature signature FILE";
const MESSAGE_ITSELF: &str = "pkeyutl -verify -pubin -inkey KEY -rawin -in FILE -sigfile signature";

#[test]
fn openssl_verifies_the_signatures_of_aws() {
    let world = aws(&[
        "RSA_2048",
        "ECC_NIST_P256",
        "ECC_NIST_P384",
        "ECC_NIST_P521",
        "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519",
    ]);
    for (label, options, command, hash) in [
        ("RSA_2048", "", DGST, "sha256"),
        ("RSA_2048", " --hash sha384", DGST, "sha384"),
        ("RSA_2048", " --pss", PSS, "sha256"),
        ("RSA_2048", " --pss --hash sha512", PSS, "sha512"),
        ("ECC_NIST_P256", "", DGST, "sha256"),
        ("ECC_NIST_P256", " --hash sha512", DGST, "sha512"),
        ("ECC_NIST_P384", "", DGST, "sha384"),
        ("ECC_NIST_P521", "", DGST, "sha512"),
        ("ECC_SECG_P256K1", "", DGST, "sha256"),
        ("ECC_NIST_EDWARDS25519", "", MESSAGE_ITSELF, ""),
    ] {
        openssl_agrees(&world, label, options, &command.replace("HASH", hash));
    }
}

#[test]
fn openssl_verifies_the_signatures_of_azure_and_google() {
    let world = World::new();
    std::fs::write(world.path("message"), MESSAGE).unwrap();
    let (vault, google) = (world.emulator.vault("default"), world.emulator.google());
    vault.create_key("rsa", VaultKey::rsa(2048)).unwrap();
    vault.create_key("ec", VaultKey::ec("P-384")).unwrap();
    let mut slots = vec![json!({ "label": "rsa", "key_name": "rsa" }), json!({ "label": "ec", "key_name": "ec" })];
    // The key decides: PSS, another hash.
    let google_keys = [
        ("RSA_SIGN_PSS_2048_SHA256", PSS, "sha256"),
        ("RSA_SIGN_PKCS1_4096_SHA512", DGST, "sha512"),
        ("RSA_SIGN_RAW_PKCS1_2048", DGST, "sha256"),
        ("EC_SIGN_P384_SHA384", DGST, "sha384"),
        ("EC_SIGN_ED25519", MESSAGE_ITSELF, ""),
    ];
    for (algorithm, ..) in google_keys {
        let key = google.create_key(algorithm, GoogleKey::new(algorithm).reuse()).unwrap();
        slots.push(json!({ "label": algorithm, "google_key": key.version }));
    }
    world.configure(json!(slots));
    for (label, command, hash) in [("rsa", DGST, "sha256"), ("rsa", PSS, "sha256"), ("ec", DGST, "sha384")] {
        let options = if command == PSS { " --pss" } else { "" };
        openssl_agrees(&world, label, options, &command.replace("HASH", hash));
    }
    for (label, command, hash) in google_keys {
        openssl_agrees(&world, label, "", &command.replace("HASH", hash));
    }
}

#[test]
fn openssl_verifies_post_quantum_signatures() {
    let world = World::new();
    std::fs::write(world.path("message"), MESSAGE).unwrap();
    let google = world.emulator.google();
    let mut slots = vec![aws_slot(&world, "ML_DSA_44"), aws_slot(&world, "ML_DSA_87")];
    for algorithm in ["PQ_SIGN_ML_DSA_65", "PQ_SIGN_ML_DSA_65_EXTERNAL_MU", "PQ_SIGN_SLH_DSA_SHA2_128S"] {
        let key = google.create_key(algorithm, GoogleKey::new(algorithm)).unwrap();
        slots.push(json!({ "label": algorithm, "google_key": key.version }));
    }
    let labels: Vec<_> = slots.iter().map(|slot| slot["label"].as_str().unwrap().to_owned()).collect();
    world.configure(json!(slots));
    world.run_line("pubkey --slot ML_DSA_44 --out key.pem").text();
    if !openssl(&world, "pkey -pubin -in key.pem -noout") {
        println!("skipped: this OpenSSL knows no ML-DSA; OPENSSL can name one from 3.5 on");
        return;
    }
    for label in labels {
        openssl_agrees(&world, &label, "", MESSAGE_ITSELF);
    }
}

/// Nobody else has the key of an HMAC, and OpenSSL has no HashML-DSA: the module verifies these.
#[test]
fn other_keys_verify_their_own_signatures_only() {
    let world = aws(&["ML_DSA_44", "HMAC_256", "HMAC_512"]);
    std::fs::write(world.path("other"), b"another message").unwrap();
    let lengths =
        [("ML_DSA_44", "", 2420), ("ML_DSA_44", " --hash sha256", 2420), ("HMAC_256", "", 32), ("HMAC_512", "", 64)];
    for (label, options, length) in lengths {
        let signed = world.run_line(&format!("sign message --slot {label}{options} --out signature --force"));
        signed.text();
        assert_eq!(std::fs::read(world.path("signature")).unwrap().len(), length, "{label}");
        for (file, is_signed) in [("message", true), ("other", false)] {
            let verified = world.run_line(&format!("verify {file} --signature signature --slot {label}{options}"));
            assert_eq!(verified.code == Some(0), is_signed, "{label}{options}: {verified:?}");
        }
    }
}

#[test]
fn a_digest_is_signed_as_the_message_would_be() {
    let world = aws(&["RSA_2048", "ECC_NIST_P256", "ECC_NIST_EDWARDS25519", "ML_DSA_44"]);
    assert!(openssl(&world, "dgst -sha256 -binary -out digest message"));
    for (label, options, verification) in
        [("RSA_2048", "", DGST), ("RSA_2048", " --pss", PSS), ("ECC_NIST_P256", "", DGST)]
    {
        world.run_line(&format!("pubkey --slot {label} --out key.pem --force")).text();
        world.run_line(&format!("sign digest --prehashed --slot {label}{options} --out signature --force")).text();
        let command = verification.replace("HASH", "sha256").replace("KEY", "key.pem").replace("FILE", "message");
        assert!(openssl(&world, &command), "{label}{options}");
        let verify = format!("verify digest --prehashed --signature signature --slot {label}{options}");
        assert_eq!(world.run_line(&verify).text(), "signature is valid\n");
        let verify = format!("verify message --signature signature --slot {label}{options}");
        assert_eq!(world.run_line(&verify).text(), "signature is valid\n");
    }
    world.run_line("sign digest --prehashed --slot ML_DSA_44 --out signature --force").text();
    world.run_line("verify message --hash sha256 --signature signature --slot ML_DSA_44").text();
    for (arguments, words) in [
        ("sign digest --prehashed --slot ECC_NIST_EDWARDS25519 --format base64", "signs the message itself"),
        ("sign message --prehashed --slot RSA_2048 --format base64", "20 bytes, which is no digest"),
        ("sign digest --prehashed --hash sha512 --slot RSA_2048 --format base64", "no digest of SHA-512"),
    ] {
        let run = world.run_line(arguments);
        assert!(run.error(1).contains(words), "{run:?}");
    }
}

#[test]
fn a_signature_has_three_forms() {
    let world = aws(&["ECC_NIST_P256", "RSA_2048"]);
    for format in ["der", "raw", "base64"] {
        let signature = world.run_line(&format!("sign message --slot ECC_NIST_P256 --format {format}")).stdout;
        assert_eq!(signature.len() == 64, format == "raw", "{format}");
        std::fs::write(world.path("signature"), &signature).unwrap();
        for given in ["der", "raw", "base64"] {
            let verify = format!("verify message --signature signature --slot ECC_NIST_P256 --format {given}");
            let verified = world.run_line(&verify);
            if given == format {
                assert_eq!(verified.text(), "signature is valid\n");
            } else {
                assert!(verified.error(1).contains("signature is not valid"), "{format} as {given}: {verified:?}");
            }
        }
    }
    let decode =
        Command::new("openssl").args(["base64", "-d", "-A"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut decode = decode.unwrap();
    let base64 = world.run_line("sign message --slot RSA_2048 --format base64").stdout;
    decode.stdin.take().unwrap().write_all(&base64).unwrap();
    assert_eq!(decode.wait_with_output().unwrap().stdout, world.run_line("sign message --slot RSA_2048").stdout);
}

#[test]
fn a_wrong_signature_is_not_valid() {
    let world = aws(&["RSA_2048", "ECC_NIST_P256"]);
    let other = aws_slot(&world, "RSA_3072");
    world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/second")).unwrap();
    let second = json!({ "label": "second", "kms_key_id": "alias/second" });
    world.configure(json!([{ "label": "RSA_2048", "kms_key_id": "alias/RSA_2048" }, other, second]));
    let signed = run_with_input(&world, "sign --slot RSA_2048 --out signature", MESSAGE);
    signed.text();
    run_with_input(&world, "verify - --signature signature --slot RSA_2048", MESSAGE).text();
    let mut signature = std::fs::read(world.path("signature")).unwrap();
    signature[100] ^= 1;
    std::fs::write(world.path("changed"), &signature).unwrap();
    std::fs::write(world.path("empty"), b"").unwrap();
    for arguments in [
        "verify message --signature changed --slot RSA_2048",
        "verify message --signature empty --slot RSA_2048",
        "verify message --signature signature --slot RSA_3072",
        "verify message --signature signature --slot second",
        "verify message --signature signature --slot RSA_2048 --pss",
        "verify message --signature signature --slot RSA_2048 --hash sha384",
        "verify signature --signature signature --slot RSA_2048",
    ] {
        let verified = world.run_line(arguments);
        assert!(verified.error(1).contains("signature is not valid"), "{arguments}: {verified:?}");
        assert!(verified.stdout.is_empty(), "{verified:?}");
    }
}

#[test]
fn openssl_encrypts_what_decrypt_reads() {
    let world = World::new();
    let vault = world.emulator.vault("default");
    vault.create_key("web", VaultKey::rsa(2048)).unwrap();
    world.emulator.aws().create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/web")).unwrap();
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/ec")).unwrap();
    world.configure(json!([
        { "label": "azure", "key_name": "web" },
        { "label": "aws", "kms_key_id": "alias/web" },
        { "label": "ec", "kms_key_id": "alias/ec" },
    ]));
    std::fs::write(world.path("plain"), b"a secret").unwrap();
    let oaep = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:HASH";
    for (label, encryption, options) in [
        ("azure", oaep.replace("HASH", "sha256"), ""),
        ("azure", oaep.replace("HASH", "sha1"), " --hash sha1"),
        ("azure", "-pkeyopt rsa_padding_mode:pkcs1".to_owned(), " --pkcs1"),
        ("aws", oaep.replace("HASH", "sha256"), ""),
    ] {
        world.run_line(&format!("pubkey --slot {label} --out key.pem --force")).text();
        let encrypt = format!("pkeyutl -encrypt -pubin -inkey key.pem -in plain -out secret {encryption}");
        assert!(openssl(&world, &encrypt), "{encrypt}");
        let decrypted = world.run_line(&format!("decrypt secret --slot {label}{options}"));
        assert_eq!(decrypted.text(), "a secret", "{label}{options}");
    }
    assert!(openssl(&world, "base64 -in secret -out secret.txt"));
    world.run_line("decrypt secret.txt --base64 --slot aws --out opened").text();
    assert_eq!(std::fs::read(world.path("opened")).unwrap(), b"a secret");
    assert_eq!(world.path("opened").metadata().unwrap().permissions().mode() & 0o777, 0o600, "nobody else may read it");
    let refused = world.run_line("decrypt secret --slot ec");
    assert!(refused.error(1).contains("does not decrypt; it is for: sign"), "{refused:?}");
    let refused = world.run_line("sign plain --slot aws");
    assert!(refused.error(1).contains("does not sign; it is for: decrypt"), "{refused:?}");
    let refused = world.run_line("decrypt secret --slot azure");
    assert!(refused.code == Some(1) && refused.stdout.is_empty(), "{refused:?}");
}
