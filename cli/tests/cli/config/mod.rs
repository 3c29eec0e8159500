//! `config check`, `show`, `schema` and `migrate`.

mod migrate;
mod schema;

use crate::support::World;
use serde_json::json;

/// A world whose configuration leads to the emulator, although no command here makes a request.
fn world(slots: serde_json::Value) -> World {
    let world = World::new();
    world.configure(slots);
    world
}

#[test]
fn a_good_configuration_is_ok() {
    let world = world(json!([{ "label": "aws", "kms_key_id": "alias/web" }]));
    let text = world.run(&["config", "check"]).text();
    assert_eq!(text, format!("ok: {}: 1 slot\n", world.path("config.json").display()));
}

#[test]
fn mistakes_have_their_line_and_exit_with_1() {
    let world = world(json!([{ "labl": "aws", "kms_key_id": "alias/web" }, { "kms_key_id": "k", "key_name": "k" }]));
    let run = world.run(&["config", "check"]);
    assert!(run.code == Some(1) && run.stderr.is_empty(), "{run:?}");
    let text = run.stdout();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains(": slots[0]: unknown option \"labl\"; did you mean \"label\"?"), "{text}");
    assert!(lines[1].contains(": slots[1].key_name: can't be combined with \"kms_key_id\""), "{text}");
    let run = world.run(&["config", "check", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((found["mistakes"].as_array().unwrap().len(), &found["slots"], run.code), (2, &json!(0), Some(1)));
}

#[test]
fn warnings_do_not_fail() {
    let world = world(json!([{ "kms_key_id": "k", "certificate_path": "none.pem" }]));
    let mut command = world.command(&["config", "check"]);
    let text = crate::support::Run::of(command.env("CLOUD_KMS_PKCS11_LOGS", "debug")).text();
    for part in ["warning: ", "none.pem: can't be read", "CLOUD_KMS_PKCS11_LOGS is unknown", "ok: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn another_file_can_be_checked() {
    let world = world(json!([]));
    std::fs::write(world.path("other.json"), "{\"slots\": [}").unwrap();
    let run = world.run(&["config", "check", "other.json"]);
    assert!(run.code == Some(1) && run.stdout().starts_with("mistake: other.json:1: "), "{run:?}");
}

#[test]
fn every_value_is_shown_with_its_source() {
    let world = world(json!([
        { "label": "aws", "kms_key_id": "alias/web" },
        { "label": "azure", "key_name": "web", "azure_client_secret": "hush" },
    ]));
    let run = world.run(&["config", "show", "--all"]);
    let (text, code) = (run.stdout(), run.code);
    assert!(code == Some(0) && !text.contains("hush"), "{run:?}");
    let line = |words: &[&str]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    for words in [
        &["kms_key_id", "alias/web", "line 13, slot"][..],
        &["aws_region", "eu-central-1", "line 2, top level"],
        &["azure_client_secret", "(hidden)", "slot"],
        &["azure_tenant_id", "variable AZURE_TENANT_ID"],
        &["retries", "3", "default: 3"],
    ] {
        assert!(line(words), "{words:?}: {text}");
    }
    let shown = world.run(&["config", "show", "--slot", "aws", "--json"]).json();
    assert_eq!(shown["slots"].as_array().unwrap().len(), 1);
    let options = shown["slots"][0]["options"].as_array().unwrap();
    let region = options.iter().find(|option| option["name"] == "aws_region").unwrap();
    let source = json!({ "kind": "file", "path": world.path("config.json"), "line": 2, "section": "top level" });
    assert_eq!((&region["value"], &region["source"]), (&json!("eu-central-1"), &source));
    let missing = world.run(&["config", "show", "--slot", "none"]);
    assert!(missing.error(1).contains("no token has the label \"none\""));
}
