//! `config check`: the mistakes in a configuration, and what is likely to be wrong.

use super::with_environment;
use crate::certificate::Certificate;
use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::file::inspection::{Inspection, UsedValue};
use crate::config::file::section::resolve_path;
use crate::config::file::{legacy, strict};
use crate::config::model::{CertificateSource, Keys};
use crate::config::notes::PendingMessages;
use crate::config::options::ValueKind;
use crate::config::options::variables::OWN;
use crate::config::spelling::closest;
use crate::error::Error;
use crate::host::logging::Level;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The module's own file that was read; `None` if there is none, so that the files of the old modules count.
    pub file: Option<PathBuf>,
    /// The number of slots that were read. A slot is read if it has no mistake, or a list of keys with one that has none.
    pub slots: usize,
    /// Why the module would refuse the configuration, or leave out a part of a file of an old module: the place (a file and
    /// a line, where there is one), the mistake and the correction.
    pub mistakes: Vec<String>,
    /// What the module accepts, although it is probably not meant.
    pub warnings: Vec<String>,
}

/// Checks `file`, or the configuration that is in force for this process. Makes no request.
pub fn check(file: Option<&Path>) -> Findings {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown: Vec<String> = names.filter_map(|name| unknown_variable(&name)).collect();
    let mut findings = with_environment(|environment| findings(file, environment));
    findings.warnings.extend(unknown);
    findings
}

pub(crate) fn findings(file: Option<&Path>, environment: &Environment) -> Findings {
    let own = match file {
        Some(file) => Ok(Some(file.to_owned())),
        None => environment.own_file(),
    };
    let mut findings = match own {
        Ok(Some(file)) => of_own_file(&file, environment),
        Ok(None) => of_old_files(environment),
        Err(error) => Findings { mistakes: vec![error.message.into_owned()], ..Findings::default() },
    };
    let mut notes = PendingMessages::new();
    Config::default().apply_log_variables(environment, &mut notes);
    findings.warnings.extend(notes.into_iter().map(|(_, text)| text));
    findings
}

fn of_own_file(file: &Path, environment: &Environment) -> Findings {
    let (inspection, mut notes) = (Inspection::default(), PendingMessages::new());
    let config = strict::read(file, environment, Some(&inspection), &mut notes);
    let (mistakes, used) = inspection.into_parts();
    let slots = config.as_ref().map_or(0, |config| config.slots.len());
    let mistakes = mistakes.into_iter().chain(config.err()).map(text_of).collect();
    let mut warnings = texts(&notes, Level::Warn);
    // A default of the top level is used by many slots.
    let mut checked: HashSet<(&str, &str)> = HashSet::new();
    for value in used.iter().filter(|value| value.kind == ValueKind::Path) {
        if checked.insert((&value.holder, &value.name)) {
            warnings.extend(path_warning(value, file, environment));
        }
    }
    Findings { file: Some(file.to_owned()), slots, mistakes, warnings }
}

fn of_old_files(environment: &Environment) -> Findings {
    let mut notes = PendingMessages::new();
    let config = legacy::read(environment, &mut notes);
    let mut mistakes = texts(&notes, Level::Error);
    let mut warnings = texts(&notes, Level::Warn);
    let config = config.unwrap_or_else(|error| {
        mistakes.push(text_of(error));
        Config::default()
    });
    for slot in config.slots.iter() {
        let Keys::Named(keys) = &slot.keys else { continue };
        for key in keys {
            let CertificateSource::File(path) = &key.certificate else { continue };
            let located = |why| format!("token {:?}: certificate_path: {}: {why}", slot.label, path.display());
            warnings.extend(certificate_fault(path).map(located));
        }
    }
    Findings { file: None, slots: config.slots.len(), mistakes, warnings }
}

fn texts(notes: &[(Level, String)], level: Level) -> Vec<String> {
    notes.iter().filter(|note| note.0 == level).map(|note| note.1.clone()).collect()
}

fn text_of(error: Error) -> String {
    error.message.into_owned()
}

/// The options for files and folders that the module creates, if their parent exists.
const CREATED: [&str; 5] = ["log_file", "cache_folder", "metrics_file", "audit_file", "certificate_store"];

/// Returns what is wrong with the file or folder that an option names.
fn path_warning(value: &UsedValue, file: &Path, environment: &Environment) -> Option<String> {
    let path = resolve_path(value.values.first()?, file, environment)?;
    let why = match value.name.as_str() {
        "certificate_path" => certificate_fault(&path),
        name if CREATED.contains(&name) => path.parent().and_then(missing).map(|why| format!("its folder {why}")),
        _ => missing(&path),
    }?;
    let dot = if value.holder.is_empty() { "" } else { "." };
    let (file, line, holder, name) = (file.display(), value.line, &value.holder, &value.name);
    Some(format!("{file}:{line}: {holder}{dot}{name}: {}: {why}", path.display()))
}

fn missing(path: &Path) -> Option<String> {
    let opened = std::fs::File::open(path).err()?;
    Some(format!("can't be read: {opened}; correct the path, or create it before a program uses the module"))
}

fn certificate_fault(path: &Path) -> Option<String> {
    match std::fs::read(path) {
        Err(error) => Some(format!("can't be read: {error}; the key has no certificate until this file exists")),
        Ok(bytes) => {
            let why = Certificate::parse_all(&bytes).err()?.0;
            Some(format!("{why}; the key has no certificate"))
        }
    }
}

/// Returns the warning about a variable that looks like one of this module's, but is none.
fn unknown_variable(name: &str) -> Option<String> {
    if !name.starts_with("CLOUD_KMS_PKCS11_") || OWN.contains(&name) {
        return None;
    }
    let meant = closest(name, OWN.into_iter()).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    Some(format!("the environment variable {name} is unknown, so it has no effect{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variables_are_found() {
        assert_eq!(
            unknown_variable("CLOUD_KMS_PKCS11_LOGS").as_deref(),
            Some(
                "the environment variable CLOUD_KMS_PKCS11_LOGS is unknown, so it has no effect; did you mean CLOUD_KMS_PKCS11_LOG?"
            )
        );
        for known in OWN.iter().chain(&["HOME", "AWS_REGION"]) {
            assert_eq!(unknown_variable(known), None);
        }
    }
}
