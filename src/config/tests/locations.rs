//! Tests of the paths of configuration files, and of the environment variables.

use crate::config::tests::*;

const SLOT: &str = r#"{"slots": [{"kms_key_id": "LABEL"}]}"#;

fn labelled(label: &str) -> String {
    SLOT.replace("LABEL", label)
}

/// Returns the log messages at level info. Fails if there is a message at another level.
fn info_messages(mut world: TestEnvironment) -> String {
    world.config();
    assert!(world.notes.iter().all(|note| note.0 == Level::Info), "{:?}", world.notes);
    world.notes(Level::Info)
}

#[test]
fn no_file_is_no_error_and_the_log_lists_the_searched_paths() {
    let mut world = TestEnvironment::new().set("HOME", "ROOT/home");
    assert_eq!(world.config(), Config::default());
    let system = "/etc/cloud-kms-pkcs11/config.json, /etc/aws-kms-pkcs11/config.json, \
                  /etc/azure-keyvault-pkcs11/config.json";
    let end = "there are no slots; create one of these files, or name another in CLOUD_KMS_PKCS11_CONFIG";
    let user = |name: &str| format!("/home/.config/{name}/config.json, /etc/{name}/config.json");
    let all = ["cloud-kms-pkcs11", "aws-kms-pkcs11", "azure-keyvault-pkcs11"].map(user).join(", ");
    assert_eq!(info_messages(world), format!("no configuration file found; searched {all}; {end}"));
    let home = "no user's directory, because HOME is not set";
    assert_eq!(
        info_messages(TestEnvironment::new()),
        format!("no configuration file found; searched {system} ({home}); {end}")
    );
    let empty = "no user's directory, because XDG_CONFIG_HOME is empty";
    let world = TestEnvironment::new().set("HOME", "ROOT/home").set("XDG_CONFIG_HOME", "");
    assert_eq!(info_messages(world), format!("no configuration file found; searched {system} ({empty}); {end}"));
    assert!(
        info_messages(TestEnvironment::new().file(AWS, ""))
            .contains("/etc/aws-kms-pkcs11/config.json (the file is empty)")
    );
}

#[test]
fn services_selected_by_variables_are_logged() {
    let aws = "AWS_REGION, AWS_DEFAULT_REGION or AWS_PROFILE selects AWS KMS";
    let end = ", so every key there becomes a slot";
    assert!(info_messages(TestEnvironment::new().set("AWS_REGION", "r")).ends_with(&format!("; {aws}{end}")));
    let both = TestEnvironment::new().set("AWS_PROFILE", "p").set("AZURE_KEYVAULT_URL", "https://v");
    assert!(info_messages(both).ends_with(&format!("; {aws} and AZURE_KEYVAULT_URL selects a vault{end}")));
}

#[test]
fn files_that_are_not_read_are_logged() {
    let world = || {
        TestEnvironment::new()
            .file("home/.config/aws-kms-pkcs11/config.json", labelled("home"))
            .file(AWS, labelled("etc"))
            .set("HOME", "ROOT/home")
    };
    let user = "/home/.config/aws-kms-pkcs11/config.json";
    let skipped = format!("/etc/aws-kms-pkcs11/config.json: not read, because {user} takes precedence");
    assert_eq!(info_messages(world()), format!("reading {user}\n{skipped}"));
    let own = "/etc/cloud-kms-pkcs11/config.json";
    let skipped = |file: &str| format!("{file}: not read, because {own} takes precedence\n");
    let expected = [skipped(user), skipped("/etc/aws-kms-pkcs11/config.json"), format!("{own}: loaded 1 slot")];
    assert_eq!(info_messages(world().file(OWN, labelled("own"))), expected.concat());
    let named = world().file(OWN, labelled("own")).file("n.json", labelled("n"));
    let said = info_messages(named.set("CLOUD_KMS_PKCS11_CONFIG", "ROOT/n.json"));
    assert_eq!(said.matches("not read, because /n.json takes precedence").count(), 3, "{said}");
}

