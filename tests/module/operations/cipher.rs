//! Local encryption, decryption by the service, wrapping and unwrapping. openssl is the other side.

use crate::support::p11::{P11, attributes, number, oaep, output_of, plain, pointer_and_length, with};
use crate::support::world::World;
use crate::support::writer::Writer;
use crate::{c, module_test};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::process::Command;
use std::ptr::null_mut;

/// Returns `text` encrypted by the `openssl` program.
fn encrypted(world: &World, spki: &[u8], options: &[&str], text: &[u8]) -> Vec<u8> {
    let (key, input) = (world.home.join("encrypt.spki"), world.home.join("encrypt.text"));
    std::fs::write(&key, spki).unwrap();
    std::fs::write(&input, text).unwrap();
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey"]).arg(key).arg("-in").arg(input);
    let output = command.args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

const OAEP_SHA1: [&str; 2] = ["-pkeyopt", "rsa_padding_mode:oaep"];
const OAEP_SHA256: [&str; 6] =
    ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"];

/// No padding: 256 bytes are encrypted as they are.
const RAW: [&str; 2] = ["-pkeyopt", "rsa_padding_mode:none"];

/// Configures three slots: slot 0 decrypts with AWS, slot 1 signs with AWS, and slot 2 does everything with Azure.
fn world_with_keys(world: &World) -> (P11, Vec<u8>, Vec<u8>) {
    let aws = world.emulator.aws();
    let made = aws.create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/d")).unwrap();
    aws.create_key(AwsKey::new("RSA_2048").alias("alias/s")).unwrap();
    let vault = world.emulator.vault("default");
    vault.create_key("z", VaultKey::rsa(2048)).unwrap();
    let spki = (aws.public_key_spki(&made.id).unwrap(), vault.public_key_spki("z", "").unwrap());
    world.configure(json!([
        { "label": "d", "kms_key_id": "alias/d" }, { "label": "s", "kms_key_id": "alias/s" }, { "label": "z", "key_name": "z" },
    ]));
    (world.module(), spki.0, spki.1)
}

module_test! {
    fn what_openssl_encrypts_the_service_decrypts(world) {
        let (p11, aws, azure) = world_with_keys(world);
        let (mut sha1, mut sha256) = (oaep(CKM_SHA_1, CKG_MGF1_SHA1), oaep(CKM_SHA256, CKG_MGF1_SHA256));
        for (slot, spki) in [(0, &aws), (2, &azure)] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            for text in [&b"a secret"[..], b"", &[7; 190]] {
                let one = encrypted(world, spki, &OAEP_SHA1, text);
                assert_eq!(p11.decrypt(session, key, &mut with(CKM_RSA_PKCS_OAEP, &mut sha1), &one).as_deref(), Ok(text));
                let two = encrypted(world, spki, &OAEP_SHA256, text);
                assert_eq!(p11.decrypt(session, key, &mut with(CKM_RSA_PKCS_OAEP, &mut sha256), &two).as_deref(), Ok(text));
            }
        }
        let session = p11.open(2);
        let key = p11.private_key(session);
        let one = encrypted(world, &azure, &[], b"by version 1.5");
        assert_eq!(p11.decrypt(session, key, &mut plain(CKM_RSA_PKCS), &one).as_deref(), Ok(&b"by version 1.5"[..]));
        // SCEP: the same key also signs.
        assert!(p11.sign(session, key, CKM_SHA256_RSA_PKCS, &[], b"data").is_ok());
    }
}

