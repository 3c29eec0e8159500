//! `config migrate`: this module's own file from the files of the modules that it replaces.

use super::slot_options::Options;
use super::{old_file, slot_options, with_environment};
use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::file::{legacy, strict};
use crate::config::model::{Keys, Service, Slot};
use crate::config::notes::PendingMessages;
use crate::config::options::{OPTIONS, Scope, find};
use crate::config::serial::serial_number;
use crate::error::{Error, Result};
use crate::host::logging::Level;
use cryptoki_sys::CKR_GENERAL_ERROR;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use super::old_file::OLD_MODULES;

/// A file that was made from the files of old modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The files of the old modules.
    pub sources: Vec<PathBuf>,
    /// The text of this module's own file.
    pub text: String,
    /// What is different with the new file, and what it can't express.
    pub changes: Vec<String>,
}

/// Makes this module's own file from `file`, which is a file of the old module with the name `module`, or else of the one
/// that its contents suggest. Without `file`, the files are those that this module would read. Makes no request.
///
/// # Errors
/// CKR_GENERAL_ERROR if there is no such file, or if it can't be read or parsed.
pub fn migrate(file: Option<&Path>, module: Option<&str>) -> Result<Migration> {
    with_environment(|environment| of_files(file, module, environment))
}

pub(crate) fn of_files(file: Option<&Path>, module: Option<&str>, environment: &Environment) -> Result<Migration> {
    let (mut config, mut changes, mut notes) = (Config::default(), Vec::new(), PendingMessages::new());
    let sources = match file {
        Some(file) => vec![(old_file::cloud_of(file, module)?, file.to_owned())],
        None => legacy::files(environment, &mut notes)?,
    };
    for (cloud, path) in &sources {
        let one = old_file::read(*cloud, path, environment, &mut changes)?;
        config.slots.extend(one.slots.iter());
        config.legacy_services.extend(one.legacy_services);
        (config.log_file, config.log_level) = (config.log_file.or(one.log_file), config.log_level.or(one.log_level));
    }
    // What was ignored, and why.
    changes.extend(notes.drain(..).filter(|(level, _)| *level == Level::Error).map(|(_, text)| text));
    if sources.is_empty() {
        config = legacy::read(environment, &mut notes)?;
    } else if file.is_none() {
        // A variable can select a service beside the file of another module.
        config.legacy_services = legacy::read(environment, &mut notes)?.legacy_services;
    }
    if config.slots.is_empty() && config.legacy_services.is_empty() {
        let none = "there is no file of an old module, nor a variable that selects a service; name the file";
        return Err(Error::new(CKR_GENERAL_ERROR, changes.first().map_or(none, String::as_str).to_owned()));
    }
    changes.extend(variables_without_effect(environment));
    let text = written(&config, environment, &mut changes);
    Ok(Migration { sources: sources.into_iter().map(|(_, path)| path).collect(), text, changes })
}

/// Returns a message for each variable of the old modules that has no effect on this module's own file.
fn variables_without_effect(environment: &Environment) -> Vec<String> {
    let rows = [
        ("AWS_KMS_PKCS11_DEBUG", "set CLOUD_KMS_PKCS11_LOG=debug instead"),
        ("AZURE_KEYVAULT_PKCS11_DEBUG", "set CLOUD_KMS_PKCS11_LOG=debug instead"),
        (
            "AWS_DEFAULT_REGION",
            "it is now aws_region of each slot without a region; where that is missing, AWS_REGION comes first",
        ),
        ("AZURE_KEYVAULT_URL", "it is now vault_url of each slot without a vault"),
    ];
    let set = rows.into_iter().filter(|(name, _)| environment.text(name).is_some());
    set.map(|(name, instead)| format!("the variable {name} has no effect on this module's own file: {instead}"))
        .collect()
}

