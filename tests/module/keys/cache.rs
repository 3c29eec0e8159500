//! The public-key cache on disk: what is cached, what is trusted, and whose files are read.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, in_child};
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// Returns slots with one key of each cloud, under names that can never mean another key.
fn two_keys(world: &World) -> Value {
    let aws = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    let vault = world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
    json!([
        { "label": "a", "kms_key_id": aws.id },
        { "label": "z", "key_name": "z", "key_version": vault.version },
    ])
}

/// Returns the path where the cache is expected. Creates the folder above it.
fn folder(world: &World) -> PathBuf {
    let _ = std::fs::create_dir(world.home.join(".cache"));
    world.home.join(".cache/cloud-kms-pkcs11")
}

fn files(world: &World) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder(world)) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn sign(p11: &P11, slot: CK_SLOT_ID) -> Result<Vec<u8>, CK_RV> {
    let session = p11.open(slot);
    p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data")
}

/// Returns the number of requests of a program that signs once with each key.
fn one_shot(world: &World) -> u64 {
    let before = world.requests();
    let p11 = world.module();
    for slot in [0, 1] {
        sign(&p11, slot).unwrap();
    }
    p11.finalize().unwrap();
    world.requests() - before
}

module_test! {
    fn a_program_that_signs_once_costs_one_request(world) {
        folder(world);
        world.configure(two_keys(world));
        assert_eq!(one_shot(world), 4, "two requests for each of two keys");
        assert_eq!(one_shot(world), 2);
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder(world)), 0o700);
        assert_eq!(files(world).len(), 2);
        assert!(files(world).into_iter().all(|file| mode(file) == 0o600));
    }
}

module_test! {
    fn without_a_folder_or_by_the_option_there_is_no_cache(world) {
        let slots = two_keys(world);
        world.configure(slots.clone());
        assert_eq!((one_shot(world), one_shot(world)), (4, 4));
        assert!(!world.home.join(".cache").exists(), "no cache folder is created");
        folder(world);
        world.configure_with(slots.clone(), json!({ "cache": false }));
        assert_eq!((one_shot(world), one_shot(world)), (4, 4));
        world.configure_with(slots, json!({ "cache_folder": "elsewhere" }));
        assert_eq!((one_shot(world), one_shot(world)), (4, 2));
        assert!(files(world).is_empty() && world.home.join("elsewhere").is_dir());
    }
}

module_test! {
    fn a_folder_that_is_not_this_user_s_alone_is_not_used(world) {
        world.configure(two_keys(world));
        let own = folder(world);
        std::fs::create_dir(&own).unwrap();
        for mode in [0o770, 0o707] {
            std::fs::set_permissions(&own, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!((one_shot(world), one_shot(world)), (4, 4));
        }
        assert!(files(world).is_empty());
        assert!(world.log().contains("only this user can write to"), "{}", world.log());
        std::fs::remove_dir(&own).unwrap();
        std::fs::create_dir(world.home.join("other")).unwrap();
        symlink(world.home.join("other"), &own).unwrap();
        assert_eq!((one_shot(world), one_shot(world)), (4, 4));
        assert!(files(world).is_empty(), "nothing is written through a symbolic link");
    }
}

module_test! {
    fn corrupt_or_unsafe_cache_files_are_replaced(world) {
        folder(world);
        world.configure(two_keys(world));
        one_shot(world);
        let spoil: [fn(&PathBuf); 6] = [
            |file| std::fs::write(file, "").unwrap(),
            |file| std::fs::write(file, &std::fs::read(file).unwrap()[..40]).unwrap(),
            |file| std::fs::write(file, vec![b' '; 1 << 20]).unwrap(),
            |file| std::fs::write(file, String::from_utf8(std::fs::read(file).unwrap()).unwrap().replace("\"version\":3", "\"version\":4")).unwrap(),
            |file| std::fs::set_permissions(file, PermissionsExt::from_mode(0o666)).unwrap(),
            |file| {
                let target = file.with_extension("target");
                std::fs::rename(file, &target).unwrap();
                symlink(target, file).unwrap();
            },
        ];
        for (number, spoil) in spoil.iter().enumerate() {
            files(world).iter().for_each(spoil);
            assert_eq!((one_shot(world), one_shot(world)), (4, 2), "spoilt by {number}: {}", world.log());
        }
    }
}

module_test! {
    fn a_wrong_cached_key_is_replaced_after_its_signature_fails(world) {
        folder(world);
        world.configure(two_keys(world));
        one_shot(world);
        let [one, other] = files(world).try_into().unwrap();
        let read = |file: &PathBuf| -> Value { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
        let (mut first, mut second) = (read(&one), read(&other));
        std::mem::swap(&mut first["public_key"], &mut second["public_key"]);
        std::fs::write(&one, first.to_string()).unwrap();
        std::fs::write(&other, second.to_string()).unwrap();
        let p11 = world.module();
        for slot in [0, 1] {
            assert_eq!(sign(&p11, slot), Err(CKR_DEVICE_ERROR));
            assert!(world.log().contains("the cached public key is not the public key of this key"), "{}", world.log());
            sign(&p11, slot).unwrap();
        }
        p11.finalize().unwrap();
        assert_eq!(one_shot(world), 2, "the correct entries remain");
    }
}

module_test! {
    fn properties_that_may_change_are_not_cached(world) {
        folder(world);
        let vault = world.emulator.vault("default");
        let version = vault.create_key("z", VaultKey::ec("P-256")).unwrap().version;
        vault.set_enabled("z", &version, false).unwrap();
        let decrypts = world.emulator.aws().create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT")).unwrap();
        let slots = json!([{ "label": "d", "kms_key_id": decrypts.id }, { "label": "z", "key_name": "z", "key_version": version }]);
        world.configure(slots);
        let p11 = world.module();
        for slot in [0, 1] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            assert_eq!(p11.sign_init(session, key, if slot == 0 { CKM_SHA256_RSA_PKCS } else { CKM_ECDSA_SHA256 }, &[]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        }
        p11.finalize().unwrap();
        let kept: Vec<_> = files(world).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert!(matches!(&kept[..], [one] if one.contains("\"purposes\":[\"decrypt\"]")), "a KeyUsage never changes: {kept:?}");
        vault.set_enabled("z", &version, true).unwrap();
        let p11 = world.module();
        sign(&p11, 1).unwrap();
        p11.finalize().unwrap();
        assert_eq!(files(world).len(), 2);
        vault.set_enabled("z", &version, false).unwrap();
        let p11 = world.module();
        assert_eq!(sign(&p11, 1), Err(CKR_KEY_FUNCTION_NOT_PERMITTED), "the service's public key replaces the cached one");
    }
}

module_test! {
    fn many_programs_can_share_the_cache(world) {
        let world = &*world;
        folder(world);
        world.configure(two_keys(world));
        let program = || in_child(|| {
            let p11 = world.module();
            for slot in [0, 1] {
                sign(&p11, slot).unwrap();
            }
            p11.finalize().unwrap();
        });
        std::thread::scope(|scope| {
            let programs: Vec<_> = (0..8).map(|_| scope.spawn(program)).collect();
            assert!(programs.into_iter().all(|program| program.join().unwrap()), "{}", world.log());
        });
        assert_eq!(one_shot(world), 2);
        assert_eq!(files(world).len(), 2, "{:?}", files(world));
    }
}
