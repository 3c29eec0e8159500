//! The use of a token: its sessions and its login.

use crate::error::{Error, Result};
use cryptoki_sys::*;

/// The number of a token's sessions, and the user who is logged in.
#[derive(Debug, Default)]
pub(super) struct SessionState {
    pub(super) sessions: usize,
    /// The number of sessions that are read-write.
    pub(super) read_write_sessions: usize,
    pub(super) login: Option<CK_USER_TYPE>,
}

impl SessionState {
    pub(super) fn check_login(&self, user: CK_USER_TYPE) -> Result<()> {
        match self.login {
            Some(own) if own == user => Err(Error::new(CKR_USER_ALREADY_LOGGED_IN, "the user is already logged in")),
            Some(_) => Err(Error::new(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "another user is logged in")),
            None if self.sessions == 0 => {
                Err(Error::new(CKR_SESSION_CLOSED, "the session was closed during the login"))
            }
            None => Ok(()),
        }
    }
}

/// The longest PIN, in bytes. STS accepts no longer token.
pub const MAX_PIN_LEN: usize = 20_000;
