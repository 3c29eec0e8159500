//! What keeps the shared files of AWS, and its token files, from being of use. The SDK passes over it in silence.
//!
//! "Shared config and credentials files", AWS SDKs and Tools Reference Guide.

use super::aws::Settings;
use super::credential_file;
use super::http::words_of;
use aws_types::os_shim_internal::{Env, Fs};
use std::path::{Path, PathBuf};

/// The variables that name the shared files, and where these lie without them.
const SHARED: [(&str, &str); 2] =
    [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];

const TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// What is wrong with the files, and the profile that is in none of them.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Sentences about files.
    files: Vec<String>,
    /// That a profile is missing.
    profile: Option<String>,
}

impl Trouble {
    /// Looks at the files.
    pub(super) async fn find(settings: &Settings) -> Self {
        let mut files: Vec<String> = SHARED.iter().filter_map(|(name, usual)| shared(name, usual)).collect();
        files.extend(token());
        // A login's profile is its PIN, which stands in no message.
        let profile = if settings.login.is_some() { None } else { missing(settings.profile.as_deref()).await };
        Self { profile, files }
    }

    /// That the files lack the slot's own profile.
    pub(super) async fn of_profile(settings: &Settings) -> Option<String> {
        let name = settings.profile.as_deref().filter(|_| settings.login.is_none())?;
        missing(Some(name)).await
    }

    /// All of it, in one line, if there is something.
    pub(super) fn words(&self) -> Option<String> {
        let all: Vec<&str> = self.profile.iter().chain(&self.files).map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home() -> Option<PathBuf> {
    variable("HOME").map(PathBuf::from)
}

fn place(name: &str, usual: &str) -> Option<PathBuf> {
    match variable(name) {
        Some(path) => Some(match (path.strip_prefix("~/"), home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => path.into(),
        }),
        None => home().map(|home| home.join(usual)),
    }
}

/// Why one of the shared files is not read as people think. Without a variable it need not be there.
fn shared(name: &str, usual: &str) -> Option<String> {
    let path = place(name, usual)?;
    let named = variable(name).map(|_| format!("{name} names ")).unwrap_or_default();
    let bytes = match credential_file::bytes(&path) {
        Ok(bytes) => bytes,
        Err(_) if named.is_empty() && !path.exists() => return None,
        Err(why) => return Some(format!("{named}{why}")),
    };
    let is_plain = std::str::from_utf8(&bytes).is_ok() && !bytes.starts_with(BOM);
    (!is_plain).then(|| format!("{named}{}: {NOT_PLAIN}", path.display()))
}

const BOM: &[u8] = b"\xef\xbb\xbf";

const NOT_PLAIN: &str = "the SDK of AWS reads UTF-8 without a byte order mark only: save the file so";

fn token() -> Option<String> {
    let path = PathBuf::from(variable(TOKEN)?);
    let why = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok("") => Some("the file is empty"),
        Ok(text) if text.trim_matches('\u{feff}').trim() == text => None,
        _ => Some("the SDK of AWS takes the file as it is: write the token alone, in UTF-8, without a line's end"),
    };
    match credential_file::bytes(&path) {
        Ok(bytes) => Some(format!("{TOKEN} names {}: {}", path.display(), why(&bytes)?)),
        Err(why) => Some(format!("{TOKEN} names {why}")),
    }
}

/// That the profile of the slot, or of AWS_PROFILE, is in none of the files.
async fn missing(profile: Option<&str>) -> Option<String> {
    let (name, by) = match profile {
        Some(name) => (name.to_owned(), "option \"aws_profile\""),
        None => (variable("AWS_PROFILE")?, "AWS_PROFILE"),
    };
    let own = Some(name.clone().into());
    let profiles = match aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), own).await {
        Ok(profiles) => profiles,
        Err(error) => return Some(words_of(&error)),
    };
    if name == "default" || profiles.get_profile(&name).is_some() {
        return None;
    }
    let places: Vec<String> =
        SHARED.iter().filter_map(|(name, usual)| place(name, usual)).map(|path| shown(&path)).collect();
    Some(format!("the profile {name:?} ({by}) is in none of the shared AWS files: {}", places.join(", ")))
}

fn shown(path: &Path) -> String {
    let absent = if path.exists() { "" } else { " (there is no such file)" };
    format!("{}{absent}", path.display())
}
