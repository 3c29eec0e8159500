//! The JSON Schema of the module's own file, made from the option table.
//!
//! The schema is of draft-07, which editors support best. The reader knows more: it also refuses options of two clouds in
//! a slot, for example.

use crate::config::file::strict::{CERTIFICATE_OPTIONS, KEY_OPTIONS, LISTED_KEY_OPTIONS};
use crate::config::management::Right;
use crate::config::options::{KEY_KINDS, OptionRow, Scope, ValueKind, allowed};
use crate::host::logging::Level;
use serde_json::{Map, Value, json};

/// Pairs of options that name the same thing in two ways: the thing itself, and a file with it.
const SECRETS: [[&str; 2]; 3] = [
    ["azure_client_secret", "azure_client_secret_file"],
    ["vault_token", "vault_token_file"],
    ["vault_secret_id", "vault_secret_id_file"],
];

/// The name of a key ring, also with what comes before it in the URL of a resource.
const GOOGLE_KEY_RING: &str = "^(//cloudkms\\.googleapis\\.com/|https://cloudkms\\.googleapis\\.com/v1/)?\
                               projects/[^/]+/locations/[^/]+/keyRings/[^/]+";

/// Returns the schema.
pub fn schema() -> Value {
    let mut top = object(Scope::Top, &[]);
    top["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    top["title"] = json!("Configuration of cloud-kms-pkcs11");
    top["required"] = json!(["slots"]);
    top["allOf"] = json!(exclusive(&SECRETS));
    top["definitions"] = json!({ "slot": slot(), "key": key() });
    top
}

fn slot() -> Value {
    let mut slot = object(Scope::Slot, &KEY_OPTIONS);
    slot["dependencies"] = json!({ "keys": ["label"] });
    let mut rules = exclusive(&SECRETS);
    rules.extend(exclusive_certificates());
    rules.push(json!({ "if": discovers(), "then": { "required": ["label"] } }));
    slot["allOf"] = json!(rules);
    slot
}

fn key() -> Value {
    let mut key = object(Scope::Key, &LISTED_KEY_OPTIONS);
    key["allOf"] = json!(exclusive_certificates());
    key
}

/// Returns the schema of an object with the options of that scope, and with exactly one of `choices`.
fn object(scope: Scope, choices: &[&str]) -> Value {
    let properties: Map<String, Value> = allowed(scope).map(|row| (row.name.to_owned(), property(row))).collect();
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !choices.is_empty() {
        object["oneOf"] = choices.iter().map(|name| choice(name)).collect();
    }
    object
}

/// Returns the schema of an object that has this one of the exclusive options.
fn choice(name: &str) -> Value {
    if name == "discover" { discovers() } else { json!({ "required": [name] }) }
}

/// `"discover": false` is the same as no such option.
fn discovers() -> Value {
    json!({ "required": ["discover"], "properties": { "discover": { "const": true } } })
}

fn exclusive(pairs: &[[&str; 2]]) -> Vec<Value> {
    pairs.iter().map(|pair| json!({ "not": { "required": pair } })).collect()
}

fn exclusive_certificates() -> Vec<Value> {
    let options = CERTIFICATE_OPTIONS;
    let others = |index: usize| options[index + 1..].iter();
    let pairs = options.iter().enumerate().flat_map(|(index, one)| others(index).map(move |two| [*one, *two]));
    exclusive(&pairs.collect::<Vec<_>>())
}

fn property(row: &OptionRow) -> Value {
    let mut property = of_kind(row);
    let default = if row.default == "-" { String::new() } else { format!(" Default: {}.", row.default) };
    property["description"] = json!(plain(&format!("{}{default}", row.meaning)));
    property
}

/// Returns a text without the links of Markdown. A link in brackets of its own disappears.
fn plain(text: &str) -> String {
    let mut plain = text.replace(" [Details](", "[Details](");
    while let Some((before, rest)) = plain.split_once('[')
        && let Some((name, rest)) = rest.split_once("](")
        && let Some((_, after)) = rest.split_once(')')
    {
        let (name, after) = if name == "Details" { ("", after.trim_start_matches('.')) } else { (name, after) };
        plain = format!("{before}{name}{after}");
    }
    plain
}

fn of_kind(row: &OptionRow) -> Value {
    let integer = |least: u32| json!({ "type": "integer", "minimum": least, "maximum": u32::MAX });
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let names = |items: Value| json!({ "type": "array", "items": items });
    match row.kind {
        ValueKind::Text | ValueKind::Secret | ValueKind::Path => json!({ "type": "string", "minLength": 1 }),
        ValueKind::Https => pattern("^https://[A-Za-z0-9.:\\[\\]_-]+/?$"),
        ValueKind::Url => pattern("^https?://"),
        ValueKind::Milliseconds => integer(1),
        ValueKind::Count => integer(0),
        ValueKind::Flag => json!({ "type": "boolean" }),
        ValueKind::Choice(choices) => json!({ "enum": choices }),
        ValueKind::LogLevel => json!({ "enum": Level::names() }),
        ValueKind::KeyKinds => names(json!({ "enum": KEY_KINDS })),
        ValueKind::Rights => names(json!({ "enum": Right::NAMES })),
        ValueKind::Regions => names(pattern("^[a-z0-9-]+$")),
        ValueKind::KeyName => pattern("^[0-9A-Za-z-]{1,127}$"),
        ValueKind::TransitName => pattern("^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"),
        ValueKind::GoogleKey => pattern(&format!("{GOOGLE_KEY_RING}/cryptoKeys/[^/]+(/cryptoKeyVersions/[^/]+)?$")),
        ValueKind::GoogleKeyRing => pattern(&format!("{GOOGLE_KEY_RING}$")),
        ValueKind::ServiceAccount => pattern("^[A-Za-z0-9._-]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$"),
        ValueKind::Domain => pattern("^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$"),
        ValueKind::KeyVersion => pattern("^[A-Za-z0-9]+$"),
        ValueKind::Objects if row.name == "keys" => {
            json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/key" } })
        }
        ValueKind::Objects => json!({ "type": "array", "items": { "$ref": "#/definitions/slot" } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::OPTIONS;

    #[test]
    fn every_option_is_where_the_reader_accepts_it() {
        let schema = schema();
        let places = [
            (Scope::Top, &schema["properties"]),
            (Scope::Slot, &schema["definitions"]["slot"]["properties"]),
            (Scope::Key, &schema["definitions"]["key"]["properties"]),
        ];
        for (scope, properties) in places {
            for row in OPTIONS {
                assert_eq!(properties.get(row.name).is_some(), row.scopes.contains(&scope), "{} {scope:?}", row.name);
            }
        }
    }

    #[test]
    fn descriptions_have_no_links() {
        assert_eq!(plain("A `b`. [Details](#c). Default: [d](e.md)."), "A `b`. Default: d.");
        let text = schema().to_string();
        assert!(!text.contains(".md") && !text.contains("[Details]"), "{text}");
    }
}
