//! CK_TOKEN_INFO: the fields by which programs identify a token.

use crate::support::login_slots::token_info;
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::{CK_INFO, CK_SLOT_ID};
use serde_json::json;

fn text(field: &[u8]) -> String {
    std::str::from_utf8(field).expect("UTF-8").trim_end().to_owned()
}

crate::module_test! {
    fn a_long_label_is_cut_between_characters(world) {
        // 31 bytes, followed by a character of two, three or four bytes. Then a label with a character that ends
        // at byte 32.
        let labels = ["\u{e9}", "\u{20ac}", "\u{1f511}"].map(|last| format!("{}{last}", "x".repeat(31)));
        let whole = format!("{}\u{e9}tail", "y".repeat(30));
        world.configure(json!([
            { "label": labels[0], "kms_key_id": "alias/a" },
            { "label": labels[1], "kms_key_id": "alias/b" },
            { "label": labels[2], "key_name": "c" },
            { "label": whole, "key_name": "d" },
        ]));
        let p11 = world.module();
        for slot in 0..3 {
            assert_eq!(text(&token_info(p11, slot).label), "x".repeat(31));
        }
        assert_eq!(text(&token_info(p11, 3).label), format!("{}\u{e9}", "y".repeat(30)));
        assert_eq!(world.requests(), 0);
    }
}

crate::module_test! {
    fn tokens_of_our_own_file_have_serial_numbers_of_their_own(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.emulator.vault("default").create_key("a", VaultKey::ec("P-256")).unwrap();
        world.configure(json!([
            { "label": "one", "kms_key_id": "alias/a" },
            { "label": "two", "kms_key_id": "alias/b" },
            { "label": "three", "key_name": "a" },
            { "label": "four", "discover": true, "cloud": "aws" },
            { "label": "five", "discover": true, "cloud": "azure" },
        ]));
        let p11 = world.module();
        let serials = || -> Vec<String> { (0..5).map(|slot| text(&token_info(p11, slot as CK_SLOT_ID).serialNumber)).collect() };
        let before = serials();
        let mut different = before.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 5, "{before:?}");
        assert!(before.iter().all(|serial| serial.len() == 16), "{before:?}");
        assert_eq!(world.requests(), 0, "a serial number costs no request");
        p11.load_all();
        assert_eq!(serials(), before, "loading keys changes no serial number");
    }
}

crate::module_test! {
    fn versions_are_that_of_the_crate(world) {
        world.configure(json!([{ "label": "one", "kms_key_id": "alias/a" }]));
        let p11 = world.module();
        let mut info: CK_INFO = unsafe { std::mem::zeroed() };
        crate::c!(p11, C_GetInfo(&mut info)).unwrap();
        let token = token_info(p11, 0);
        let expected = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")].join(".");
        for version in [info.libraryVersion, token.hardwareVersion, token.firmwareVersion] {
            assert_eq!(format!("{}.{}", version.major, version.minor), expected);
        }
    }
}
