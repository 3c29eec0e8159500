//! What keeps the shared files of AWS, and its token files, from being of use. The SDK passes over it in silence.
//!
//! "Shared config and credentials files", AWS SDKs and Tools Reference Guide.

use crate::cloud::aws::settings::Settings;
use crate::cloud::credentials::file;
use crate::cloud::failure::error_chain::words_of;
use crate::host::process;

use aws_config::profile::{Profile, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};
use std::fmt;
use std::path::{Path, PathBuf};

/// The variables that name the shared files, and where these lie without them.
const SHARED: [(&str, &str); 2] =
    [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];

const TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// What is wrong with the files, and with the profile in them.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Sentences about files.
    files: Vec<String>,
    /// What is wrong with the profile.
    profile: Option<String>,
}

impl Trouble {
    /// Looks at the files.
    pub(crate) async fn find(settings: &Settings) -> Self {
        let mut files: Vec<String> = SHARED.iter().filter_map(|(name, usual)| shared(name, usual)).collect();
        files.extend(token());
        // A login's profile is its PIN, which stands in no message.
        let profile = if settings.login.is_some() { None } else { flaw(settings.profile.as_deref()).await };
        Self { profile, files }
    }

    /// That the files lack the slot's own profile.
    pub(crate) async fn of_profile(settings: &Settings) -> Option<String> {
        let name = settings.profile.as_deref().filter(|_| settings.login.is_none())?;
        Named::by(Some(name)).missing(&loaded(Some(name)).await.ok()?)
    }

    /// All of it, in one line, if there is something.
    pub(crate) fn words(&self) -> Option<String> {
        let all: Vec<&str> = self.files.iter().chain(&self.profile).map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home() -> Option<PathBuf> {
    variable("HOME").map(PathBuf::from)
}

/// A path as these files have it: from `~/` it starts in the home folder.
fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

fn place(name: &str, usual: &str) -> Option<PathBuf> {
    match variable(name) {
        Some(path) => Some(expanded(&path)),
        None => home().map(|home| home.join(usual)),
    }
}

/// Why one of the shared files is not read as people think. Without a variable it need not be there.
fn shared(name: &str, usual: &str) -> Option<String> {
    let path = place(name, usual)?;
    let named = variable(name).map(|_| format!("{name} names ")).unwrap_or_default();
    let bytes = match file::bytes(&path) {
        Ok(bytes) => bytes,
        Err(_) if named.is_empty() && !path.exists() => return None,
        Err(why) => return Some(format!("{named}{why}")),
    };
    let is_plain = std::str::from_utf8(&bytes).is_ok() && !bytes.starts_with(BOM);
    (!is_plain).then(|| format!("{named}{}: {NOT_PLAIN}", path.display()))
}

/// Warns of access keys that everybody can read, where they are used.
pub(crate) fn warn_of_readers(settings: &Settings) {
    let is_used = settings.profile.is_some() || variable("AWS_ACCESS_KEY_ID").is_none();
    SHARED.iter().filter(|_| is_used).filter_map(|(name, usual)| place(name, usual)).for_each(|path| {
        file::look_at(&path, b"aws_secret_access_key");
    });
}

const BOM: &[u8] = b"\xef\xbb\xbf";

const NOT_PLAIN: &str = "the SDK of AWS reads UTF-8 without a byte order mark only: save the file so";

fn token() -> Option<String> {
    let path = variable(TOKEN)?;
    useless_token(Path::new(&path)).map(|why| format!("{TOKEN} names {why}"))
}

/// Why the file of a web identity token is of no use, with its path.
fn useless_token(path: &Path) -> Option<String> {
    let why = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok("") => Some("the file is empty"),
        Ok(text) if text.trim_matches('\u{feff}').trim() == text => None,
        _ => Some("the SDK of AWS takes the file as it is: write the token alone, in UTF-8, without a line's end"),
    };
    match file::bytes(path) {
        Ok(bytes) => Some(format!("{}: {}", path.display(), why(&bytes)?)),
        Err(why) => Some(why),
    }
}

/// The authorities that every tool of AWS trusts here, and who names them. "General configuration", AWS SDKs and Tools
/// Reference Guide.
pub(crate) async fn ca_bundle(profile: Option<&str>) -> Option<(PathBuf, &'static str)> {
    // A setuid program's variables are somebody else's.
    let variable = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty() && !process::is_privileged());
    if let Some(path) = variable {
        return Some((path.into(), CA_BUNDLE));
    }
    let profiles = loaded(profile).await.ok()?;
    let path = profiles.get("ca_bundle").filter(|path| !path.is_empty())?;
    Some((expanded(path), "ca_bundle of the shared AWS configuration"))
}

