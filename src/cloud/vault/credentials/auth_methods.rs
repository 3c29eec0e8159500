//! Logins with the auth methods of Vault.
//!
//! "AppRole auth method (API)", "JWT/OIDC auth method (API)", "Kubernetes auth method (API)" and "TLS certificate auth method
//! (API)" of Vault's documentation.

use crate::cloud::credentials::file;
use crate::cloud::failure::Cause;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::http::transport::json_body;
use crate::cloud::vault::client::{Clients, Request};
use crate::cloud::vault::operations::Operation;
use crate::cloud::vault::settings::{Credential, Login, SecretId};
use crate::cloud::vault::token::{Token, authentication};
use crate::log_debug;
use http::Method;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

impl Clients {
    /// Logs in, and returns the new token.
    ///
    /// # Errors
    /// Fails with [`Cause::Credentials`] if the auth method rejects the credential. There is no remedy then.
    pub(crate) async fn log_in(&self, operation: &Operation, login: &Login) -> Result<Token, FailedAttempt> {
        let setting = |why: String| operation.failure(Cause::Settings, why);
        let fields = match &login.credential {
            Credential::AppRole { role_id, secret_id } => {
                let secret = match secret_id {
                    None => None,
                    Some(SecretId::Text(secret)) => Some(Zeroizing::new(secret.expose().to_owned())),
                    Some(SecretId::File(path)) => Some(file::secret(path).map_err(setting)?),
                };
                json_body(&AppRoleLogin { role_id, secret_id: secret.as_deref().map(String::as_str) })
            }
            Credential::Jwt { role, file: path } => {
                let jwt = file::token(path).map_err(setting)?;
                json_body(&JwtLogin { role: role.as_deref(), jwt: &jwt })
            }
            Credential::Certificate { role } => json_body(&json!({ "name": role })),
        };
        let path: Vec<&str> = ["auth"].into_iter().chain(login.mount.split('/')).chain(["login"]).collect();
        let request = Request { method: Method::POST, path: &path, body: Some(fields) };
        let reply = self.send(operation, &request, None).await.map_err(|refused| login_refusal(login, refused))?;
        let unreadable = || operation.failure(Cause::Malformed, "the reply to the login has no token");
        let token = Token::leased(authentication(&reply).ok_or_else(unreadable)?);
        log_debug!("logged in by the auth method at {:?}", login.mount);
        Ok(token)
    }
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
}

#[derive(Serialize)]
struct JwtLogin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    jwt: &'a str,
}

/// The credential of a login is wrong, so the login is not repeated.
fn login_refusal(login: &Login, mut refused: FailedAttempt) -> FailedAttempt {
    let failure = &mut refused.failure;
    let is_wrong =
        [Cause::Rejected, Cause::Denied, Cause::Credentials, Cause::NotFound, Cause::Settings, Cause::Unsupported];
    if is_wrong.contains(&failure.cause) {
        failure.cause = Cause::Credentials;
        refused.remedy = RetryPolicy::Never;
    }
    failure.message = format!("no token by the auth method at {:?}: {}", login.mount, failure.message);
    refused
}