#[test]
fn own_file_is_searched_in_variable_then_user_then_system() {
    let world = || {
        TestEnvironment::new()
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
        let error = TestEnvironment::new().file(AWS, labelled("x")).set(name, "ROOT/none.json").read().unwrap_err();
        assert!(error.starts_with(&format!("{name} names /none.json, which can't be opened: ")), "{error}");
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
fn old_files_are_searched_in_the_same_order_and_both_are_loaded() {
    let azure = r#"{"slots": [{"key_name": "azure", "vault_url": "https://v.vault.azure.net/"}]}"#;
    let world = || {
        TestEnvironment::new()
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
    let mut world = TestEnvironment::new()
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
fn variables_override_the_log_options_of_the_file() {
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
    assert!(world.notes(Level::Error).contains("unknown log destination \"printer\"; set it to stderr or syslog"));

    let mut world = world.set("CLOUD_KMS_PKCS11_LOG", "loud");
    assert_eq!(world.config().log_level, Some(Level::Warn));
    assert!(
        world
            .notes(Level::Error)
            .contains("unknown log level \"loud\"; set it to one of off, error, warn, info, debug")
    );
}

#[test]
fn an_old_file_that_cant_be_read_is_noted() {
    let mut world = TestEnvironment::new().file("etc/aws-kms-pkcs11/config.json/a_folder", "");
    assert_eq!(world.config(), Config::default());
    assert!(
        world.notes(Level::Warn).starts_with("/etc/aws-kms-pkcs11/config.json: can't be read: "),
        "{}",
        world.notes(Level::Warn)
    );
}

#[test]
fn a_file_that_everybody_can_write_to_is_refused() {
    let mut world = own(&labelled("own"));
    world.set_mode(OWN, 0o666);
    let path = world.path(OWN);
    let error = world.read().unwrap_err();
    let file = "/etc/cloud-kms-pkcs11/config.json";
    let why = "refused, because it decides what the module trusts";
    assert!(error.starts_with(&format!("{file}: {why}: everybody can write to it (mode 0666): chmod ")), "{error}");
    assert!(error.ends_with(file), "{error}");
    world.set_mode(OWN, 0o644);
    assert_eq!(labels(&world.config()), ["own"]);
    assert_eq!(world.notes(Level::Warn), "");
    world.set_mode("etc/cloud-kms-pkcs11", 0o777);
    assert_eq!(labels(&world.config()), ["own"]);
    let folder = path.parent().unwrap().display().to_string();
    let warning = format!("{}: everybody can replace it: chmod o-w {folder}", path.display());
    assert_eq!(world.notes(Level::Warn), world.hide_root(&warning));
}

#[test]
fn an_old_file_that_everybody_can_write_to_causes_a_warning() {
    let mut world = TestEnvironment::new().file(AWS, labelled("old"));
    world.set_mode(AWS, 0o646);
    assert_eq!(labels(&world.config()), ["old"]);
    let file = "/etc/aws-kms-pkcs11/config.json";
    assert_eq!(world.notes(Level::Warn), format!("{file}: everybody can write to it (mode 0646): chmod o-w {file}"));
}

#[test]
fn a_secret_that_everybody_can_read_causes_a_warning() {
    let secret = r#""key_name": "k", "vault_url": "https://v", "azure_client_secret": "hush""#;
    let password = r#""kms_key_id": "k", "proxy": "http://me:hush@p:1""#;
    for members in [secret, password] {
        let mut world = slot(members);
        world.config();
        let (file, warning) = ("/etc/cloud-kms-pkcs11/config.json", world.notes(Level::Warn));
        let said = "the file contains a secret, and everybody can read it (mode 0644)";
        assert_eq!(warning, format!("{file}: {said}: chmod o-r {file}"));
        world.set_mode(OWN, 0o640);
        world.config();
        assert_eq!(world.notes(Level::Warn), "");
    }
    let mut world = slot(r#""kms_key_id": "k", "proxy": "http://p:1""#);
    world.config();
    assert_eq!(world.notes(Level::Warn), "", "a proxy URL without a password is not a secret");
}

#[test]
fn an_endpoint_without_tls_on_another_machine_causes_a_warning() {
    let mut world = slot(r#""kms_key_id": "k", "aws_endpoint_url": "http://kms.example.com""#);
    world.config();
    let said =
        "http://kms.example.com: requests go to another machine unencrypted, so others can read them; use https://";
    assert_eq!(
        world.notes(Level::Warn),
        format!("/etc/cloud-kms-pkcs11/config.json:1: slots[0].aws_endpoint_url: {said}")
    );
    for closed in ["http://localhost:4566", "https://kms.example.com"] {
        let mut world = slot(&format!(r#""kms_key_id": "k", "aws_endpoint_url": "{closed}""#));
        world.config();
        assert_eq!(world.notes(Level::Warn), "");
    }
}
