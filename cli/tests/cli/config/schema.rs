//! `config schema`: an independent validator, Python's jsonschema, accepts what the module accepts, and refuses what it
//! refuses.

use crate::support::World;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Writes the first mistake in each file, or null.
const VALIDATOR: &str = "
import json, sys
from jsonschema import Draft7Validator
given = json.load(sys.stdin)
Draft7Validator.check_schema(given['schema'])
validator = Draft7Validator(given['schema'])
errors = [next(validator.iter_errors(file), None) for file in given['files']]
json.dump([error and f'{error.json_path}: {error.message}' for error in errors], sys.stdout)
";

/// Returns a Python that has jsonschema: the one in PATH, or the system's, for which Debian has the package.
fn python() -> &'static str {
    let has_validator = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import jsonschema"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(has_validator)
        .expect("install python3-jsonschema: no python3 has it")
}

/// Returns the first mistake in each file according to the schema that the tool writes.
fn validate(world: &World, files: &[Value]) -> Vec<Option<String>> {
    let schema = world.run(&["config", "schema"]).json();
    let mut python =
        Command::new(python()).args(["-c", VALIDATOR]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = json!({ "schema": schema, "files": files }).to_string();
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the pages in a folder and below.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let inner = folders.iter().flat_map(|folder| pages(folder));
    files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")).chain(inner).collect()
}

/// Variables of the shell in the pages, with values for them. A name that starts with another one comes first.
const VARIABLES: [(&str, &str); 4] = [
    ("$VAULT_ADDR", "https://vault.example:8200"),
    ("$VAULT_CACERT", "ca.pem"),
    ("$VAULT", "my-vault"),
    ("$RING", "projects/my-project/locations/us/keyRings/my-ring"),
];

/// Returns the whole configurations in a page: each starts with a bracket at the start of a line.
fn examples(page: &Path) -> Vec<Value> {
    let mut text = std::fs::read_to_string(page).unwrap();
    for (variable, value) in VARIABLES {
        text = text.replace(variable, value);
    }
    let starts = text.match_indices("\n{").map(|(start, _)| &text[start..]);
    let values = starts.filter_map(|rest| serde_json::Deserializer::from_str(rest).into_iter::<Value>().next()?.ok());
    values.filter(|value| value.get("slots").is_some()).collect()
}

#[test]
fn every_documented_example_is_valid() {
    let example = std::fs::read_to_string(root().join("config.example.json")).unwrap();
    let mut files = vec![serde_json::from_str(&example).unwrap()];
    let pages = [root().join("README.md")].into_iter().chain(pages(&root().join("docs")));
    files.extend(pages.flat_map(|page| examples(&page)));
    assert!(files.len() > 7, "{}", files.len());
    for (file, mistake) in files.iter().zip(validate(&World::new(), &files)) {
        assert_eq!(mistake, None, "{file:#}");
    }
}

/// Slots that both the module and the schema refuse.
fn wrong_slots() -> Vec<Value> {
    let ring = "projects/p/locations/l/keyRings/r";
    vec![
        json!({}),
        json!({ "kms_key_id": 5 }),
        json!({ "kms_key_id": "" }),
        json!({ "kms_keyid": "k" }),
        json!({ "kms_key_id": "k", "key_name": "k" }),
        json!({ "kms_key_id": "k", "discover": true, "label": "l" }),
        json!({ "discover": true, "cloud": "aws" }),
        json!({ "discover": false, "cloud": "aws" }),
        json!({ "keys": [{ "kms_key_id": "k" }] }),
        json!({ "label": "l", "keys": [], "cloud": "aws" }),
        json!({ "label": "l", "keys": [{ "kms_key_arn": "k" }] }),
        json!({ "label": "l", "keys": [{ "kms_key_id": "k", "aws_region": "r" }] }),
        json!({ "kms_key_id": "k", "log_level": "debug" }),
        json!({ "kms_key_id": "k", "retries": -1 }),
        json!({ "kms_key_id": "k", "retries": "3" }),
        json!({ "kms_key_id": "k", "call_timeout_ms": 0 }),
        json!({ "kms_key_id": "k", "call_timeout_ms": 4294967296u64 }),
        json!({ "kms_key_id": "k", "hide_keys": ["P256"] }),
        json!({ "kms_key_id": "k", "hide_keys": "P-256" }),
        json!({ "kms_key_id": "k", "allow": ["sign"] }),
        json!({ "kms_key_id": "k", "aws_failover_regions": ["EU"] }),
        json!({ "kms_key_id": "k", "login": "password" }),
        json!({ "kms_key_id": "k", "proxy": "proxy:3128" }),
        json!({ "kms_key_id": "k", "certificate_path": "a", "acm_certificate_arn": "b" }),
        json!({ "key_name": "a_b", "vault_url": "https://v" }),
        json!({ "key_name": "k", "vault_url": "http://v" }),
        json!({ "key_name": "k", "vault_url": "https://v/path" }),
        json!({ "key_name": "k", "vault_url": "https://v", "key_version": "a-b" }),
        json!({ "key_name": "k", "vault_url": "https://v", "azure_client_secret": "a", "azure_client_secret_file": "b" }),
        json!({ "transit_key": "a/b", "vault_address": "https://v" }),
        json!({ "transit_key": "k", "vault_address": "https://v", "vault_token": "a", "vault_token_file": "b" }),
        json!({ "google_key": ring }),
        json!({ "google_key": format!("{ring}/cryptoKeys/k"), "google_key_ring": format!("x{ring}") }),
        json!({ "google_key": format!("{ring}/cryptoKeys/k"), "google_impersonate_service_account": "me" }),
        json!({ "google_key": format!("{ring}/cryptoKeys/k"), "google_universe_domain": "com" }),
    ]
}

#[test]
fn wrong_files_are_refused_by_both() {
    let world = World::new();
    let good = json!({ "slots": [{ "kms_key_id": "k" }] });
    let mut files: Vec<Value> = wrong_slots().into_iter().map(|slot| json!({ "slots": [slot] })).collect();
    for (name, value) in
        [("log_level", json!("loud")), ("kms_key_id", json!("k")), ("cache", json!(1)), ("$schema", json!(1))]
    {
        let mut file = good.clone();
        file[name] = value;
        files.push(file);
    }
    files.extend([json!({}), json!([]), json!({ "slots": {} }), good]);
    let module_refuses = |file: &Value| {
        std::fs::write(world.path("config.json"), file.to_string()).unwrap();
        world.run(&["config", "check"]).code == Some(1)
    };
    let of_module: Vec<bool> = files.iter().map(module_refuses).collect();
    let of_schema = validate(&world, &files);
    for (index, file) in files.iter().enumerate() {
        let is_wrong = index + 1 < files.len();
        assert_eq!(
            (of_module[index], of_schema[index].is_some()),
            (is_wrong, is_wrong),
            "(refused by the module, by the schema): {file}"
        );
    }
}
