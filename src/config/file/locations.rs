//! What the log says of the files that were looked for: those that are not read, and why there is no configuration.

use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::model::Service;
use crate::config::notes::Notes;
use crate::host::logging::Level;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The programs whose files may lie on a machine: ours, and the two that it replaces.
const PROGRAMS: [&str; 3] = ["cloud-kms-pkcs11", "aws-kms-pkcs11", "azure-keyvault-pkcs11"];

/// Names the files that are there and are not read, since `winner` is.
pub fn note_others(winner: &Path, others: impl IntoIterator<Item = PathBuf>, notes: &mut Notes) {
    for other in others.into_iter().filter(|other| other != winner && other.metadata().is_ok()) {
        let text = format!("{}: not read, since {} goes before it", other.display(), winner.display());
        notes.push((Level::Info, text));
    }
}

/// Every place where a configuration file may lie, the first that counts first.
pub fn all_places(environment: &Environment) -> Vec<PathBuf> {
    PROGRAMS.iter().flat_map(|program| environment.places(program, "config.json")).collect()
}

/// Says that no file was found and where it was looked for, and what the environment meant instead.
pub fn note_nothing(config: &Config, environment: &Environment, notes: &mut Notes) {
    let places: Vec<String> = all_places(environment).iter().map(|path| looked_for(path)).collect();
    let services: Vec<&str> = config.listed.iter().map(meant_by).collect();
    let outcome = match services.is_empty() {
        true => "so there are no slots: write one of these files, or name one in CLOUD_KMS_PKCS11_CONFIG".to_owned(),
        false => format!("{}, so every usable key there becomes a slot", services.join(" and ")),
    };
    let home = user_folder_missing(environment).unwrap_or_default();
    notes.push((Level::Info, format!("no configuration file; looked for {}{home}; {outcome}", places.join(", "))));
}

/// A place, with what kept its file from being read where that is more than its absence.
fn looked_for(path: &Path) -> String {
    match path.metadata() {
        Ok(about) if about.len() == 0 => format!("{} (it is empty)", path.display()),
        Ok(_) => format!("{} (it can't be used)", path.display()),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            path.display().to_string()
        }
        Err(error) => format!("{} ({error})", path.display()),
    }
}

/// Why no place is in a user's folder.
fn user_folder_missing(environment: &Environment) -> Option<&'static str> {
    let is_set = |name: &str| (environment.variable)(name).is_some();
    match (is_set("XDG_CONFIG_HOME"), environment.path("XDG_CONFIG_HOME").or_else(|| environment.path("HOME"))) {
        (true, _) if environment.path("XDG_CONFIG_HOME").is_none() => {
            Some(" (XDG_CONFIG_HOME is empty, so in no user's folder)")
        }
        (false, None) => Some(" (HOME is not set, so in no user's folder)"),
        _ => None,
    }
}

fn meant_by(service: &Service) -> &'static str {
    match service {
        Service::Aws(_) => "AWS_REGION, AWS_DEFAULT_REGION or AWS_PROFILE means AWS KMS",
        Service::Azure(_) => "AZURE_KEYVAULT_URL names a vault",
    }
}
