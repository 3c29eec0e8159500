//! ECDH through the service. openssl is the other side.

use crate::c;
use crate::keys::certificates::certificate_for;
use crate::module_test;
use crate::support::p11::{P11, attributes, number, with};
use crate::support::world::World;
use cloud_kms_emulator::AwsKey;
use cryptoki_sys::*;
use serde_json::json;
use std::process::Command;
use std::ptr::null_mut;

fn openssl(world: &World, arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&world.home).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

struct DeriveInput<'a> {
    kdf: CK_EC_KDF_TYPE,
    shared: &'a [u8],
    point: &'a [u8],
    template: &'a [(CK_ATTRIBUTE_TYPE, Vec<u8>)],
}

fn derive(
    p11: P11,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    asked: &DeriveInput,
) -> Result<CK_OBJECT_HANDLE, CK_RV> {
    let shared = if asked.shared.is_empty() { null_mut() } else { asked.shared.as_ptr().cast_mut() };
    let mut parameter = CK_ECDH1_DERIVE_PARAMS {
        kdf: asked.kdf,
        ulSharedDataLen: asked.shared.len() as CK_ULONG,
        pSharedData: shared,
        ulPublicDataLen: asked.point.len() as CK_ULONG,
        pPublicData: asked.point.as_ptr().cast_mut(),
    };
    let template =
        [&[number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)], asked.template].concat();
    let (mut template, mut secret) = (attributes(&template), 0);
    let count = template.len() as CK_ULONG;
    c!(
        p11,
        C_DeriveKey(
            session,
            &mut with(CKM_ECDH1_DERIVE, &mut parameter),
            key,
            template.as_mut_ptr(),
            count,
            &mut secret
        )
    )
    .map(|()| secret)
}

