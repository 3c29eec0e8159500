//! The errors of Key Vault.

use super::place::Place;
use crate::crypto::Unable;
use crate::http::Reply;
use crate::state::azure::{CLIENT, NoSuchKey, TENANT};
use serde_json::json;

/// An error as Key Vault words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VaultError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) inner: Option<String>,
}

impl VaultError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), inner: None }
    }

    pub(crate) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(400, "BadParameter", message)
    }

    pub(crate) fn forbidden(inner: &str, message: impl Into<String>) -> Self {
        Self { inner: Some(inner.to_owned()), ..Self::new(403, "Forbidden", message) }
    }

    pub(crate) fn throttled() -> Self {
        let text =
            "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached";
        Self::new(429, "Throttled", text)
    }

    /// A denial of Azure role-based access control.
    pub(crate) fn denied(operation: &str, place: &Place) -> Self {
        let action = operation.trim_start_matches("vault.").replace('.', "/");
        let text = format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid={CLIENT};iss=https://sts.windows.net/{TENANT}/\r\nAction: 'Microsoft.KeyVault/vaults/{action}/action'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null\r\nVault: {};location=westeurope\r\n",
            place.vault
        );
        Self::forbidden("ForbiddenByRbac", text)
    }

    pub(crate) fn reply(&self) -> Reply {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(inner) = &self.inner {
            error["innererror"] = json!({ "code": inner });
        }
        Reply::json(self.status, &json!({ "error": error }))
    }
}

impl From<Unable> for VaultError {
    fn from(_: Unable) -> Self {
        Self::new(500, "InternalServerError", "An internal error occurred.")
    }
}

impl From<NoSuchKey> for VaultError {
    fn from(NoSuchKey(id): NoSuchKey) -> Self {
        Self::new(
            404,
            "KeyNotFound",
            format!(
                "A key with (name/id) {id} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
            ),
        )
    }
}
