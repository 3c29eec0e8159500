//! C_SignMessage and C_VerifyMessage: many messages after one Init.

use crate::c;
use crate::module_test;
use crate::support::p11::{P11, output_of, plain, pointer_and_length};
use cloud_kms_emulator::AwsKey;
use cryptoki_sys::*;
use serde_json::json;
use std::ptr::null_mut;

fn sign(p11: P11, session: CK_SESSION_HANDLE, message: &[u8]) -> Result<Vec<u8>, CK_RV> {
    let (message, length) = pointer_and_length(message);
    output_of(|out, room| c!(p11, C_SignMessage(session, null_mut(), 0, message, length, out, room)))
}

fn verify(p11: P11, session: CK_SESSION_HANDLE, message: &[u8], signature: &[u8]) -> Result<(), CK_RV> {
    let ((message, length), (signature, signature_length)) =
        (pointer_and_length(message), pointer_and_length(signature));
    c!(p11, C_VerifyMessage(session, null_mut(), 0, message, length, signature, signature_length))
}

module_test! {
    fn one_init_serves_any_number_of_messages(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let (key, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        assert_eq!(sign(p11, session, b"early"), Err(CKR_OPERATION_NOT_INITIALIZED));
        c!(p11, C_MessageSignInit(session, &mut plain(CKM_ECDSA_SHA256), key)).unwrap();
        c!(p11, C_MessageVerifyInit(session, &mut plain(CKM_ECDSA_SHA256), public)).unwrap();
        assert_eq!(c!(p11, C_MessageSignInit(session, &mut plain(CKM_ECDSA_SHA256), key)), Err(CKR_OPERATION_ACTIVE));
        for message in [&b"one"[..], b"two", &[7; 100_000]] {
            let signature = sign(p11, session, message).unwrap();
            assert_eq!(verify(p11, session, message, &signature), Ok(()));
            assert_eq!(verify(p11, session, b"other", &signature), Err(CKR_SIGNATURE_INVALID));
        }
        // A query for the length and a buffer that is too small change nothing.
        let (mut room, (message, length)) = (0, pointer_and_length(b"four"));
        c!(p11, C_SignMessage(session, null_mut(), 0, message, length, null_mut(), &mut room)).unwrap();
        assert_eq!(room, 64);
        let mut short = [0; 63];
        room = 63;
        assert_eq!(c!(p11, C_SignMessage(session, null_mut(), 0, message, length, short.as_mut_ptr(), &mut room)), Err(CKR_BUFFER_TOO_SMALL));

        c!(p11, C_SignMessageBegin(session, null_mut(), 0)).unwrap();
        assert_eq!(c!(p11, C_SignMessageBegin(session, null_mut(), 0)), Err(CKR_OPERATION_ACTIVE));
        let (part, length) = pointer_and_length(b"in pa");
        c!(p11, C_SignMessageNext(session, null_mut(), 0, part, length, null_mut(), null_mut())).unwrap();
        assert_eq!(sign(p11, session, b"meanwhile"), Err(CKR_OPERATION_ACTIVE));
        assert_eq!(c!(p11, C_MessageSignFinal(session)), Err(CKR_OPERATION_ACTIVE));
        c!(p11, C_MessageSignInit(session, &mut plain(CKM_ECDSA_SHA256), key)).unwrap();
        c!(p11, C_SignMessageBegin(session, null_mut(), 0)).unwrap();
        c!(p11, C_SignMessageNext(session, null_mut(), 0, part, length, null_mut(), null_mut())).unwrap();
        let (part, length) = pointer_and_length(b"rts");
        let signature = output_of(|out, room| c!(p11, C_SignMessageNext(session, null_mut(), 0, part, length, out, room))).unwrap();
        assert_eq!(verify(p11, session, b"in parts", &signature), Ok(()));

        c!(p11, C_VerifyMessageBegin(session, null_mut(), 0)).unwrap();
        let (part, length) = pointer_and_length(b"in pa");
        c!(p11, C_VerifyMessageNext(session, null_mut(), 0, part, length, null_mut(), 0)).unwrap();
        let ((part, length), (signature, signature_length)) = (pointer_and_length(b"rts"), pointer_and_length(&signature));
        assert_eq!(c!(p11, C_VerifyMessageNext(session, null_mut(), 0, part, length, signature, signature_length)), Ok(()));

        let mut parameter = [0u8; 8];
        let refused = c!(p11, C_SignMessageBegin(session, parameter.as_mut_ptr().cast(), 8));
        assert_eq!(refused, Err(CKR_MECHANISM_PARAM_INVALID), "no mechanism here has parameters for each message");
        c!(p11, C_MessageSignFinal(session)).unwrap();
        c!(p11, C_SessionCancel(session, CKF_MESSAGE_VERIFY)).unwrap();
        assert_eq!(c!(p11, C_MessageVerifyFinal(session)), Err(CKR_OPERATION_NOT_INITIALIZED));
    }
}
