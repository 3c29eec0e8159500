//! Credential files: the JSON files that the console, `gcloud` and `gcloud iam workload-identity-pools` write.
//!
//! "How Application Default Credentials works"; <https://google.aip.dev/auth/4110> and the pages that it names.

use crate::cloud::credentials::file;
use crate::cloud::secret::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The members of the files of all types.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Members {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) universe_domain: Option<String>,
    pub(crate) quota_project_id: Option<String>,
    pub(crate) client_email: Option<String>,
    pub(crate) private_key_id: Option<String>,
    pub(crate) private_key: Option<Zeroizing<String>>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Zeroizing<String>>,
    pub(crate) refresh_token: Option<Zeroizing<String>>,
    pub(crate) token_uri: Option<String>,
    pub(crate) token_url: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) subject_token_type: Option<String>,
    pub(crate) credential_source: Option<CredentialSource>,
    pub(crate) workforce_pool_user_project: Option<String>,
    pub(crate) service_account_impersonation_url: Option<String>,
    pub(crate) service_account_impersonation: Impersonation,
    pub(crate) delegates: Vec<String>,
    pub(crate) source_credentials: Option<Box<Members>>,
    /// The file of an OAuth client, which is no credential, has one of these.
    installed: Option<IgnoredAny>,
    web: Option<IgnoredAny>,
    /// The path of the file, for messages and for relative paths.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// The members that contain these members, for messages: empty, or `source_credentials.`.
    #[serde(skip)]
    within: &'static str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Impersonation {
    pub(crate) token_lifetime_seconds: Option<u64>,
}

/// Where the token of a workload comes from. <https://google.aip.dev/auth/4117>
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct CredentialSource {
    pub(crate) file: Option<PathBuf>,
    pub(crate) url: Option<String>,
    pub(crate) headers: BTreeMap<String, Zeroizing<String>>,
    pub(crate) format: Format,
    pub(crate) executable: Option<Executable>,
    pub(crate) environment_id: Option<String>,
    pub(crate) region_url: Option<String>,
    pub(crate) regional_cred_verification_url: Option<String>,
    pub(crate) imdsv2_session_token_url: Option<String>,
    pub(crate) certificate: Option<CertificateSource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Format {
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) subject_token_field_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Executable {
    pub(crate) command: Option<String>,
    pub(crate) timeout_millis: Option<u64>,
    pub(crate) output_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct CertificateSource {
    pub(crate) use_default_certificate_config: bool,
    pub(crate) certificate_config_location: Option<PathBuf>,
    pub(crate) trust_chain_path: Option<PathBuf>,
}

impl Members {
    /// Reads a file. If other users can read the file, a warning is logged.
    ///
    /// # Errors
    /// A sentence with the path, which says what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        Self::parse(path, &file::private_text(path)?)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// A sentence with the path, which quotes nothing of the text.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, String> {
        // The parser's own message is not used, because it may quote a secret.
        let members: Self = serde_json::from_str(text).map_err(|error| {
            let what = if error.is_data() { WRONG_TYPE } else { "this is not valid JSON" };
            format!("{}:{}: {what}; {GET_A_FILE}", path.display(), error.line())
        })?;
        if members.installed.is_some() || members.web.is_some() {
            let path = path.display();
            return Err(format!(
                "{path}: this is the file of an OAuth client, which is not a credential; log in with \
                it: gcloud auth application-default login --client-id-file={path}"
            ));
        }
        Ok(Self { path: path.to_owned(), ..members })
    }

    /// Returns the credentials that this file contains in its member `source_credentials`.
    pub(crate) fn source(&mut self) -> Result<Self, String> {
        let source = self.source_credentials.take().ok_or_else(|| self.lacks("source_credentials"))?;
        Ok(Self { path: self.path.clone(), within: "source_credentials.", ..*source })
    }

    /// Returns a text of the file.
    ///
    /// # Errors
    /// Fails if the file lacks the member, or if the member is empty.
    pub(crate) fn required(&self, text: &Option<String>, name: &str) -> Result<String, String> {
        text.clone().filter(|text| !text.is_empty()).ok_or_else(|| self.lacks(name))
    }

    /// Like [`Self::required`], for a secret.
    pub(crate) fn required_secret(&self, text: &Option<Zeroizing<String>>, name: &str) -> Result<Secret, String> {
        let text = text.as_ref().filter(|text| !text.is_empty()).ok_or_else(|| self.lacks(name))?;
        Ok(Secret::from(text.as_str().to_owned()))
    }

    pub(crate) fn lacks(&self, name: &str) -> String {
        self.wrong(&format!("the file lacks \"{}{name}\"; {GET_A_FILE}", self.within))
    }

    /// Returns a message about the file.
    pub(crate) fn wrong(&self, what: &str) -> String {
        format!("{}: {what}", self.path.display())
    }
}

const WRONG_TYPE: &str = "a value has another type than in the files that Google's programs write";

const GET_A_FILE: &str = "get a new credential file: gcloud auth application-default login, gcloud iam service-accounts \
     keys create, or gcloud iam workload-identity-pools create-cred-config";
