//! The call patterns of hosts that are not available as packages: taken from their sources, and repeated in the
//! same order.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, digest_info_sha256, in_child, module_path, openssl_verifies};
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::ptr::null_mut;

/// Configures both clouds, each with an RSA key.
fn two_keys(world: &World) -> [Vec<u8>; 2] {
    let key = world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/a")).unwrap();
    let vault = world.emulator.vault("default");
    vault.create_key("z", VaultKey::rsa(2048)).unwrap();
    world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]));
    [world.emulator.aws().public_key_spki(&key.id).unwrap(), vault.public_key_spki("z", "").unwrap()]
}

/// Reads attributes as pkcs11-provider does: all lengths in one call, then all values in one call.
fn fetch(
    p11: &P11,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    kinds: &[CK_ATTRIBUTE_TYPE],
) -> Vec<Option<Vec<u8>>> {
    let mut template: Vec<_> =
        kinds.iter().map(|kind| CK_ATTRIBUTE { type_: *kind, pValue: null_mut(), ulValueLen: 0 }).collect();
    let rv = crate::c!(p11, C_GetAttributeValue(session, object, template.as_mut_ptr(), template.len() as CK_ULONG));
    assert!(matches!(rv, Ok(()) | Err(CKR_ATTRIBUTE_TYPE_INVALID | CKR_ATTRIBUTE_SENSITIVE)), "{rv:?}");
    let mut values: Vec<Option<Vec<u8>>> = Vec::new();
    for attribute in &mut template {
        let length = attribute.ulValueLen;
        values.push((length != CK_UNAVAILABLE_INFORMATION).then(|| vec![0; length as usize]));
        if let Some(Some(value)) = values.last_mut() {
            attribute.pValue = value.as_mut_ptr().cast();
        }
    }
    let rv = crate::c!(p11, C_GetAttributeValue(session, object, template.as_mut_ptr(), template.len() as CK_ULONG));
    assert!(matches!(rv, Ok(()) | Err(CKR_ATTRIBUTE_TYPE_INVALID | CKR_ATTRIBUTE_SENSITIVE)), "{rv:?}");
    values
}

/// Repeats what pkcs11-provider does with a private key: read its attributes, sign a digest, sign a message in parts.
fn provider_signs(world: &World, p11: &P11, slot: CK_SLOT_ID, spki: &[u8]) {
    let mut info: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
    crate::c!(p11, C_GetTokenInfo(slot, &mut info)).unwrap();
    assert_eq!(info.flags & CKF_LOGIN_REQUIRED, 0);
    let session = p11.open(slot);
    let key = p11.private_key(session);
    let values = fetch(
        p11,
        session,
        key,
        &[
            CKA_ID,
            CKA_LABEL,
            CKA_KEY_TYPE,
            CKA_MODULUS,
            CKA_PUBLIC_EXPONENT,
            CKA_ALWAYS_AUTHENTICATE,
            CKA_ALLOWED_MECHANISMS,
            CKA_PRIVATE_EXPONENT,
        ],
    );
    assert!(values[..7].iter().all(Option::is_some) && values[7].is_none());
    let allowed = values[6].as_ref().unwrap();
    assert!(allowed.chunks_exact(8).any(|chunk| chunk == CKM_SHA256_RSA_PKCS.to_ne_bytes()));

    // OpenSSL duplicates digest contexts, so the provider asks whether the module's state can be saved.
    let mut length = 0;
    assert_eq!(crate::c!(p11, C_GetOperationState(session, null_mut(), &mut length)), Err(CKR_STATE_UNSAVEABLE));

    let digest = sha256(world, b"digest, then sign");
    let signature = p11.sign(session, key, CKM_RSA_PKCS, &[], &digest_info_sha256(&digest)).unwrap();
    let options = ["-pkeyopt", "digest:sha256"];
    assert!(openssl_verifies(&world.home, spki, &digest, &signature, &options));

    p11.sign_init(session, key, CKM_SHA256_RSA_PKCS, &[]).unwrap();
    for part in [&b"in "[..], b"", b"parts"] {
        crate::c!(p11, C_SignUpdate(session, part.as_ptr().cast_mut(), part.len() as CK_ULONG)).unwrap();
    }
    let (mut signature, mut length) = (vec![0u8; 512], 512);
    crate::c!(p11, C_SignFinal(session, signature.as_mut_ptr(), &mut length)).unwrap();
    signature.truncate(length as usize);
    assert!(openssl_verifies(&world.home, spki, &sha256(world, b"in parts"), &signature, &options));
    crate::c!(p11, C_CloseSession(session)).unwrap();
}

fn sha256(world: &World, message: &[u8]) -> Vec<u8> {
    let path = world.home.join("hashed");
    std::fs::write(&path, message).unwrap();
    std::process::Command::new("openssl").args(["dgst", "-binary", "-sha256"]).arg(path).output().unwrap().stdout
}

module_test! {
    fn the_calls_of_pkcs11_provider_succeed(world) {
        let keys = two_keys(world);
        // The provider calls C_GetInterface first, without a version.
        let p11 = P11::load_version(&module_path(), None);
        let mut args = CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, ..unsafe { std::mem::zeroed() } };
        crate::c!(p11, C_Initialize((&raw mut args).cast())).unwrap();
        for (slot, spki) in keys.iter().enumerate() {
            provider_signs(world, &p11, slot as CK_SLOT_ID, spki);
        }
        // A cached session stays open over the fork. The child calls C_Finalize for the parent's state, and then
        // C_Initialize.
        let cached = p11.open(0);
        let again = || {
            p11.finalize().unwrap();
            crate::c!(p11, C_Initialize((&raw mut args).cast())).unwrap();
            assert_eq!(crate::c!(p11, C_CloseSession(cached)), Err(CKR_SESSION_HANDLE_INVALID));
            provider_signs(world, &p11, 1, &keys[1]);
        };
        assert!(in_child(again));
        crate::c!(p11, C_CloseSession(cached)).unwrap();
        provider_signs(world, &p11, 0, &keys[0]);
    }
}

module_test! {
    fn repeated_searches_of_nss_cost_no_request(world) {
        two_keys(world);
        let p11 = world.module();
        let session = p11.open(1);
        let token = (CKA_TOKEN, vec![CK_TRUE]);
        let class = |class: CK_OBJECT_CLASS| (CKA_CLASS, class.to_ne_bytes().to_vec());
        // NSS searches for these in every handshake: certificates by issuer and serial number, trust objects,
        // CRLs, modules.
        let search = || {
            for wanted in [CKO_CERTIFICATE, 0xCE53_4351, 0xCE53_4352, 0xCE53_4353, 0xCE53_4354] {
                assert!(p11.find(session, &[token.clone(), class(wanted)]).is_empty());
                assert!(p11.find(session, &[token.clone(), class(wanted), (CKA_ISSUER, vec![0x30, 0]), (CKA_SERIAL_NUMBER, vec![2, 1, 1])]).is_empty());
            }
        };
        search();
        p11.private_key(session);
        let asked = world.requests();
        for _ in 0..100 {
            search();
        }
        assert_eq!(world.requests(), asked, "answered without a request");
        assert!(!world.log().contains("] error: "), "{}", world.log());
    }
}
