//! The public-key cache and names that may mean another key later: an alias, and a Key Vault key without its version.

use crate::module_test;
use crate::support::p11::{P11, oaep, plain, with};
use crate::support::world::{World, ecdsa_der, in_child, openssl_verifies};
use aws_lc_rs::digest::{SHA256, digest};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::json;

/// Creates a key of each cloud and configures both by mutable names. Allows the cache.
pub fn two_keys(world: &World) {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
    let _ = std::fs::create_dir(world.home.join(".cache"));
    world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]));
}

/// Makes the names mean other keys.
pub fn rename(world: &World, aws: &str, vault: VaultKey) {
    let other = world.emulator.aws().create_key(AwsKey::new(aws)).unwrap();
    world.emulator.aws().set_alias("alias/a", &other.id).unwrap();
    world.emulator.vault("default").create_key("z", vault).unwrap();
}

/// Returns the SubjectPublicKeyInfo of the key that the name of the slot means now.
pub fn current(world: &World, slot: CK_SLOT_ID) -> Vec<u8> {
    match slot {
        0 => world.emulator.aws().public_key_spki("alias/a").unwrap(),
        _ => world.emulator.vault("default").public_key_spki("z", "").unwrap(),
    }
}

/// Signs once with the private key of a slot.
pub fn sign(p11: P11, slot: CK_SLOT_ID, ckm: CK_MECHANISM_TYPE) -> Result<Vec<u8>, CK_RV> {
    let session = p11.open(slot);
    p11.sign(session, p11.private_key(session), ckm, &[], b"data")
}

/// Whether the signature verifies under the public key that the name of the slot means now.
pub fn verifies(world: &World, slot: CK_SLOT_ID, ckm: CK_MECHANISM_TYPE, signature: &[u8]) -> bool {
    let der = if ckm == CKM_SHA256_RSA_PKCS { signature.to_vec() } else { ecdsa_der(signature) };
    let options: &[&str] = if ckm == CKM_SHA256_RSA_PKCS { &["-pkeyopt", "digest:sha256"] } else { &[] };
    openssl_verifies(&world.home, &current(world, slot), digest(&SHA256, b"data").as_ref(), &der, options)
}

/// Runs a program that signs once with each key. Checks the signatures. Returns the number of requests.
pub fn signing_program(world: &World) -> u64 {
    let before = world.requests();
    let p11 = world.module();
    for slot in [0, 1] {
        let signature = sign(p11, slot, CKM_ECDSA_SHA256).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert!(verifies(world, slot, CKM_ECDSA_SHA256, &signature));
    }
    p11.finalize().unwrap();
    world.requests() - before
}

/// Whether the object shows the public key that the name means now.
fn is_current(world: &World, p11: P11, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, slot: CK_SLOT_ID) -> bool {
    p11.attribute(session, object, CKA_PUBLIC_KEY_INFO).unwrap() == current(world, slot)
}

module_test! {
    fn the_second_program_that_signs_makes_one_request(world) {
        two_keys(world);
        assert_eq!(signing_program(world), 4, "two requests for each of two keys");
        assert_eq!(signing_program(world), 2);
        assert_eq!((world.count("kms.Sign"), world.count("kms.GetPublicKey")), (2, 1));
        let account = "arn:aws:kms:eu-central-1:111122223333:alias/a";
        world.configure(json!([{ "label": "a", "kms_key_id": account }, { "label": "z", "key_name": "z" }]));
        assert_eq!((signing_program(world), signing_program(world)), (3, 2), "an alias with its account");
        world.configure_with(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]), json!({ "cache": false }));
        assert_eq!(signing_program(world), 4);
    }
}

module_test! {
    fn after_a_rotation_the_new_key_signs_at_once(world) {
        two_keys(world);
        signing_program(world);
        rename(world, "ECC_NIST_P256", VaultKey::ec("P-256"));
        assert_eq!(signing_program(world), 4, "the signature, and the public key that it needs");
        assert!(world.log().contains("the cached public key belongs to another key"), "{}", world.log());
        assert_eq!(signing_program(world), 2, "the cache has the new public key");
    }
}

