//! A mutable name means another key while a program runs, or since its public key was cached: of another type, or in the
//! middle of a signature.

use super::mutable_names::{current, rename, sign, signing_program, two_keys, verifies};
use crate::c;
use crate::module_test;
use crate::support::p11::{output_of, pointer_and_length};
use crate::support::world::{ecdsa_der, openssl_verifies};
use aws_lc_rs::digest::{SHA256, digest};
use cloud_kms_emulator::{Action, Fault, VaultKey};
use cryptoki_sys::*;
use std::time::Duration;

module_test! {
    fn an_active_signature_is_by_the_key_that_was_shown_meanwhile(world) {
        two_keys(world);
        signing_program(world);
        let p11 = world.module();
        for slot in [0, 1] {
            let session = p11.open(slot);
            let private = p11.private_key(session);
            p11.sign_init(session, private, CKM_ECDSA_SHA256, &[]).unwrap();
            let shown = p11.attribute(session, private, CKA_PUBLIC_KEY_INFO).unwrap();
            rename(world, "ECC_NIST_P256", VaultKey::ec("P-256"));
            let (data, length) = pointer_and_length(b"data");
            let signature = output_of(|buffer, size| c!(p11, C_Sign(session, data, length, buffer, size))).unwrap();
            let digest = digest(&SHA256, b"data");
            assert!(openssl_verifies(&world.home, &shown, digest.as_ref(), &ecdsa_der(&signature), &[]), "{slot}");
        }
    }
}

module_test! {
    /// One thread's signature is requested by the name while another thread's confirms the public key, and then the name means
    /// another key.
    fn threads_agree_about_the_key(world) {
        two_keys(world);
        signing_program(world);
        let (world, p11) = (&*world, world.module());
        for (slot, operation) in [(0, "kms.Sign"), (1, "vault.keys.sign")] {
            // In the second round, the cached public key is already that of another key.
            let shown = current(world, slot);
            world.emulator.control().reset();
            world.emulator.control().fault(Fault::new(operation, Action::Await { requests: 3 }).times(1));
            let signature = std::thread::scope(|scope| {
                let slow = scope.spawn(|| sign(p11, slot, CKM_ECDSA_SHA256));
                assert!(world.emulator.control().wait_for(operation, 1, Duration::from_secs(60)));
                sign(p11, slot, CKM_ECDSA_SHA256).unwrap();
                rename(world, "ECC_NIST_P256", VaultKey::ec("P-256"));
                sign(p11, slot, CKM_ECDSA_SHA256).unwrap();
                slow.join().unwrap().unwrap()
            });
            let data = digest(&SHA256, b"data");
            assert!(openssl_verifies(&world.home, &shown, data.as_ref(), &ecdsa_der(&signature), &[]));
            let session = p11.open(slot);
            let public = p11.only(session, CKO_PUBLIC_KEY);
            assert_eq!(p11.attribute(session, public, CKA_PUBLIC_KEY_INFO).unwrap(), shown);
        }
    }
}

module_test! {
    fn a_mechanism_that_only_the_new_key_has_is_accepted(world) {
        two_keys(world);
        signing_program(world);
        rename(world, "RSA_2048", VaultKey::rsa(2048));
        let p11 = world.module();
        for slot in [0, 1] {
            let signature = sign(p11, slot, CKM_SHA256_RSA_PKCS).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert!(verifies(world, slot, CKM_SHA256_RSA_PKCS, &signature));
        }
    }
}

module_test! {
    /// The service refuses what begins for the old key, or its signature has another length. The error names the reason, and
    /// the next search finds the new key.
    fn a_key_of_another_type_is_reported_once(world) {
        two_keys(world);
        signing_program(world);
        let vault_p384 = || VaultKey::ec("P-384");
        let changes: [(CK_MECHANISM_TYPE, &str, VaultKey, CK_MECHANISM_TYPE); 4] = [
            (CKM_ECDSA_SHA256, "ECC_NIST_P384", vault_p384(), CKM_ECDSA_SHA256),
            (CKM_ECDSA_SHA256, "RSA_2048", VaultKey::rsa(2048), CKM_SHA256_RSA_PKCS),
            (CKM_SHA256_RSA_PKCS, "RSA_3072", VaultKey::rsa(3072), CKM_SHA256_RSA_PKCS),
            (CKM_SHA256_RSA_PKCS, "ECC_NIST_P384", vault_p384(), CKM_ECDSA_SHA256),
        ];
        for (before, aws, vault, after) in changes {
            rename(world, aws, vault);
            let p11 = world.module();
            for slot in [0, 1] {
                assert_eq!(sign(p11, slot, before), Err(CKR_KEY_HANDLE_INVALID), "{aws}: {}", world.log());
                let reason = "the cached public key belongs to another key; this key is of kind";
                assert!(world.log().lines().last().unwrap().contains(reason), "{}", world.log());
                let signature = sign(p11, slot, after).unwrap_or_else(|rv| panic!("{aws} {rv:x}: {}", world.log()));
                assert!(verifies(world, slot, after, &signature), "{aws}");
            }
            p11.finalize().unwrap();
            let (before, p11) = (world.requests(), world.module());
            for slot in [0, 1] {
                sign(p11, slot, after).unwrap();
            }
            p11.finalize().unwrap();
            assert_eq!(world.requests() - before, 2, "{aws}: the cache has the new public key");
        }
    }
}
