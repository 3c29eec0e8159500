//! The login state of a token. PKCS#11 3.2 sections 5.6.8 (C_Login) to 5.6.10 (C_Logout).
//!
//! No lock is held during the request that checks a PIN.

use super::Token;
use super::key::SlotKey;
use super::token_keys::TokenKeys;
use super::usage::{MAX_PIN_LEN, SessionState};
use crate::cloud::CommitLogin;
use crate::config::Keys;
use crate::error::{Error, Result};
use cryptoki_sys::*;
use std::sync::Arc;

impl Token {
    /// Returns the type of the user who is logged in, or `None`.
    pub fn user(&self) -> Option<CK_USER_TYPE> {
        self.usage().login
    }

    /// Logs a user in (section 5.6.8). Any PIN is accepted, because none is needed, unless the PIN is the
    /// credential. In that case the service's authority is asked once whether the PIN is correct.
    ///
    /// # Errors
    /// CKR_USER_ALREADY_LOGGED_IN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN, CKR_SESSION_CLOSED; CKR_PIN_LEN_RANGE,
    /// CKR_PIN_INCORRECT, CKR_PIN_EXPIRED, and those of the service.
    pub fn log_in(&self, user: CK_USER_TYPE, pin: &[u8]) -> Result<()> {
        self.usage().check_login(user)?;
        let credential = match self.slot_context.backend.pin_description() {
            Some(what) => Some(self.check_pin(pin, what).map_err(|error| self.with_token(error))?),
            None => None,
        };
        // Meanwhile another thread may have logged in or closed the sessions.
        let mut used = self.usage();
        used.check_login(user)?;
        if let Some(entry) = credential {
            entry();
            self.forget_loaded();
        }
        used.login = Some(user);
        Ok(())
    }

    fn check_pin(&self, pin: &[u8], what: &str) -> Result<CommitLogin<'_>> {
        let range = |given| Error::new(CKR_PIN_LEN_RANGE, format!("the PIN is {what}, and {given}"));
        let text = std::str::from_utf8(pin).map_err(|_| Error::new(CKR_PIN_INCORRECT, "the PIN is not UTF-8"))?.trim();
        match text.len() {
            0 => Err(range("the program passed none".to_owned())),
            1..=MAX_PIN_LEN => Ok(self.slot_context.backend.log_in(text.to_owned().into(), self.deadline())?),
            length => Err(range(format!("{length} bytes are too many"))),
        }
    }

    /// Logs out. Returns whether a user was logged in.
    pub fn log_out(&self) -> bool {
        self.end_login(&mut self.usage())
    }

    /// Ends the login and returns whether a user was logged in. Section 5.6.10: the credential is forgotten, and
    /// the handles of private objects become invalid permanently.
    pub(super) fn end_login(&self, used: &mut SessionState) -> bool {
        let was_logged_in = used.login.take().is_some();
        if was_logged_in && self.slot_context.backend.login().is_some() {
            self.slot_context.backend.log_out();
            self.made_keys().iter().for_each(|key| key.remove_private_object());
            self.owners().retain(|handle, key| key.object(*handle).is_some());
        }
        was_logged_in
    }

    /// Forgets what an earlier login has loaded, because the profile of the next login may belong to another
    /// account.
    fn forget_loaded(&self) {
        let keys = self.made_keys();
        keys.iter().for_each(|key| key.invalidate_for_login());
        let was_listed = self.listing.value().is_some();
        self.listing.forget();
        if was_listed {
            *self.token_keys() = TokenKeys::Configured(Keys::Discovered);
        }
    }

    fn made_keys(&self) -> Arc<Vec<Arc<SlotKey>>> {
        match &*self.token_keys() {
            TokenKeys::Created(made) => made.clone(),
            TokenKeys::Configured(_) => Arc::default(),
        }
    }

    fn with_token(&self, error: Error) -> Error {
        let common = &self.slot_context;
        error.with_context(format_args!(
            "slot {}, token \"{}\" in {}",
            common.slot,
            common.label,
            common.backend.place()
        ))
    }
}