module_test! {
    /// Before and after the signature: what is shown is always the key that the name means.
    fn a_public_key_is_never_shown_from_the_cache(world) {
        two_keys(world);
        signing_program(world);
        for reads_first in [true, false] {
            rename(world, "ECC_NIST_P256", VaultKey::ec("P-256"));
            let p11 = world.module();
            for slot in [0, 1] {
                let session = p11.open(slot);
                let private = p11.private_key(session);
                assert!(!reads_first || is_current(world, p11, session, private, slot));
                let signature = sign(p11, slot, CKM_ECDSA_SHA256).unwrap();
                assert!(verifies(world, slot, CKM_ECDSA_SHA256, &signature));
                assert_eq!(p11.private_key(session), private, "the handles stay");
                assert!(is_current(world, p11, session, private, slot));
                assert!(is_current(world, p11, session, p11.only(session, CKO_PUBLIC_KEY), slot));
            }
            p11.finalize().unwrap();
        }
        rename(world, "ECC_NIST_P256", VaultKey::ec("P-256"));
        let p11 = world.module();
        for slot in [0, 1] {
            let session = p11.open(slot);
            assert!(is_current(world, p11, session, p11.only(session, CKO_PUBLIC_KEY), slot), "an export without a signature");
            let point = p11.attribute(session, p11.private_key(session), CKA_EC_POINT).unwrap();
            let by_point = [(CKA_CLASS, CKO_PRIVATE_KEY.to_ne_bytes().to_vec()), (CKA_EC_POINT, point)];
            assert_eq!(p11.find(session, &by_point).len(), 1);
        }
    }
}

