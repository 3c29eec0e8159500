//! Failures of requests to a service, and the table of their causes.

pub(crate) mod error_chain;
pub(crate) mod obstacle;
pub(crate) mod refused;

use crate::error::Error;
use cryptoki_sys::*;
use std::fmt;

/// The reason why a service did not perform an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The cause, which determines the CK_RV.
    pub cause: Cause,
    /// The operation, for example "Sign" or "GetPublicKey".
    pub operation: &'static str,
    /// The message of the service or the client. Never contains key material, tokens or whole replies.
    pub message: String,
    /// The service's id of the request, which the user can quote to the service's support.
    pub request_id: Option<String>,
}

/// The causes of failures that a user can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The credentials are valid but do not permit the operation.
    Denied,
    /// The key, version or certificate does not exist.
    NotFound,
    /// The key is disabled, expired, not yet valid or about to be deleted.
    Disabled,
    /// The service throttled the request, even after all retries.
    Throttled,
    /// No reply arrived before the deadline.
    TimedOut,
    /// No connection could be made, or the connection broke.
    Unreachable,
    /// There are no credentials, or the service rejected them.
    Credentials,
    /// The service rejected the request as invalid.
    Rejected,
    /// The service reported an internal error, even after all retries.
    Internal,
    /// The reply does not match the service's documentation.
    Malformed,
    /// The service, or this key, does not support the operation.
    Unsupported,
    /// C_Finalize or a fork ended the call.
    Interrupted,
    /// The host name of the service has no address.
    Unresolved,
    /// The proxy cannot be reached, or does not forward the request.
    Proxy,
    /// The service's certificate was not issued by an authority that is trusted locally, or is for another name or
    /// time.
    Untrusted,
    /// The ciphertext was not made for this key, or was modified.
    Undecryptable,
    /// A setting of this machine, or a file that a setting names, is missing or wrong.
    Settings,
    /// This machine cannot start another thread.
    Threads,
    /// This machine cannot open another file or connection.
    Descriptors,
    /// This machine has no memory left.
    Memory,
    /// This module has a defect: a panic occurred while it made the request.
    Panic,
}

/// The table of causes: the cause, its CK_RV, its number in ulDeviceError, its text for the user, and its name in
/// metrics. Tests check that docs/errors.md and docs/monitoring.md contain every row.
#[rustfmt::skip]
pub const CAUSES: &[(Cause, CK_RV, CK_ULONG, &str, &str)] = &[
    (Cause::Denied,      CKR_FUNCTION_REJECTED,          1, "permission denied", "denied"),
    (Cause::NotFound,     CKR_KEY_HANDLE_INVALID,         2, "not found", "not_found"),
    (Cause::Disabled,    CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "the key is disabled", "disabled"),
    (Cause::Throttled,   CKR_DEVICE_ERROR,               4, "throttled", "throttled"),
    (Cause::TimedOut,    CKR_DEVICE_ERROR,               5, "no reply before the deadline", "timed_out"),
    (Cause::Unreachable, CKR_DEVICE_ERROR,               6, "can't reach the service", "unreachable"),
    (Cause::Credentials, CKR_DEVICE_ERROR,               7, "no valid credentials", "credentials"),
    (Cause::Rejected,    CKR_FUNCTION_FAILED,            8, "the service refused the request", "rejected"),
    (Cause::Internal,    CKR_DEVICE_ERROR,               9, "internal error of the service", "internal"),
    (Cause::Malformed,   CKR_DEVICE_ERROR,              10, "unexpected reply from the service", "malformed"),
    (Cause::Unsupported, CKR_FUNCTION_NOT_SUPPORTED,    11, "not supported by the service", "unsupported"),
    (Cause::Interrupted, CKR_FUNCTION_CANCELED,         12, "the call was interrupted", "interrupted"),
    (Cause::Unresolved,  CKR_DEVICE_ERROR,              13, "the host name of the service can't be resolved", "unresolved"),
    (Cause::Proxy,       CKR_DEVICE_ERROR,              14, "the proxy did not forward the request", "proxy"),
    (Cause::Untrusted,   CKR_DEVICE_ERROR,              15, "the service's certificate is not trusted", "untrusted"),
    (Cause::Undecryptable, CKR_ENCRYPTED_DATA_INVALID,  16, "the ciphertext can't be decrypted", "undecryptable"),
    (Cause::Settings,    CKR_FUNCTION_FAILED,           17, "a setting on this machine is missing or wrong", "settings"),
    (Cause::Threads,     CKR_FUNCTION_FAILED,           18, "this machine can't start another thread", "threads"),
    (Cause::Descriptors, CKR_FUNCTION_FAILED,           19, "this machine can't open another file or connection", "descriptors"),
    (Cause::Memory,      CKR_HOST_MEMORY,               20, "this machine has no memory left", "memory"),
    (Cause::Panic,      CKR_GENERAL_ERROR,             21, "a defect of the module", "panic"),
];

/// The message of [`Cause::Undecryptable`], which is the same for every ciphertext.
pub(crate) const UNDECRYPTABLE: &str = "it was encrypted for another key or with another mechanism, or it was changed";

impl Cause {
    /// Returns the name of the cause in metrics.
    pub fn name(self) -> &'static str {
        CAUSES.iter().find(|row| row.0 == self).map_or("", |row| row.4)
    }
}

impl Failure {
    /// Creates a failure without a request id.
    pub fn new(cause: Cause, operation: &'static str, message: impl Into<String>) -> Self {
        Self { cause, operation, message: message.into(), request_id: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = CAUSES.iter().find(|row| row.0 == self.cause).map_or("", |row| row.3);
        write!(f, "{}: {words}: {}", self.operation, self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let row = CAUSES.iter().find(|row| row.0 == failure.cause);
        let (rv, device_error) = row.map_or((CKR_GENERAL_ERROR, 0), |row| (row.1, row.2));
        Error { device_error, ..Error::new(rv, failure.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_cause() {
        let document = include_str!("../../../docs/errors.md");
        for (number, row) in CAUSES.iter().enumerate() {
            assert_eq!(row.2, number as CK_ULONG + 1, "the numbers are consecutive");
            let line = format!("| {} | {} | {} |", crate::error::rv_name(row.1), row.2, row.3);
            assert!(document.contains(&line), "docs/errors.md lacks {line}");
        }
    }
}
