//! Every kind of key of both clouds signs with every mechanism that it lists, and openssl verifies the signatures.

use crate::module_test;
use crate::support::p11::pss;
use crate::support::world::{World, ecdsa_der, openssl_verifies};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::DecodePublicKey;
use serde_json::{Value, json};
use std::ptr::null_mut;

const HASHES: [(&str, usize); 5] = [("sha1", 20), ("sha224", 28), ("sha256", 32), ("sha384", 48), ("sha512", 64)];

/// A mechanism, the hash that it applies to the message (None if the caller hashes), and whether it is PSS.
const MECHANISMS: [(CK_MECHANISM_TYPE, Option<&str>, bool); 14] = [
    (CKM_RSA_PKCS, None, false),
    (CKM_SHA256_RSA_PKCS, Some("sha256"), false),
    (CKM_SHA384_RSA_PKCS, Some("sha384"), false),
    (CKM_SHA512_RSA_PKCS, Some("sha512"), false),
    (CKM_RSA_PKCS_PSS, None, true),
    (CKM_SHA256_RSA_PKCS_PSS, Some("sha256"), true),
    (CKM_SHA384_RSA_PKCS_PSS, Some("sha384"), true),
    (CKM_SHA512_RSA_PKCS_PSS, Some("sha512"), true),
    (CKM_ECDSA, None, false),
    (CKM_ECDSA_SHA1, Some("sha1"), false),
    (CKM_ECDSA_SHA224, Some("sha224"), false),
    (CKM_ECDSA_SHA256, Some("sha256"), false),
    (CKM_ECDSA_SHA384, Some("sha384"), false),
    (CKM_ECDSA_SHA512, Some("sha512"), false),
];

/// Returns a digest that the `openssl` program computes.
fn digest(world: &World, hash: &str, message: &[u8]) -> Vec<u8> {
    let path = world.home.join("message");
    std::fs::write(&path, message).unwrap();
    let output =
        std::process::Command::new("openssl").args(["dgst", "-binary", &format!("-{hash}")]).arg(path).output();
    output.unwrap().stdout
}

/// Returns the DigestInfo of a digest, as printed in RFC 8017 section 9.2 note 1.
fn digest_info(hash: &str, digest: &[u8]) -> Vec<u8> {
    let prefix = match hash {
        "sha256" => "3031300d060960864801650304020105000420",
        "sha384" => "3041300d060960864801650304020205000430",
        _ => "3051300d060960864801650304020305000440",
    };
    let bytes = (0..prefix.len() / 2).map(|at| u8::from_str_radix(&prefix[2 * at..2 * at + 2], 16).unwrap());
    bytes.chain(digest.iter().copied()).collect()
}

fn verified(world: &World, spki: &[u8], hash: &str, is_pss: bool, rsa: bool, digest: &[u8], signature: &[u8]) -> bool {
    let hash = format!("digest:{hash}");
    let pss = ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"];
    match (rsa, is_pss) {
        (false, _) => openssl_verifies(&world.home, spki, digest, &ecdsa_der(signature), &[]),
        (true, false) => openssl_verifies(&world.home, spki, digest, signature, &["-pkeyopt", &hash]),
        (true, true) => {
            openssl_verifies(&world.home, spki, digest, signature, &[&["-pkeyopt", &hash], &pss[..]].concat())
        }
    }
}

/// Signs with every mechanism that the key lists, and with every hash that the mechanism leaves to the caller.
/// Returns the number of signatures.
fn sign_by_all(world: &World, p11: &crate::support::p11::P11, slot: CK_SLOT_ID, spki: &[u8]) -> usize {
    let session = p11.open(slot);
    let key = p11.private_key(session);
    let rsa = p11.number(session, key, CKA_KEY_TYPE).unwrap() == CKK_RSA;
    let listed = p11.mechanisms(session, key);
    let mut signatures = 0;
    for (ckm, own_hash, is_pss) in MECHANISMS.iter().filter(|row| listed.contains(&row.0)) {
        let open: Vec<&str> =
            HASHES.iter().filter(|(_, length)| !rsa || *length >= 32).map(|(name, _)| *name).collect();
        for hash in own_hash.map_or(open, |own| vec![own]) {
            let message = format!("{ckm} {hash}").into_bytes();
            let digest = digest(world, hash, &message);
            let parameter = if *is_pss { pss(digest.len()) } else { Vec::new() };
            let data = match (own_hash, ckm) {
                (Some(_), _) => message.clone(),
                (None, &CKM_RSA_PKCS) => digest_info(hash, &digest),
                (None, _) => digest.clone(),
            };
            let signature = p11.sign(session, key, *ckm, &parameter, &data).unwrap();
            assert!(verified(world, spki, hash, *is_pss, rsa, &digest, &signature), "slot {slot}, {ckm:x}, {hash}");
            let mut changed = digest.clone();
            changed[0] ^= 1;
            assert!(
                !verified(world, spki, hash, *is_pss, rsa, &changed, &signature),
                "the check accepts a wrong signature"
            );
            signatures += 1;
        }
    }
    signatures
}

