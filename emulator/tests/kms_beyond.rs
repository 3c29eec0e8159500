//! What AWS KMS does beyond RSA and ECDSA signatures: ML-DSA, Ed25519, decryption, agreement, MACs, random bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87, UnparsedPublicKey, VerificationAlgorithm};
use cloud_kms_emulator::{Action, AwsKey, Fault};
use common::{Bench, base64, bench, sign_body, unbase64};
use serde_json::{Value, json};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};

const ML_DSA: &str = "ML_DSA_SHAKE_256";

#[test]
fn ml_dsa_signs_messages_and_their_representatives() {
    let bench = bench();
    let specs: [(&str, &'static dyn VerificationAlgorithm, usize, usize); 3] = [
        ("ML_DSA_44", &ML_DSA_44, 1312, 2420),
        ("ML_DSA_65", &ML_DSA_65, 1952, 3309),
        ("ML_DSA_87", &ML_DSA_87, 2592, 4627),
    ];
    for (spec, algorithm, public_length, length) in specs {
        let key = bench.emulator.aws().create_key(AwsKey::new(spec)).unwrap();
        let public = bench.kms("GetPublicKey", &json!({ "KeyId": key.id })).json();
        assert_eq!((&public["KeySpec"], &public["SigningAlgorithms"]), (&json!(spec), &json!([ML_DSA])));
        let spki = unbase64(&public["PublicKey"]);
        // RFC 9881: SEQUENCE { SEQUENCE { OID }, BIT STRING }, without parameters.
        assert_eq!((spki.len(), &spki[4..8]), (public_length + 22, &[0x30, 0x0b, 0x06, 0x09][..]));
        let verifies = |message: &[u8], signature: &Value| {
            let signature = unbase64(signature);
            assert_eq!(signature.len(), length);
            UnparsedPublicKey::new(algorithm, &spki).verify(message, &signature).is_ok()
        };

        let short = vec![7; 4096];
        let mut raw = sign_body(&key.id, &short, "RAW", ML_DSA);
        let signed = bench.kms("Sign", &raw).json();
        assert_eq!((&signed["KeyId"], &signed["SigningAlgorithm"]), (&json!(key.arn), &json!(ML_DSA)));
        assert!(verifies(&short, &signed["Signature"]) && !verifies(b"another", &signed["Signature"]));
        assert_ne!(bench.kms("Sign", &raw).json()["Signature"], signed["Signature"]);

        let long = vec![8; 1_000_000];
        let mut external = sign_body(&key.id, &mu(&spki[22..], &long), "EXTERNAL_MU", ML_DSA);
        let signed_mu = bench.kms("Sign", &external).json();
        assert!(verifies(&long, &signed_mu["Signature"]));

        (raw["Signature"], external["Signature"]) = (signed["Signature"].clone(), signed_mu["Signature"].clone());
        assert_eq!(bench.kms("Verify", &raw).json()["SignatureValid"], true);
        assert_eq!(bench.kms("Verify", &external).json()["SignatureValid"], true);
        external["Message"] = json!(base64(&mu(&spki[22..], b"another")));
        assert_eq!(bench.kms_error("Verify", &external).0, "KMSInvalidSignatureException");
        raw["Signature"] = json!(base64(b"short"));
        assert_eq!(bench.kms_error("Verify", &raw).0, "KMSInvalidSignatureException");
    }
}

#[test]
fn ml_dsa_and_ed25519_refuse_what_the_service_refuses() {
    let bench = bench();
    let aws = bench.emulator.aws();
    aws.create_key(AwsKey::new("ML_DSA_44").alias("alias/pq")).unwrap();
    aws.create_key(AwsKey::new("ECC_NIST_EDWARDS25519").alias("alias/ed")).unwrap();
    let refused = |key: &str, length: usize, kind: &str, algorithm: &str| {
        bench.kms_error("Sign", &sign_body(key, &vec![7; length], kind, algorithm)).0
    };
    for (key, algorithm) in [("alias/pq", ML_DSA), ("alias/ed", "ED25519_SHA_512")] {
        assert_eq!(refused(key, 4097, "RAW", algorithm), "ValidationException");
        assert_eq!(refused(key, 0, "RAW", algorithm), "ValidationException");
        assert_eq!(refused(key, 64, "DIGEST", algorithm), "ValidationException");
        assert_eq!(refused(key, 1, "WHOLE", algorithm), "ValidationException");
        assert_eq!(refused(key, 1, "RAW", "ECDSA_SHA_256"), "InvalidKeyUsageException");
    }
    for length in [63, 65] {
        assert_eq!(refused("alias/pq", length, "EXTERNAL_MU", ML_DSA), "ValidationException");
    }
    assert_eq!(refused("alias/ed", 64, "EXTERNAL_MU", "ED25519_SHA_512"), "ValidationException");
    assert_eq!(refused("alias/ed", 1, "RAW", ML_DSA), "InvalidKeyUsageException");
    let create = json!({ "KeySpec": "ML_DSA_44", "KeyUsage": "ENCRYPT_DECRYPT" });
    assert_eq!(
        bench.kms_error("CreateKey", &create),
        ("ValidationException".into(), "KeyUsage ENCRYPT_DECRYPT is not compatible with KeySpec ML_DSA_44".into())
    );
}

#[test]
fn ed25519_signs_whole_messages() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_EDWARDS25519")).unwrap();
    let spki = bench.emulator.aws().public_key_spki(&key.id).unwrap();
    for length in [1, 64, 4096] {
        let message = vec![9; length];
        let signed = bench.kms("Sign", &sign_body(&key.id, &message, "RAW", "ED25519_SHA_512")).json();
        let public = UnparsedPublicKey::new(&ED25519, &spki[12..]);
        public.verify(&message, &unbase64(&signed["Signature"])).unwrap();
    }
}