module_test! {
    fn all_invalid_ciphertexts_get_the_same_error(world) {
        let (p11, aws, azure) = world_with_keys(world);
        let mut sha1 = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
        for (slot, spki, right) in [(0, &aws, true), (2, &azure, true), (2, &azure, false)] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            let mut mechanism = if right { with(CKM_RSA_PKCS_OAEP, &mut sha1) } else { plain(CKM_RSA_PKCS) };
            let good = encrypted(world, spki, if right { &OAEP_SHA1 } else { &[] }, b"a secret");
            let mut changed = good.clone();
            changed[100] ^= 1;
            // One in 400 OAEP blocks is by chance also a valid block of version 1.5, so the wrong block is built
            // explicitly.
            let of_another_kind = match right {
                true => encrypted(world, spki, &OAEP_SHA256, b"a secret"),
                false => encrypted(world, spki, &RAW, &[&[0, 3], &[7; 254][..]].concat()),
            };
            for bad in [&changed, &of_another_kind, &vec![0; 256], &vec![0xff; 256]] {
                assert_eq!(p11.decrypt(session, key, &mut mechanism, bad), Err(CKR_ENCRYPTED_DATA_INVALID));
            }
            for length in [0, 1, 255, 257, 2000] {
                let asked = world.requests();
                let outcome = p11.decrypt(session, key, &mut mechanism, &vec![7; length]).unwrap_err();
                assert!([CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_DATA_LEN_RANGE].contains(&outcome), "{length}: 0x{outcome:x}");
                assert_eq!(world.requests(), asked, "refused without a request");
            }
            assert_eq!(p11.decrypt(session, key, &mut mechanism, &good).as_deref(), Ok(&b"a secret"[..]));
        }
        let words: Vec<String> = world.log().lines().filter(|line| line.contains("C_Decrypt: CKR_ENCRYPTED_DATA_INVALID"))
            .filter(|line| line.contains("token \"z\"")).map(|line| line.split("token").nth(1).unwrap().split(" (request").next().unwrap().to_owned()).collect();
        assert!(words.len() == 8 && words.iter().all(|line| *line == words[0]), "{words:?}");
    }
}

module_test! {
    /// OpenSSL's pkcs11-provider sends this if a program names only the hash, or nothing.
    fn oaep_without_mgf_uses_mgf1_with_its_hash(world) {
        let (p11, aws, azure) = world_with_keys(world);
        for (slot, spki) in [(0, aws), (2, azure)] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            for (hash, options) in [(CKM_SHA_1, &OAEP_SHA1[..]), (CKM_SHA256, &OAEP_SHA256[..]), (0, &OAEP_SHA1[..])] {
                let ciphertext = encrypted(world, &spki, options, b"text");
                let mut parameters = oaep(hash, 0);
                let text = p11.decrypt(session, key, &mut with(CKM_RSA_PKCS_OAEP, &mut parameters), &ciphertext);
                assert_eq!(text.as_deref(), Ok(&b"text"[..]), "slot {slot}, hash 0x{hash:x}: {}", world.log());
            }
        }
        assert!(world.log().contains("info: CKM_RSA_PKCS_OAEP: mgf 0 is taken for MGF1 with the same hash, SHA-256"));
    }
}

