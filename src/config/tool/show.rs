//! `config show`: the configuration that is in force, and where each value comes from.

use super::{slot_options, with_environment};
use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::file::inspection::{Inspection, UsedValue, shown};
use crate::config::file::{legacy, strict};
use crate::config::model::{Service, Slot};
use crate::config::notes::PendingMessages;
use crate::config::options::variables::{Precedence, VARIABLES};
use crate::config::options::{Cloud, OptionRow, Scope, ValueKind, allowed};
use crate::config::quirks::SlotIdentity;
use crate::error::Result;
use crate::host::logging::Level;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// The configuration that is in force.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The module's own file; `None` if the files and variables of the old modules are in force.
    pub file: Option<String>,
    /// The options for the module as a whole.
    pub options: Vec<ShownOption>,
    /// The slots, in the order of their ids.
    pub slots: Vec<ShownSlot>,
    /// Services each of whose keys is a slot after these: the cloud and the place (files of the old modules without slots).
    pub listed: Vec<String>,
}

/// A slot.
#[derive(Debug, Serialize)]
pub struct ShownSlot {
    /// The label of the token, in full.
    pub label: String,
    /// The name of the cloud.
    pub cloud: &'static str,
    /// The options that are for this cloud, in the order of the option table.
    pub options: Vec<ShownOption>,
    /// The options that the file gives to each item of `keys`.
    pub keys: Vec<Vec<ShownOption>>,
}

/// An option and its value.
#[derive(Debug, Serialize)]
pub struct ShownOption {
    /// The name of the option.
    pub name: String,
    /// The value. Secrets are hidden. It is null if no part of the configuration determines the value.
    pub value: Value,
    /// Where the value comes from.
    pub source: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// The module's own file.
    File {
        /// The path of the file.
        path: String,
        /// The line of the option.
        line: usize,
        /// "top level", "slot" or "key".
        section: &'static str,
    },
    /// A file of one of the modules that this one replaces, or the variables of such a module.
    OldModule {
        /// The name of the module.
        name: &'static str,
    },
    /// An environment variable.
    Variable {
        /// The name of the variable.
        name: &'static str,
    },
    /// The ARN of the key.
    Arn,
    /// The default.
    Default {
        /// The default in words.
        text: String,
    },
}

/// Returns the configuration that is in force for this process. Makes no request.
///
/// # Errors
/// As the module itself: CKR_GENERAL_ERROR for the first mistake.
pub fn show() -> Result<Shown> {
    with_environment(in_force)
}

pub(crate) fn in_force(environment: &Environment) -> Result<Shown> {
    let (inspection, mut notes) = (Inspection::default(), PendingMessages::new());
    let Some(file) = environment.own_file()? else { return of_old_modules(environment) };
    let config = strict::read(&file, environment, Some(&inspection), &mut notes)?;
    let (mistakes, used) = inspection.into_parts();
    if let Some(mistake) = mistakes.into_iter().next() {
        return Err(mistake);
    }
    let mut by_user: HashMap<String, HashMap<String, UsedValue>> = HashMap::new();
    for value in used {
        by_user.entry(value.user.clone()).or_default().insert(value.name.clone(), value);
    }
    let reader = Reader { file: &file, environment, used: &by_user };
    Ok(Shown {
        options: reader.top(&config),
        slots: config.slots.iter().enumerate().map(|(id, slot)| reader.slot(id, &slot)).collect(),
        file: Some(file.display().to_string()),
        listed: Vec::new(),
    })
}

fn of_old_modules(environment: &Environment) -> Result<Shown> {
    let config = legacy::read(environment, &mut PendingMessages::new())?;
    let slots = config.slots.iter().map(|slot| {
        let module = match (slot.quirks.identity, &*slot.service) {
            (SlotIdentity::Libkmsp11, _) => "libkmsp11",
            (_, Service::Azure(_)) => "azure-keyvault-pkcs11",
            _ => "aws-kms-pkcs11",
        };
        let (options, _) = slot_options::of(&slot, environment);
        let option = |(name, value): (&str, Value)| ShownOption {
            name: name.to_owned(),
            value,
            source: Source::OldModule { name: module },
        };
        ShownSlot {
            label: slot.label.clone(),
            cloud: cloud_of(&slot).name(),
            options: options.into_iter().map(option).collect(),
            keys: Vec::new(),
        }
    });
    let no_file = HashMap::new();
    let reader = Reader { file: Path::new(""), environment, used: &no_file };
    let listed = config.legacy_services.iter().map(|service| {
        let (cloud, place) = service.settings().cloud_and_place();
        format!("{cloud} {place}").trim_end().to_owned()
    });
    Ok(Shown { file: None, options: reader.top(&config), slots: slots.collect(), listed: listed.collect() })
}