#[test]
fn ed25519ph_takes_digests_only() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_EDWARDS25519")).unwrap();
    let body = |length: usize, kind: &str| sign_body(&key.id, &vec![9; length], kind, "ED25519_PH_SHA_512");
    let mut asked = body(64, "DIGEST");
    asked["Signature"] = bench.kms("Sign", &asked).json()["Signature"].clone();
    assert_eq!(unbase64(&asked["Signature"]).len(), 64);
    assert_eq!(bench.kms("Verify", &asked).json()["SignatureValid"], true);
    asked["Message"] = json!(base64(&[8; 64]));
    assert_eq!(bench.kms_error("Verify", &asked).0, "KMSInvalidSignatureException");
    assert_eq!(
        bench.kms_error("Sign", &body(32, "DIGEST")).1,
        "Digest is invalid length for algorithm ED25519_PH_SHA_512."
    );
    for kind in ["RAW", "EXTERNAL_MU"] {
        assert_eq!(bench.kms_error("Sign", &body(64, kind)).0, "ValidationException");
    }
}

#[test]
fn wrong_signatures_are_made_on_demand() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ML_DSA_65").alias("alias/pq")).unwrap();
    let spki = bench.emulator.aws().public_key_spki(&key.id).unwrap();
    let sign = |kind: &str, input: &[u8]| {
        unbase64(&bench.kms("Sign", &sign_body(&key.id, input, kind, ML_DSA)).json()["Signature"])
    };
    let verifies = |signature: &[u8]| UnparsedPublicKey::new(&ML_DSA_65, &spki).verify(b"m", signature).is_ok();
    let mu = mu(&spki[22..], b"m");
    for _ in 0..2 {
        bench.emulator.control().fault(Fault::new("kms.Sign", Action::WrongSignature).key("alias/pq").times(1));
    }
    // Both faults hit the first request: one bit is flipped, once.
    assert!(!verifies(&sign("RAW", b"m")));
    bench.emulator.control().fault(Fault::new("kms.Sign", Action::WrongSignature).times(1));
    assert!(!verifies(&sign("EXTERNAL_MU", &mu)));
    bench.emulator.control().fault(Fault::new("kms.Sign", Action::WrongLengthSignature).times(1));
    assert_eq!(sign("RAW", b"m").len(), 3308);
    assert!(verifies(&sign("EXTERNAL_MU", &mu)));
    assert_eq!(bench.emulator.control().count("kms.Sign"), 4);
}