module_test! {
    fn a_key_that_is_for_something_else_is_refused_with_the_reason(world) {
        let (p11, ..) = world_with_keys(world);
        let session = p11.open(1);
        let (key, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        let mut sha1 = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
        let asked = world.requests();
        let refused = c!(p11, C_DecryptInit(session, &mut with(CKM_RSA_PKCS_OAEP, &mut sha1), key));
        assert_eq!(refused, Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert!(world.log().contains("can sign or decrypt, but not both"), "{}", world.log());
        assert_eq!(c!(p11, C_EncryptInit(session, &mut plain(CKM_RSA_PKCS), public)), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        for (kind, is_so) in [(CKA_SIGN, CK_TRUE), (CKA_DECRYPT, CK_FALSE), (CKA_UNWRAP, CK_FALSE), (CKA_DERIVE, CK_FALSE)] {
            assert_eq!(p11.attribute(session, key, kind), Ok(vec![is_so]), "{kind:x}");
        }
        assert_eq!(p11.attribute(session, public, CKA_ENCRYPT), Ok(vec![CK_FALSE]));
        let decrypting = p11.open(0);
        let key = p11.private_key(decrypting);
        assert_eq!(c!(p11, C_DecryptInit(decrypting, &mut plain(CKM_RSA_PKCS), key)), Err(CKR_MECHANISM_INVALID), "AWS has no v1.5");
        assert_eq!(p11.attribute(decrypting, key, CKA_DECRYPT), Ok(vec![CK_TRUE]));
        assert_eq!(p11.attribute(decrypting, key, CKA_SIGN), Ok(vec![CK_FALSE]));
        assert!(world.requests() <= asked + 1, "one request, to load the other key");
    }
}

module_test! {
    fn encryption_needs_no_service(world) {
        let (p11, ..) = world_with_keys(world);
        for slot in [0, 2] {
            let session = p11.open(slot);
            let (private, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
            let asked = world.requests();
            let mut sha256 = oaep(CKM_SHA256, CKG_MGF1_SHA256);
            let text = p11.encrypt(session, public, &mut with(CKM_RSA_PKCS_OAEP, &mut sha256), b"hello").unwrap();
            assert_eq!(p11.encrypt(session, public, &mut with(CKM_RSA_PKCS_OAEP, &mut sha256), &[7; 191]), Err(CKR_DATA_LEN_RANGE));
            assert_eq!(world.requests(), asked);
            assert_eq!(p11.decrypt(session, private, &mut with(CKM_RSA_PKCS_OAEP, &mut sha256), &text).as_deref(), Ok(&b"hello"[..]));
            // A multiple-part operation: the parts are buffered until the end.
            c!(p11, C_EncryptInit(session, &mut with(CKM_RSA_PKCS_OAEP, &mut sha256), public)).unwrap();
            for part in [&b"hel"[..], b"", b"lo"] {
                let (part, length) = pointer_and_length(part);
                assert_eq!(output_of(|out, room| c!(p11, C_EncryptUpdate(session, part, length, out, room))), Ok(Vec::new()));
            }
            let text = output_of(|out, room| c!(p11, C_EncryptFinal(session, out, room))).unwrap();
            c!(p11, C_DecryptInit(session, &mut with(CKM_RSA_PKCS_OAEP, &mut sha256), private)).unwrap();
            for part in text.chunks(100) {
                let (part, length) = pointer_and_length(part);
                assert_eq!(output_of(|out, room| c!(p11, C_DecryptUpdate(session, part, length, out, room))), Ok(Vec::new()));
            }
            assert_eq!(output_of(|out, room| c!(p11, C_DecryptFinal(session, out, room))).as_deref(), Ok(&b"hello"[..]));
        }
    }
}

module_test! {
    fn a_plaintext_that_does_not_fit_is_kept_for_the_next_call(world) {
        let (p11, aws, _) = world_with_keys(world);
        let session = p11.open(0);
        let key = p11.private_key(session);
        let mut sha1 = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
        let ciphertext = encrypted(world, &aws, &OAEP_SHA1, b"0123456789");
        let (data, length) = pointer_and_length(&ciphertext);
        c!(p11, C_DecryptInit(session, &mut with(CKM_RSA_PKCS_OAEP, &mut sha1), key)).unwrap();
        let (mut buffer, mut room) = ([0u8; 10], 0);
        c!(p11, C_Decrypt(session, data, length, null_mut(), &mut room)).unwrap();
        assert_eq!((room, world.count("kms.Decrypt")), (256 - 42, 0), "the maximum length is returned without a request");
        room = 9;
        assert_eq!(c!(p11, C_Decrypt(session, data, length, buffer.as_mut_ptr(), &mut room)), Err(CKR_BUFFER_TOO_SMALL));
        assert_eq!((room, world.count("kms.Decrypt")), (10, 1));
        c!(p11, C_Decrypt(session, data, length, buffer.as_mut_ptr(), &mut room)).unwrap();
        assert_eq!((&buffer[..], room, world.count("kms.Decrypt")), (&b"0123456789"[..], 10, 1), "one request in total");
        assert_eq!(c!(p11, C_Decrypt(session, data, length, buffer.as_mut_ptr(), &mut room)), Err(CKR_OPERATION_NOT_INITIALIZED));
    }
}

module_test! {
    fn a_wrapped_secret_becomes_an_object_of_the_session(world) {
        let (p11, aws, _) = world_with_keys(world);
        let session = p11.open(0);
        let key = p11.private_key(session);
        let mut sha1 = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
        let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut sha1);
        let wrapped = encrypted(world, &aws, &OAEP_SHA1, &[9; 16]);
        let unwrap = |session, mechanism: &mut CK_MECHANISM, wrapped: &[u8], more: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]| {
            let template = [&[number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_AES)], more].concat();
            let (mut template, (wrapped, length), mut secret) = (attributes(&template), pointer_and_length(wrapped), 0);
            let count = template.len() as CK_ULONG;
            c!(p11, C_UnwrapKey(session, mechanism, key, wrapped, length, template.as_mut_ptr(), count, &mut secret)).map(|()| secret)
        };
        let open = unwrap(session, &mut mechanism, &wrapped, &[(CKA_LABEL, b"aes".to_vec())]).unwrap();
        assert_eq!(p11.attribute(session, open, CKA_VALUE), Ok(vec![9; 16]));
        assert_eq!(p11.number(session, open, CKA_VALUE_LEN), Ok(16));
        assert_eq!(p11.find(session, &[(CKA_LABEL, b"aes".to_vec())]), [open]);
        for hidden in [(CKA_SENSITIVE, vec![CK_TRUE]), (CKA_EXTRACTABLE, vec![CK_FALSE])] {
            let secret = unwrap(session, &mut mechanism, &wrapped, &[hidden]).unwrap();
            assert_eq!(p11.attribute(session, secret, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
            c!(p11, C_DestroyObject(session, secret)).unwrap();
            assert_eq!(p11.attribute(session, secret, CKA_CLASS), Err(CKR_OBJECT_HANDLE_INVALID));
        }
        let asked = world.requests();
        let stays = [(CKA_TOKEN, vec![CK_TRUE])];
        assert_eq!(unwrap(session, &mut mechanism, &wrapped, &stays), Err(CKR_SESSION_READ_ONLY));
        assert_eq!(unwrap(Writer::new(p11, 1).session, &mut mechanism, &wrapped, &stays), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(unwrap(session, &mut mechanism, &wrapped, &[(CKA_MODULUS_BITS + 0x7000, vec![1])]), Err(CKR_ATTRIBUTE_TYPE_INVALID));
        assert_eq!(unwrap(session, &mut mechanism, &wrapped[1..], &[]), Err(CKR_WRAPPED_KEY_LEN_RANGE));
        assert_eq!(world.requests(), asked, "refused without a request");
        assert_eq!(unwrap(session, &mut mechanism, &[7; 256], &[]), Err(CKR_WRAPPED_KEY_INVALID));

        // The secret is wrapped again under a public key, and unwrapped in another session.
        let public = p11.only(session, CKO_PUBLIC_KEY);
        let again = output_of(|out, room| c!(p11, C_WrapKey(session, &mut mechanism, public, open, out, room))).unwrap();
        let other = p11.open(0);
        let same = unwrap(other, &mut mechanism, &again, &[]).unwrap();
        assert_eq!(p11.attribute(other, same, CKA_VALUE), Ok(vec![9; 16]));
        let wrapped = output_of(|out, room| c!(p11, C_WrapKey(session, &mut mechanism, public, key, out, room)));
        assert_eq!(wrapped, Err(CKR_KEY_NOT_WRAPPABLE));

        // The object ends with its session.
        c!(p11, C_CloseSession(session)).unwrap();
        assert_eq!(p11.attribute(other, open, CKA_CLASS), Err(CKR_OBJECT_HANDLE_INVALID));
        assert_eq!(p11.attribute(other, same, CKA_VALUE), Ok(vec![9; 16]));
    }
}

module_test! {
    fn unwrapping_and_decrypting_need_separate_permissions(world) {
        let vault = world.emulator.vault("default");
        vault.create_key("d", VaultKey::rsa(2048).key_ops(&["decrypt"])).unwrap();
        vault.create_key("u", VaultKey::rsa(2048).key_ops(&["unwrapKey"])).unwrap();
        world.configure(json!([{ "label": "d", "key_name": "d" }, { "label": "u", "key_name": "u" }]));
        let p11 = world.module();
        for (slot, name, decrypts) in [(0, "d", true), (1, "u", false)] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            let flag = |attribute| p11.attribute(session, key, attribute).unwrap() == [CK_TRUE];
            assert_eq!((flag(CKA_DECRYPT), flag(CKA_UNWRAP), flag(CKA_SIGN)), (decrypts, !decrypts, false));
            let public = p11.only(session, CKO_PUBLIC_KEY);
            let shown = |attribute| p11.attribute(session, public, attribute).unwrap() == [CK_TRUE];
            assert_eq!((shown(CKA_ENCRYPT), shown(CKA_WRAP), shown(CKA_VERIFY)), (decrypts, !decrypts, false));
            let mut sha256 = oaep(CKM_SHA256, CKG_MGF1_SHA256);
            let begun = c!(p11, C_EncryptInit(session, &mut with(CKM_RSA_PKCS_OAEP, &mut sha256), public));
            assert_eq!(begun, if decrypts { Ok(()) } else { Err(CKR_KEY_FUNCTION_NOT_PERMITTED) }, "nothing could decrypt the result");
            let spki = vault.public_key_spki(name, "").unwrap();
            let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut sha256);
            let wrapped = encrypted(world, &spki, &OAEP_SHA256, &[9; 16]);
            let template = [number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_AES)];
            let (mut template, (bytes, length), mut secret) = (attributes(&template), pointer_and_length(&wrapped), 0);
            let count = template.len() as CK_ULONG;
            let unwrapped = c!(p11, C_UnwrapKey(session, &mut mechanism, key, bytes, length, template.as_mut_ptr(), count, &mut secret));
            let decrypted = p11.decrypt(session, key, &mut mechanism, &wrapped);
            match decrypts {
                true => assert_eq!((decrypted, unwrapped), (Ok(vec![9; 16]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED))),
                false => {
                    assert_eq!((decrypted, unwrapped), (Err(CKR_KEY_FUNCTION_NOT_PERMITTED), Ok(())));
                    assert_eq!(p11.attribute(session, secret, CKA_VALUE), Ok(vec![9; 16]));
                }
            }
        }
        assert_eq!((world.count("vault.keys.decrypt"), world.count("vault.keys.unwrapkey")), (1, 1));
        let log = world.log();
        assert!(log.contains("not for unwrapping: its key_ops are [decrypt]"), "{log}");
        assert!(log.contains("not for decrypting: its key_ops are [unwrapKey]"), "{log}");
    }
}

module_test! {
    fn plaintexts_are_never_logged(world) {
        let (p11, aws, azure) = world_with_keys(world);
        let text = b"the-plaintext-itself";
        let mut sha1 = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
        for (slot, spki) in [(0, &aws), (2, &azure)] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            let ciphertext = encrypted(world, spki, &OAEP_SHA1, text);
            let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut sha1);
            assert_eq!(p11.decrypt(session, key, &mut mechanism, &ciphertext).as_deref(), Ok(&text[..]));
            for action in [Action::TruncatedBody, Action::GarbageBody, Action::WrongLengthSignature] {
                let operation = if slot == 0 { "kms.Decrypt" } else { "vault.keys.decrypt" };
                world.emulator.control().fault(Fault::new(operation, action).times(4));
                let _ = p11.decrypt(session, key, &mut mechanism, &ciphertext);
                world.emulator.control().clear_faults();
            }
        }
        let log = world.log();
        for secret in ["the-plaintext-itself", "dGhlLXBsYWludGV4dC1pdHNlbG", "7468652d706c61696e74657874"] {
            assert!(!log.contains(secret), "{log}");
        }
    }
}