/// The values that the sections of the file use, by the path of the section and the name of the option.
type UsedBySection = HashMap<String, HashMap<String, UsedValue>>;

struct Reader<'a> {
    file: &'a Path,
    environment: &'a Environment<'a>,
    used: &'a UsedBySection,
}

/// Returns an option of the log that a file or a variable of an old module has set.
fn of_old_module(row: &OptionRow, config: &Config) -> Option<ShownOption> {
    let value = match row.name {
        "log_file" => json!(config.log_file.as_ref()?.to_string_lossy()),
        "log_level" => json!(config.log_level?.name()),
        _ => return None,
    };
    Some(ShownOption { name: row.name.to_owned(), value, source: Source::OldModule { name: "the old module" } })
}

impl Reader<'_> {
    fn top(&self, config: &Config) -> Vec<ShownOption> {
        let rows = allowed(Scope::Top).filter(|row| row.scopes.len() == 1 && !["slots", "$schema"].contains(&row.name));
        let option = |row: &'static OptionRow| {
            let before = self.variable(row, None, Precedence::BeforeFile);
            before.or_else(|| self.in_file("", row)).or_else(|| of_old_module(row, config)).unwrap_or_else(|| {
                let cache = config.cache_directory.as_ref().filter(|_| row.name == "cache_folder");
                by_default(row, cache.map(|folder| json!(folder.to_string_lossy())))
            })
        };
        rows.map(option).collect()
    }

    fn slot(&self, id: usize, slot: &Slot) -> ShownSlot {
        let (section, cloud) = (format!("slots[{id}]"), cloud_of(slot));
        // The items of `keys` are shown one by one.
        let is_for =
            |row: &&OptionRow| (row.clouds.is_empty() || row.clouds.contains(&cloud)) && row.kind != ValueKind::Objects;
        let option = |row: &'static OptionRow| {
            let used = self.in_file(&section, row).filter(|option| !is_login_of_other_cloud(option, cloud));
            let from_arn = || self.of_arn(row, slot);
            let variable = || {
                let is_used = is_used_credential(row.name, &|name| self.value(&section, name));
                if is_used { self.variable(row, Some(cloud), Precedence::AfterFile) } else { None }
            };
            let default = || (row.default != "-").then(|| by_default(row, in_force_by_default(row, slot)));
            used.or_else(from_arn).or_else(variable).or_else(default)
        };
        let options = allowed(Scope::Slot).filter(is_for).filter_map(option).collect();
        let key = |index: usize| format!("{section}.keys[{index}]");
        let keys = (0..).map(key).take_while(|section| self.used.contains_key(section));
        let keys = keys.map(|section| allowed(Scope::Key).filter_map(|row| self.in_file(&section, row)).collect());
        ShownSlot { label: slot.label.clone(), cloud: cloud.name(), options, keys: keys.collect() }
    }

    /// Returns the text of a value that the section uses.
    fn value(&self, section: &str, name: &str) -> Option<&str> {
        self.used.get(section)?.get(name)?.values.first().map(String::as_str)
    }

    fn in_file(&self, section: &str, row: &OptionRow) -> Option<ShownOption> {
        let used = self.used.get(section)?.get(row.name)?;
        let section = match used.holder.rsplit('.').next().unwrap_or_default() {
            "" => "top level",
            holder if holder.starts_with("keys") => "key",
            _ => "slot",
        };
        let source = Source::File { path: self.file.display().to_string(), line: used.line, section };
        Some(ShownOption { name: row.name.to_owned(), value: value_of(&used.values, row.kind), source })
    }

    fn variable(&self, row: &OptionRow, cloud: Option<Cloud>, precedence: Precedence) -> Option<ShownOption> {
        let is_for = |of: Option<Cloud>| of.is_none() || of == cloud;
        let rows = VARIABLES.iter().filter(|variables| {
            variables.option == row.name && variables.precedence == precedence && is_for(variables.cloud)
        });
        let mut names = rows.flat_map(|variables| variables.names.iter().copied());
        let (name, text) = names.find_map(|name| Some((name, self.environment.text(name)?)))?;
        let is_valid = match row.kind {
            ValueKind::LogLevel => Level::from_name(&text).is_some(),
            ValueKind::Choice(choices) => choices.contains(&text.as_str()),
            _ => true,
        };
        if !is_valid {
            return None;
        }
        let value = value_of(&[shown(&text, row.kind)], row.kind);
        Some(ShownOption { name: row.name.to_owned(), value, source: Source::Variable { name } })
    }

    fn of_arn(&self, row: &OptionRow, slot: &Slot) -> Option<ShownOption> {
        match &*slot.service {
            Service::Aws(settings) if row.name == "aws_region" => {
                let value = json!(settings.region.as_ref()?);
                Some(ShownOption { name: row.name.to_owned(), value, source: Source::Arn })
            }
            _ => None,
        }
    }
}