module_test! {
    fn both_sides_come_to_the_same_secret(world) {
        let aws = world.emulator.aws();
        let rows = [("ECC_NIST_P256", "prime256v1", 65), ("ECC_NIST_P384", "secp384r1", 97), ("ECC_NIST_P521", "secp521r1", 133)];
        let made: Vec<_> = rows.iter().map(|row| {
            aws.create_key(AwsKey::new(row.0).usage("KEY_AGREEMENT").alias(&format!("alias/{}", row.1))).unwrap()
        }).collect();
        world.configure(json!(rows.map(|row| json!({ "label": row.1, "kms_key_id": format!("alias/{}", row.1) }))));
        let p11 = world.module();
        for ((slot, row), made) in rows.iter().enumerate().zip(&made) {
            let session = p11.open(slot as CK_SLOT_ID);
            let key = p11.private_key(session);
            assert_eq!(p11.attribute(session, key, CKA_DERIVE), Ok(vec![CK_TRUE]));
            assert_eq!(p11.mechanisms(session, key), [CKM_ECDH1_DERIVE]);
            std::fs::write(world.home.join("aws.spki"), aws.public_key_spki(&made.id).unwrap()).unwrap();
            openssl(world, &format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{} -out own.pem", row.1));
            let own = openssl(world, "pkey -in own.pem -pubout -outform DER");
            let point = &own[own.len() - row.2..];
            let expected = openssl(world, "pkeyutl -derive -inkey own.pem -peerform DER -peerkey aws.spki");
            let wrapped = [&[4][..], if row.2 > 127 { &[0x81][..] } else { &[] }, &[row.2 as u8], point].concat();
            for point in [point, &wrapped[..]] {
                let secret = derive(p11, session, key, &DeriveInput { kdf: CKD_NULL, shared: &[], point, template: &[] }).unwrap();
                assert_eq!(p11.attribute(session, secret, CKA_VALUE).as_ref(), Ok(&expected));
            }
            let short = derive(p11, session, key, &DeriveInput { kdf: CKD_NULL, shared: &[], point, template: &[number(CKA_VALUE_LEN, 16)] }).unwrap();
            assert_eq!(p11.attribute(session, short, CKA_VALUE).as_deref(), Ok(&expected[expected.len() - 16..]), "the leading bytes are removed");

            // The X9.63 key derivation function of openssl.
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            for (name, kdf) in [("SHA256", CKD_SHA256_KDF), ("SHA3-384", CKD_SHA3_384_KDF)] {
                let by_openssl = openssl(world, &format!("kdf -keylen 80 -binary -kdfopt digest:{name} -kdfopt hexkey:{} -kdfopt hexinfo:{} X963KDF", hex(&expected), hex(b"info")));
                let derived = derive(p11, session, key, &DeriveInput { kdf, shared: b"info", point, template: &[number(CKA_VALUE_LEN, 80)] }).unwrap();
                assert_eq!(p11.attribute(session, derived, CKA_VALUE), Ok(by_openssl), "{name}");
            }

            let asked = world.count("kms.DeriveSharedSecret");
            for (bad, rv) in [
                (DeriveInput { kdf: CKD_NULL, shared: b"info", point, template: &[] }, CKR_MECHANISM_PARAM_INVALID),
                (DeriveInput { kdf: CKD_SHA256_KDF_SP800, shared: &[], point, template: &[] }, CKR_MECHANISM_PARAM_INVALID),
                (DeriveInput { kdf: CKD_NULL, shared: &[], point: &point[1..], template: &[] }, CKR_MECHANISM_PARAM_INVALID),
                (DeriveInput { kdf: CKD_NULL, shared: &[], point, template: &[(CKA_TOKEN, vec![CK_TRUE])] }, CKR_SESSION_READ_ONLY),
            ] {
                assert_eq!(derive(p11, session, key, &bad), Err(rv));
            }
            assert_eq!(world.count("kms.DeriveSharedSecret"), asked, "refused without a request");
            let mut off_the_curve = point.to_vec();
            *off_the_curve.last_mut().unwrap() ^= 1;
            let refused = derive(p11, session, key, &DeriveInput { kdf: CKD_NULL, shared: &[], point: &off_the_curve, template: &[] });
            assert_eq!(refused, Err(CKR_MECHANISM_PARAM_INVALID));
            assert_eq!(world.count("kms.DeriveSharedSecret"), asked, "refused without a request, too");
        }
    }
}

module_test! {
    fn a_signing_key_cannot_derive(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/s")).unwrap();
        world.configure(json!([{ "label": "s", "kms_key_id": "alias/s" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.private_key(session);
        let point = [4; 65];
        let refused = derive(p11, session, key, &DeriveInput { kdf: CKD_NULL, shared: &[], point: &point, template: &[] });
        assert_eq!(refused, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert!(world.log().contains("its KeyUsage is SIGN_VERIFY"), "{}", world.log());
    }
}

module_test! {
    fn deriving_reports_a_stale_certificate_of_another_curve(world) {
        let aws = world.emulator.aws();
        let key = aws.create_key(AwsKey::new("ECC_NIST_P384").usage("KEY_AGREEMENT").alias("alias/a")).unwrap();
        let other = aws.create_key(AwsKey::new("ECC_NIST_P256").usage("KEY_AGREEMENT")).unwrap();
        let stale = world.home.join("stale.der");
        let spki = aws.public_key_spki(&other.id).unwrap();
        std::fs::write(&stale, certificate_for(world, &spki, "keyUsage=critical,keyAgreement")).unwrap();
        std::fs::write(world.home.join("aws.spki"), aws.public_key_spki(&key.id).unwrap()).unwrap();
        let slot = json!({ "kms_key_id": "alias/a", "certificate_path": stale });
        world.configure(json!([slot, slot]));
        let p11 = world.module();
        // The first peer key is on the curve of the certificate, the second on the curve of the key itself.
        for (slot, (curve, length)) in [("prime256v1", 65), ("secp384r1", 97)].into_iter().enumerate() {
            let session = p11.open(slot as CK_SLOT_ID);
            openssl(world, &format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out own.pem"));
            let own = openssl(world, "pkey -in own.pem -pubout -outform DER");
            let asked = DeriveInput { kdf: CKD_NULL, shared: &[], point: &own[own.len() - length..], template: &[] };
            assert_eq!(derive(p11, session, p11.private_key(session), &asked), Err(CKR_KEY_HANDLE_INVALID), "{}", world.log());
            let line = format!("{} is another key's: the key is of kind P-384; search for it again", stale.display());
            assert!(world.log().contains(&line), "{}", world.log());
            let derived = derive(p11, session, p11.private_key(session), &asked);
            if curve == "prime256v1" {
                assert_eq!(derived, Err(CKR_MECHANISM_PARAM_INVALID));
                continue;
            }
            let expected = openssl(world, "pkeyutl -derive -inkey own.pem -peerform DER -peerkey aws.spki");
            assert_eq!(p11.attribute(session, derived.unwrap(), CKA_VALUE), Ok(expected));
        }
    }
}
