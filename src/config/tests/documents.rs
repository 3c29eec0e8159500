//! The example file and the document contain exactly the options that the reader accepts.

use crate::config::json::{Data, Dialect, Value, parse};
use crate::config::options::{OPTIONS, OptionRow, Scope};
use crate::config::tests::*;
use std::collections::BTreeSet;

const EXAMPLE: &str = include_str!("../../../config.example.json");
const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

#[test]
fn the_example_is_valid_and_shows_every_option() {
    let mut world = own(EXAMPLE).set("HOME", "/home/me");
    // The example contains an application's secret, which would cause a warning.
    world.set_mode(OWN, 0o600);
    assert!(!world.config().slots.is_empty());
    assert_eq!(world.notes(Level::Warn), "");
    let example = parse(EXAMPLE, Dialect::Strict).unwrap();
    let mut shown = BTreeSet::new();
    collect(&example.value, &mut shown);
    let known: BTreeSet<String> = OPTIONS.iter().map(|row| row.name.to_owned()).collect();
    let (missing, unknown) = (&known - &shown, &shown - &known);
    assert!(missing.is_empty(), "config.example.json does not show {missing:?}");
    assert!(unknown.is_empty(), "config.example.json has {unknown:?}, which are no options");
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match &value.data {
        Data::Object(members) => members.iter().for_each(|member| {
            names.insert(member.name.to_string());
            collect(&member.value, names);
        }),
        Data::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[test]
fn the_document_contains_the_option_table() {
    let table: Vec<String> = OPTIONS.iter().map(line).collect();
    let found: Vec<&str> = DOCUMENT.lines().skip_while(|line| !line.starts_with("| option")).skip(2).collect();
    let found: Vec<&str> = found.into_iter().take_while(|line| line.starts_with('|')).collect();
    let missing: Vec<&String> = table.iter().filter(|line| !found.contains(&line.as_str())).collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks: {missing:#?}");
    assert_eq!(found, table, "the rows of docs/configuration.md are in another order, or there are too many");
}

/// The metrics contain the names of causes, which the document lists.
#[test]
fn the_document_of_the_metrics_has_every_cause() {
    let document = include_str!("../../../docs/monitoring.md");
    for (cause, _, number, text, name) in crate::cloud::CAUSES {
        let line = format!("| `{name}` | {number} | {text} |");
        assert!(document.contains(&line), "docs/monitoring.md lacks {line}");
        assert_eq!(cause.name(), *name);
    }
}

fn line(row: &OptionRow) -> String {
    let places: Vec<_> = row.scopes.iter().map(|scope| scope_name(*scope)).collect();
    format!("| `{}` | {} | {} | {} |", row.name, places.join(", "), row.meaning, row.default)
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Top => "top level",
        Scope::Slot => "slot",
        Scope::Key => "key",
    }
}

#[test]
fn kinds_of_keys_are_those_that_keys_have() {
    use crate::key::Kind;
    for kind in Kind::all() {
        let name = kind.name();
        let config = slot(&format!(r#""kms_key_id": "k", "hide_keys": ["{name}"]"#)).config();
        assert_eq!(config.slots[0].hide_keys, [name]);
    }
}
