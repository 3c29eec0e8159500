//! The file `azureauth.json`: what the `az` program prints about a new application, in its old and new forms.
//!
//! `az ad sp create-for-rbac`, with `--create-cert`, and with `--sdk-auth` (`--json-auth`).

use crate::cloud::credentials::file;
use crate::cloud::secret::Secret;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The application that a file describes.
pub(crate) struct AuthFile {
    pub(crate) tenant: String,
    pub(crate) client: String,
    pub(crate) proof: AppCredential,
    /// The authority, if the file names one.
    pub(crate) authority: Option<String>,
}

/// The credential of an application.
pub(crate) enum AppCredential {
    Secret(Secret),
    /// A PEM file with certificate and key.
    Certificate(PathBuf),
}

#[derive(Deserialize)]
struct Members {
    #[serde(alias = "tenantId")]
    tenant: Option<String>,
    #[serde(rename = "appId", alias = "clientId")]
    client: Option<String>,
    #[serde(alias = "clientSecret")]
    password: Option<String>,
    #[serde(rename = "fileWithCertAndPrivateKey", alias = "clientCertificate")]
    certificate: Option<PathBuf>,
    #[serde(rename = "activeDirectoryEndpointUrl")]
    authority: Option<String>,
}

impl AuthFile {
    /// Reads a file. If other users can read the file, a warning is logged.
    ///
    /// # Errors
    /// Returns a message with the path.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        Self::parse(path, &file::private_text(path)?)
    }

    /// Parses the text of a file. `path` is the path of the file, for messages and for relative paths in the file.
    ///
    /// # Errors
    /// Returns a message with the path that quotes nothing of the text.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, String> {
        // The parser's own message is not used, because it may quote the password.
        let members: Members = serde_json::from_str(text).map_err(|e| {
            format!("{}:{}: this is not the JSON that az ad sp create-for-rbac prints", path.display(), e.line())
        })?;
        let lacks = |names: &str| format!("{}: the file lacks {names}", path.display());
        let given = |member: Option<String>| member.filter(|value| !value.is_empty());
        let proof = match (given(members.password), members.certificate) {
            (Some(secret), _) => AppCredential::Secret(secret.into()),
            (None, Some(file)) => AppCredential::Certificate(path.parent().unwrap_or(Path::new("")).join(file)),
            (None, None) => return Err(lacks("\"password\" (or \"clientSecret\")")),
        };
        Ok(Self {
            tenant: given(members.tenant).ok_or_else(|| lacks("\"tenant\" (or \"tenantId\")"))?,
            client: given(members.client).ok_or_else(|| lacks("\"appId\" (or \"clientId\")"))?,
            proof,
            authority: given(members.authority).filter(|url| url.starts_with("https://")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AuthFile, String> {
        AuthFile::parse(Path::new("/etc/a.json"), text)
    }

    #[test]
    fn each_form_of_az_is_read() {
        for (text, secret, authority) in [
            (r#"{"appId": "app", "displayName": "d", "password": "s", "tenant": "t"}"#, Some("s"), None),
            (r#"{"appId": "app", "name": "http://d", "password": "s", "tenant": "t"}"#, Some("s"), None),
            (
                r#"{"clientId": "app", "clientSecret": "s", "subscriptionId": "x", "tenantId": "t",
                    "activeDirectoryEndpointUrl": "https://login.microsoftonline.us", "galleryEndpointUrl": "https://g/"}"#,
                Some("s"),
                Some("https://login.microsoftonline.us"),
            ),
            (
                r#"{"appId": "app", "fileWithCertAndPrivateKey": "/home/a.pem", "password": null, "tenant": "t"}"#,
                None,
                None,
            ),
            (r#"{"clientId": "app", "clientCertificate": "/home/a.pem", "tenantId": "t"}"#, None, None),
        ] {
            let file = parse(text).unwrap();
            assert_eq!(
                (file.tenant.as_str(), file.client.as_str(), file.authority.as_deref()),
                ("t", "app", authority)
            );
            match (file.proof, secret) {
                (AppCredential::Secret(own), Some(secret)) => assert_eq!(own.expose(), secret),
                (AppCredential::Certificate(path), None) => assert_eq!(path, Path::new("/home/a.pem")),
                _ => panic!("{text}"),
            }
        }
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_quoted() {
        for (text, why) in [
            (r#"{"appId": "app", "password": "s3cret"}"#, "/etc/a.json: the file lacks \"tenant\" (or \"tenantId\")"),
            (r#"{"tenant": "t", "password": "s3cret"}"#, "/etc/a.json: the file lacks \"appId\" (or \"clientId\")"),
            (r#"{"tenant": "t", "appId": "app"}"#, "/etc/a.json: the file lacks \"password\" (or \"clientSecret\")"),
            ("{\n\"password\": s3cret}", "/etc/a.json:2: this is not the JSON that az ad sp create-for-rbac prints"),
            (r#"["s3cret"]"#, "/etc/a.json:1: this is not the JSON that az ad sp create-for-rbac prints"),
        ] {
            assert_eq!(parse(text).err().as_deref(), Some(why));
        }
    }
}
