//! Two options of a slot: C_GenerateRandom from a service, and raw RSA signatures with RSNULL.

use crate::c;
use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::openssl_verifies;
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::json;

fn random(p11: P11, session: CK_SESSION_HANDLE, length: usize) -> Result<Vec<u8>, CK_RV> {
    let mut bytes = vec![0; length];
    c!(p11, C_GenerateRandom(session, bytes.as_mut_ptr(), length as CK_ULONG)).map(|()| bytes)
}

module_test! {
    fn random_bytes_come_from_the_service_where_the_slot_wants_it(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("z", VaultKey::ec("P-256")).unwrap();
        world.configure(json!([
            { "label": "system", "kms_key_id": "alias/a" },
            { "label": "service", "kms_key_id": "alias/a", "random": "service" },
            { "label": "vault", "key_name": "z", "random": "service" },
        ]));
        let p11 = world.module();
        let (system, service, vault) = (p11.open(0), p11.open(1), p11.open(2));
        assert!(random(p11, system, 2000).unwrap().iter().any(|byte| *byte != 0));
        assert_eq!(world.requests(), 0);
        let some = random(p11, service, 2500).unwrap();
        assert_eq!(world.count("kms.GenerateRandom"), 3, "each request returns 1024 bytes at most");
        assert!(some.chunks(16).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
        assert_ne!(random(p11, service, 32), random(p11, service, 32));
        assert_eq!(random(p11, service, 0), Ok(Vec::new()));
        assert_eq!(random(p11, vault, 32), Err(CKR_FUNCTION_NOT_SUPPORTED), "only a Managed HSM has random bytes");
        assert!(world.log().contains("remove the option \"random\""), "{}", world.log());
        world.emulator.control().fault(Fault::new("kms.GenerateRandom", Action::Deny));
        assert_eq!(random(p11, service, 32), Err(CKR_FUNCTION_REJECTED));
        assert!(world.log().contains("needed: kms:GenerateRandom"), "{}", world.log());
        assert_eq!(c!(p11, C_SeedRandom(service, std::ptr::null_mut(), 0)), Err(CKR_RANDOM_SEED_NOT_SUPPORTED));
    }
}

module_test! {
    fn rsnull_signs_digest_infos_of_any_hash(world) {
        let vault = world.emulator.vault("default");
        vault.create_key("z", VaultKey::rsa(2048)).unwrap();
        let spki = vault.public_key_spki("z", "").unwrap();
        world.configure(json!([{ "label": "raw", "key_name": "z", "rsnull": true }, { "label": "usual", "key_name": "z" }]));
        let p11 = world.module();
        let (raw, usual) = (p11.open(0), p11.open(1));
        let key = p11.private_key(raw);
        let digest: Vec<u8> = (0..20).collect();
        // RFC 8017 section 9.2, note 1.
        let info = [&[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14][..], &digest].concat();
        let signature = p11.sign(raw, key, CKM_RSA_PKCS, &[], &info).unwrap();
        assert!(openssl_verifies(&world.home, &spki, &digest, &signature, &["-pkeyopt", "digest:sha1"]));
        let signature = p11.sign(raw, key, CKM_SHA1_RSA_PKCS, &[], b"abc").unwrap();
        let sha1_of_abc = [0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d];
        assert!(openssl_verifies(&world.home, &spki, &sha1_of_abc, &signature, &["-pkeyopt", "digest:sha1"]));
        let signature = p11.sign(raw, key, CKM_RSA_PKCS, &[], b"whatever").unwrap();
        assert!(openssl_verifies(&world.home, &spki, b"whatever", &signature, &["-pkeyopt", "rsa_padding_mode:pkcs1"]));
        assert_eq!(p11.sign(raw, key, CKM_RSA_PKCS, &[], &[7; 246]), Err(CKR_DATA_LEN_RANGE), "no room for the padding");
        assert_eq!(p11.sign(usual, p11.private_key(usual), CKM_RSA_PKCS, &[], &info), Err(CKR_DATA_INVALID));
        assert_eq!(p11.sign(usual, p11.private_key(usual), CKM_SHA1_RSA_PKCS, &[], b"abc"), Err(CKR_MECHANISM_INVALID));
    }
}