fn cloud_of(slot: &Slot) -> Cloud {
    match &*slot.service {
        Service::Aws(_) => Cloud::Aws,
        Service::Azure(_) => Cloud::Azure,
        Service::Vault(_) => Cloud::Vault,
        Service::Google(_) => Cloud::Google,
    }
}

/// A login at top level is for the slots of its cloud.
fn is_login_of_other_cloud(option: &ShownOption, cloud: Cloud) -> bool {
    let login = option.value.as_str().filter(|_| option.name == "login");
    login.is_some_and(|login| login != "none" && !login.starts_with(cloud.name()))
}

/// The credentials among the options that have a variable, each with the values of `azure_credential` or `vault_auth` that
/// select it.
const CREDENTIALS: [(&str, &[&str]); 5] = [
    ("azure_client_secret", &["default", "environment"]),
    ("azure_client_certificate_path", &["default", "environment"]),
    ("azure_federated_token_file", &["default", "workload_identity"]),
    ("azure_auth_file", &["default", "auth_file"]),
    ("vault_token", &["token"]),
];

/// The options that, in the file, select another credential than those in variables.
const SELECTED: [&str; 9] = [
    "azure_client_secret",
    "azure_client_secret_file",
    "azure_client_certificate_path",
    "azure_federated_token_file",
    "azure_auth_file",
    "vault_token",
    "vault_token_file",
    "vault_role_id",
    "vault_jwt_file",
];

/// Returns whether a variable for this option has an effect, which it has not if it is a credential and the file selects
/// another one. `used` returns a value of the file.
fn is_used_credential<'a>(name: &str, used: &dyn Fn(&str) -> Option<&'a str>) -> bool {
    let prefix = name.split('_').next().unwrap_or_default();
    let is_login = used("login").is_some_and(|login| login.starts_with(prefix));
    let Some((_, methods)) = CREDENTIALS.iter().find(|row| row.0 == name) else {
        return name != "aws_profile" || !is_login;
    };
    let is_selected = |option: &&str| option.starts_with(prefix) && used(option).is_some();
    let method = used("azure_credential").or(used("vault_auth"));
    !is_login && !SELECTED.iter().any(is_selected) && method.is_none_or(|own| methods.contains(&own))
}

fn by_default(row: &OptionRow, value: Option<Value>) -> ShownOption {
    let literal =
        row.default.strip_prefix('`').and_then(|text| text.strip_suffix('`')).filter(|text| !text.contains('`'));
    let literal = literal.map(|text| match text {
        "[]" => json!([]),
        text => value_of(&[text.to_owned()], row.kind),
    });
    let is_variable =
        |value: &Value| value.as_str().is_some_and(|text| VARIABLES.iter().any(|row| row.names.contains(&text)));
    let value = value.or(literal).filter(|value| !is_variable(value)).unwrap_or(Value::Null);
    ShownOption { name: row.name.to_owned(), value, source: Source::Default { text: row.default.replace('`', "") } }
}

/// Returns the value of an option that the file does not have, where the slot determines it.
fn in_force_by_default(row: &OptionRow, slot: &Slot) -> Option<Value> {
    let network = slot.service.settings().network();
    match row.name {
        "label" => Some(json!(slot.label)),
        "cloud" => Some(json!(cloud_of(slot).name())),
        "call_timeout_ms" => Some(json!(network.call_timeout.as_millis())),
        "connect_timeout_ms" => Some(json!(network.connect_timeout.as_millis())),
        "hide_keys" => Some(json!(slot.hide_keys)),
        _ => None,
    }
}

/// Returns a value in the type of its kind.
fn value_of(texts: &[String], kind: ValueKind) -> Value {
    let first = || texts.first().map(String::as_str).unwrap_or_default();
    match kind {
        ValueKind::KeyKinds | ValueKind::Rights | ValueKind::Regions => json!(texts),
        ValueKind::Flag => first().parse::<bool>().map_or_else(|_| json!(first()), Value::from),
        ValueKind::Milliseconds | ValueKind::Count => {
            first().parse::<u32>().map_or_else(|_| json!(first()), Value::from)
        }
        _ => json!(first()),
    }
}