module_test! {
    fn every_mechanism_of_every_aws_key_signs(world) {
        let specs = ["RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"];
        let mut slots = Vec::new();
        let mut keys = Vec::new();
        for spec in specs {
            let key = world.emulator.aws().create_key(AwsKey::new(spec)).unwrap();
            slots.push(json!({ "label": spec, "kms_key_id": key.id }));
            keys.push(world.emulator.aws().public_key_spki(&key.id).unwrap());
        }
        world.configure(Value::from(slots));
        let p11 = world.module();
        let signed: Vec<_> = keys.iter().enumerate().map(|(slot, spki)| sign_by_all(world, &p11, slot as CK_SLOT_ID, spki)).collect();
        assert_eq!(signed, [12, 12, 12, 10, 10, 10, 10]);
    }
}

module_test! {
    fn every_mechanism_of_every_azure_key_signs(world) {
        let kinds = [VaultKey::rsa(2048), VaultKey::rsa(3072), VaultKey::rsa(4096), VaultKey::ec("P-256"), VaultKey::ec("P-384"), VaultKey::ec("P-521"), VaultKey::ec("P-256K")];
        world.emulator.control().switches(|switches| {
            switches.jwk_leading_zero = true;
            switches.jwk_short_coordinates = true;
        });
        let vault = world.emulator.vault("default");
        let mut slots = Vec::new();
        let mut keys = Vec::new();
        for (number, kind) in kinds.into_iter().enumerate() {
            let name = format!("k{number}");
            vault.create_key(&name, VaultKey { short_coordinate: kind.curve.is_some(), ..kind }).unwrap();
            slots.push(json!({ "label": name, "key_name": name }));
            keys.push(vault.public_key_spki(&name, "").unwrap());
        }
        world.configure(Value::from(slots));
        let p11 = world.module();
        let signed: Vec<_> = keys.iter().enumerate().map(|(slot, spki)| sign_by_all(world, &p11, slot as CK_SLOT_ID, spki)).collect();
        assert_eq!(signed, [12, 12, 12, 10, 10, 10, 10]);
    }
}

module_test! {
    fn ten_thousand_p256_signatures_verify(world) {
        let key = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/p")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("p", VaultKey::ec("P-256")).unwrap();
        let keys = [world.emulator.aws().public_key_spki(&key.id).unwrap(), vault.public_key_spki("p", "").unwrap()];
        world.configure_with(json!([{ "label": "a", "kms_key_id": "alias/p" }, { "label": "z", "key_name": "p" }]), json!({ "log_level": "error" }));
        let p11 = world.module();
        let mut short = 0;
        for (slot, spki) in keys.iter().enumerate() {
            let verifier = p256::ecdsa::VerifyingKey::from_public_key_der(spki).unwrap();
            let session = p11.open(slot as CK_SLOT_ID);
            let private = p11.private_key(session);
            for number in 0..5_000u32 {
                let digest = [number.to_be_bytes(), [7; 4]].concat().repeat(4);
                let signature = p11.sign(session, private, CKM_ECDSA, &[], &digest).unwrap();
                assert_eq!(signature.len(), 64);
                short += usize::from(signature[0] == 0 || signature[32] == 0);
                let parsed = p256::ecdsa::Signature::from_slice(&signature).unwrap();
                verifier.verify_prehash(&digest, &parsed).unwrap();
            }
        }
        assert!(short > 20, "one in 128 has a leading zero: {short} of 10,000 had");
    }
}

