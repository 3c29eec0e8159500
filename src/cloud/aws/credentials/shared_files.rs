//! Problems of the shared AWS files and of token files. The SDK ignores these problems silently.
//!
//! "Shared config and credentials files", AWS SDKs and Tools Reference Guide.

use super::shared_file_paths::{SHARED_FILES, expanded, files_with_access_keys, shared_file_path, variable};
use crate::cloud::aws::settings::Settings;
use crate::cloud::credentials::file;
use crate::cloud::failure::error_chain::message_of;
use crate::host::process;

use aws_config::profile::{Profile, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};
use std::fmt;
use std::path::{Path, PathBuf};

const TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// Problems of the files, and of the profile in them.
#[derive(Debug, Default)]
pub(crate) struct FileProblems {
    /// One sentence for each file with a problem.
    files: Vec<String>,
    /// The problem of the profile.
    profile: Option<String>,
}

impl FileProblems {
    /// Examines the files, and the profile in them.
    pub(crate) async fn examine(settings: &Settings) -> Self {
        let mut files: Vec<String> =
            SHARED_FILES.iter().filter_map(|(name, usual)| shared_file_problem(name, usual)).collect();
        files.extend(token_file_problem());
        // The profile of a login is the PIN, which must not appear in a message.
        let profile = if settings.login.is_some() { None } else { profile_problem(settings.profile.as_deref()).await };
        Self { profile, files }
    }

    /// Returns a message if the files lack the slot's own profile.
    pub(crate) async fn missing_profile(settings: &Settings) -> Option<String> {
        let name = settings.profile.as_deref().filter(|_| settings.login.is_none())?;
        NamedProfile::resolve(Some(name)).missing(&load_profiles(Some(name)).await.ok()?)
    }

    /// Returns all problems in one line, or None if there are none.
    pub(crate) fn message(&self) -> Option<String> {
        let all: Vec<&str> = self.files.iter().chain(&self.profile).map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Returns why one of the shared files is not read as users expect. The file may be missing if no variable names
/// it.
fn shared_file_problem(name: &str, usual: &str) -> Option<String> {
    let path = shared_file_path(name, usual)?;
    let named = variable(name).map(|_| format!("{name} names ")).unwrap_or_default();
    let bytes = match file::bytes(&path) {
        Ok(bytes) => bytes,
        Err(_) if named.is_empty() && !path.exists() => return None,
        Err(why) => return Some(format!("{named}{why}")),
    };
    let is_plain = std::str::from_utf8(&bytes).is_ok() && !bytes.starts_with(BOM);
    (!is_plain).then(|| format!("{named}{}: {ENCODING_ADVICE}", path.display()))
}

/// Warns about shared files whose access keys other users can read, if these keys are used.
pub(crate) fn warn_if_readable_by_others(settings: &Settings) {
    for (path, file) in files_with_access_keys(settings) {
        file::warn_of_readers(&path, &file);
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

const ENCODING_ADVICE: &str = "the AWS SDK can't read this encoding; save the file as UTF-8 without a byte order mark";

fn token_file_problem() -> Option<String> {
    let path = variable(TOKEN)?;
    token_problem(Path::new(&path)).map(|why| format!("{TOKEN} names {why}"))
}

/// Returns why the file of a web identity token cannot be used, with its path.
fn token_problem(path: &Path) -> Option<String> {
    let why = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok("") => Some("the file is empty"),
        Ok(text) if text.trim_matches('\u{feff}').trim() == text => None,
        _ => Some("the file does not consist of the token alone; write only the token, in UTF-8, without a line break"),
    };
    match file::bytes(path) {
        Ok(bytes) => Some(format!("{}: {}", path.display(), why(&bytes)?)),
        Err(why) => Some(why),
    }
}

/// Returns the file with the certificate authorities that every AWS tool on this machine trusts, and the setting
/// that names the file. "General configuration", AWS SDKs and Tools Reference Guide.
pub(crate) async fn ca_bundle(profile: Option<&str>) -> Option<(PathBuf, &'static str)> {
    // The variables of a setuid program come from another user.
    let variable = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty() && !process::is_privileged());
    if let Some(path) = variable {
        return Some((path.into(), CA_BUNDLE));
    }
    let profiles = load_profiles(profile).await.ok()?;
    let path = profiles.get("ca_bundle").filter(|path| !path.is_empty())?;
    Some((expanded(path), "ca_bundle of the shared AWS configuration"))
}

const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Loads the shared files with this profile, or else with the profile that AWS_PROFILE names.
///
/// # Errors
/// Returns the SDK's message if the files cannot be read.
pub(crate) async fn load_profiles(profile: Option<&str>) -> Result<ProfileSet, String> {
    let own = profile.map(|name| name.to_owned().into());
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), own).await;
    profiles.map_err(|error| message_of(&error))
}

