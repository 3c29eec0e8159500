//! Verification with public keys: without any request, and with the same result as openssl.

use crate::c;
use crate::module_test;
use crate::support::p11::{P11, number, output_of, plain, pointer_and_length, pss};
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::*;
use serde_json::json;

fn mechanism(ckm: CK_MECHANISM_TYPE, parameter: &mut [u8]) -> CK_MECHANISM {
    let pointer = if parameter.is_empty() { std::ptr::null_mut() } else { parameter.as_mut_ptr().cast() };
    CK_MECHANISM { mechanism: ckm, pParameter: pointer, ulParameterLen: parameter.len() as CK_ULONG }
}

fn parameter(ckm: CK_MECHANISM_TYPE) -> Vec<u8> {
    match ckm {
        CKM_RSA_PKCS_PSS | CKM_SHA256_RSA_PKCS_PSS => pss(32),
        CKM_SHA384_RSA_PKCS_PSS => pss(48),
        CKM_SHA512_RSA_PKCS_PSS => pss(64),
        _ => Vec::new(),
    }
}

fn all_in_one(p11: P11, session: CK_SESSION_HANDLE, ckm: CK_MECHANISM_TYPE, data: &[u8]) {
    let (private, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
    let mut parameter = parameter(ckm);
    let signature = p11.sign(session, private, ckm, &parameter, data).unwrap();
    let mut mechanism = mechanism(ckm, &mut parameter);
    assert_eq!(p11.verify(session, public, &mut mechanism, data, &signature), Ok(()), "0x{ckm:x}");
    let mut wrong = signature.clone();
    wrong[20] ^= 1;
    assert_eq!(p11.verify(session, public, &mut mechanism, data, &wrong), Err(CKR_SIGNATURE_INVALID), "0x{ckm:x}");
    assert_eq!(p11.verify(session, public, &mut mechanism, data, &signature[1..]), Err(CKR_SIGNATURE_LEN_RANGE));
    let mut other = data.to_vec();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(
        p11.verify(session, public, &mut mechanism, &other, &signature),
        Err(CKR_SIGNATURE_INVALID),
        "0x{ckm:x}"
    );
    assert_eq!(p11.verify(session, private, &mut mechanism, data, &signature), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    in_parts(p11, session, public, &mut mechanism, data, &signature);
    signature_first(p11, session, public, &mut mechanism, data, &signature);
}

fn in_parts(
    p11: P11,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    mechanism: &mut CK_MECHANISM,
    data: &[u8],
    signature: &[u8],
) {
    c!(p11, C_VerifyInit(session, mechanism, key)).unwrap();
    for part in data.chunks(7) {
        let (part, length) = pointer_and_length(part);
        c!(p11, C_VerifyUpdate(session, part, length)).unwrap();
    }
    let (signature, length) = pointer_and_length(signature);
    assert_eq!(c!(p11, C_VerifyFinal(session, signature, length)), Ok(()));
    assert_eq!(c!(p11, C_VerifyFinal(session, signature, length)), Err(CKR_OPERATION_NOT_INITIALIZED));
}

fn signature_first(
    p11: P11,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    mechanism: &mut CK_MECHANISM,
    data: &[u8],
    signature: &[u8],
) {
    let ((signature, signature_length), (data, length)) = (pointer_and_length(signature), pointer_and_length(data));
    c!(p11, C_VerifySignatureInit(session, mechanism, key, signature, signature_length)).unwrap();
    assert_eq!(c!(p11, C_VerifySignature(session, data, length)), Ok(()));
    c!(p11, C_VerifySignatureInit(session, mechanism, key, signature, signature_length)).unwrap();
    c!(p11, C_VerifySignatureUpdate(session, data, length)).unwrap();
    assert_eq!(c!(p11, C_VerifySignatureFinal(session)), Ok(()));
    c!(p11, C_VerifySignatureInit(session, mechanism, key, signature, signature_length)).unwrap();
    c!(p11, C_VerifySignatureUpdate(session, data, length - 1)).unwrap();
    assert_ne!(c!(p11, C_VerifySignatureFinal(session)), Ok(()), "a part is missing");
}

module_test! {
    fn signatures_are_verified_locally(world) {
        let aws = world.emulator.aws();
        aws.create_key(AwsKey::new("RSA_2048").alias("alias/r")).unwrap();
        for (name, spec) in [("p256", "ECC_NIST_P256"), ("p521", "ECC_NIST_P521"), ("k1", "ECC_SECG_P256K1")] {
            aws.create_key(AwsKey::new(spec).alias(&format!("alias/{name}"))).unwrap();
        }
        world.emulator.vault("default").create_key("z", VaultKey::rsa(2048)).unwrap();
        let aws = ["r", "p256", "p521", "k1"].map(|name| json!({ "label": name, "kms_key_id": format!("alias/{name}") }));
        let slots: Vec<_> = aws.into_iter().chain([json!({ "label": "z", "key_name": "z" })]).collect();
        world.configure(json!(slots));
        let p11 = world.module();
        p11.load_all();
        for slot in 0..5 {
            let session = p11.open(slot);
            let signing = p11.mechanisms(session, p11.private_key(session));
            let signing = signing.into_iter().filter(|ckm| ![CKM_RSA_PKCS_OAEP, CKM_ECDH1_DERIVE].contains(ckm));
            for ckm in signing {
                let data = match ckm {
                    CKM_RSA_PKCS => crate::support::world::digest_info_sha256(&[7; 32]),
                    _ => vec![7; 32],
                };
                let asked = world.requests();
                all_in_one(p11, session, ckm, &data);
                assert_eq!(world.requests(), asked + 1, "one signature by 0x{ckm:x} in slot {slot}, and nothing for verifying: {}", world.log());
            }
        }
        assert!(!world.log().contains("error: C_Verify: CKR_SIGNATURE_INVALID"), "a wrong signature is not logged as an error");
    }
}

module_test! {
    fn a_public_key_of_a_session_verifies_what_openssl_has_signed(world) {
        world.configure(json!([{ "label": "any", "keys": [{ "kms_key_id": "alias/none" }] }]));
        let p11 = world.module();
        let session = p11.open(0);
        let run = |arguments: &str| {
            let output = std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(&world.home).output().unwrap();
            assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        std::fs::write(world.home.join("data"), b"what openssl signs").unwrap();
        // RSA with SHA-1: no service signs with SHA-1, but old signatures still have to be verified.
        run("genrsa -out rsa.pem 2048");
        run("dgst -sha1 -sign rsa.pem -out rsa.sig data");
        let modulus = String::from_utf8(run("rsa -in rsa.pem -noout -modulus")).unwrap();
        let hex = modulus.trim().trim_start_matches("Modulus=");
        let modulus: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let rsa = p11.create(session, &[
            number(CKA_CLASS, CKO_PUBLIC_KEY), number(CKA_KEY_TYPE, CKK_RSA), (CKA_MODULUS, modulus),
            (CKA_PUBLIC_EXPONENT, vec![1, 0, 1]), (CKA_VERIFY, vec![CK_TRUE]), (CKA_TOKEN, vec![CK_FALSE]), (CKA_LABEL, b"rsa".to_vec()),
        ]).unwrap();
        let signature = std::fs::read(world.home.join("rsa.sig")).unwrap();
        assert_eq!(p11.verify(session, rsa, &mut plain(CKM_SHA1_RSA_PKCS), b"what openssl signs", &signature), Ok(()));
        assert_eq!(p11.verify(session, rsa, &mut plain(CKM_SHA256_RSA_PKCS), b"what openssl signs", &signature), Err(CKR_SIGNATURE_INVALID));
        // Ed25519, with the point in both encodings.
        run("genpkey -algorithm ed25519 -out ed.pem");
        run("pkeyutl -sign -rawin -in data -inkey ed.pem -out ed.sig");
        let spki = run("pkey -in ed.pem -pubout -outform DER");
        let signature = std::fs::read(world.home.join("ed.sig")).unwrap();
        let point = spki[spki.len() - 32..].to_vec();
        for point in [point.clone(), [&[4, 32], &point[..]].concat()] {
            let edwards = p11.create(session, &[
                number(CKA_CLASS, CKO_PUBLIC_KEY), number(CKA_KEY_TYPE, CKK_EC_EDWARDS), (CKA_EC_POINT, point),
                (CKA_EC_PARAMS, vec![6, 3, 0x2b, 0x65, 0x70]),
            ]).unwrap();
            assert_eq!(p11.verify(session, edwards, &mut plain(CKM_EDDSA), b"what openssl signs", &signature), Ok(()));
            assert_eq!(p11.verify(session, edwards, &mut plain(CKM_EDDSA), b"something else", &signature), Err(CKR_SIGNATURE_INVALID));
        }
        assert_eq!(world.requests(), 0);
        // Unknown or incomplete templates are refused with a specific code.
        for (template, rv) in [
            (vec![number(CKA_CLASS, CKO_PUBLIC_KEY)], CKR_TEMPLATE_INCOMPLETE),
            (vec![number(CKA_KEY_TYPE, CKK_RSA)], CKR_TEMPLATE_INCOMPLETE),
            (vec![number(CKA_CLASS, CKO_PUBLIC_KEY), number(CKA_KEY_TYPE, CKK_EC), (CKA_EC_PARAMS, vec![6, 1, 1])], CKR_CURVE_NOT_SUPPORTED),
            (vec![number(CKA_CLASS, CKO_PUBLIC_KEY), number(CKA_KEY_TYPE, CKK_DSA)], CKR_ATTRIBUTE_VALUE_INVALID),
            (vec![number(CKA_CLASS, CKO_PRIVATE_KEY)], CKR_ATTRIBUTE_VALUE_INVALID),
            (vec![number(CKA_CLASS, CKO_PUBLIC_KEY), (CKA_HW_FEATURE_TYPE, vec![1])], CKR_ATTRIBUTE_TYPE_INVALID),
        ] {
            assert_eq!(p11.create(session, &template), Err(rv), "{template:?}");
        }
        assert!(world.log().contains("error: C_CreateObject: CKR_ATTRIBUTE_TYPE_INVALID: attribute 0x300 means"), "{}", world.log());
        let found = output_of(|_, _| Ok(())).map(|_| p11.find_class(session, CKO_PUBLIC_KEY).len());
        assert_eq!(found, Ok(3), "the other keys can't be loaded");
    }
}