/// Returns the text of the file, and adds what changes.
fn written(config: &Config, environment: &Environment, changes: &mut Vec<String>) -> String {
    let mut slots: Vec<Options> = Vec::new();
    for (id, slot) in config.slots.iter().enumerate() {
        let (options, lost) = slot_options::of(&slot, environment);
        let place = format!("slot {id} ({:?})", slot.label);
        match parse(&text_of(&[], std::slice::from_ref(&options)), environment) {
            Ok(new) => {
                changes.extend(lost.into_iter().map(|what| format!("{place}: {what}")));
                changes.extend(new.iter().filter_map(|new| serial_change(&slot, new)).map(|what| format!("{place}: {what}")));
                slots.push(options);
            }
            Err(why) => changes.push(format!(
                "{place} is left out, because this module's own file can't express it: {why}; the ids of the slots after it \
                 are lower by one"
            )),
        }
    }
    slots.extend(config.legacy_services.iter().map(|service| discovering(service, environment, changes)));
    let mut top = common_options(&mut slots);
    if let Some(file) = &config.log_file {
        top.insert(0, ("log_file", json!(file.to_string_lossy())));
    }
    if let Some(level) = config.log_level {
        top.insert(0, ("log_level", json!(level.name())));
    }
    text_of(&top, &slots)
}

/// Returns the options of a slot for a service whose keys were a slot each.
fn discovering(service: &Service, environment: &Environment, changes: &mut Vec<String>) -> Options {
    let label = match service {
        Service::Azure(settings) => {
            let host = settings.vault_url.trim_start_matches("https://");
            host.split(['.', ':', '/']).next().unwrap_or_default().to_owned()
        }
        _ => "aws".to_owned(),
    };
    let slot = Slot {
        label: label.clone(),
        service: Arc::new(service.clone()),
        keys: Keys::Discovered,
        hide_keys: crate::config::file::quirks::HIDDEN_WHEN_DISCOVERED.map(str::to_owned).into(),
        quirks: crate::config::quirks::Quirks { accept_bare_digest: true, ..Default::default() },
        management: None,
    };
    let (mut options, lost) = slot_options::of(&slot, environment);
    if matches!(service, Service::Aws(_)) {
        options.push(("cloud", json!("aws")));
    }
    changes.push(format!(
        "the old file names no keys, so each key was a token; now the token {label:?} has all keys: programs select a key by \
         object= or id= instead of token="
    ));
    changes.push(format!(
        "the token {label:?} hides Ed25519, ML-DSA and SLH-DSA keys, because OpenSSL's engine rejects a token with such a key; \
         \"hide_keys\": [] shows them"
    ));
    changes.extend(lost);
    options
}

/// Returns what changes in `pkcs11:` URIs with a serial number.
fn serial_change(old: &Slot, new: &Slot) -> Option<String> {
    let (before, now) = (serial_number(old), serial_number(new));
    (before != now)
        .then(|| format!("the serial number of the token was {before}, and is now {now}; change serial= in URIs"))
}

fn parse(text: &str, environment: &Environment) -> std::result::Result<Vec<Slot>, String> {
    let parsed = strict::parse(text.as_bytes(), Path::new(""), environment, None, &mut PendingMessages::new());
    let message = |error: Error| {
        error
            .message
            .rsplit_once("slots[0]")
            .map_or_else(|| error.message.to_string(), |(_, text)| text.trim_start_matches(['.', ':', ' ']).to_owned())
    };
    parsed.map(|config| config.slots.iter().collect()).map_err(message)
}

/// Moves the options that all of several slots have in common to the top level.
fn common_options(slots: &mut [Options]) -> Options {
    let [first, others @ ..] = &*slots else { return Options::new() };
    let is_common = |option: &&(&'static str, Value)| {
        !others.is_empty() && find(option.0, Scope::Top).is_some() && others.iter().all(|other| other.contains(option))
    };
    let common: Options = first.iter().filter(is_common).cloned().collect();
    slots.iter_mut().for_each(|slot| slot.retain(|option| !common.contains(option)));
    common
}

/// Returns the text of a file with these options at top level and with these slots.
fn text_of(top: &[(&'static str, Value)], slots: &[Options]) -> String {
    let slots: Vec<String> = slots.iter().map(|slot| format!("    {{\n{}\n    }}", members(slot, 6))).collect();
    let top = if top.is_empty() { String::new() } else { members(top, 2) + ",\n" };
    format!("{{\n{top}  \"slots\": [\n{}\n  ]\n}}\n", slots.join(",\n"))
}

/// Returns the lines of an object's members, in the order of the option table.
fn members(options: &[(&'static str, Value)], indent: usize) -> String {
    let position = |name: &str| OPTIONS.iter().position(|row| row.name == name);
    let mut options: Vec<_> = options.iter().collect();
    options.sort_by_key(|(name, _)| position(name));
    let lines: Vec<_> = options.iter().map(|(name, value)| format!("{:indent$}\"{name}\": {value}", "")).collect();
    lines.join(",\n")
}
