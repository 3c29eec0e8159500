//! HMAC keys: their MACs equal those that openssl computes with the same key bytes.

use crate::module_test;
use crate::support::p11::plain;
use cloud_kms_emulator::AwsKey;
use cryptoki_sys::*;
use serde_json::json;
use std::process::Command;

module_test! {
    fn macs_are_made_and_verified_by_the_service(world) {
        let aws = world.emulator.aws();
        let rows = [
            ("HMAC_224", "sha224", CKM_SHA224_HMAC), ("HMAC_256", "sha256", CKM_SHA256_HMAC),
            ("HMAC_384", "sha384", CKM_SHA384_HMAC), ("HMAC_512", "sha512", CKM_SHA512_HMAC),
        ];
        let made: Vec<_> = rows.iter().map(|row| aws.create_key(AwsKey::new(row.0).alias(&format!("alias/{}", row.1))).unwrap()).collect();
        world.configure(json!(rows.map(|row| json!({ "label": row.1, "kms_key_id": format!("alias/{}", row.1) }))));
        let p11 = world.module();
        p11.load_all();
        for ((slot, row), made) in rows.iter().enumerate().zip(&made) {
            let session = p11.open(slot as CK_SLOT_ID);
            assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty() && p11.find_class(session, CKO_PUBLIC_KEY).is_empty());
            let key = p11.only(session, CKO_SECRET_KEY);
            assert_eq!(p11.mechanisms(session, key), [row.2]);
            assert_eq!(p11.number(session, key, CKA_KEY_TYPE), Ok(CKK_GENERIC_SECRET));
            assert_eq!(p11.attribute(session, key, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
            let asked = world.requests();
            let mac = p11.sign(session, key, row.2, &[], b"a message").unwrap();
            assert_eq!(world.requests(), asked + 1);
            let secret: String = aws.secret_key(&made.id).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(world.home.join("message"), b"a message").unwrap();
            let output = Command::new("openssl")
                .args(["dgst", &format!("-{}", row.1), "-mac", "HMAC", "-macopt", &format!("hexkey:{secret}"), "-binary"])
                .arg(world.home.join("message")).output().unwrap();
            assert_eq!(mac, output.stdout, "openssl makes the same MAC");
            assert_eq!(p11.verify(session, key, &mut plain(row.2), b"a message", &mac), Ok(()));
            assert_eq!(world.count("kms.VerifyMac"), slot as u64 * 2 + 1, "the service verifies the MAC");
            assert_eq!(p11.verify(session, key, &mut plain(row.2), b"b message", &mac), Err(CKR_SIGNATURE_INVALID));
            assert_eq!(p11.verify(session, key, &mut plain(row.2), b"a message", &mac[1..]), Err(CKR_SIGNATURE_LEN_RANGE));
            assert_eq!(p11.sign(session, key, row.2, &[], &[7; 4097]), Err(CKR_DATA_LEN_RANGE), "the message is longer than GenerateMac accepts");
            let other = if row.2 == CKM_SHA256_HMAC { CKM_SHA512_HMAC } else { CKM_SHA256_HMAC };
            assert_eq!(p11.sign(session, key, other, &[], b"x"), Err(CKR_MECHANISM_INVALID));
            assert_eq!(p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"x"), Err(CKR_KEY_TYPE_INCONSISTENT));
        }
    }
}

module_test! {
    fn without_describe_permission_a_secret_key_is_hidden(world) {
        world.emulator.aws().create_key(AwsKey::new("HMAC_256").alias("alias/h")).unwrap();
        world.configure(json!([{ "label": "h", "kms_key_id": "alias/h" }]));
        world.emulator.control().fault(cloud_kms_emulator::Fault::new("kms.DescribeKey", cloud_kms_emulator::Action::Deny));
        let p11 = world.module();
        assert!(p11.find_class(p11.open(0), CKO_SECRET_KEY).is_empty());
        assert!(world.log().contains("needed: kms:DescribeKey"), "{}", world.log());
    }
}
