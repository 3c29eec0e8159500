//! The configuration file: who may write to it, and what the log says if there is none.

use crate::support::p11::P11;
use crate::support::world::{World, module_path, redirected};
use cryptoki_sys::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Initializes the module. Returns the result of C_Initialize, and what the module wrote to standard error.
fn initialized(world: &World) -> (Result<(), CK_RV>, String) {
    let path = world.home.join("stderr");
    let answer = redirected(&path, || P11::load(&module_path()).initialize());
    (answer, std::fs::read_to_string(path).unwrap())
}

crate::module_test! {
    fn a_file_that_everybody_can_write_to_is_refused(world) {
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
        let file = world.home.join("config.json");
        set_mode(&file, 0o666);
        let (answer, said) = initialized(world);
        assert_eq!(answer, Err(CKR_GENERAL_ERROR));
        assert!(said.contains("everybody can write to it (mode 0666): chmod "), "{said}");
        assert!(said.contains(file.to_str().unwrap()), "{said}");
        set_mode(&file, 0o600);
        assert_eq!(initialized(world).0, Ok(()));
    }
}

crate::module_test! {
    fn the_log_file_is_this_users_alone(world) {
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
        world.module();
        let mode = world.home.join("module.log").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

crate::module_test! {
    fn without_any_file_the_log_lists_the_searched_paths(world) {
        unsafe {
            std::env::remove_var("CLOUD_KMS_PKCS11_CONFIG");
            std::env::set_var("CLOUD_KMS_PKCS11_LOG", "info");
        }
        let (answer, said) = initialized(world);
        assert_eq!(answer, Ok(()));
        let user = world.home.join(".config/cloud-kms-pkcs11/config.json");
        assert!(said.contains(&format!("no configuration file found; searched {}, ", user.display())), "{said}");
        assert!(said.contains("; there are no slots; create one of these files"), "{said}");
    }
}
