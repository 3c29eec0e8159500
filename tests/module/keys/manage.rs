//! Keys that are generated and destroyed, in both clouds, and the requests that are refused.

use crate::support::world::openssl_verifies;
use crate::support::writer::*;
use crate::{c, module_test};
use cloud_kms_emulator::{Action, Fault};
use cryptoki_sys::*;
use serde_json::json;
use std::ptr::null_mut;

module_test! {
    fn a_generated_key_pair_signs(world) {
        for writer in writers(world, slots(all()), json!({})) {
            let [public, private] = writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("new-key"), (CKA_ID, vec![7])]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            for object in [public, private] {
                assert_eq!(writer.value(object, CKA_LABEL), b"new-key");
                assert_eq!(writer.value(object, CKA_ID), [7]);
                assert_eq!(writer.value(object, CKA_TOKEN), [CK_TRUE]);
                assert_eq!(writer.value(object, CKA_DESTROYABLE), [CK_TRUE]);
            }
            let mut by_id = writer.p11.find(writer.session, &[(CKA_ID, vec![7])]);
            by_id.sort_unstable();
            let mut both = [public, private];
            both.sort_unstable();
            assert_eq!(by_id, both);
            assert_eq!(writer.all().len(), 4, "{}", world.log());
            let signature = writer.p11.sign(writer.session, private, CKM_ECDSA_SHA256, &[], b"data").unwrap();
            let spki = writer.value(public, CKA_PUBLIC_KEY_INFO);
            let der = crate::support::world::ecdsa_der(&signature);
            assert!(openssl_verifies(&world.home, &spki, b"data", &der, &["-rawin", "-digest", "sha256"]));
        }
        assert!(world.emulator.aws().public_key_spki("alias/new-key").is_ok());
        assert!(world.emulator.vault("default").current("new-key").is_ok());
        assert!(world.log().contains("\"kms_key_id\": \"alias/new-key\""), "{}", world.log());
        assert!(world.log().contains("\"key_name\": \"new-key\""));
    }
}

module_test! {
    fn every_kind_of_key_can_be_generated(world) {
        let [aws, azure] = writers(world, slots(all()), json!({}));
        let bits = |bits| number(CKA_MODULUS_BITS, bits);
        let sign = [flag(CKA_SIGN, true)];
        for writer in [&aws, &azure] {
            let made = |name: &str, ckm, attribute: Attribute| {
                let public = [attribute, flag(CKA_VERIFY, true), label(name)];
                let [public, private] = writer.pair(ckm, &public, &sign).unwrap_or_else(|rv| panic!("{name}: {rv:x}: {}", world.log()));
                assert_eq!(writer.value(private, CKA_SIGN), [CK_TRUE]);
                assert_eq!(writer.value(private, CKA_DECRYPT), [CK_FALSE]);
                public
            };
            let rsa = made("rsa", CKM_RSA_PKCS_KEY_PAIR_GEN, bits(3072));
            assert_eq!(writer.value(rsa, CKA_MODULUS).len(), 384);
            made("k1", CKM_EC_KEY_PAIR_GEN, (CKA_EC_PARAMS, b"\x06\x05\x2b\x81\x04\x00\x0a".to_vec()));
            if std::ptr::eq(writer, &aws) {
                made("ed", CKM_EC_EDWARDS_KEY_PAIR_GEN, edwards());
                made("ml", CKM_ML_DSA_KEY_PAIR_GEN, number(CKA_PARAMETER_SET, CKP_ML_DSA_65));
            }
        }
        let [public, private] = aws.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &[bits(2048)], &[flag(CKA_DECRYPT, true)]).unwrap();
        assert_eq!(aws.value(private, CKA_DECRYPT), [CK_TRUE]);
        assert_eq!(aws.value(public, CKA_LABEL), aws.value(public, CKA_ID), "without a label: its id");
        let both = [flag(CKA_SIGN, true), flag(CKA_UNWRAP, true)];
        let [_, private] = azure.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &[bits(2048), label("both")], &both).unwrap();
        assert_eq!((azure.value(private, CKA_SIGN), azure.value(private, CKA_DECRYPT)), (vec![CK_TRUE], vec![CK_TRUE]));
        let [_, private] = aws.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[flag(CKA_DERIVE, true)]).unwrap();
        assert_eq!(aws.value(private, CKA_DERIVE), [CK_TRUE]);
        let secret = aws.secret(&[number(CKA_VALUE_LEN, 32), label("mac"), flag(CKA_SIGN, true)]).unwrap();
        assert_eq!(aws.p11.sign(aws.session, secret, CKM_SHA256_HMAC, &[], b"data").unwrap().len(), 32);
        assert_eq!(azure.secret(&[number(CKA_VALUE_LEN, 32), label("mac")]), Err(CKR_MECHANISM_INVALID));
    }
}

