//! Credentials that a subprocess prints: the `credential_process` of a profile.
//!
//! "Sourcing credentials with an external process", AWS SDKs and Tools Reference Guide.

use super::role::Role;
use super::shared_files::load_profiles;
use crate::cloud::credentials::subprocess;
use crate::cloud::failure::obstacle::Obstacle;
use crate::host::process;
use aws_config::SdkConfig;
use aws_config::profile::{Profile, ProfileSet};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use serde::Deserialize;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Runs the `credential_process` of the profile, or of the profile at the end of its chain of roles.
///
/// The SDK's own provider would start the program with all signals blocked, because all signals are blocked in the
/// module's threads.
#[derive(Debug)]
pub(crate) struct CredentialProcess {
    pub(crate) profile: Option<String>,
    pub(crate) sdk: SdkConfig,
    /// The time limit of the subprocess. It is shorter than the deadline of the call, so that the failure can name
    /// the subprocess that took too long.
    pub(crate) limit: Duration,
}

impl ProvideCredentials for CredentialProcess {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl CredentialProcess {
    async fn credentials(&self) -> provider::Result {
        if self.profile.is_none() && std::env::var_os("AWS_ACCESS_KEY_ID").is_some() {
            return Err(CredentialsError::not_loaded("the environment takes precedence"));
        }
        let profiles = load_profiles(self.profile.as_deref()).await;
        let profiles = profiles.map_err(CredentialsError::invalid_configuration)?;
        let Some((command, roles)) = command_of(&profiles) else {
            return Err(CredentialsError::not_loaded("the profile has no credential_process"));
        };
        let mut provider = SharedCredentialsProvider::new(run(&command, self.limit).await?);
        for role in roles {
            provider = SharedCredentialsProvider::new(role.provider(&self.sdk, provider).await);
        }
        provider.provide_credentials().await
    }
}

/// Settings of a profile that take precedence over credential_process, in the SDK's order.
const OVERRIDING_SETTINGS: [&str; 4] =
    ["credential_source", "web_identity_token_file", "sso_account_id", "login_session"];

/// Returns the command at the end of the selected profile's chain, and the roles to assume with its credentials,
/// in order.
fn command_of(profiles: &ProfileSet) -> Option<(String, Vec<Role>)> {
    let mut profile = profiles.get_profile(profiles.selected_profile())?;
    let mut roles = Vec::new();
    while let Some(arn) = profile.get("role_arn") {
        let own = |profile: &Profile, name| profile.get(name).map(str::to_owned);
        roles.push(Role {
            arn: arn.to_owned(),
            external_id: own(profile, "external_id"),
            session_name: own(profile, "role_session_name"),
        });
        let source = profile.get("source_profile")?;
        let next = profiles.get_profile(source)?;
        // A profile that names itself as its source uses its own access keys. The SDK reports longer loops as an
        // error.
        if next.name() == profile.name() || roles.len() > 10 || next.get("aws_access_key_id").is_some() {
            return None;
        }
        profile = next;
    }
    if OVERRIDING_SETTINGS.iter().any(|name| profile.get(name).is_some()) {
        return None;
    }
    roles.reverse();
    Some((profile.get("credential_process")?.to_owned(), roles))
}

async fn run(command: &str, limit: Duration) -> provider::Result {
    let mut shell = process::command("/bin/sh");
    shell.args(["-c", command]);
    let failed = |what: String| CredentialsError::provider_error(format!("credential_process: {what}"));
    let output = subprocess::run(shell, limit).await.map_err(|error| match Obstacle::missing_resource(&error) {
        Some(obstacle) => CredentialsError::provider_error(obstacle),
        None => failed(error.to_string()),
    })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, words.trim())));
    }
    parse_credentials(&Zeroizing::new(output.stdout)).map_err(failed)
}

/// Parses the output of the program.
///
/// # Errors
/// Returns a message that quotes nothing of the output, because any text in it may be part of a secret.
pub(crate) fn parse_credentials(output: &[u8]) -> Result<Credentials, String> {
    let reply: ProcessOutput = serde_json::from_slice(output)
        .map_err(|e| format!("line {} of its output is not the expected JSON", e.line()))?;
    reply.credentials()
}

/// The output of a `credential_process`. "Sourcing credentials with an external process", AWS SDKs and Tools
/// Reference Guide.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessOutput {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl ProcessOutput {
    fn credentials(self) -> Result<Credentials, String> {
        if self.version != 1 {
            return Err(format!("its output has the Version {}, but must have the Version 1", self.version));
        }
        let expiry = self.expiration.map(|text| parse_time(&text).ok_or("the Expiration in its output is not a time"));
        let expiry = expiry.transpose()?;
        Ok(Credentials::new(
            self.access_key_id,
            self.secret_access_key,
            self.session_token,
            expiry,
            "CredentialProcess",
        ))
    }
}

fn parse_time(text: &str) -> Option<SystemTime> {
    use aws_sdk_kms::primitives::{DateTime, DateTimeFormat};
    DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok()?.try_into().ok()
}