/// Returns the slot's profile, or else the one of the environment, with the setting that names it.
pub(crate) fn profile_description(option: Option<&str>) -> String {
    NamedProfile::resolve(option).to_string()
}

/// A profile, and the setting that names it.
struct NamedProfile {
    name: String,
    by: Option<&'static str>,
}

impl NamedProfile {
    /// Returns the slot's profile, or the profile of AWS_PROFILE, or the profile that is used without either.
    fn resolve(option: Option<&str>) -> Self {
        match (option, variable("AWS_PROFILE")) {
            (Some(name), _) => Self { name: name.to_owned(), by: Some("option \"aws_profile\"") },
            (None, Some(name)) => Self { name, by: Some("AWS_PROFILE") },
            (None, None) => Self { name: "default".into(), by: None },
        }
    }

    /// Returns a message if none of the files contains the profile.
    fn missing(&self, profiles: &ProfileSet) -> Option<String> {
        if self.name == "default" || profiles.get_profile(&self.name).is_some() {
            return None;
        }
        let places = SHARED_FILES
            .iter()
            .filter_map(|(name, usual)| shared_file_path(name, usual))
            .map(|path| display_path(&path));
        Some(format!("{self} was not found in the shared AWS files: {}", places.collect::<Vec<_>>().join(", ")))
    }

    /// Returns what is wrong with the token file of the profile, or of the profiles from which it takes its
    /// credentials.
    fn useless_token(&self, profiles: &ProfileSet) -> Option<String> {
        let source = |profile: &&Profile| profiles.get_profile(profile.get("source_profile")?);
        let all = std::iter::successors(profiles.get_profile(&self.name), source).take(MAX_CHAIN_LEN);
        let file = all.filter_map(|profile| profile.get("web_identity_token_file")).next()?;
        token_problem(Path::new(file)).map(|why| format!("{self} uses the web_identity_token_file {why}"))
    }

    /// Returns a message if the profile names no source of credentials. Used for profiles that exclude all other
    /// sources.
    fn without_credentials(&self, profiles: &ProfileSet) -> Option<String> {
        let own = profiles.get_profile(&self.name)?;
        CREDENTIAL_SETTINGS
            .iter()
            .all(|name| own.get(name).is_none())
            .then(|| format!("{self} has no settings for credentials; add one of {}", CREDENTIAL_SETTINGS.join(", ")))
    }
}

impl fmt::Display for NamedProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            Some(by) => write!(f, "the profile {:?} ({by})", self.name),
            None => write!(f, "the profile {:?}", self.name),
        }
    }
}

/// The maximum length of a chain of profiles. Longer chains are loops.
const MAX_CHAIN_LEN: usize = 10;

/// Settings of a profile that name a source of credentials.
const CREDENTIAL_SETTINGS: [&str; 7] = [
    "aws_access_key_id",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "role_arn",
    "web_identity_token_file",
    "login_session",
];

/// Returns what is wrong with the profile, regardless of the setting that names it.
async fn profile_problem(option: Option<&str>) -> Option<String> {
    let named = NamedProfile::resolve(option);
    let profiles = match load_profiles(Some(&named.name)).await {
        Ok(profiles) => profiles,
        Err(words) => return Some(words),
    };
    let known = named.missing(&profiles).or_else(|| named.useless_token(&profiles));
    // Without the option, the user may intend the role of the machine.
    known.or_else(|| option.and_then(|_| named.without_credentials(&profiles)))
}

fn display_path(path: &Path) -> String {
    let absent = if path.exists() { "" } else { " (this file does not exist)" };
    format!("{}{absent}", path.display())
}