module_test! {
    /// Every attribute that differs between two keys of the same name.
    fn no_attribute_of_another_key_is_shown(world) {
        two_keys(world);
        let aws = world.emulator.aws();
        let kinds = [AwsKey::new("ECC_NIST_P256"), AwsKey::new("RSA_2048"), AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT")];
        let keys = kinds.map(|key| aws.create_key(key).unwrap().id);
        let read = |kinds: &[CK_ATTRIBUTE_TYPE]| {
            let p11 = world.module();
            let session = p11.open(0);
            let private = p11.private_key(session);
            let values: Vec<_> = kinds.iter().map(|kind| p11.attribute(session, private, *kind)).collect();
            p11.finalize().unwrap();
            values
        };
        let all: Vec<CK_ATTRIBUTE_TYPE> = (0..0x700).chain([CKA_ALLOWED_MECHANISMS]).collect();
        let shown = keys.each_ref().map(|key| {
            aws.set_alias("alias/a", key).unwrap();
            read(&all)
        });
        let differing = (0..all.len()).filter(|index| shown.iter().any(|shown_of| shown_of[*index] != shown[0][*index]));
        let differing: Vec<_> = differing.collect();
        let expected = [CKA_KEY_TYPE, CKA_EC_POINT, CKA_MODULUS, CKA_PUBLIC_KEY_INFO, CKA_UNIQUE_ID, CKA_SIGN, CKA_ALLOWED_MECHANISMS];
        assert!(expected.iter().all(|kind| differing.iter().any(|index| all[*index] == *kind)), "{differing:x?}");
        for index in differing {
            for (key, shown_of) in keys.iter().zip(&shown) {
                aws.set_alias("alias/a", key).unwrap();
                assert_eq!(read(&[all[index]])[0], shown_of[index], "{:x}", all[index]);
            }
        }
    }
}

module_test! {
    fn a_search_by_the_public_key_asks_the_service(world) {
        two_keys(world);
        let (aws, vault) = (current(world, 0), current(world, 1));
        signing_program(world);
        rename(world, "ECC_NIST_P256", VaultKey::ec("P-256"));
        let p11 = world.module();
        for (slot, spki) in [(0, aws), (1, vault)] {
            let session = p11.open(slot);
            let with = |spki| [(CKA_CLASS, CKO_PRIVATE_KEY.to_ne_bytes().to_vec()), (CKA_PUBLIC_KEY_INFO, spki)];
            p11.private_key(session);
            assert!(p11.find(session, &with(spki)).is_empty());
            assert_eq!(p11.find(session, &with(current(world, slot))).len(), 1);
        }
    }
}

module_test! {
    fn a_signature_confirms_the_public_key(world) {
        two_keys(world);
        signing_program(world);
        let (before, p11) = (world.requests(), world.module());
        for slot in [0, 1] {
            let session = p11.open(slot);
            let signature = sign(p11, slot, CKM_ECDSA_SHA256).unwrap();
            let public = p11.only(session, CKO_PUBLIC_KEY);
            assert!(is_current(world, p11, session, public, slot));
            let mut mechanism = plain(CKM_ECDSA_SHA256);
            assert_eq!(p11.verify(session, public, &mut mechanism, b"data", &signature), Ok(()));
        }
        assert_eq!(world.requests() - before, 2, "two signatures");
        // From now on the program stays with this key, as without a cache.
        rename(world, "ECC_NIST_P256", VaultKey::ec("P-256"));
        for slot in [0, 1] {
            let signature = sign(p11, slot, CKM_ECDSA_SHA256).unwrap();
            assert!(!verifies(world, slot, CKM_ECDSA_SHA256, &signature));
        }
    }
}

module_test! {
    fn a_disabled_or_deleted_key_is_reported_as_such(world) {
        two_keys(world);
        signing_program(world);
        world.emulator.aws().disable_key("alias/a").unwrap();
        world.emulator.vault("default").set_enabled("z", "", false).unwrap();
        let p11 = world.module();
        for slot in [0, 1] {
            assert_eq!(sign(p11, slot, CKM_ECDSA_SHA256), Err(CKR_KEY_FUNCTION_NOT_PERMITTED), "{}", world.log());
        }
        p11.finalize().unwrap();
        world.emulator.aws().enable_key("alias/a").unwrap();
        world.emulator.vault("default").set_enabled("z", "", true).unwrap();
        assert_eq!(signing_program(world), 2);
        world.emulator.aws().delete_key("alias/a").unwrap();
        world.emulator.vault("default").delete_key("z").unwrap();
        let p11 = world.module();
        for slot in [0, 1] {
            assert_eq!(sign(p11, slot, CKM_ECDSA_SHA256), Err(CKR_KEY_HANDLE_INVALID), "{}", world.log());
            assert!(p11.find_class(p11.open(slot), CKO_PRIVATE_KEY).is_empty());
        }
        assert_eq!(std::fs::read_dir(world.home.join(".cache/cloud-kms-pkcs11")).unwrap().count(), 0);
    }
}

module_test! {
    fn a_wrong_signature_is_not_taken_for_that_of_another_key(world) {
        two_keys(world);
        signing_program(world);
        for operation in ["kms.Sign", "vault.keys.sign"] {
            world.emulator.control().fault(Fault::new(operation, Action::WrongSignature));
        }
        let p11 = world.module();
        for slot in [0, 1] {
            assert_eq!(sign(p11, slot, CKM_ECDSA_SHA256), Err(CKR_DEVICE_ERROR), "{}", world.log());
        }
        assert!(!world.log().contains("belongs to another key"), "{}", world.log());
    }
}

module_test! {
    /// The public key is a part of what an ML-DSA key signs, and decrypting says nothing about the public key.
    fn other_operations_ask_the_service_first(world) {
        let aws = world.emulator.aws();
        let keys = [AwsKey::new("ML_DSA_44").alias("alias/m"), AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/d")];
        let _ = keys.map(|key| aws.create_key(key).unwrap());
        let vault = world.emulator.vault("default");
        vault.create_key("z", VaultKey::rsa(2048)).unwrap();
        let _ = std::fs::create_dir(world.home.join(".cache"));
        world.configure(json!([{ "label": "m", "kms_key_id": "alias/m" }, { "label": "d", "kms_key_id": "alias/d" }, { "label": "z", "key_name": "z" }]));
        for round in 0..3 {
            if round == 2 {
                for (alias, new) in [("alias/m", AwsKey::new("ML_DSA_44")), ("alias/d", AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT"))] {
                    aws.set_alias(alias, &aws.create_key(new).unwrap().id).unwrap();
                }
            }
            let p11 = world.module();
            let session = p11.open(0);
            let signature = p11.sign(session, p11.private_key(session), CKM_ML_DSA, &[], b"data").unwrap();
            let mut mechanism = plain(CKM_ML_DSA);
            assert_eq!(p11.verify(session, p11.only(session, CKO_PUBLIC_KEY), &mut mechanism, b"data", &signature), Ok(()));
            let mut parameters = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
            let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut parameters);
            let mut encrypted = Vec::new();
            for slot in [1, 2] {
                let session = p11.open(slot);
                let private = p11.private_key(session);
                encrypted = p11.encrypt(session, p11.only(session, CKO_PUBLIC_KEY), &mut mechanism, b"text").unwrap();
                assert_eq!(p11.decrypt(session, private, &mut mechanism, &encrypted).unwrap(), b"text");
            }
            p11.finalize().unwrap();
            // A program that only decrypts stays with the version that it has begun with.
            let p11 = world.module();
            let session = p11.open(2);
            let private = p11.private_key(session);
            assert_eq!(p11.decrypt(session, private, &mut mechanism, &encrypted).unwrap(), b"text");
            if round == 0 {
                vault.rotate_key("z").unwrap();
                assert_eq!(p11.decrypt(session, private, &mut mechanism, &encrypted).unwrap(), b"text");
            }
            p11.finalize().unwrap();
        }
        assert_eq!((world.count("kms.GetPublicKey"), world.count("vault.keys.get")), (6, 6), "once in each process");
    }
}

module_test! {
    fn a_search_that_can_find_several_keys_asks_the_service(world) {
        let ids = ["alias/a", "alias/b"];
        let _ = ids.map(|alias| world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias(alias)).unwrap());
        let _ = std::fs::create_dir(world.home.join(".cache"));
        world.configure(json!([{ "label": "t", "keys": ids.map(|id| json!({ "kms_key_id": id })) }]));
        for _ in 0..2 {
            let p11 = world.module();
            assert_eq!(p11.find_class(p11.open(0), CKO_PRIVATE_KEY).len(), 2);
            p11.finalize().unwrap();
        }
        assert_eq!(world.count("kms.GetPublicKey"), 4);
        let p11 = world.module();
        let named = |id: &str| [(CKA_CLASS, CKO_PRIVATE_KEY.to_ne_bytes().to_vec()), (CKA_ID, id.as_bytes().to_vec())];
        assert_eq!(p11.find(p11.open(0), &named("alias/b")).len(), 1);
        assert_eq!(world.count("kms.GetPublicKey"), 4, "one key is named");
    }
}

module_test! {
    /// Another account may have another key under the same alias, of another type.
    fn the_cache_of_another_account_is_not_used(world) {
        two_keys(world);
        signing_program(world);
        let world = &*world;
        world.emulator.aws().allow_access_key("AKIAOTHERACCOUNT", "secret");
        rename(world, "RSA_2048", VaultKey::ec("P-256"));
        let other = || in_child(|| {
            unsafe { std::env::set_var("AWS_ACCESS_KEY_ID", "AKIAOTHERACCOUNT") };
            unsafe { std::env::set_var("AWS_SECRET_ACCESS_KEY", "secret") };
            let p11 = world.module();
            let session = p11.open(0);
            p11.private_key(session);
            p11.finalize().unwrap();
        });
        assert!(other(), "{}", world.log());
        assert_eq!(world.count("kms.GetPublicKey"), 2, "the service was asked");
    }
}
