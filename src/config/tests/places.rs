//! Where files are looked for, and what variables do.

use super::*;

const SLOT: &str = r#"{"slots": [{"kms_key_id": "LABEL"}]}"#;

fn labelled(label: &str) -> String {
    SLOT.replace("LABEL", label)
}

#[test]
fn nothing_is_no_error_and_says_nothing() {
    let mut world = World::new().set("HOME", "ROOT/home");
    assert_eq!(world.config(), Config::default());
    assert!(world.notes.is_empty());
    assert_eq!(World::new().config(), Config::default());
}

#[test]
fn own_file_is_the_variables_then_the_users_then_the_systems() {
    let world = || {
        World::new()
            .file("named.json", labelled("named"))
            .file("xdg/cloud-kms-pkcs11/config.json", labelled("xdg"))
            .file("home/.config/cloud-kms-pkcs11/config.json", labelled("home"))
            .file(OWN, labelled("etc"))
            .file(AWS, labelled("old"))
            .set("HOME", "ROOT/home")
    };
    assert_eq!(labels(&world().set("CLOUD_KMS_PKCS11_CONFIG", "ROOT/named.json").config()), ["named"]);
    assert_eq!(labels(&world().set("XDG_CONFIG_HOME", "ROOT/xdg").config()), ["xdg"]);
    assert_eq!(labels(&world().config()), ["home"]);
    assert_eq!(labels(&world().set("XDG_CONFIG_HOME", "").config()), ["etc"]);
    assert_eq!(labels(&world().set("XDG_CONFIG_HOME", "ROOT/none").config()), ["etc"]);
    assert_eq!(labels(&world().set("HOME", "ROOT/none").config()), ["etc"]);
}

#[test]
fn a_file_named_by_a_variable_must_exist() {
    for name in ["CLOUD_KMS_PKCS11_CONFIG", "AWS_KMS_PKCS11_CONFIG"] {
        let error = World::new().file(AWS, labelled("x")).set(name, "ROOT/none.json").read().unwrap_err();
        assert!(error.starts_with(&format!("{name} names /none.json, which can't be read")), "{error}");
    }
}

#[test]
fn a_broken_own_file_is_an_error_and_no_other_is_read() {
    assert_eq!(
        error_of(own("{\n").file(AWS, labelled("old"))),
        "2: expected a name in double quotes, found the end of the file"
    );
    assert_eq!(error_of(own("").file(AWS, labelled("old"))), "1: expected a value, found the end of the file");
}

#[test]
fn old_files_are_searched_likewise_and_both_names_are_loaded() {
    let azure = r#"{"slots": [{"key_name": "azure", "vault_url": "https://v.vault.azure.net/"}]}"#;
    let world = || {
        World::new()
            .file("named.json", labelled("named"))
            .file("xdg/aws-kms-pkcs11/config.json", labelled("xdg"))
            .file("home/.config/aws-kms-pkcs11/config.json", labelled("home"))
            .file(AWS, labelled("etc"))
            .file("home/.config/azure-keyvault-pkcs11/config.json", azure)
            .set("HOME", "ROOT/home")
    };
    assert_eq!(labels(&world().set("AWS_KMS_PKCS11_CONFIG", "ROOT/named.json").config()), ["named", "azure"]);
    assert_eq!(labels(&world().config()), ["home", "azure"]);
    assert_eq!(labels(&world().set("XDG_CONFIG_HOME", "ROOT/xdg").config()), ["xdg"]);
    assert_eq!(labels(&world().set("XDG_CONFIG_HOME", "").config()), ["etc"]);
}

#[test]
fn an_old_file_that_cant_be_parsed_is_logged_and_the_next_one_read() {
    let mut world = World::new()
        .file("home/.config/aws-kms-pkcs11/config.json", "{\n\"slots\": [}")
        .file(AWS, labelled("etc"))
        .set("HOME", "ROOT/home");
    assert_eq!(labels(&world.config()), ["etc"]);
    let file = "/home/.config/aws-kms-pkcs11/config.json";
    assert_eq!(world.notes(Level::Error), format!("{file}:2: expected a value, found '}}'; the file is ignored"));
    for absent in ["", "null"] {
        world = world.file("home/.config/aws-kms-pkcs11/config.json", absent);
        assert_eq!(labels(&world.config()), ["etc"]);
    }
}

#[test]
fn variables_win_over_the_files_log() {
    let text = r#"{"log_level": "warn", "log_file": "log", "slots": []}"#;
    let mut world = own(text);
    let config = world.config();
    assert_eq!(config.log_level, Some(Level::Warn));
    assert_eq!(config.log_file, Some(world.path("etc/cloud-kms-pkcs11/log")));

    let mut world = world.set("CLOUD_KMS_PKCS11_LOG", "Debug").set("CLOUD_KMS_PKCS11_LOG_FILE", "ROOT/other");
    let config = world.config();
    assert_eq!(config.log_level, Some(Level::Debug));
    assert_eq!(config.log_file, Some(world.path("other")));

    let mut world = world.set("CLOUD_KMS_PKCS11_LOG_DESTINATION", "syslog");
    assert!(world.config().log_to_syslog);
    let mut world = world.set("CLOUD_KMS_PKCS11_LOG_DESTINATION", "stderr");
    assert_eq!((world.config().log_to_syslog, world.config().log_file), (false, None));
    let mut world = world.set("CLOUD_KMS_PKCS11_LOG_DESTINATION", "printer");
    assert!(world.config().log_file.is_some());
    assert!(world.notes(Level::Error).contains("unknown destination \"printer\""));

    let mut world = world.set("CLOUD_KMS_PKCS11_LOG", "loud");
    assert_eq!(world.config().log_level, Some(Level::Warn));
    assert!(world.notes(Level::Error).contains("unknown level \"loud\"; known are off, error, warn, info, debug"));
}

#[test]
fn an_old_file_that_cant_be_read_is_noted() {
    let mut world = World::new().file("etc/aws-kms-pkcs11/config.json/a_folder", "");
    assert_eq!(world.config(), Config::default());
    assert!(world.notes(Level::Warn).starts_with("/etc/aws-kms-pkcs11/config.json: "), "{}", world.notes(Level::Warn));
}
