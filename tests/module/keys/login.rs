//! Tokens whose PIN is their credential: what is visible before, during and after a login.

use crate::support::login_slots::*;
use crate::support::p11::Rv;
use crate::support::world::{in_child, openssl_verifies};
use crate::support::writer::{Writer, label, p256};
use crate::{c, module_test};
use cloud_kms_emulator::{Action, EntraClients, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::time::Duration;

module_test! {
    fn a_token_says_whether_it_wants_a_login(world) {
        world.emulator.vault("default").create_key("plain", VaultKey::ec("P-256")).unwrap();
        let mut slots: Vec<Value> = login_slots(world).into_iter().map(|login| login.slot).collect();
        slots.push(json!({ "key_name": "plain" }));
        world.configure(json!(slots));
        let p11 = world.module();
        for slot in 0..3 {
            let info = token_info(p11, slot);
            assert_eq!(info.flags & CKF_LOGIN_REQUIRED, CKF_LOGIN_REQUIRED);
            assert_eq!(info.flags & CKF_USER_PIN_INITIALIZED, CKF_USER_PIN_INITIALIZED);
            assert_eq!((info.ulMinPinLen, info.ulMaxPinLen), (1, 20_000));
        }
        let info = token_info(p11, 3);
        assert_eq!((info.flags & CKF_LOGIN_REQUIRED, info.ulMinPinLen, info.ulMaxPinLen), (0, 0, 255));
        let session = p11.open(3);
        sign(p11, session).unwrap();
        assert_eq!(p11.attribute(session, p11.private_key(session), CKA_PRIVATE), Ok(vec![CK_FALSE]));
        log_in(p11, session, "whatever").unwrap();
        sign(p11, session).unwrap();
        log_out(p11, session).unwrap();
        sign(p11, session).unwrap();
    }
}

module_test! {
    fn before_a_login_there_is_nothing_and_no_request(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        for (slot, login) in (0..).zip(&logins) {
            let session = p11.open(slot);
            assert!(p11.objects_without_profiles(session).is_empty());
            assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
            let mut random = [0; 8];
            c!(p11, C_GenerateRandom(session, random.as_mut_ptr(), 8)).unwrap();
            assert_eq!(p11.sign_init(session, 1, CKM_ECDSA_SHA256, &[]), Err(CKR_USER_NOT_LOGGED_IN));
            assert_eq!(log_out(p11, session), Err(CKR_USER_NOT_LOGGED_IN));
            assert_eq!(all_requests(world), 0, "{}", login.signing);
        }
    }
}

module_test! {
    fn login_shows_private_keys_and_logout_hides_them(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        for (slot, login) in (0..).zip(&logins) {
            let (session, other) = (p11.open(slot), p11.open(slot));
            assert!(p11.objects_without_profiles(session).is_empty());
            log_in(p11, session, login.pin).unwrap();
            assert_eq!(log_in(p11, other, login.pin), Err(CKR_USER_ALREADY_LOGGED_IN));
            let key = p11.private_key(other);
            let public = p11.find_class(session, CKO_PUBLIC_KEY)[0];
            assert_eq!(p11.attribute(session, key, CKA_PRIVATE), Ok(vec![CK_TRUE]));
            assert_eq!(p11.attribute(session, public, CKA_PRIVATE), Ok(vec![CK_FALSE]));
            let signature = sign(p11, session).unwrap();
            let spki = p11.attribute(session, public, CKA_PUBLIC_KEY_INFO).unwrap();
            assert!(openssl_verifies(&world.home, &spki, DATA, &crate::support::world::ecdsa_der(&signature), &["-rawin", "-digest", "sha256"]));

            p11.sign_init(session, key, CKM_ECDSA_SHA256, &[]).unwrap();
            log_out(p11, other).unwrap();
            let (mut buffer, mut length) = ([0; 64], 64);
            let signed = c!(p11, C_Sign(session, DATA.as_ptr().cast_mut(), 4, buffer.as_mut_ptr(), &mut length));
            assert_eq!(signed, Err(CKR_OPERATION_NOT_INITIALIZED));
            assert_eq!(p11.sign_init(session, key, CKM_ECDSA_SHA256, &[]), Err(CKR_USER_NOT_LOGGED_IN));
            assert_eq!(p11.attribute(session, key, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
            assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
            assert_eq!(p11.find_class(session, CKO_PUBLIC_KEY), [public], "the public key is already loaded");
            assert_eq!(log_out(p11, session), Err(CKR_USER_NOT_LOGGED_IN));

            log_in(p11, other, login.pin).unwrap();
            assert_eq!(p11.sign_init(session, key, CKM_ECDSA_SHA256, &[]), Err(CKR_KEY_HANDLE_INVALID), "the refusal is permanent");
            sign(p11, session).unwrap();
            assert_eq!(p11.find_class(session, CKO_PUBLIC_KEY), [public]);
        }
    }
}

module_test! {
    fn a_login_ends_with_the_last_session(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        for (slot, login) in (0..).zip(&logins) {
            let (session, other) = (p11.open(slot), p11.open(slot));
            log_in(p11, session, login.pin).unwrap();
            c!(p11, C_CloseSession(session)).unwrap();
            sign(p11, other).unwrap();
            c!(p11, C_CloseSession(other)).unwrap();
            let session = p11.open(slot);
            assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
            log_in(p11, session, login.pin).unwrap();
            sign(p11, session).unwrap();
            c!(p11, C_CloseAllSessions(slot)).unwrap();
            assert!(p11.find_class(p11.open(slot), CKO_PRIVATE_KEY).is_empty());
        }
        let session = p11.open(0);
        log_in(p11, session, logins[0].pin).unwrap();
        p11.finalize().unwrap();
        p11.initialize().unwrap();
        assert!(p11.find_class(p11.open(0), CKO_PRIVATE_KEY).is_empty());
    }
}

module_test! {
    fn login_fails_with_pin_incorrect_for_a_wrong_pin(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        for (slot, login) in (0..).zip(&logins) {
            let session = p11.open(slot);
            assert_eq!(log_in(p11, session, "not-the-one"), Err(CKR_PIN_INCORRECT));
            let mut bytes = [0xff; 3];
            assert_eq!(c!(p11, C_Login(session, CKU_USER, bytes.as_mut_ptr(), 3)), Err(CKR_PIN_INCORRECT));
            assert_eq!(c!(p11, C_Login(session, CKU_USER, std::ptr::null_mut(), 0)), Err(CKR_PIN_LEN_RANGE));
            assert_eq!(log_in(p11, session, " \n"), Err(CKR_PIN_LEN_RANGE));
            assert_eq!(log_in(p11, session, &"x".repeat(20_001)), Err(CKR_PIN_LEN_RANGE));
            assert_eq!(log_in_as(p11, session, CKU_SO, login.pin), Err(CKR_USER_TYPE_INVALID));
            assert_eq!(log_in_as(p11, session, CKU_CONTEXT_SPECIFIC, login.pin), Err(CKR_OPERATION_NOT_INITIALIZED));
            assert!(p11.objects_without_profiles(session).is_empty());
            log_in(p11, session, &format!("{}\n", login.pin)).unwrap();
            sign(p11, session).unwrap();
        }
        let session = p11.open(1);
        log_out(p11, session).unwrap();
        world.emulator.control().fault(Fault::new("sts.AssumeRoleWithWebIdentity", Action::Deny).times(1));
        assert_eq!(log_in(p11, session, TOKEN), Err(CKR_PIN_INCORRECT), "the token does not permit the role");
        assert!(world.log().contains("the PIN is the application's client secret, and none was given"), "{}", world.log());
        assert_eq!(world.count("token"), 2, "one request for each login");
        assert_eq!(world.count("sts.AssumeRoleWithWebIdentity"), 3);
    }
}

module_test! {
    fn a_failing_authority_is_not_reported_as_wrong_pin(world) {
        let logins = login_slots(world);
        world.configure_with(logins.iter().map(|login| login.slot.clone()).collect(), json!({ "retries": 0 }));
        let p11 = world.module();
        let (z, a) = (p11.open(0), p11.open(1));
        let control = world.emulator.control();
        let error = |code: &str, message: &str| Action::Error { status: 400, code: code.into(), message: message.into(), innererror: None };
        for (session, login, place, expired) in [
            (z, &logins[0], "token", error("invalid_client", "AADSTS7000222: The provided client secret keys are expired.")),
            (a, &logins[1], "sts.AssumeRoleWithWebIdentity", error("ExpiredTokenException", "Token expired: current date/time must be before")),
        ] {
            control.fault(Fault::new(place, expired));
            assert_eq!(log_in(p11, session, login.pin), Err(CKR_PIN_EXPIRED));
            control.clear_faults();
            for action in [Action::ResetBeforeReply, Action::GarbageBody, error("invalid_request", "AADSTS90002: Tenant not found.")] {
                control.fault(Fault::new(place, action.clone()));
                assert_eq!(log_in(p11, session, login.pin), Err(CKR_DEVICE_ERROR), "{action:?}");
                control.clear_faults();
            }
            log_in(p11, session, login.pin).unwrap();
            sign(p11, session).unwrap();
        }
    }
}

module_test! {
    fn each_token_has_its_own_login(world) {
        let login = azure(world);
        world.configure(json!([login.slot, login.slot, { "key_name": "z" }]));
        let p11 = world.module();
        let sessions: Vec<_> = (0..3).map(|slot| p11.open(slot)).collect();
        log_in(p11, sessions[0], login.pin).unwrap();
        assert!(p11.find_class(sessions[1], CKO_PRIVATE_KEY).is_empty());
        assert_eq!(log_in(p11, sessions[1], "not-the-one"), Err(CKR_PIN_INCORRECT));
        sign(p11, sessions[0]).unwrap();
        log_in(p11, sessions[1], login.pin).unwrap();
        log_out(p11, sessions[0]).unwrap();
        sign(p11, sessions[1]).unwrap();
        sign(p11, sessions[2]).unwrap();
    }
}

module_test! {
    fn a_child_inherits_a_login(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        let sessions: Vec<_> = (0..3).map(|slot| p11.open(slot)).collect();
        for (session, login) in sessions.iter().zip(&logins) {
            log_in(p11, *session, login.pin).unwrap();
        }
        let all_sign = || sessions.iter().all(|session| sign(p11, *session).is_ok());
        assert!(in_child(|| assert!(all_sign())), "before the parent's first signature");
        assert!(all_sign());
        assert!(in_child(|| {
            p11.initialize().unwrap();
            assert!(all_sign());
            for (session, login) in sessions.iter().zip(&logins) {
                log_out(p11, *session).unwrap();
                assert!(p11.find_class(*session, CKO_PRIVATE_KEY).is_empty());
                log_in(p11, *session, login.pin).unwrap();
            }
            assert!(all_sign());
        }));
        assert!(all_sign(), "a child's logout is not the parent's");
        sessions.iter().for_each(|session| log_out(p11, *session).unwrap());
        assert!(in_child(|| {
            for (session, login) in sessions.iter().zip(&logins) {
                assert!(p11.find_class(*session, CKO_PRIVATE_KEY).is_empty());
                log_in(p11, *session, login.pin).unwrap();
            }
            assert!(all_sign());
        }), "a login of the child's own");
    }
}

module_test! {
    fn cached_public_keys_are_visible_before_login(world) {
        let id = world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        let version = id.version;
        let slot = json!({ "key_name": "z", "key_version": version, "login": "azure_client_secret" });
        world.configure_with(json!([slot]), json!({ "cache_folder": world.home.join("cache") }));
        let p11 = world.module();
        let session = p11.open(0);
        log_in(p11, session, EntraClients::SECRET).unwrap();
        sign(p11, session).unwrap();
        p11.finalize().unwrap();
        world.emulator.control().reset();
        p11.initialize().unwrap();
        let session = p11.open(0);
        assert_eq!(p11.find_class(session, CKO_PUBLIC_KEY).len(), 1);
        assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
        assert_eq!(all_requests(world), 0);
        log_in(p11, session, EntraClients::SECRET).unwrap();
        sign(p11, session).unwrap();
        assert_eq!((world.count("vault.keys.get"), world.count("vault.keys.sign")), (0, 1));
    }
}

module_test! {
    fn a_token_that_discovers_its_keys_does_so_after_the_login(world) {
        let login = azure(world);
        let mut slot = login.slot.clone();
        slot.as_object_mut().unwrap().remove("key_name");
        slot["discover"] = json!(true);
        slot["cloud"] = json!("azure");
        world.configure(json!([slot]));
        let p11 = world.module();
        let session = p11.open(0);
        assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
        assert_eq!(all_requests(world), 0);
        for _ in 0..2 {
            log_in(p11, session, login.pin).unwrap();
            sign(p11, session).unwrap();
            log_out(p11, session).unwrap();
            assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
        }
    }
}

module_test! {
    fn changes_to_objects_need_a_login(world) {
        let login = azure(world);
        world.configure(json!([{
            "label": "z", "cloud": "azure", "discover": true, "login": "azure_client_secret",
            "allow": ["labels", "generate", "destroy"], "confirm_destroy": "z",
        }]));
        let writer = Writer::new(world.module(), 0);
        log_in(writer.p11, writer.session, login.pin).unwrap();
        let public = writer.p11.only(writer.session, CKO_PUBLIC_KEY);
        log_out(writer.p11, writer.session).unwrap();
        assert_eq!(writer.value(public, CKA_LABEL), b"z", "public objects remain");
        let asked = all_requests(world);
        assert_eq!(writer.set(public, &[label("other")]), Err(CKR_USER_NOT_LOGGED_IN));
        assert_eq!(writer.destroy(public), Err(CKR_USER_NOT_LOGGED_IN));
        assert_eq!(writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("new")]), Err(CKR_USER_NOT_LOGGED_IN));
        assert_eq!(all_requests(world), asked);
        log_in(writer.p11, writer.session, login.pin).unwrap();
        writer.set(public, &[label("other")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
    }
}

module_test! {
    fn expired_credentials_of_a_login_are_reported(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        let (z, a) = (p11.open(0), p11.open(1));
        log_in(p11, z, logins[0].pin).unwrap();
        log_in(p11, a, logins[1].pin).unwrap();
        let (z_key, a_key) = (p11.private_key(z), p11.private_key(a));
        let control = world.emulator.control();
        let over = || control.fault(Fault::new("kms.Sign", Action::ExpiredToken).times(1));
        over();
        p11.sign(z, z_key, CKM_ECDSA_SHA256, &[], DATA).unwrap();
        p11.sign(a, a_key, CKM_ECDSA_SHA256, &[], DATA).expect("STS is asked again with the same token");
        assert_eq!(world.count("sts.AssumeRoleWithWebIdentity"), 2);
        // The secret is replaced. The token of the web identity has expired, and so have the credentials that were
        // obtained with it.
        world.emulator.entra().register(EntraClients::TENANT, EntraClients::CLIENT, Some("a-new-secret"));
        let expired = Action::Error { status: 400, code: "ExpiredTokenException".into(), message: "Token expired".into(), innererror: None };
        control.fault(Fault::new("sts.AssumeRoleWithWebIdentity", expired));
        over();
        control.fault(Fault::new("vault.keys.sign", Action::ExpiredToken).times(2));
        assert_eq!(p11.sign(z, z_key, CKM_ECDSA_SHA256, &[], DATA), Err(CKR_DEVICE_ERROR));
        assert_eq!(p11.sign(a, a_key, CKM_ECDSA_SHA256, &[], DATA), Err(CKR_DEVICE_ERROR));
        let log = world.log();
        assert!(log.contains("log out, then log in with a valid client secret"), "{log}");
        assert!(log.contains("log out, then log in with a valid PIN"), "{log}");
        log_out(p11, z).unwrap();
        log_in(p11, z, "a-new-secret").unwrap();
        sign(p11, z).unwrap();
    }
}

module_test! {
    fn only_one_of_many_concurrent_logins_succeeds(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        for (slot, login) in (0..).zip(&logins) {
            let session = p11.open(slot);
            let outcomes: Vec<Rv<()>> = std::thread::scope(|scope| {
                let logins: Vec<_> = (0..8).map(|_| scope.spawn(|| log_in(p11, session, login.pin))).collect();
                logins.into_iter().map(|login| login.join().unwrap()).collect()
            });
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(CKR_USER_ALREADY_LOGGED_IN))));
            sign(p11, session).unwrap();
        }
    }
}

module_test! {
    fn a_login_fails_if_its_sessions_are_closed_meanwhile(world) {
        let logins = login_slots(world);
        let p11 = world.module();
        let control = world.emulator.control();
        for (slot, place) in [(0, "token"), (1, "sts.AssumeRoleWithWebIdentity")] {
            control.fault(Fault::new(place, Action::Delay { ms: 3000 }));
            let session = p11.open(slot);
            std::thread::scope(|scope| {
                let login = scope.spawn(|| log_in(p11, session, logins[slot as usize].pin));
                assert!(control.wait_for(place, 1, Duration::from_secs(30)));
                c!(p11, C_CloseAllSessions(slot)).unwrap();
                assert_eq!(login.join().unwrap(), Err(CKR_SESSION_CLOSED));
            });
            control.clear_faults();
            assert!(p11.find_class(p11.open(slot), CKO_PRIVATE_KEY).is_empty());
        }
    }
}
