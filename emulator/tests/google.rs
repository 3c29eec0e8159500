//! The cryptographic methods of Google Cloud KMS: requests by curl, signatures verified by other libraries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA512_MGF1SHA512, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{ML_DSA_44, ML_DSA_65, ML_DSA_87, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use cloud_kms_emulator::{Action, Fault, GoogleKey, GoogleKeyId};
use common::{Bench, base64, bench, unbase64};
use serde_json::{Value, json};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use slh_dsa::{Sha2_128s, Signature, VerifyingKey};

const MESSAGE: &[u8] = b"a message";

fn key(bench: &Bench, algorithm: &str) -> GoogleKeyId {
    let id = algorithm.to_ascii_lowercase();
    bench.emulator.google().create_key(&id, GoogleKey::new(algorithm)).unwrap()
}

/// CRC-32C by a table, unlike the emulator's own.
fn crc32c(bytes: &[u8]) -> String {
    let table: Vec<u32> = (0..256u32)
        .map(|byte| (0..8).fold(byte, |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 }))
        .collect();
    let sum = bytes.iter().fold(!0u32, |sum, byte| sum >> 8 ^ table[((sum ^ u32::from(*byte)) & 255) as usize]);
    (!sum).to_string()
}

/// The reply of a verb, whose checksum, name and protection level are right.
fn reply(bench: &Bench, version: &str, verb: &str, body: &Value, member: &str) -> Vec<u8> {
    let reply = bench.google("POST", &format!("{version}:{verb}"), Some(body)).json();
    let bytes = unbase64(&reply[member]);
    assert_eq!(reply[format!("{member}Crc32c")], json!(crc32c(&bytes)));
    assert_eq!(reply["protectionLevel"], "HSM");
    if verb != "asymmetricDecrypt" {
        assert_eq!(reply["name"], *version);
    }
    bytes
}

/// The key in its own format, whose checksum is right.
fn nist_key(bench: &Bench, version: &str) -> Vec<u8> {
    let reply = bench.google("GET", &format!("{version}/publicKey?publicKeyFormat=NIST_PQC"), None).json();
    let bytes = unbase64(&reply["publicKey"]["data"]);
    assert_eq!(reply["publicKey"]["crc32cChecksum"], json!(crc32c(&bytes)));
    assert_eq!(reply["publicKeyFormat"], "NIST_PQC");
    bytes
}