#[test]
fn rsa_keys_decrypt_and_refuse_bad_padding() {
    let bench = bench();
    let aws = bench.emulator.aws();
    for (spec, size) in [("RSA_2048", 256), ("RSA_3072", 384)] {
        let key = aws.create_key(AwsKey::new(spec).usage("ENCRYPT_DECRYPT")).unwrap();
        let public = bench.kms("GetPublicKey", &json!({ "KeyId": key.id })).json();
        let algorithms = json!(["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]);
        assert_eq!((&public["EncryptionAlgorithms"], &public["SigningAlgorithms"]), (&algorithms, &Value::Null));
        let spki = unbase64(&public["PublicKey"]);
        let oaep = [("RSAES_OAEP_SHA_1", &OAEP_SHA1_MGF1SHA1, 42), ("RSAES_OAEP_SHA_256", &OAEP_SHA256_MGF1SHA256, 66)];
        for (name, algorithm, overhead) in oaep {
            let body = |ciphertext: &[u8]| json!({ "KeyId": key.id, "CiphertextBlob": base64(ciphertext), "EncryptionAlgorithm": name });
            let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&spki).unwrap()).unwrap();
            for plaintext in [vec![1], vec![2; size - overhead]] {
                let mut out = vec![0; size];
                let ciphertext = public.encrypt(algorithm, &plaintext, &mut out, None).unwrap();
                let reply = bench.kms("Decrypt", &body(ciphertext)).json();
                assert_eq!((&reply["KeyId"], &reply["EncryptionAlgorithm"]), (&json!(key.arn), &json!(name)));
                assert_eq!(unbase64(&reply["Plaintext"]), plaintext);
                // A bit of the ciphertext, and then the length.
                let mut wrong = ciphertext.to_vec();
                wrong[size - 1] ^= 1;
                assert_eq!(bench.kms_error("Decrypt", &body(&wrong)), ("InvalidCiphertextException".into(), "".into()));
                assert_eq!(bench.kms_error("Decrypt", &body(&wrong[1..])).0, "InvalidCiphertextException");
            }
            let long = json!({ "KeyId": key.id, "Plaintext": base64(&vec![1; size - overhead + 1]), "EncryptionAlgorithm": name });
            let limit = size - overhead;
            assert_eq!(
                bench.kms_error("Encrypt", &long).1,
                format!("Algorithm {name} and key spec {spec} cannot encrypt data larger than {limit} bytes.")
            );
        }
    }
    let signer = aws.create_key(AwsKey::new("RSA_2048")).unwrap();
    let body =
        json!({ "KeyId": signer.id, "CiphertextBlob": base64(&[1; 256]), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256" });
    let text = format!("{} key usage is SIGN_VERIFY which is not valid for Decrypt.", signer.arn);
    assert_eq!(bench.kms_error("Decrypt", &body), ("InvalidKeyUsageException".into(), text));
}

#[test]
fn a_shared_secret_is_that_of_the_peer() {
    let bench = bench();
    let aws = bench.emulator.aws();
    let key = aws.create_key(AwsKey::new("ECC_NIST_P256").usage("KEY_AGREEMENT").alias("alias/agree")).unwrap();
    let public = bench.kms("GetPublicKey", &json!({ "KeyId": key.id })).json();
    assert_eq!(public["KeyAgreementAlgorithms"], json!(["ECDH"]));
    let mine = PrivateKey::generate(&ECDH_P256).unwrap();
    let peer = mine.compute_public_key().unwrap();
    let peer: aws_lc_rs::encoding::PublicKeyX509Der<'_> = peer.as_der().unwrap();
    let derive =
        |public: &[u8]| json!({ "KeyId": "alias/agree", "KeyAgreementAlgorithm": "ECDH", "PublicKey": base64(public) });
    let theirs = agreement::UnparsedPublicKey::new(&ECDH_P256, unbase64(&public["PublicKey"]));
    let secret = agreement::agree(&mine, theirs, (), |secret| Ok(secret.to_vec())).unwrap();
    let reply = bench.kms("DeriveSharedSecret", &derive(peer.as_ref())).json();
    assert_eq!(unbase64(&reply["SharedSecret"]), secret);
    assert_eq!((&reply["KeyAgreementAlgorithm"], &reply["KeyOrigin"]), (&json!("ECDH"), &json!("AWS_KMS")));

    bench.emulator.control().fault(Fault::new("kms.DeriveSharedSecret", Action::WrongSecret).times(1));
    assert_ne!(unbase64(&bench.kms("DeriveSharedSecret", &derive(peer.as_ref())).json()["SharedSecret"]), secret);

    let other = aws.create_key(AwsKey::new("ECC_NIST_P384").usage("KEY_AGREEMENT")).unwrap();
    let refused = |public: &[u8]| bench.kms_error("DeriveSharedSecret", &derive(public));
    assert_eq!(refused(&aws.public_key_spki(&other.id).unwrap()), ("ValidationException".into(), "".into()));
    assert_eq!(refused(b"no key").0, "ValidationException");
    let signer = aws.create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
    let mut body = derive(peer.as_ref());
    body["KeyId"] = json!(signer.id);
    let text = format!("{} key usage is SIGN_VERIFY which is not valid for DeriveSharedSecret.", signer.arn);
    assert_eq!(bench.kms_error("DeriveSharedSecret", &body), ("InvalidKeyUsageException".into(), text));
    body["KeyAgreementAlgorithm"] = json!("DH");
    assert!(bench.kms_error("DeriveSharedSecret", &body).1.contains("enum value set: [ECDH]"));
}

#[test]
fn macs_are_those_of_rfc_2104() {
    let bench = bench();
    let aws = bench.emulator.aws();
    for (bits, length) in [(224, 28), (256, 32), (384, 48), (512, 64)] {
        let (spec, name) = (format!("HMAC_{bits}"), format!("HMAC_SHA_{bits}"));
        let key = aws.create_key(AwsKey::new(&spec)).unwrap();
        let described = bench.kms("DescribeKey", &json!({ "KeyId": key.id })).json()["KeyMetadata"].clone();
        assert_eq!(
            (&described["MacAlgorithms"], &described["KeyUsage"]),
            (&json!([name]), &json!("GENERATE_VERIFY_MAC"))
        );
        let mut body = json!({ "KeyId": key.id, "Message": base64(&[5; 4096]), "MacAlgorithm": name });
        let made = bench.kms("GenerateMac", &body).json();
        assert_eq!((unbase64(&made["Mac"]).len(), &made["MacAlgorithm"]), (length, &json!(name)));
        body["Mac"] = made["Mac"].clone();
        assert_eq!(bench.kms("VerifyMac", &body).json()["MacValid"], true);
        bench.emulator.control().fault(Fault::new("kms.GenerateMac", Action::WrongSignature).times(1));
        body["Mac"] = bench.kms("GenerateMac", &body).json()["Mac"].clone();
        assert_ne!(body["Mac"], made["Mac"]);
        assert_eq!(bench.kms_error("VerifyMac", &body), ("KMSInvalidMacException".into(), "".into()));
        body["Message"] = json!(base64(&[5; 4097]));
        assert_eq!(bench.kms_error("GenerateMac", &body).0, "ValidationException");
        assert_eq!(bench.kms_error("GetPublicKey", &json!({ "KeyId": key.id })).0, "UnsupportedOperationException");
    }
    let signer = aws.create_key(AwsKey::new("RSA_2048")).unwrap();
    let body = json!({ "KeyId": signer.id, "Message": base64(b"m"), "MacAlgorithm": "HMAC_SHA_256" });
    let text = format!("{} key usage is SIGN_VERIFY which is not valid for GenerateMac.", signer.arn);
    assert_eq!(bench.kms_error("GenerateMac", &body), ("InvalidKeyUsageException".into(), text));
}

#[test]
fn a_mac_is_made_with_the_keys_own_bytes() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("HMAC_384")).unwrap();
    let body = json!({ "KeyId": key.id, "Message": base64(b"m"), "MacAlgorithm": "HMAC_SHA_384" });
    let mac = unbase64(&bench.kms("GenerateMac", &body).json()["Mac"]);
    let secret = bench.emulator.aws().secret_key(&key.id).unwrap();
    assert_eq!(secret.len(), 48);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA384, &secret), b"m", &mac).unwrap();
    let rsa = bench.emulator.aws().create_key(AwsKey::new("RSA_2048")).unwrap();
    assert!(bench.emulator.aws().secret_key(&rsa.id).is_err());
}