const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The shared files with that profile, else with the one that AWS_PROFILE names.
///
/// # Errors
/// Why they can't be read, in the SDK's words.
pub(crate) async fn loaded(profile: Option<&str>) -> Result<ProfileSet, String> {
    let own = profile.map(|name| name.to_owned().into());
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), own).await;
    profiles.map_err(|error| words_of(&error))
}

/// A profile, and who names it.
struct Named {
    name: String,
    by: Option<&'static str>,
}

impl Named {
    /// The slot's, that of AWS_PROFILE, or the one that is used without either.
    fn by(option: Option<&str>) -> Self {
        match (option, variable("AWS_PROFILE")) {
            (Some(name), _) => Self { name: name.to_owned(), by: Some("option \"aws_profile\"") },
            (None, Some(name)) => Self { name, by: Some("AWS_PROFILE") },
            (None, None) => Self { name: "default".into(), by: None },
        }
    }

    /// That it is in none of the files.
    fn missing(&self, profiles: &ProfileSet) -> Option<String> {
        if self.name == "default" || profiles.get_profile(&self.name).is_some() {
            return None;
        }
        let places = SHARED.iter().filter_map(|(name, usual)| place(name, usual)).map(|path| shown(&path));
        Some(format!("{self} is in none of the shared AWS files: {}", places.collect::<Vec<_>>().join(", ")))
    }

    /// What is wrong with the token file of it, or of those that it takes its credentials from.
    fn useless_token(&self, profiles: &ProfileSet) -> Option<String> {
        let source = |profile: &&Profile| profiles.get_profile(profile.get("source_profile")?);
        let all = std::iter::successors(profiles.get_profile(&self.name), source).take(LONGEST_CHAIN);
        let file = all.filter_map(|profile| profile.get("web_identity_token_file")).next()?;
        useless_token(Path::new(file)).map(|why| format!("{self} leads to the web_identity_token_file {why}"))
    }

    /// That it has none, where no other source is asked.
    fn without_credentials(&self, profiles: &ProfileSet) -> Option<String> {
        let own = profiles.get_profile(&self.name)?;
        SOURCES
            .iter()
            .all(|name| own.get(name).is_none())
            .then(|| format!("{self} says nothing of credentials; it needs one of {}", SOURCES.join(", ")))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            Some(by) => write!(f, "the profile {:?} ({by})", self.name),
            None => write!(f, "the profile {:?}", self.name),
        }
    }
}

/// Longer ones are loops.
const LONGEST_CHAIN: usize = 10;

/// What a profile may have its credentials from.
const SOURCES: [&str; 7] = [
    "aws_access_key_id",
    "credential_process",
    "sso_session",
    "sso_start_url",
    "role_arn",
    "web_identity_token_file",
    "login_session",
];

/// What is wrong with the profile, whoever names it.
async fn flaw(option: Option<&str>) -> Option<String> {
    let named = Named::by(option);
    let profiles = match loaded(Some(&named.name)).await {
        Ok(profiles) => profiles,
        Err(words) => return Some(words),
    };
    let known = named.missing(&profiles).or_else(|| named.useless_token(&profiles));
    // Without the option, a machine's role may be meant.
    known.or_else(|| option.and_then(|_| named.without_credentials(&profiles)))
}

fn shown(path: &Path) -> String {
    let absent = if path.exists() { "" } else { " (there is no such file)" };
    format!("{}{absent}", path.display())
}