module_test! {
    fn a_multi_part_signature_equals_one_of_the_whole_message(world) {
        let key = world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/r")).unwrap();
        let spki = world.emulator.aws().public_key_spki(&key.id).unwrap();
        world.configure(json!([{ "label": "r", "kms_key_id": "alias/r" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let private = p11.private_key(session);
        p11.sign_init(session, private, CKM_SHA256_RSA_PKCS, &[]).unwrap();
        let part = vec![0xa5u8; 1 << 20];
        for _ in 0..100 {
            crate::c!(p11, C_SignUpdate(session, part.as_ptr().cast_mut(), part.len() as CK_ULONG)).unwrap();
        }
        let (mut signature, mut length) = (vec![0u8; 256], 0);
        crate::c!(p11, C_SignFinal(session, null_mut(), &mut length)).unwrap();
        assert_eq!(length, 256);
        length = 10;
        assert_eq!(crate::c!(p11, C_SignFinal(session, signature.as_mut_ptr(), &mut length)), Err(CKR_BUFFER_TOO_SMALL));
        crate::c!(p11, C_SignFinal(session, signature.as_mut_ptr(), &mut length)).unwrap();
        let digest = digest(world, "sha256", &part.repeat(100));
        assert!(verified(world, &spki, "sha256", false, true, &digest, &signature));
        let mut data = *b"x";
        assert_eq!(crate::c!(p11, C_SignFinal(session, signature.as_mut_ptr(), &mut length)), Err(CKR_OPERATION_NOT_INITIALIZED));
        assert_eq!(crate::c!(p11, C_Sign(session, data.as_mut_ptr(), 1, signature.as_mut_ptr(), &mut length)), Err(CKR_OPERATION_NOT_INITIALIZED));
    }
}

module_test! {
    fn a_wrong_signature_never_reaches_the_caller(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.emulator.vault("default").create_key("z", VaultKey::rsa(2048)).unwrap();
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]));
        let p11 = world.module();
        for (slot, ckm, operation) in [(0, CKM_ECDSA_SHA256, "kms.Sign"), (1, CKM_SHA256_RSA_PKCS, "vault.keys.sign")] {
            for action in [Action::WrongSignature, Action::WrongLengthSignature, Action::GarbageBody] {
                let session = p11.open(slot);
                let key = p11.private_key(session);
                world.emulator.control().fault(Fault::new(operation, action.clone()));
                assert_eq!(p11.sign(session, key, ckm, &[], b"x"), Err(CKR_DEVICE_ERROR), "{operation} {action:?}");
                world.emulator.control().clear_faults();
                let key = p11.private_key(session);
                p11.sign(session, key, ckm, &[], b"x").unwrap();
            }
        }
    }
}

module_test! {
    fn unsupported_requests_are_refused_with_specific_codes(world) {
        world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/r")).unwrap();
        world.emulator.aws().create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/d")).unwrap();
        world.configure(json!([{ "label": "r", "kms_key_id": "alias/r" }, { "label": "d", "kms_key_id": "alias/d" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.private_key(session);
        let asked = world.requests();
        let salt20 = [CKM_SHA256, CKG_MGF1_SHA256, 20].iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<u8>>();
        for (ckm, parameter, rv) in [
            (CKM_RSA_X_509, &[][..], CKR_MECHANISM_INVALID),
            (CKM_SHA1_RSA_PKCS, &[], CKR_MECHANISM_INVALID),
            (CKM_ECDSA, &[], CKR_KEY_TYPE_INCONSISTENT),
            (CKM_RSA_PKCS_PSS, &[], CKR_MECHANISM_PARAM_INVALID),
            (CKM_RSA_PKCS_PSS, &salt20, CKR_MECHANISM_PARAM_INVALID),
            (CKM_SHA384_RSA_PKCS_PSS, &pss(32), CKR_MECHANISM_PARAM_INVALID),
        ] {
            assert_eq!(p11.sign_init(session, key, ckm, parameter), Err(rv), "{ckm:x}");
        }
        assert_eq!(p11.sign(session, key, CKM_RSA_PKCS, &[], &[7; 32]), Err(CKR_DATA_INVALID), "a bare digest");
        assert!(world.log().contains("accept_bare_digest"), "the log says what to do: {}", world.log());
        assert_eq!(p11.sign_init(session, 12345, CKM_RSA_PKCS, &[]), Err(CKR_KEY_HANDLE_INVALID));
        let public = p11.find_class(session, CKO_PUBLIC_KEY)[0];
        assert_eq!(p11.sign_init(session, public, CKM_RSA_PKCS, &[]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert_eq!(world.requests(), asked, "all refusals need no request");
        let session = p11.open(1);
        let key = p11.private_key(session);
        assert_eq!(p11.mechanisms(session, key), [CKM_RSA_PKCS_OAEP]);
        assert_eq!(p11.sign_init(session, key, CKM_SHA256_RSA_PKCS, &[]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert!(world.log().contains("ENCRYPT_DECRYPT"), "the log names the reason: {}", world.log());
    }
}
