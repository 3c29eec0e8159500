//! Log messages about configuration files that are not read, and about the search if no file is found.

use super::libkmsp11;
use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::model::Service;
use crate::config::notes::PendingMessages;
use crate::host::logging::Level;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The modules whose files may exist on a machine: this one, and two of those that it replaces.
const PROGRAMS: [&str; 3] = ["cloud-kms-pkcs11", "aws-kms-pkcs11", "azure-keyvault-pkcs11"];

/// Logs each of the files `others` that exists and is not read because `winner` takes precedence.
pub fn log_ignored_files(winner: &Path, others: impl IntoIterator<Item = PathBuf>, notes: &mut PendingMessages) {
    for other in others.into_iter().filter(|other| other != winner && other.metadata().is_ok()) {
        let text = format!("{}: not read, because {} takes precedence", other.display(), winner.display());
        notes.push((Level::Info, text));
    }
}

/// Returns the possible paths of all configuration files, in the order of the search.
pub fn all_places(environment: &Environment) -> Vec<PathBuf> {
    PROGRAMS.iter().flat_map(|program| environment.candidate_paths(program, "config.json")).collect()
}

/// Returns the files that the variables of the replaced modules name.
pub fn files_of_old_variables(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    ["AWS_KMS_PKCS11_CONFIG", libkmsp11::VARIABLE].into_iter().filter_map(|name| environment.path(name))
}

/// Logs that no file was found, the paths that were searched, and the services that environment variables select
/// instead.
pub fn log_no_file_found(config: &Config, environment: &Environment, notes: &mut PendingMessages) {
    let places: Vec<String> = all_places(environment).iter().map(|path| describe_path(path)).collect();
    let services: Vec<&str> = config.legacy_services.iter().map(selected_by).collect();
    let outcome = match services.is_empty() {
        true => "there are no slots; create one of these files, or name another in CLOUD_KMS_PKCS11_CONFIG".to_owned(),
        false => format!("{}, so every key there becomes a slot", services.join(" and ")),
    };
    let home = user_folder_missing(environment).unwrap_or_default();
    notes.push((Level::Info, format!("no configuration file found; searched {}{home}; {outcome}", places.join(", "))));
}

/// Returns a path, with the reason why the file was not read unless the file does not exist.
fn describe_path(path: &Path) -> String {
    match path.metadata() {
        Ok(about) if about.len() == 0 => format!("{} (the file is empty)", path.display()),
        Ok(_) => format!("{} (ignored; an earlier line of the log gives the reason)", path.display()),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            path.display().to_string()
        }
        Err(error) => format!("{} ({error})", path.display()),
    }
}

/// Returns the reason why no path in a user's directory was searched, or `None` if one was.
fn user_folder_missing(environment: &Environment) -> Option<&'static str> {
    let is_set = |name: &str| (environment.variable)(name).is_some();
    match (is_set("XDG_CONFIG_HOME"), environment.path("XDG_CONFIG_HOME").or_else(|| environment.path("HOME"))) {
        (true, _) if environment.path("XDG_CONFIG_HOME").is_none() => {
            Some(" (no user's directory, because XDG_CONFIG_HOME is empty)")
        }
        (false, None) => Some(" (no user's directory, because HOME is not set)"),
        _ => None,
    }
}

fn selected_by(service: &Service) -> &'static str {
    match service {
        Service::Aws(_) => "AWS_REGION, AWS_DEFAULT_REGION or AWS_PROFILE selects AWS KMS",
        Service::Azure(_) => "AZURE_KEYVAULT_URL selects a vault",
        // No variable selects a server of Vault without a file.
        Service::Vault(_) => "the configuration selects a server of Vault",
        Service::Google(_) => "the configuration selects Google Cloud KMS",
    }
}
