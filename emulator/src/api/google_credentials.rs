//! The credentials of Google Cloud, for Rust tests: files for clients, and tokens.

use super::google::Google;
use crate::encoding::pem;
use crate::google::identity::{issue, issue_id_token, key_id};
use crate::state::google::{
    CLIENT_ID, CLIENT_SECRET, OTHER_ACCOUNT, PROJECT, PROJECT_NUMBER, REFRESH_TOKEN, SERVICE_ACCOUNT, SUBJECT_TOKEN,
};
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// Where a credential file sends its client for tokens.
const TOKEN: &str = "https://oauth2.googleapis.com/token";
const STS: &str = "https://sts.googleapis.com/v1/token";
const IAM_CREDENTIALS: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts";

impl Google<'_> {
    /// The service account of [`Google::service_account_file`], and of the metadata server.
    pub const SERVICE_ACCOUNT: &'static str = SERVICE_ACCOUNT;
    /// A service account to impersonate; any other one of the project will do as well.
    pub const OTHER_ACCOUNT: &'static str = OTHER_ACCOUNT;
    /// What the Security Token Service always accepts.
    pub const SUBJECT_TOKEN: &'static str = SUBJECT_TOKEN;

    /// The key file of the service account. Its `token_uri` is Google's, which a client reaches through the proxy.
    pub fn service_account_file(&self) -> io::Result<Value> {
        let key = self.state.google.identities.key(&self.state.materials)?;
        Ok(json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": key_id(&key.spki),
            "private_key": pem::write("PRIVATE KEY", &key.private), "client_email": SERVICE_ACCOUNT,
            "client_id": "100000000000000000001", "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": TOKEN, "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/emulator",
            "universe_domain": "googleapis.com",
        }))
    }

    /// The file that `gcloud auth application-default login` leaves behind.
    pub fn authorized_user_file(&self) -> Value {
        json!({
            "type": "authorized_user", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "refresh_token": REFRESH_TOKEN, "quota_project_id": PROJECT, "universe_domain": "googleapis.com",
        })
    }

    /// The file of workload identity federation, with the subject token in a file; also impersonates an account if one is given.
    pub fn external_account_file(&self, subject_token: &Path, impersonate: Option<&str>) -> Value {
        let pool = format!("projects/{PROJECT_NUMBER}/locations/global/workloadIdentityPools/emulator-pool");
        let mut file = json!({
            "type": "external_account", "audience": format!("//iam.googleapis.com/{pool}/providers/emulator"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": STS,
            "credential_source": { "file": subject_token, "format": { "type": "text" } },
            "universe_domain": "googleapis.com",
        });
        if let Some(account) = impersonate {
            file["service_account_impersonation_url"] = json!(impersonation_url(account));
        }
        file
    }

    /// The file of a user who impersonates a service account.
    pub fn impersonated_file(&self, account: &str) -> Value {
        json!({
            "type": "impersonated_service_account", "service_account_impersonation_url": impersonation_url(account),
            "source_credentials": self.authorized_user_file(), "delegates": [], "universe_domain": "googleapis.com",
        })
    }

    /// One of these files, with the endpoints of this emulator in place of Google's: for a client without a proxy.
    pub fn without_proxy(&self, file: &Value) -> Value {
        let here = format!("http://127.0.0.1:{}", self.state.port);
        let mut text = file.to_string();
        for host in
            ["https://oauth2.googleapis.com", "https://sts.googleapis.com", "https://iamcredentials.googleapis.com"]
        {
            text = text.replace(host, &here);
        }
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// An access token without asking for it.
    pub fn issue_token(&self) -> String {
        let lifetime = self.state.google.identities.lifetime();
        issue(self.state, "https://www.googleapis.com/auth/cloud-platform", lifetime)
    }

    /// An OpenID Connect token, which the Security Token Service accepts.
    pub fn issue_id_token(&self, audience: &str) -> io::Result<String> {
        Ok(issue_id_token(self.state, audience)?)
    }

    /// The Security Token Service accepts this subject token.
    pub fn allow_subject_token(&self, token: &str) {
        self.state.google.identities.allow_subject(token);
    }

    /// How long tokens are good that are issued from now on.
    pub fn set_token_lifetime(&self, seconds: i64) {
        self.state.google.identities.set_lifetime(seconds);
    }

    /// All access tokens that were issued are unknown from now on.
    pub fn forget_tokens(&self) {
        self.state.google.identities.forget_tokens();
    }

    /// The refresh token of [`Google::authorized_user_file`] is revoked.
    pub fn revoke_refresh_token(&self) {
        self.state.google.identities.revoke_refresh();
    }

    /// All that a log must never contain: tokens and secrets.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.state.google.identities.tokens();
        secrets.extend([CLIENT_SECRET, REFRESH_TOKEN, SUBJECT_TOKEN].map(str::to_owned));
        secrets
    }
}

fn impersonation_url(account: &str) -> String {
    format!("{IAM_CREDENTIALS}/{account}:generateAccessToken")
}