#[test]
fn rsa_and_elliptic_curve_keys_sign_what_openssl_verifies() {
    let bench = bench();
    for (algorithm, options) in [
        ("RSA_SIGN_PKCS1_2048_SHA256", &["-sha256"][..]),
        ("RSA_SIGN_PKCS1_3072_SHA256", &["-sha256"]),
        ("RSA_SIGN_PKCS1_4096_SHA512", &["-sha512"]),
        ("RSA_SIGN_PSS_2048_SHA256", &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"]),
        ("RSA_SIGN_PSS_4096_SHA512", &["-sha512", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:64"]),
        ("EC_SIGN_P256_SHA256", &["-sha256"]),
        ("EC_SIGN_P384_SHA384", &["-sha384"]),
        ("EC_SIGN_SECP256K1_SHA256", &["-sha256"]),
    ] {
        let key = key(&bench, algorithm);
        let spki = bench.emulator.google().public_key_spki(&key.version).unwrap();
        let (field, hash) = match &algorithm[algorithm.len() - 3..] {
            "384" => ("sha384", &digest::SHA384),
            "512" => ("sha512", &digest::SHA512),
            _ => ("sha256", &digest::SHA256),
        };
        let hashed = digest::digest(hash, MESSAGE);
        let by_digest =
            json!({ "digest": { field: base64(hashed.as_ref()) }, "digestCrc32c": crc32c(hashed.as_ref()) });
        for body in [by_digest, json!({ "data": base64(MESSAGE), "data_crc32c": crc32c(MESSAGE) })] {
            let signature = reply(&bench, &key.version, "asymmetricSign", &body, "signature");
            assert!(bench.openssl_verifies(&spki, &signature, MESSAGE, options), "{algorithm} {body}");
            assert!(!bench.openssl_verifies(&spki, &signature, b"another", options));
        }
    }
    assert_eq!(
        bench.emulator.control().log().last().unwrap().digest,
        Some(hex(MESSAGE)),
        "the data of the last request"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn keys_of_data_sign_it_as_it_is() {
    let bench = bench();
    let raw = key(&bench, "RSA_SIGN_RAW_PKCS1_2048");
    // RFC 8017 section 9.2, note 1: the DigestInfo of SHA-256.
    let prefix = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32];
    let info = [&prefix[..], digest::digest(&digest::SHA256, MESSAGE).as_ref()].concat();
    let body = json!({ "data": base64(&info) });
    let signature = reply(&bench, &raw.version, "asymmetricSign", &body, "signature");
    let spki = bench.emulator.google().public_key_spki(&raw.version).unwrap();
    assert!(bench.openssl_verifies(&spki, &signature, MESSAGE, &["-sha256"]));
    let sign = |version: &str, length: usize| {
        let body = json!({ "data": base64(&vec![1; length]) });
        bench.google("POST", &format!("{version}:asymmetricSign"), Some(&body)).status
    };
    assert_eq!((sign(&raw.version, 245), sign(&raw.version, 246), sign(&raw.version, 0)), (200, 400, 400));

    let ed25519 = key(&bench, "EC_SIGN_ED25519");
    let body = json!({ "data": base64(MESSAGE) });
    let signature = reply(&bench, &ed25519.version, "asymmetricSign", &body, "signature");
    let spki = bench.emulator.google().public_key_spki(&ed25519.version).unwrap();
    assert!(bench.openssl_verifies(&spki, &signature, MESSAGE, &["ed25519"]));
    assert!(!bench.openssl_verifies(&spki, &signature, b"another", &["ed25519"]));
    assert_eq!((sign(&ed25519.version, 16 * 1024), sign(&ed25519.version, 16 * 1024 + 1)), (200, 400));
}

#[test]
fn ml_dsa_keys_sign_messages_or_their_representatives() {
    let bench = bench();
    for (size, verifier) in [(44, &ML_DSA_44), (65, &ML_DSA_65), (87, &ML_DSA_87)] {
        for external in [false, true] {
            let key = key(&bench, &format!("PQ_SIGN_ML_DSA_{size}{}", if external { "_EXTERNAL_MU" } else { "" }));
            let public = nist_key(&bench, &key.version);
            let spki = bench.emulator.google().public_key_spki(&key.version).unwrap();
            assert_eq!(spki[spki.len() - public.len()..], public);
            let mu = mu(&public, MESSAGE);
            let by_mu = json!({ "digest": { "externalMu": base64(&mu) }, "digestCrc32c": crc32c(&mu) });
            let by_data = json!({ "data": base64(MESSAGE), "dataCrc32c": crc32c(MESSAGE) });
            let (right, wrong) = if external { (by_mu, by_data) } else { (by_data, by_mu) };
            let signature = reply(&bench, &key.version, "asymmetricSign", &right, "signature");
            let public = UnparsedPublicKey::new(verifier, &spki);
            assert!(public.verify(MESSAGE, &signature).is_ok() && public.verify(b"another", &signature).is_err());
            let refused = bench.google_error("POST", &format!("{}:asymmetricSign", key.version), Some(&wrong));
            assert_eq!((refused.0, refused.1.as_str()), (400, "INVALID_ARGUMENT"));
        }
    }
}

/// FIPS 204 algorithm 7, line 6, with an empty context: SHAKE256(SHAKE256(pk, 64) || 0 || 0 || message, 64).
fn mu(public: &[u8], message: &[u8]) -> Vec<u8> {
    let hash = |parts: &[&[u8]]| {
        let mut state = Shake256::default();
        parts.iter().for_each(|part| state.update(part));
        let mut out = vec![0; 64];
        state.finalize_xof().read(&mut out);
        out
    };
    hash(&[&hash(&[public]), &[0, 0], message])
}

#[test]
fn slh_dsa_keys_sign_messages_or_digests() {
    let bench = bench();
    let hashed = digest::digest(&digest::SHA256, MESSAGE);
    // FIPS 205 algorithms 22 and 23, with an empty context: the message, or the hash function and the digest.
    let oid = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    for (algorithm, body, formatted) in [
        ("PQ_SIGN_SLH_DSA_SHA2_128S", json!({ "data": base64(MESSAGE) }), [&[0, 0], MESSAGE].concat()),
        (
            "PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256",
            json!({ "digest": { "sha256": base64(hashed.as_ref()) } }),
            [&[1, 0], &oid[..], hashed.as_ref()].concat(),
        ),
    ] {
        let key = key(&bench, algorithm);
        let public = nist_key(&bench, &key.version);
        let signature = reply(&bench, &key.version, "asymmetricSign", &body, "signature");
        assert_eq!((public.len(), signature.len()), (32, 7856));
        let public = VerifyingKey::<Sha2_128s>::try_from(&public[..]).unwrap();
        let signature = Signature::<Sha2_128s>::try_from(&signature[..]).unwrap();
        assert!(public.slh_verify_internal(&[&formatted], &signature).is_ok());
        assert!(public.slh_verify_internal(&[&formatted, &[0]], &signature).is_err());
    }
}

#[test]
fn decryption_takes_the_hash_of_the_algorithm() {
    let bench = bench();
    for (algorithm, oaep, size) in [
        ("RSA_DECRYPT_OAEP_2048_SHA1", &OAEP_SHA1_MGF1SHA1, 256),
        ("RSA_DECRYPT_OAEP_3072_SHA256", &OAEP_SHA256_MGF1SHA256, 384),
        ("RSA_DECRYPT_OAEP_4096_SHA512", &OAEP_SHA512_MGF1SHA512, 512),
    ] {
        let key = key(&bench, algorithm);
        let spki = bench.emulator.google().public_key_spki(&key.version).unwrap();
        let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&spki).unwrap()).unwrap();
        let mut out = vec![0; size];
        let ciphertext = public.encrypt(oaep, b"a secret", &mut out, None).unwrap();
        let body = json!({ "ciphertext": base64(ciphertext), "ciphertextCrc32c": crc32c(ciphertext) });
        assert_eq!(reply(&bench, &key.version, "asymmetricDecrypt", &body, "plaintext"), b"a secret");
        let mut wrong = ciphertext.to_vec();
        wrong[size - 1] ^= 1;
        let body = json!({ "ciphertext": base64(&wrong) });
        let refused = bench.google_error("POST", &format!("{}:asymmetricDecrypt", key.version), Some(&body));
        assert_eq!((refused.0, refused.1.as_str()), (400, "INVALID_ARGUMENT"));
    }
}

#[test]
fn macs_are_made_and_checked() {
    let bench = bench();
    for (algorithm, function) in [
        ("HMAC_SHA1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ("HMAC_SHA224", hmac::HMAC_SHA224),
        ("HMAC_SHA256", hmac::HMAC_SHA256),
        ("HMAC_SHA384", hmac::HMAC_SHA384),
        ("HMAC_SHA512", hmac::HMAC_SHA512),
    ] {
        let key = key(&bench, algorithm);
        let secret = hmac::Key::new(function, &bench.emulator.google().secret_key(&key.version).unwrap());
        let body = json!({ "data": base64(MESSAGE), "dataCrc32c": crc32c(MESSAGE) });
        let mac = reply(&bench, &key.version, "macSign", &body, "mac");
        assert_eq!(mac, hmac::sign(&secret, MESSAGE).as_ref());
        let verify = |data: &[u8]| {
            let body = json!({ "data": base64(data), "mac": base64(&mac), "macCrc32c": crc32c(&mac) });
            bench.google("POST", &format!("{}:macVerify", key.version), Some(&body)).json()
        };
        let (good, bad) = (verify(MESSAGE), verify(b"another"));
        assert_eq!((&good["success"], &good["verifiedSuccessIntegrity"]), (&json!(true), &json!(true)));
        assert_eq!((&good["verifiedMacCrc32c"], good.get("verifiedDataCrc32c")), (&json!(true), None));
        // What is false is left out.
        assert_eq!((bad.get("success"), bad.get("verifiedSuccessIntegrity")), (None, None));
        let public = bench.google_error("GET", &format!("{}/publicKey", key.version), None);
        assert_eq!((public.0, public.1.as_str()), (400, "FAILED_PRECONDITION"));
    }
}

#[test]
fn random_bytes_come_from_the_hsm() {
    let bench = bench();
    let path = "projects/p/locations/global:generateRandomBytes";
    let ask = |length: i64, level: &str| {
        bench.google("POST", path, Some(&json!({ "lengthBytes": length, "protectionLevel": level })))
    };
    for length in [8, 1024] {
        let reply = ask(length, "HSM").json();
        let bytes = unbase64(&reply["data"]);
        assert_eq!((bytes.len() as i64, &reply["dataCrc32c"]), (length, &json!(crc32c(&bytes))));
    }
    assert_eq!((ask(7, "HSM").status, ask(1025, "HSM").status, ask(8, "SOFTWARE").status), (400, 400, 400));
}

#[test]
fn public_keys_come_in_the_formats_of_their_algorithm() {
    let bench = bench();
    for (algorithm, good, bad) in [
        ("EC_SIGN_P256_SHA256", &["", "PEM", "DER"][..], &["NIST_PQC", "XWING_RAW_BYTES", "OTHER"][..]),
        ("PQ_SIGN_ML_DSA_65", &["PEM", "DER", "NIST_PQC"], &["", "XWING_RAW_BYTES"]),
        ("PQ_SIGN_SLH_DSA_SHA2_128S", &["NIST_PQC"], &["", "PEM", "DER"]),
    ] {
        let key = key(&bench, algorithm);
        let spki = bench.emulator.google().public_key_spki(&key.version).unwrap();
        let ask =
            |format: &str| bench.google("GET", &format!("{}/publicKey?publicKeyFormat={format}", key.version), None);
        for format in good {
            let reply = ask(format).json();
            assert_eq!((&reply["name"], &reply["algorithm"]), (&json!(key.version), &json!(algorithm)));
            let bytes = if format.is_empty() {
                assert_eq!(reply["pemCrc32c"], json!(crc32c(reply["pem"].as_str().unwrap().as_bytes())));
                reply["pem"].as_str().unwrap().as_bytes().to_vec()
            } else {
                unbase64(&reply["publicKey"]["data"])
            };
            match *format {
                "DER" => assert_eq!(bytes, spki),
                "NIST_PQC" => assert!(spki.ends_with(&bytes) && bytes.len() < spki.len()),
                _ => assert!(bytes.starts_with(b"-----BEGIN PUBLIC KEY-----\n")),
            }
        }
        for format in bad {
            assert_eq!(ask(format).status, 400, "{algorithm} {format}");
        }
    }
}

#[test]
fn faults_spoil_a_reply_and_nothing_else() {
    let bench = bench();
    let key = key(&bench, "EC_SIGN_P256_SHA256");
    let spki = bench.emulator.google().public_key_spki(&key.version).unwrap();
    let body = json!({ "data": base64(MESSAGE), "dataCrc32c": crc32c(MESSAGE) });
    let signed = |action: Option<Action>| {
        if let Some(action) = action {
            bench.emulator.control().fault(Fault::new("google.AsymmetricSign", action).key(&key.name).times(1));
        }
        let reply = bench.google("POST", &format!("{}:asymmetricSign", key.version), Some(&body)).json();
        let signature = unbase64(&reply["signature"]);
        [
            bench.openssl_verifies(&spki, &signature, MESSAGE, &["-sha256"]),
            reply["signatureCrc32c"] == json!(crc32c(&signature)),
            reply["verifiedDataCrc32c"] == json!(true),
            reply["name"] == *key.version,
        ]
    };
    assert_eq!(signed(None), [true, true, true, true]);
    assert_eq!(signed(Some(Action::WrongSignature)), [false, true, true, true]);
    assert_eq!(signed(Some(Action::WrongLengthSignature)), [false, true, true, true]);
    assert_eq!(signed(Some(Action::WrongChecksum)), [true, false, true, true]);
    assert_eq!(signed(Some(Action::Unverified)), [true, true, false, true]);
    assert_eq!(signed(Some(Action::WrongName)), [true, true, true, false]);
    assert_eq!(signed(None), [true, true, true, true]);
    assert_eq!(bench.emulator.control().count("google.AsymmetricSign"), 7);
}

#[test]
fn a_wrong_checksum_is_refused() {
    let bench = bench();
    let (signer, data_signer) = (key(&bench, "EC_SIGN_P256_SHA256"), key(&bench, "EC_SIGN_ED25519"));
    let (decrypter, mac) = (key(&bench, "RSA_DECRYPT_OAEP_2048_SHA256"), key(&bench, "HMAC_SHA256"));
    let (bytes, wrong) = (base64(&[7; 32]), "12345");
    for (key, verb, body, field) in [
        (&signer, "asymmetricSign", json!({ "digest": { "sha256": bytes }, "digestCrc32c": wrong }), "digest"),
        (&data_signer, "asymmetricSign", json!({ "data": bytes, "dataCrc32c": wrong }), "data"),
        (&decrypter, "asymmetricDecrypt", json!({ "ciphertext": bytes, "ciphertextCrc32c": wrong }), "ciphertext"),
        (&mac, "macSign", json!({ "data": bytes, "dataCrc32c": wrong }), "data"),
        (&mac, "macVerify", json!({ "data": bytes, "mac": bytes, "dataCrc32c": wrong }), "data"),
        (&mac, "macVerify", json!({ "data": bytes, "mac": bytes, "macCrc32c": wrong }), "mac"),
    ] {
        let (status, code, message) = bench.google_error("POST", &format!("{}:{verb}", key.version), Some(&body));
        assert_eq!((status, code.as_str()), (400, "INVALID_ARGUMENT"));
        assert_eq!(message, format!("The checksum in field {field}_crc32c did not match the data in field {field}."));
    }
}
