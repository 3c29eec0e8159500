//! The paths of the shared AWS files, and which of these files have access keys that a slot may use.
//!
//! "Shared config and credentials files", AWS SDKs and Tools Reference Guide.

use crate::cloud::aws::settings::Settings;
use crate::host::permissions::FileWithMetadata;
use std::path::PathBuf;

/// The variables that name the shared files, and the paths of the files in the home directory without these
/// variables.
pub(super) const SHARED_FILES: [(&str, &str); 2] =
    [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home() -> Option<PathBuf> {
    variable("HOME").map(PathBuf::from)
}

/// Expands a path as in the shared files: `~/` at its beginning means the home directory.
pub(super) fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

pub(super) fn shared_file_path(name: &str, usual: &str) -> Option<PathBuf> {
    match variable(name) {
        Some(path) => Some(expanded(&path)),
        None => home().map(|home| home.join(usual)),
    }
}

/// Returns the shared files with access keys that a slot with these settings may use, and what they contain. Anybody may
/// read the other files.
pub fn files_with_access_keys(settings: &Settings) -> Vec<(PathBuf, FileWithMetadata)> {
    let is_used = settings.profile.is_some() || variable("AWS_ACCESS_KEY_ID").is_none();
    let paths = SHARED_FILES.iter().filter(|_| is_used).filter_map(|(name, usual)| shared_file_path(name, usual));
    let files = paths.filter_map(|path| Some((FileWithMetadata::read(&path).ok()?, path)));
    let files = files.filter(|(file, _)| file.bytes.windows(ACCESS_KEY.len()).any(|own| own == ACCESS_KEY));
    files.map(|(file, path)| (path, file)).collect()
}

const ACCESS_KEY: &[u8] = b"aws_secret_access_key";
