//! Errors that several functions of a token have.

use crate::error::Error;
use cryptoki_sys::*;

/// What needs the credential, before a login.
pub fn logged_out() -> Error {
    Error::new(CKR_USER_NOT_LOGGED_IN, "the keys of this token are there after C_Login only")
}

/// A handle that nothing has, or nothing any more.
pub fn no_object(handle: CK_OBJECT_HANDLE) -> Error {
    Error::new(CKR_OBJECT_HANDLE_INVALID, format!("no object of this token has the handle {handle}"))
}

/// Objects of a token are made, changed and destroyed in read-write sessions only (section 5.7).
pub fn read_only() -> Error {
    Error::new(CKR_SESSION_READ_ONLY, "it takes a session with CKF_RW_SESSION")
}
