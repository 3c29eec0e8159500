//! Policies of AWS that deny a request because of its form, and what helps against a denial.

use crate::module_test;
use crate::support::p11::{P11, oaep, plain, with};
use crate::support::world::World;
use cloud_kms_emulator::{Action, AwsKey, Fault};
use cryptoki_sys::*;
use serde_json::json;

/// The module with one key of KMS, which is named by its alias.
struct Host {
    p11: P11,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
}

fn host(world: &World) -> Host {
    let aws = world.emulator.aws();
    let key = aws.create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
    aws.set_alias("alias/a", &key.id).unwrap();
    world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
    let p11 = world.module();
    let session = p11.open(0);
    Host { p11, session, key: p11.private_key(session) }
}

impl Host {
    fn sign(&self) -> Result<Vec<u8>, CK_RV> {
        self.p11.sign(self.session, self.key, CKM_ECDSA_SHA256, &[], b"data")
    }
}

module_test! {
    // A policy with the condition key kms:RequestAlias denies a request that names the key by its ARN.
    fn a_key_that_is_denied_by_its_arn_signs_by_its_alias(world) {
        let aws = world.emulator.aws();
        let host = host(world);
        let deny_once = || world.emulator.control().fault(Fault::new("kms.Sign", Action::Deny).times(1));
        assert!(host.sign().is_ok(), "the ARN is known: {}", world.log());
        let asked = world.count("kms.Sign");
        deny_once();
        assert!(host.sign().is_ok(), "{}", world.log());
        assert_eq!(world.count("kms.Sign"), asked + 2, "by the ARN, then by the alias");
        let other = aws.create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
        aws.set_alias("alias/a", &other.id).unwrap();
        deny_once();
        assert_eq!(host.sign(), Err(CKR_KEY_HANDLE_INVALID), "a handle never changes its key");
        assert!(world.log().contains("the alias moved from "), "{}", world.log());
    }
}

module_test! {
    fn other_operations_are_made_by_the_alias_too(world) {
        let aws = world.emulator.aws();
        let keys = [AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT"), AwsKey::new("HMAC_256")].map(|key| aws.create_key(key).unwrap());
        for (alias, key) in ["alias/decrypts", "alias/macs"].iter().zip(&keys) {
            aws.set_alias(alias, &key.id).unwrap();
        }
        world.configure(json!([
            { "label": "d", "kms_key_id": "alias/decrypts" },
            { "label": "m", "kms_key_id": "alias/macs" },
        ]));
        let p11 = world.module();
        let deny_once = |operation| world.emulator.control().fault(Fault::new(operation, Action::Deny).times(1));
        let session = p11.open(0);
        let (public, private) = (p11.only(session, CKO_PUBLIC_KEY), p11.private_key(session));
        let mut parameters = oaep(CKM_SHA256, CKG_MGF1_SHA256);
        let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut parameters);
        let encrypted = p11.encrypt(session, public, &mut mechanism, b"a text").unwrap();
        deny_once("kms.Decrypt");
        assert_eq!(p11.decrypt(session, private, &mut mechanism, &encrypted).unwrap(), b"a text");
        let session = p11.open(1);
        let secret = p11.only(session, CKO_SECRET_KEY);
        deny_once("kms.GenerateMac");
        let mac = p11.sign(session, secret, CKM_SHA256_HMAC, &[], b"a message").unwrap();
        deny_once("kms.VerifyMac");
        assert_eq!(p11.verify(session, secret, &mut plain(CKM_SHA256_HMAC), b"a message", &mac), Ok(()));
        for operation in ["kms.Decrypt", "kms.GenerateMac", "kms.VerifyMac"] {
            assert_eq!(world.count(operation), 2, "{operation}: {}", world.log());
        }
    }
}

module_test! {
    fn an_explicit_deny_asks_for_no_permission(world) {
        let host = host(world);
        let deny = |message: &str| Action::Error {
            status: 400,
            code: "AccessDeniedException".into(),
            message: message.into(),
            innererror: None,
        };
        let explicit = "User: x is not authorized to perform: kms:Sign on resource: y with an explicit deny in a service control policy";
        world.emulator.control().fault(Fault::new("kms.Sign", deny(explicit)));
        assert_eq!(host.sign(), Err(CKR_FUNCTION_REJECTED));
        let log = world.log();
        assert!(log.contains("ask the owner of that policy") && !log.contains("needed: kms:Sign"), "{log}");
    }
}
