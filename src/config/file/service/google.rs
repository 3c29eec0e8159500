//! The Google settings of a slot, from the slot's options and the variables of Google's own programs and libraries.

use super::network::network;
use crate::cloud::google::{Credentials, KEY_RING_FORM, ProtectionLevel, Settings, Versions, relative_name};
use crate::config::environment::Environment;
use crate::config::file::login;
use crate::config::file::section::Section;
use crate::config::options::Cloud;
use crate::error::Result;

/// The option for the URL of another endpoint.
pub(super) const ENDPOINT_URL: &str = "google_endpoint_url";

/// The option for the key ring.
const KEY_RING: &str = "google_key_ring";

/// Returns the settings of a slot.
///
/// # Errors
/// CKR_GENERAL_ERROR if the key ring is missing and another option needs it, or if the slot has a login of another cloud.
pub(super) fn settings(section: &Section) -> Result<Settings> {
    login::login_of(section, Cloud::Google)?;
    let chose = |option: &str, choice: &str| section.str_option(option) == Some(choice);
    let defaults = of_environment(section.file.environment);
    Ok(Settings {
        endpoint_url: section.str_option(ENDPOINT_URL).map(|url| url.trim_end_matches('/').to_owned()),
        universe_domain: section.text("google_universe_domain").or(defaults.universe_domain),
        key_ring: key_ring(section)?,
        versions: if chose("google_versions", "newest") { Versions::Newest } else { Versions::All },
        hides_software_keys: false,
        protection_level: match chose("google_protection_level", "software") {
            true => ProtectionLevel::Software,
            false => ProtectionLevel::Hsm,
        },
        credentials: section.path("google_credentials_file")?.map_or(defaults.credentials, Credentials::File),
        impersonated_account: section.text("google_impersonate_service_account"),
        quota_project: section.text("google_quota_project").or(defaults.quota_project),
        network: network(section)?,
    })
}

/// Returns the settings that the variables of Google's own libraries determine.
pub(crate) fn of_environment(environment: &Environment) -> Settings {
    Settings {
        universe_domain: environment.text("GOOGLE_CLOUD_UNIVERSE_DOMAIN"),
        credentials: default_credentials(environment),
        quota_project: environment.text("GOOGLE_CLOUD_QUOTA_PROJECT"),
        ..Settings::default()
    }
}

/// Returns the sources of Application Default Credentials: the file that a variable names, that of gcloud, or the
/// metadata server.
fn default_credentials(environment: &Environment) -> Credentials {
    if let Some(path) = environment.path("GOOGLE_APPLICATION_CREDENTIALS") {
        return Credentials::File(path);
    }
    let home = || environment.path("HOME").map(|home| home.join(".config/gcloud"));
    let folder = environment.path("CLOUDSDK_CONFIG").or_else(home);
    folder.map_or(Credentials::Metadata, |folder| {
        Credentials::FileOrMetadata(folder.join("application_default_credentials.json"))
    })
}

/// The options that need a key ring: the name, the value that needs it, and what to write instead.
const USES: [(&str, &str, &str); 3] = [
    ("discover", "", ""),
    ("random", "\"service\" ", ", or write \"random\": \"system\" in this slot"),
    ("allow", "\"generate\" ", ", or write \"allow\": [] in this slot"),
];

/// Returns the key ring.
///
/// # Errors
/// CKR_GENERAL_ERROR at the option that needs a key ring, if there is none.
fn key_ring(section: &Section) -> Result<Option<String>> {
    if let Some(name) = section.str_option(KEY_RING) {
        return Ok(Some(relative_name(name).to_owned()));
    }
    let is_set = |option: &str| match option {
        "discover" => section.flag(option) == Some(true),
        "random" => section.str_option(option) == Some("service"),
        _ => section.names(option).iter().any(|right| right == "generate"),
    };
    match USES.iter().find(|(option, ..)| is_set(option)) {
        None => Ok(None),
        Some((option, value, otherwise)) => {
            let text = format!(
                "{value}needs \"{KEY_RING}\" in Google Cloud KMS; add \"{KEY_RING}\": \"{KEY_RING_FORM}\"{otherwise}"
            );
            Err(section.error(option, text))
        }
    }
}