module_test! {
    fn unsupported_keys_are_refused_before_any_request(world) {
        let [aws, azure] = writers(world, slots(all()), json!({}));
        let rsa = number(CKA_MODULUS_BITS, 2048);
        let both = [flag(CKA_SIGN, true), flag(CKA_DECRYPT, true)];
        assert_eq!(aws.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, std::slice::from_ref(&rsa), &both), Err(CKR_TEMPLATE_INCONSISTENT));
        assert!(world.log().contains("--usage-sign"), "{}", world.log());
        assert_eq!(aws.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("aws/mine")]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        assert_eq!(azure.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[]), Err(CKR_TEMPLATE_INCOMPLETE));
        assert_eq!(azure.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("a_b")]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        assert_eq!(azure.pair(CKM_EC_EDWARDS_KEY_PAIR_GEN, &[edwards()], &[label("ed")]), Err(CKR_MECHANISM_INVALID));
        assert_eq!(azure.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("k"), flag(CKA_DERIVE, true)]), Err(CKR_TEMPLATE_INCONSISTENT));
        for writer in [&aws, &azure] {
            let refused = |attribute| writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("k"), attribute]);
            assert_eq!(refused(flag(CKA_TOKEN, false)), Err(CKR_TEMPLATE_INCONSISTENT));
            assert_eq!(refused(flag(CKA_EXTRACTABLE, true)), Err(CKR_TEMPLATE_INCONSISTENT));
            assert_eq!(writer.pair(CKM_SHA256_HMAC, &[], &[]), Err(CKR_MECHANISM_INVALID));
        }
        assert_eq!(world.requests(), 0);
    }
}

module_test! {
    fn nothing_is_allowed_unless_the_configuration_says_so(world) {
        let none = json!([{ "label": "a", "kms_key_id": "alias/old" }, { "label": "z", "key_name": "old" }]);
        for writer in writers(world, none, json!({})) {
            let mut info: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
            let mut session: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
            c!(writer.p11, C_GetSessionInfo(writer.session, &mut session)).unwrap();
            c!(writer.p11, C_GetTokenInfo(session.slotID, &mut info)).unwrap();
            assert_ne!(info.flags & CKF_WRITE_PROTECTED, 0);
            let mut mechanism: CK_MECHANISM_INFO = unsafe { std::mem::zeroed() };
            assert_eq!(c!(writer.p11, C_GetMechanismInfo(session.slotID, CKM_EC_KEY_PAIR_GEN, &mut mechanism)), Err(CKR_MECHANISM_INVALID));
            assert_eq!(writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("k")]), Err(CKR_MECHANISM_INVALID), "the mechanism is not listed");
            assert_eq!(writer.certificate(&[0x30, 0]), Err(CKR_TOKEN_WRITE_PROTECTED));
            let key = writer.p11.private_key(writer.session);
            assert_eq!(writer.value(key, CKA_DESTROYABLE), [CK_FALSE]);
            assert_eq!(writer.destroy(key), Err(CKR_ACTION_PROHIBITED));
            assert_eq!(writer.destroy(4711), Err(CKR_OBJECT_HANDLE_INVALID));
        }
        for right in ["generate", "destroy", "certificates"] {
            assert!(world.log().contains(&format!("\"allow\": [\"{right}\"]")), "{right}: {}", world.log());
        }
    }
}

module_test! {
    fn a_token_that_can_be_changed_says_so(world) {
        let [aws, azure] = writers(world, slots(json!(["generate"])), json!({}));
        for (writer, slot) in [(&aws, 0), (&azure, 1)] {
            let mut info: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
            c!(writer.p11, C_GetTokenInfo(slot, &mut info)).unwrap();
            assert_eq!(info.flags & CKF_WRITE_PROTECTED, 0);
            let mut mechanism: CK_MECHANISM_INFO = unsafe { std::mem::zeroed() };
            c!(writer.p11, C_GetMechanismInfo(slot, CKM_RSA_PKCS_KEY_PAIR_GEN, &mut mechanism)).unwrap();
            assert_eq!((mechanism.ulMinKeySize, mechanism.ulMaxKeySize, mechanism.flags), (2048, 4096, CKF_GENERATE_KEY_PAIR));
            let edwards = c!(writer.p11, C_GetMechanismInfo(slot, CKM_EC_EDWARDS_KEY_PAIR_GEN, &mut mechanism));
            assert_eq!(edwards.is_ok(), slot == 0);
            let reader = Writer { p11: writer.p11, session: writer.p11.open(slot) };
            assert_eq!(reader.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("k")]), Err(CKR_SESSION_READ_ONLY));
            let key = writer.p11.private_key(writer.session);
            assert_eq!(writer.destroy(key), Err(CKR_ACTION_PROHIBITED), "deletion needs another permission");
        }
    }
}

