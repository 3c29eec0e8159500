//! The option `login`: what it may stand beside, and what it means for each cloud's settings.

use super::section::Section;
use crate::cloud::{aws, azure};
use crate::config::options::Cloud;
use crate::error::Result;

/// A login that a slot has, as the option names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    AzureClientSecret,
    AwsWebIdentityToken,
    AwsProfile,
}

/// The values of the option, and the options that would name another credential.
#[rustfmt::skip]
const LOGINS: &[(&str, Login, Cloud, &[&str])] = &[
    ("azure_client_secret", Login::AzureClientSecret, Cloud::Azure, &[
        "azure_credential", "azure_client_secret", "azure_client_secret_file", "azure_client_certificate_path",
        "azure_client_certificate_password_file", "azure_federated_token_file", "azure_auth_file",
    ]),
    ("aws_web_identity_token", Login::AwsWebIdentityToken, Cloud::Aws, &["aws_profile", "aws_external_id"]),
    ("aws_profile", Login::AwsProfile, Cloud::Aws, &["aws_profile"]),
];

const OFF: &str = "\"login\": \"none\" switches that off";

/// The login of a slot in that cloud. A default of the file that is about the other cloud means nothing to it.
pub fn of(section: &Section, cloud: Cloud) -> Result<Option<Login>> {
    let name = section.text("login").unwrap_or_default();
    let Some((_, login, of_cloud, others)) = LOGINS.iter().find(|row| row.0 == name) else { return Ok(None) };
    if *of_cloud != cloud {
        let message = format!("is {name:?}, and the slot's key lives in {}", cloud.name());
        return if section.own("login").is_some() { Err(section.fault("login", message)) } else { Ok(None) };
    }
    for other in *others {
        section.not_both("login", other)?;
        // The slot's own login hides the file's credentials; a slot's own credential contradicts the file's login.
        if section.own(other).is_some() {
            return Err(section.fault(other, format!("can't stand beside \"login\": {name:?}; {OFF}")));
        }
    }
    if *login == Login::AwsWebIdentityToken && section.text("aws_role_arn").is_none() {
        return Err(section.fault("login", format!("is {name:?}, which needs \"aws_role_arn\"")));
    }
    Ok(Some(*login))
}

impl Login {
    /// As AWS's settings have it.
    pub fn aws(self) -> Option<aws::Login> {
        match self {
            Login::AwsWebIdentityToken => Some(aws::Login::WebIdentityToken(None)),
            Login::AwsProfile => Some(aws::Login::Profile(None)),
            Login::AzureClientSecret => None,
        }
    }
}

/// Azure's settings with a login, and no other credential that the file may have for slots without one.
pub fn alone(settings: azure::Settings) -> azure::Settings {
    azure::Settings {
        credential: azure::Credential::Login,
        client_secret: None,
        client_secret_file: None,
        client_certificate_path: None,
        client_certificate_password_file: None,
        federated_token_file: None,
        auth_file: None,
        auth_files: Vec::new(),
        ..settings
    }
}
