//! The configuration's rules, each by an example. A [`World`] is a folder with files and a set of variables.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::ffi::OsString;

const OWN: &str = "etc/cloud-kms-pkcs11/config.json";
const AWS: &str = "etc/aws-kms-pkcs11/config.json";
const AZURE: &str = "etc/azure-keyvault-pkcs11/config.json";
const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const UUID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

struct World {
    root: tempfile::TempDir,
    variables: HashMap<String, OsString>,
    notes: Notes,
}

impl World {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), variables: HashMap::new(), notes: Notes::new() }
    }

    fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// A variable; in its value, ROOT is the folder.
    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.replace("ROOT", self.root.path().to_str().unwrap()).into());
        self
    }

    fn read(&mut self) -> Result<Config, String> {
        let variable = |name: &str| self.variables.get(name).cloned();
        let environment = Environment { variable: &variable, root: self.root.path() };
        self.notes.clear();
        read(&environment, &mut self.notes).map_err(|error| {
            assert_eq!(error.rv, cryptoki_sys::CKR_GENERAL_ERROR);
            self.hide_root(&error.message)
        })
    }

    fn config(&mut self) -> Config {
        self.read().unwrap()
    }

    fn notes(&self, level: Level) -> String {
        let notes: Vec<_> =
            self.notes.iter().filter(|note| note.0 == level).map(|note| self.hide_root(&note.1)).collect();
        notes.join("\n")
    }

    fn hide_root(&self, text: &str) -> String {
        text.replace(self.root.path().to_str().unwrap(), "")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

fn own(text: &str) -> World {
    World::new().file(OWN, text)
}

/// Our own file with one slot of these members.
fn slot(members: &str) -> World {
    own(&format!("{{\"slots\": [{{{members}}}]}}"))
}

fn error_of(mut world: World) -> String {
    let error = world.read().unwrap_err();
    error.strip_prefix("/etc/cloud-kms-pkcs11/config.json:").unwrap_or(&error).to_owned()
}

fn labels(config: &Config) -> Vec<&str> {
    config.slots.iter().map(|slot| slot.label.as_str()).collect()
}

fn only_key(config: &Config) -> &Key {
    match &config.slots[0].keys {
        Keys::Named(keys) if keys.len() == 1 => &keys[0],
        other => panic!("{other:?}"),
    }
}

fn aws_of(slot: &Slot) -> &aws::Settings {
    match &slot.service {
        Service::Aws(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn azure_of(slot: &Slot) -> &azure::Settings {
    match &slot.service {
        Service::Azure(settings) => settings,
        other => panic!("{other:?}"),
    }
}

mod places {
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
        let world = || own(r#"{"log_level": "warn", "log_file": "log", "slots": []}"#);
        let config = world().config();
        assert_eq!(
            (config.log_level, config.log_file),
            (Some(Level::Warn), Some(world().path("etc/cloud-kms-pkcs11/log")).map(|_| world().path("")).and(None))
        );
    }
}
