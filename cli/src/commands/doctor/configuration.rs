//! Checks of the configuration: its files and the first mistake, the cache, and who can read files with secrets.

use super::subject::{Subject, variable};
use cloud_kms_pkcs11::cloud::{aws, azure, google, vault};
use cloud_kms_pkcs11::config::{Config, Examination, Service};
use cloud_kms_pkcs11::diagnosis::check::Check;
use cloud_kms_pkcs11::host::logging::Level;
use cloud_kms_pkcs11::host::permissions::FileWithMetadata;
use cloud_kms_pkcs11::store::private_directory::PrivateDirectory;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

const FILE: &str = "configuration";

/// Returns what was found out about the files of the configuration: which were read, which were passed over, and the
/// first mistake.
pub fn file_checks(examination: &Examination) -> Vec<Check> {
    let mut checks: Vec<_> = examination.notes.iter().map(|(level, text)| note(*level, text)).collect();
    match &examination.config {
        Ok(config) if config.slots.is_empty() && config.legacy_services.is_empty() => {
            // The last note says which file has no slots, or where a file was searched.
            let last = examination.notes.iter().rposition(|(level, _)| *level == Level::Info);
            let (text, fix) = parts(last.map_or("there are no slots", |index| &examination.notes[index].1));
            last.map(|index| checks.remove(index));
            let text = if text.contains("no slots") { text } else { format!("{text}: there are no slots") };
            checks.push(Check::problem(
                FILE,
                text,
                fix.unwrap_or_else(|| "add a slot for each key to \"slots\"".to_owned()),
            ));
        }
        Ok(_) => {}
        Err(error) => {
            let (text, fix) = parts(&error.message);
            checks.push(Check::problem(FILE, text, fix.unwrap_or_else(|| CORRECT.to_owned())));
        }
    }
    checks
}

const CORRECT: &str = "correct the file; docs/configuration.md describes every option";

fn note(level: Level, text: &str) -> Check {
    let (what, fix) = parts(text);
    match level {
        Level::Warn => Check::warning(FILE, what, fix.unwrap_or_else(|| CORRECT.to_owned())),
        Level::Error => Check::problem(FILE, what, fix.unwrap_or_else(|| CORRECT.to_owned())),
        _ => Check::ok(FILE, text),
    }
}

/// Splits a message of the module into what happened and what to do.
fn parts(message: &str) -> (String, Option<String>) {
    let parts = match message.rsplit_once(": chmod ") {
        Some((what, fix)) => Some((what, format!("chmod {fix}"))),
        None => message.rsplit_once("; ").map(|(what, fix)| (what, fix.to_owned())),
    };
    parts.map_or_else(|| (message.to_owned(), None), |(what, fix)| (what.to_owned(), Some(fix)))
}

/// Returns the checks of the cache and of the files with secrets.
pub fn storage_checks(subject: &Subject) -> Vec<Check> {
    let cache = subject.config.as_ref().map(cache);
    cache.into_iter().chain(secrets(subject)).collect()
}

fn cache(config: &Config) -> Check {
    let Some(folder) = &config.cache_directory else {
        return Check::ok("cache", "public keys are not kept, because \"cache\" is false or ~/.cache does not exist");
    };
    let parent = folder.parent().is_some_and(|parent| parent.is_dir());
    match PrivateDirectory::new(folder.clone()).check() {
        Ok(()) => Check::ok("cache", format!("public keys are kept in {}", folder.display())),
        Err(error) if error.kind() == ErrorKind::NotFound && parent => {
            Check::ok("cache", format!("public keys will be kept in {}", folder.display()))
        }
        Err(error) => {
            let fix = format!("create it for this user alone: install -d -m 700 {}", folder.display());
            Check::warning("cache", format!("{} is not used: {}", folder.display(), parts(&error.to_string()).0), fix)
        }
    }
}

/// Returns a check for each file with a secret that everybody can read, or one for all if there is none.
fn secrets(subject: &Subject) -> Vec<Check> {
    let files: BTreeSet<PathBuf> = subject.services().iter().flat_map(|service| secret_files(service)).collect();
    // Whether a file can be read is the business of the slot that needs it.
    let files: Vec<_> = files.iter().filter_map(|path| Some((path, FileWithMetadata::read(path).ok()?))).collect();
    let mut checks = Vec::new();
    for (path, file) in &files {
        for what in [file.readable_by_others(), file.writable_by_others(), file.replaceable_by_others()] {
            let Some((what, fix)) = what.as_deref().map(parts) else { continue };
            let text = format!("{}, a file with a secret: {what}", path.display());
            checks.push(Check::warning(
                "secrets",
                text,
                fix.unwrap_or_else(|| format!("chown it, and chmod 600 {}", path.display())),
            ));
        }
    }
    if checks.is_empty() && !files.is_empty() {
        let names: Vec<_> = files.iter().map(|(path, _)| path.display().to_string()).collect();
        checks.push(Check::ok("secrets", format!("closed to other users: {}", names.join(", "))));
    }
    checks
}

/// Returns the files with long-lived secrets that a service may read.
fn secret_files(service: &Service) -> Vec<PathBuf> {
    let client_key = service.settings().network().client_certificate.as_ref().map(|files| files.key.clone());
    let mut files: Vec<_> = client_key.into_iter().collect();
    match service {
        Service::Aws(settings) => files.extend(aws::files_with_access_keys(settings).into_iter().map(|(path, _)| path)),
        Service::Azure(settings) => files.extend(of_azure(settings)),
        Service::Google(settings) => files.extend(of_google(settings)),
        Service::Vault(settings) => files.extend(of_vault(settings)),
    }
    files
}

fn of_azure(settings: &azure::Settings) -> impl Iterator<Item = PathBuf> {
    let named = [
        &settings.client_secret_file,
        &settings.client_certificate_path,
        &settings.client_certificate_password_file,
        &settings.auth_file,
    ];
    let certificate = variable("AZURE_CLIENT_CERTIFICATE_PATH").map(PathBuf::from);
    named.into_iter().flatten().chain(&settings.auth_files).cloned().chain(certificate).collect::<Vec<_>>().into_iter()
}

fn of_google(settings: &google::Settings) -> Option<PathBuf> {
    match &settings.credentials {
        google::Credentials::File(path) | google::Credentials::FileOrMetadata(path) => Some(path.clone()),
        _ => None,
    }
}

fn of_vault(settings: &vault::Settings) -> Option<PathBuf> {
    match &settings.auth {
        vault::Auth::TokenFile(path) => Some(path.clone()),
        vault::Auth::Login(vault::Login {
            credential: vault::Credential::AppRole { secret_id: Some(vault::SecretId::File(path)), .. },
            ..
        }) => Some(path.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_with_what_to_do() {
        for (message, what, fix) in [
            ("a.json:7: found 5; write it in quotes", "a.json:7: found 5", Some("write it in quotes")),
            (
                "a: everybody can read it (mode 0644): chmod o-r a",
                "a: everybody can read it (mode 0644)",
                Some("chmod o-r a"),
            ),
            ("a: not read, because b takes precedence", "a: not read, because b takes precedence", None),
        ] {
            assert_eq!(parts(message), (what.to_owned(), fix.map(str::to_owned)));
        }
    }
}
