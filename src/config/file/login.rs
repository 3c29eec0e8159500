//! The option `login`: the options that it excludes, and its effect on the settings of each cloud.

use super::section::Section;
use crate::cloud::aws;
use crate::config::options::Cloud;
use crate::error::{Error, Result};

/// The login of a slot: the credential that is the PIN of C_Login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// `azure_client_secret`
    AzureClientSecret,
    /// `aws_web_identity_token`
    AwsWebIdentityToken,
    /// `aws_profile`
    AwsProfile,
    /// `vault_token`
    VaultToken,
    /// `vault_secret_id`
    VaultSecretId,
}

/// The values of the option, each with its cloud and with the options that would select another credential.
#[rustfmt::skip]
const LOGINS: &[(&str, Login, Cloud, &[&str])] = &[
    ("azure_client_secret", Login::AzureClientSecret, Cloud::Azure, &[
        "azure_credential", "azure_client_secret", "azure_client_secret_file", "azure_client_certificate_path",
        "azure_client_certificate_password_file", "azure_federated_token_file", "azure_auth_file",
    ]),
    ("aws_web_identity_token", Login::AwsWebIdentityToken, Cloud::Aws, &["aws_profile", "aws_external_id"]),
    ("aws_profile", Login::AwsProfile, Cloud::Aws, &["aws_profile"]),
    ("vault_token", Login::VaultToken, Cloud::Vault, VAULT_CREDENTIALS),
    ("vault_secret_id", Login::VaultSecretId, Cloud::Vault, VAULT_CREDENTIALS),
];

const VAULT_CREDENTIALS: &[&str] =
    &["vault_auth", "vault_token", "vault_token_file", "vault_secret_id", "vault_secret_id_file", "vault_jwt_file"];

/// The options that a login needs.
const NEEDED: &[(Login, &str, &str)] = &[
    (Login::AwsWebIdentityToken, "aws_role_arn", "the ARN of the role"),
    (Login::VaultSecretId, "vault_role_id", "the RoleID of the AppRole"),
];

/// Returns the login of a slot in that cloud. A default of the file for the other cloud is ignored.
///
/// # Errors
/// CKR_GENERAL_ERROR if the slot's own login is for the other cloud, if another option of the same object or of
/// the slot selects a credential, or if an option that the login needs is missing.
pub fn login_of(section: &Section, cloud: Cloud) -> Result<Option<Login>> {
    let name = section.text("login").unwrap_or_default();
    let Some((_, login, of_cloud, others)) = LOGINS.iter().find(|row| row.0 == name) else { return Ok(None) };
    if *of_cloud != cloud {
        return if section.own_member("login").is_some() { Err(wrong_cloud(section, &name, cloud)) } else { Ok(None) };
    }
    for other in *others {
        section.check_exclusive("login", other)?;
        // The slot's own login overrides the credentials at top level. The slot's own credential contradicts a
        // login at top level.
        if section.own_member(other).is_some() {
            let text = format!(
                "can't be combined with \"login\": {name:?} of the top level; remove this option, or write \"login\": \
                 \"none\" in this slot"
            );
            return Err(section.error(other, text));
        }
    }
    let missing = NEEDED.iter().find(|(of, option, _)| of == login && section.text(option).is_none());
    if let Some((_, option, what)) = missing {
        return Err(section.error("login", format!("is {name:?}, which needs \"{option}\"; add {what}")));
    }
    Ok(Some(*login))
}

/// Returns the error for a login of another cloud than the slot's.
fn wrong_cloud(section: &Section, name: &str, cloud: Cloud) -> Error {
    let accepted = LOGINS.iter().filter(|row| row.2 == cloud).map(|row| row.0);
    let accepted: Vec<_> = std::iter::once("none").chain(accepted).collect();
    let (cloud, accepted) = (cloud.name(), accepted.join(", "));
    section.error("login", format!("is {name:?}, but the slot's key is in {cloud}; expected one of {accepted}"))
}

impl Login {
    /// Returns the login for the settings of AWS, without a PIN. Returns `None` for a login to another cloud.
    pub fn aws(self) -> Option<aws::Login> {
        match self {
            Login::AwsWebIdentityToken => Some(aws::Login::WebIdentityToken(None)),
            Login::AwsProfile => Some(aws::Login::Profile(None)),
            Login::AzureClientSecret | Login::VaultToken | Login::VaultSecretId => None,
        }
    }
}
