//! Digests and signatures with SHA-3, which the services do not know. openssl is the other side. Key derivation
//! with SHA-3 is tested in `shared_secrets.rs`.

use crate::support::p11::{P11, output_of, plain, pointer_and_length};
use crate::support::world::{World, openssl_verifies};
use crate::{c, module_test};
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::process::Command;

const DATA: &[u8] = b"data to be hashed by a sponge";

/// Each hash by its name in openssl, and the mechanisms that digest, sign with ECDSA and sign with RSA.
const HASHES: [(&str, [CK_MECHANISM_TYPE; 3]); 4] = [
    ("sha3-224", [CKM_SHA3_224, CKM_ECDSA_SHA3_224, CKM_SHA3_224_RSA_PKCS]),
    ("sha3-256", [CKM_SHA3_256, CKM_ECDSA_SHA3_256, CKM_SHA3_256_RSA_PKCS]),
    ("sha3-384", [CKM_SHA3_384, CKM_ECDSA_SHA3_384, CKM_SHA3_384_RSA_PKCS]),
    ("sha3-512", [CKM_SHA3_512, CKM_ECDSA_SHA3_512, CKM_SHA3_512_RSA_PKCS]),
];

fn digest(p11: P11, session: CK_SESSION_HANDLE, ckm: CK_MECHANISM_TYPE, data: &[u8]) -> Vec<u8> {
    c!(p11, C_DigestInit(session, &mut plain(ckm))).unwrap();
    let (data, length) = pointer_and_length(data);
    output_of(|out, room| c!(p11, C_Digest(session, data, length, out, room))).unwrap()
}

fn by_openssl(world: &World, hash: &str) -> Vec<u8> {
    let path = world.home.join("digest.data");
    std::fs::write(&path, DATA).unwrap();
    Command::new("openssl").args(["dgst", "-binary", &format!("-{hash}")]).arg(path).output().unwrap().stdout
}

module_test! {
    fn sha3_digests_and_signatures_match_openssl(world) {
        let aws = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P384").alias("alias/a")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("ec", VaultKey::ec("P-256")).unwrap();
        vault.create_key("rsa", VaultKey::rsa(2048)).unwrap();
        world.configure(json!([
            { "label": "a", "kms_key_id": "alias/a" }, { "label": "ec", "key_name": "ec" },
            { "label": "rsa", "key_name": "rsa", "rsnull": true }, { "label": "usual", "key_name": "rsa" },
        ]));
        let p11 = world.module();
        let [aws, ec, rsa] = [world.emulator.aws().public_key_spki(&aws.id), vault.public_key_spki("ec", ""), vault.public_key_spki("rsa", "")].map(Result::unwrap);
        for (name, [digests, by_ecdsa, by_rsa]) in HASHES {
            let expected = by_openssl(world, name);
            for (slot, spki, signs) in [(0, &aws, by_ecdsa), (1, &ec, by_ecdsa), (2, &rsa, by_rsa)] {
                let session = p11.open(slot);
                assert_eq!(digest(p11, session, digests, DATA), expected, "{name}");
                let signature = p11.sign(session, p11.private_key(session), signs, &[], DATA).unwrap_or_else(|rv| panic!("{name}: {rv:x}: {}", world.log()));
                let public = p11.only(session, CKO_PUBLIC_KEY);
                assert_eq!(p11.verify(session, public, &mut plain(signs), DATA, &signature), Ok(()));
                assert_eq!(p11.verify(session, public, &mut plain(signs), b"other data", &signature), Err(CKR_SIGNATURE_INVALID));
                let (signature, data, option) = match slot {
                    // openssl needs the name of the hash to verify an RSA signature of a digest. It takes an ECDSA
                    // digest as it is.
                    2 => (signature, &expected[..], format!("digest:{name}")),
                    _ => (crate::support::world::ecdsa_der(&signature), &expected[..], String::new()),
                };
                let options = if option.is_empty() { vec![] } else { vec!["-pkeyopt", &option] };
                assert!(openssl_verifies(&world.home, spki, data, &signature, &options), "{name} in slot {slot}");
                assert!(!openssl_verifies(&world.home, spki, &by_openssl(world, "sha3-256")[..28], &signature, &options), "the other library accepts a wrong signature");
            }
            let usual = p11.open(3);
            assert_eq!(p11.sign(usual, p11.private_key(usual), by_rsa, &[], DATA), Err(CKR_MECHANISM_INVALID), "without \"rsnull\"");
        }
    }
}