#[test]
fn random_bytes_come_in_every_length() {
    let bench = bench();
    let random = |count: i64| json!({ "NumberOfBytes": count });
    for count in [1, 1024] {
        let bytes = |body: &Value| unbase64(&bench.kms("GenerateRandom", body).json()["Plaintext"]);
        assert_eq!(bytes(&random(count)).len() as i64, count);
    }
    assert_eq!(
        bench.kms_error("GenerateRandom", &random(0)).1,
        "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"
    );
    assert_eq!(bench.kms_error("GenerateRandom", &json!({})).1, "NumberOfBytes is required.");
    bench.emulator.control().fault(Fault::new("kms.GenerateRandom", Action::Deny).times(1));
    assert_eq!(bench.kms_error("GenerateRandom", &random(1)).0, "AccessDeniedException");
}

#[test]
fn keys_are_described_by_what_they_can_do() {
    let bench = bench();
    let cases = [
        ("ML_DSA_87", "SIGN_VERIFY", "SigningAlgorithms", json!([ML_DSA])),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "SigningAlgorithms", json!(["ED25519_SHA_512", "ED25519_PH_SHA_512"])),
        ("ECC_SECG_P256K1", "SIGN_VERIFY", "SigningAlgorithms", json!(["ECDSA_SHA_256"])),
        ("ECC_NIST_P521", "KEY_AGREEMENT", "KeyAgreementAlgorithms", json!(["ECDH"])),
        ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", json!(["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"])),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", json!(["SYMMETRIC_DEFAULT"])),
    ];
    for (spec, usage, list, algorithms) in cases {
        let asked = json!({ "KeySpec": spec, "KeyUsage": usage, "Description": format!("a {spec}") });
        let made = bench.kms("CreateKey", &asked).json()["KeyMetadata"].clone();
        let described = bench.kms("DescribeKey", &json!({ "KeyId": made["KeyId"] })).json()["KeyMetadata"].clone();
        assert_eq!(described, made);
        let expected = json!({
            "KeySpec": spec, "KeyUsage": usage, list: algorithms, "KeyState": "Enabled", "Enabled": true,
            "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "Description": format!("a {spec}"),
        });
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(&described[member], value);
        }
    }
    refuses_public_key(&bench);
}

fn refuses_public_key(bench: &Bench) {
    let key = bench.emulator.aws().create_key(AwsKey::new("SYMMETRIC_DEFAULT")).unwrap();
    assert_eq!(bench.kms_error("GetPublicKey", &json!({ "KeyId": key.id })).0, "UnsupportedOperationException");
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