module_test! {
    fn an_expired_key_still_decrypts_and_verifies(world) {
        let (vault, now) = (world.emulator.vault("default"), world.emulator.control().now());
        vault.create_key("late", VaultKey::rsa(2048)).unwrap();
        world.configure(json!([{ "label": "late", "key_name": "late" }]));
        let p11 = world.module();
        let before = p11.open(0);
        let signature = p11.sign(before, p11.private_key(before), CKM_SHA256_RSA_PKCS, &[], b"data").unwrap();
        p11.finalize().unwrap();
        vault.set_validity("late", "", None, Some(now - 1000)).unwrap();
        p11.initialize().unwrap();
        let session = p11.open(0);
        let (key, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        let flag = |object, attribute| p11.attribute(session, object, attribute).unwrap() == [CK_TRUE];
        assert_eq!((flag(key, CKA_SIGN), flag(key, CKA_DECRYPT), flag(key, CKA_UNWRAP)), (false, true, true));
        assert_eq!((flag(public, CKA_VERIFY), flag(public, CKA_ENCRYPT), flag(public, CKA_WRAP)), (true, true, true));
        assert_eq!(p11.mechanisms(session, key), [CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP]);
        assert_eq!(p11.verify(session, public, &mut plain(CKM_SHA256_RSA_PKCS), b"data", &signature), Ok(()));
        assert_eq!(p11.sign(session, key, CKM_SHA256_RSA_PKCS, &[], b"data"), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert!(world.log().contains("not for signing: it expired at "), "{}", world.log());
        let old = encrypted(world, &vault.public_key_spki("late", "").unwrap(), &OAEP_SHA1, b"old");
        let mut sha1 = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
        assert_eq!(p11.decrypt(session, key, &mut with(CKM_RSA_PKCS_OAEP, &mut sha1), &old).as_deref(), Ok(&b"old"[..]));
    }
}
