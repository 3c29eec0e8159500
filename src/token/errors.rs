//! Errors that several functions of a token share.

use crate::error::Error;
use cryptoki_sys::*;

/// Returns CKR_USER_NOT_LOGGED_IN, for a call that needs the credential before a login.
pub fn not_logged_in() -> Error {
    Error::new(CKR_USER_NOT_LOGGED_IN, "the keys of this token are visible only after C_Login")
}

/// Returns CKR_OBJECT_HANDLE_INVALID, for a handle of no object or of an object that no longer exists.
pub fn invalid_handle(handle: CK_OBJECT_HANDLE) -> Error {
    Error::new(CKR_OBJECT_HANDLE_INVALID, format!("the token has no object with the handle {handle}"))
}

/// Returns CKR_SESSION_READ_ONLY. Token objects are created, changed and destroyed in read-write sessions only
/// (section 5.7).
pub fn session_read_only() -> Error {
    Error::new(CKR_SESSION_READ_ONLY, "the session is read-only; open it with CKF_RW_SESSION")
}
