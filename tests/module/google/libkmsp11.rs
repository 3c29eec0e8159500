//! The YAML file of libkmsp11, Google's own module: the tokens and objects have the names that libkmsp11 gives them. The
//! module reaches the emulator by Google's own names, through a proxy.

use super::{P256, configure, names, sign, verifies};
use crate::module_test;
use crate::support::login_slots::{set, token_info};
use crate::support::p11::P11;
use crate::support::world::World;
use cloud_kms_emulator::GoogleKey;
use cryptoki_sys::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const RING: &str = "projects/my-project/locations/us/keyRings/my-key-ring";
const SECOND: &str = "projects/my-project/locations/us/keyRings/second-ring";

fn made(world: &World, ring: &str, id: &str, key: GoogleKey) -> String {
    world.emulator.google().create_key(id, key.key_ring(ring)).unwrap().version
}

/// Sets the variables of a program that uses libkmsp11. There is no file of this module.
fn use_yaml(world: &World, text: &str) -> P11 {
    configure(world, json!([]), json!({}));
    std::fs::remove_file(world.home.join("config.json")).unwrap();
    unsafe { std::env::remove_var("CLOUD_KMS_PKCS11_CONFIG") };
    let path = world.home.join("pkcs11-config.yaml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    for (variable, value) in [
        ("KMS_PKCS11_CONFIG", path.to_str().unwrap()),
        ("GOOGLE_APPLICATION_CREDENTIALS", world.home.join("account.json").to_str().unwrap()),
        ("HTTPS_PROXY", &world.emulator.http_url()),
        ("SSL_CERT_FILE", world.home.join("ca.pem").to_str().unwrap()),
    ] {
        set(variable, value);
    }
    world.module()
}

fn trimmed(padded: &[u8]) -> &str {
    std::str::from_utf8(padded).unwrap().trim_end()
}

module_test! {
    fn tokens_and_objects_have_their_names(world) {
        let foo = made(world, RING, "foo", GoogleKey::new(P256).versions(2));
        let second = made(world, SECOND, "bar", GoogleKey::new(P256).label("pkcs11-label", "labeled"));
        made(world, RING, "soft", GoogleKey::new(P256).protection_level("SOFTWARE"));
        made(world, RING, "edwards", GoogleKey::new("EC_SIGN_ED25519"));
        let home = world.home.display();
        let p11 = use_yaml(world, &format!(
            "---\ntokens:\n  - key_ring: \"{RING}\"\n    label: \"my key ring\"\n  - key_ring: \"{SECOND}\"\nlog_directory: \"{home}\"\n",
        ));
        assert_eq!((p11.slots(), p11.token_label(0), p11.token_label(1)), (vec![0, 1], "my key ring".into(), String::new()));
        for slot in [0, 1] {
            let token = token_info(p11, slot);
            let texts = [&token.manufacturerID[..], &token.model, &token.serialNumber].map(|padded| trimmed(padded).to_owned());
            assert_eq!(texts, ["Google", "Cloud KMS Token", "0000000000000000"]);
            let mut info: CK_SLOT_INFO = unsafe { std::mem::zeroed() };
            crate::c!(p11, C_GetSlotInfo(slot, &mut info)).unwrap();
            assert_eq!(trimmed(&info.slotDescription), "A virtual slot mapped to a key ring in Google Cloud KMS");
        }
        let first = foo.replace("Versions/2", "Versions/1");
        let row = |label: &str, id: &str| (label.to_owned(), id.to_owned());
        assert_eq!(names(p11, p11.open(0)), [row("foo", &first), row("foo", &foo)]);
        assert_eq!(names(p11, p11.open(1)), [row("labeled", &second)]);
        assert!(p11.find_class(p11.open(0), CKO_CERTIFICATE).is_empty());
        assert!(verifies(world, &second, &sign(p11, 1).unwrap()));
        let log = std::fs::read_to_string(world.home.join("libkmsp11.log")).unwrap();
        assert!(log.contains(" info: "), "{log}");
    }
}

module_test! {
    fn generated_certificates_are_shown(world) {
        let version = made(world, RING, "foo", GoogleKey::new(P256));
        made(world, RING, "soft", GoogleKey::new(P256).protection_level("SOFTWARE"));
        let p11 = use_yaml(world, &format!("tokens:\n- key_ring: {RING}\n  label: all\ngenerate_certs: true\nallow_software_keys: true\n"));
        let session = p11.open(0);
        assert_eq!(names(p11, session).len(), 2, "a software key is shown");
        let id = (CKA_ID, version.clone().into_bytes());
        let found = p11.find(session, &[crate::support::p11::number(CKA_CLASS, CKO_CERTIFICATE), id]);
        assert_eq!(found.len(), 1);
        let der = p11.attribute(session, found[0], CKA_VALUE).unwrap();
        let path = world.home.join("generated.der");
        std::fs::write(&path, der).unwrap();
        let output = Command::new("openssl").args(["x509", "-inform", "DER", "-noout", "-subject", "-pubkey", "-in"]).arg(path).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("CN = foo\n"), "{shown}");
        let spki = world.emulator.google().public_key_spki(&version).unwrap();
        let body: String = shown.lines().skip_while(|line| !line.starts_with("-----BEGIN")).filter(|line| !line.starts_with('-')).collect();
        assert_eq!(<base64ct::Base64 as base64ct::Encoding>::decode_vec(&body).unwrap(), spki, "the certificate has the key's public half");
    }
}