module_test! {
    fn a_key_is_destroyed_and_can_be_brought_back(world) {
        let [aws, azure] = writers(world, slots(all()), json!({ "destroy_days": 9 }));
        for writer in [&aws, &azure] {
            let key = writer.p11.private_key(writer.session);
            assert_eq!(writer.value(key, CKA_DESTROYABLE), [CK_TRUE]);
            let mut slot: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
            c!(writer.p11, C_GetSessionInfo(writer.session, &mut slot)).unwrap();
            let reader = Writer { p11: writer.p11, session: writer.p11.open(slot.slotID) };
            assert_eq!(reader.destroy(key), Err(CKR_SESSION_READ_ONLY));
            writer.destroy(key).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert!(writer.all().is_empty());
            assert_eq!(writer.p11.attribute(writer.session, key, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
            assert_eq!(writer.p11.sign(writer.session, key, CKM_ECDSA_SHA256, &[], b"data"), Err(CKR_KEY_HANDLE_INVALID));
            assert_eq!(writer.destroy(key), Err(CKR_OBJECT_HANDLE_INVALID));
        }
        let log = world.log();
        assert!(log.contains("in 9 days") && log.contains("aws kms cancel-key-deletion --key-id arn:"), "{log}");
        assert!(log.contains("az keyvault key recover --name old"), "{log}");
        assert!(world.emulator.vault("default").current("old").is_err());
        let name_is_kept = azure.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("old")]);
        assert_eq!(name_is_kept, Err(CKR_FUNCTION_FAILED));
        assert!(world.log().contains("az keyvault key purge --name old"), "{}", world.log());
    }
}

module_test! {
    fn keys_can_be_destroyed_and_generated_again(world) {
        let discover = json!([
            { "label": "a", "cloud": "aws", "discover": true, "allow": all(), "confirm_destroy": "a" },
            { "label": "z", "cloud": "azure", "discover": true, "allow": all(), "confirm_destroy": "z" },
        ]);
        let [aws, azure] = writers(world, discover, json!({}));
        for writer in [&aws, &azure] {
            let [public, private] = writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("one")]).unwrap();
            assert_eq!(writer.all().len(), 4, "the listing that comes later knows it, too: {}", world.log());
            assert!(writer.p11.find(writer.session, &[label("one")]).contains(&private));
            writer.destroy(public).unwrap();
            assert_eq!(writer.all().len(), 2, "with one half the other is gone: {}", world.log());
            let [_, private] = writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("two")]).unwrap();
            assert!(writer.p11.sign(writer.session, private, CKM_ECDSA_SHA256, &[], b"data").is_ok());
        }
    }
}

module_test! {
    fn a_configured_key_that_does_not_exist_can_be_generated(world) {
        let mut slots = slots(all());
        slots[0]["keys"] = json!([{ "kms_key_id": "alias/new", "label": "mine" }]);
        slots[1]["keys"] = json!([{ "key_name": "new", "label": "mine" }]);
        for (writer, name) in writers(world, slots, json!({})).iter().zip(["alias/new", "new"]) {
            assert!(writer.all().is_empty());
            let [public, private] = writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("new")]).unwrap();
            let mut both = [public, private];
            both.sort_unstable();
            let mut all = writer.all();
            all.sort_unstable();
            assert_eq!(all, both);
            assert_eq!(writer.value(private, CKA_ID), name.as_bytes(), "other programs see the same");
            writer.destroy(private).unwrap();
            assert!(writer.all().is_empty());
        }
    }
}

module_test! {
    fn an_existing_name_is_refused(world) {
        let [aws, azure] = writers(world, slots(all()), json!({}));
        for writer in [&aws, &azure] {
            assert_eq!(writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("old")]), Err(CKR_FUNCTION_FAILED));
        }
        assert_eq!((world.count("kms.CreateKey"), world.count("vault.keys.create")), (0, 0));
        assert!(world.log().contains("alias/old already exists"), "{}", world.log());
        assert!(world.log().contains("a key named old already exists"), "{}", world.log());
    }
}

