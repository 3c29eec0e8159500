//! A file of one of the modules that this one replaces: whose it is, its slots, and what its reader ignores.

use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::file::section::{file_error, json_error};
use crate::config::file::{legacy, libkmsp11};
use crate::config::json;
use crate::config::json::{Data, Dialect, Member, Value};
use crate::config::notes::PendingMessages;
use crate::config::options::Cloud;
use crate::error::Result;
use crate::host::logging::Level;
use crate::host::permissions::FileWithMetadata;
use std::path::Path;

/// The names of the old modules.
pub const OLD_MODULES: [&str; 3] = ["aws-kms-pkcs11", "azure-keyvault-pkcs11", "libkmsp11"];

/// The clouds of the old modules.
const CLOUDS: [Cloud; 3] = [Cloud::Aws, Cloud::Azure, Cloud::Google];

/// Returns the cloud of the old module with the name `module`, or else of the one that the file at `path` seems to belong
/// to.
///
/// # Errors
/// CKR_GENERAL_ERROR if the file can't be read, or if it is one of this module.
pub fn cloud_of(path: &Path, module: Option<&str>) -> Result<Cloud> {
    let of_name = |name: &str| OLD_MODULES.iter().zip(CLOUDS).find(|row| *row.0 == name).map(|row| row.1);
    let folder = path.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str());
    if let Some(cloud) = module.or(folder).and_then(of_name) {
        return Ok(cloud);
    }
    let file = read_bytes(path)?;
    let text = json::decode(&file.bytes, Dialect::Lenient).unwrap_or_default();
    let document = match json::parse(&text, Dialect::Lenient) {
        Ok(document) => document,
        // Only JSON starts with a bracket or a comment of JSON.
        Err(fault) if text.trim_start().starts_with(['{', '/']) => return Err(json_error(path, &fault)),
        Err(_) => return Ok(Cloud::Google),
    };
    let names: Vec<&str> = slots(&document.value).iter().flat_map(members).map(|member| &*member.name).collect();
    let has = |options: &[&str]| options.iter().any(|option| names.contains(option));
    if has(&OWN_OPTIONS) {
        return Err(file_error(path, " is a file of this module already; there is nothing to migrate"));
    }
    if document.value.member("tokens").is_some() {
        return Ok(Cloud::Google);
    }
    Ok(if has(&["key_name", "vault_url"]) { Cloud::Azure } else { Cloud::Aws })
}

/// Options that only this module has, and most of its files have one of them.
const OWN_OPTIONS: [&str; 5] = ["discover", "keys", "transit_key", "google_key", "vault_address"];

/// Reads a file as the old module of that cloud. Adds what is ignored to `changes`.
///
/// # Errors
/// CKR_GENERAL_ERROR if the file can't be read or parsed.
pub fn read(cloud: Cloud, path: &Path, environment: &Environment, changes: &mut Vec<String>) -> Result<Config> {
    let mut notes = PendingMessages::new();
    let config = match cloud {
        Cloud::Google => {
            let config = libkmsp11::read(path, environment, &mut notes)?;
            let text = read_bytes(path)?;
            let has_comment =
                text.bytes.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_start().starts_with(b"#"));
            changes.extend(has_comment.then(|| format!("{}: comments are left out", path.display())));
            config
        }
        _ => read_json(cloud, path, environment, changes, &mut notes)?,
    };
    let is_change = |level: Level, text: &str| level <= Level::Warn || text.contains(": is ignored");
    changes.extend(notes.into_iter().filter(|(level, text)| is_change(*level, text)).map(|(_, text)| text));
    Ok(config)
}

fn read_json(
    cloud: Cloud,
    path: &Path,
    environment: &Environment,
    changes: &mut Vec<String>,
    notes: &mut PendingMessages,
) -> Result<Config> {
    let file = read_bytes(path)?;
    let text = json::decode(&file.bytes, Dialect::Lenient).map_err(|fault| json_error(path, &fault))?;
    let document = json::parse(&text, Dialect::Lenient).map_err(|fault| json_error(path, &fault))?;
    changes.extend(ignored_members(cloud, path, &document.value));
    if json::parse(&text, Dialect::Strict).is_err() {
        changes.push(format!(
            "{}: comments, if there are any, are left out: this module's file is strict JSON",
            path.display()
        ));
    }
    Ok(legacy::read_text(&file.bytes, path, cloud, environment, notes))
}

fn read_bytes(path: &Path) -> Result<FileWithMetadata> {
    FileWithMetadata::read(path)
        .map_err(|error| file_error(path, format_args!(" can't be read: {error}; correct the path")))
}

/// The options of a slot in the files of the two modules whose files are JSON.
const AWS_OPTIONS: &[&str] = &[
    "label",
    "kms_key_id",
    "aws_region",
    "certificate",
    "certificate_path",
    "certificate_arn",
    "ca_arn",
    "kms_key_arn",
];
const AZURE_OPTIONS: &[&str] = &["label", "key_name", "vault_url", "certificate", "certificate_path"];

/// Options that have no effect beside another one: the option, and the other one.
const REPLACED: [(&str, &str); 6] = [
    ("certificate", "certificate_path"),
    ("certificate", "certificate_arn"),
    ("certificate_path", "certificate_arn"),
    ("kms_key_id", "kms_key_arn"),
    ("label", "kms_key_arn"),
    ("aws_region", "kms_key_arn"),
];

/// Returns a message for each member of the file that the old module ignores.
fn ignored_members(cloud: Cloud, path: &Path, top: &Value) -> Vec<String> {
    let (at_top, in_slot): (&[&str], _) = match cloud {
        Cloud::Azure => (&["slots"], AZURE_OPTIONS),
        _ => (&["slots", "aws_region"], AWS_OPTIONS),
    };
    let mut found = ignored(members(top), "", at_top);
    for (index, slot) in slots(top).iter().enumerate() {
        let place = format!("slots[{index}]");
        match &slot.data {
            Data::Object(members) => found.extend(ignored(members, &format!("{place}."), in_slot)),
            _ => found.push((slot.line, format!("{place}: is left out: it is no object, so it has no slot"))),
        }
    }
    found.into_iter().map(|(line, text)| format!("{}:{line}: {text}", path.display())).collect()
}

fn ignored(members: &[Member], place: &str, known: &[&str]) -> Vec<(usize, String)> {
    let text_of = |name: &str| members.iter().rev().find(|member| member.name == name)?.value.text();
    let has = |name: &str| text_of(name).is_some_and(|text| !text.is_empty());
    let reason = |member: &Member| {
        let name = &*member.name;
        let by = REPLACED.iter().find(|(replaced, by)| *replaced == name && has(by) && known.contains(by));
        match (known.contains(&name), by) {
            (false, _) => Some("the old module has no such option".to_owned()),
            (true, Some((_, by))) => Some(format!("{by} takes precedence")),
            (true, None) if name != "slots" && member.value.text().is_none() => Some("it is no string".to_owned()),
            _ => None,
        }
    };
    let located = |member: &Member, why| (member.line, format!("{place}{}: is left out: {why}", member.name));
    members.iter().filter_map(|member| Some(located(member, reason(member)?))).collect()
}

fn slots<'b>(top: &'b Value<'b>) -> &'b [Value<'b>] {
    match top.member("slots").map(|member| &member.value.data) {
        Some(Data::Array(items)) => items,
        _ => &[],
    }
}

fn members<'b>(value: &'b Value<'b>) -> &'b [Member<'b>] {
    match &value.data {
        Data::Object(members) => members,
        _ => &[],
    }
}