module_test! {
    fn a_key_that_got_no_alias_is_named(world) {
        let [aws, _] = writers(world, slots(all()), json!({}));
        world.emulator.control().fault(Fault::new("kms.CreateAlias", Action::Deny));
        assert_eq!(aws.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("new")]), Err(CKR_FUNCTION_REJECTED));
        let log = world.log();
        assert!(log.contains("kms:CreateAlias") && log.contains("aws kms create-alias --alias-name alias/new --target-key-id"), "{log}");
        assert_eq!(aws.all().len(), 2);
    }
}

module_test! {
    fn requests_for_a_new_key_are_retried_until_it_is_visible(world) {
        let [aws, _] = writers(world, slots(all()), json!({}));
        let missing = Action::Error {
            status: 400,
            code: "NotFoundException".into(),
            message: "Key 'arn:...' does not exist".into(),
            innererror: None,
        };
        world.emulator.control().fault(Fault::new("kms.CreateAlias", missing.clone()).times(2));
        // The first of these requests checks whether the alias is free.
        world.emulator.control().fault(Fault::new("kms.GetPublicKey", missing).times(3));
        let [_, private] = aws.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("new")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert_eq!((world.count("kms.CreateKey"), world.count("kms.CreateAlias"), world.count("kms.GetPublicKey")), (1, 3, 4));
        assert!(aws.p11.sign(aws.session, private, CKM_ECDSA_SHA256, &[], b"data").is_ok());
    }
}

module_test! {
    fn permissions_that_are_missing_are_named(world) {
        let [aws, azure] = writers(world, slots(all()), json!({}));
        let keys = [&aws, &azure].map(|writer| writer.p11.private_key(writer.session));
        for operation in ["kms.CreateKey", "kms.ScheduleKeyDeletion", "vault.keys.create", "vault.keys.delete"] {
            world.emulator.control().fault(Fault::new(operation, Action::Deny));
        }
        for (writer, key) in [&aws, &azure].into_iter().zip(keys) {
            assert_eq!(writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("new")]), Err(CKR_FUNCTION_REJECTED));
            assert_eq!(writer.destroy(key), Err(CKR_FUNCTION_REJECTED));
            assert!(writer.all().contains(&key), "the key still exists");
        }
        for needed in ["kms:CreateKey", "kms:ScheduleKeyDeletion", "keys/create", "keys/delete"] {
            assert!(world.log().contains(&format!("needed: {needed}")), "{needed}: {}", world.log());
        }
    }
}

module_test! {
    fn key_generation_is_not_retried_if_it_may_have_succeeded(world) {
        let [aws, azure] = writers(world, slots(all()), json!({}));
        for (writer, operation) in [(&aws, "kms.CreateKey"), (&azure, "vault.keys.create")] {
            for action in [Action::ResetMidReply, Action::ResetBeforeReply, Action::TruncatedBody, Action::GarbageBody] {
                world.emulator.control().reset();
                world.emulator.control().fault(Fault::new(operation, action.clone()).times(1));
                let name = format!("new-{}", world.log().len());
                assert_eq!(writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label(&name)]), Err(CKR_DEVICE_ERROR), "{action:?}");
                assert_eq!(world.count(operation), 1, "{operation} {action:?}: {}", world.log());
                world.emulator.control().clear_faults();
            }
            world.emulator.control().fault(Fault::new(operation, Action::Throttle { retry_after: None }).times(1));
            assert!(writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("after-all")]).is_ok(), "{}", world.log());
            world.emulator.control().clear_faults();
        }
        assert!(world.log().contains("created nevertheless"), "{}", world.log());
    }
}

module_test! {
    fn objects_cannot_be_changed_or_copied_without_the_right(world) {
        for writer in writers(world, slots(all()), json!({})) {
            let key = writer.p11.private_key(writer.session);
            let own = writer.value(key, CKA_LABEL);
            for (value, answer) in [(own, Ok(())), (b"other".to_vec(), Err(CKR_ACTION_PROHIBITED))] {
                let mut template = c_template(&[(CKA_LABEL, value.clone())]);
                template[0].pValue = value.as_ptr().cast_mut().cast();
                assert_eq!(c!(writer.p11, C_SetAttributeValue(writer.session, key, template.as_mut_ptr(), 1)), answer);
            }
            let mut copy = 0;
            assert_eq!(c!(writer.p11, C_CopyObject(writer.session, key, null_mut(), 0, &mut copy)), Err(CKR_ACTION_PROHIBITED));
            assert_eq!(c!(writer.p11, C_CopyObject(writer.session, 4711, null_mut(), 0, &mut copy)), Err(CKR_OBJECT_HANDLE_INVALID));
        }
    }
}
