//! What is going on in a session: one operation of each kind at most. PKCS#11 3.2 sections 5.6 to 5.18.
//!
//! No lock is held while the service is asked: an operation is taken out, then finished.

use crate::cloud::Plain;
use crate::error::{Error, Result};
use crate::key::hash::Hasher;
use crate::object::Object;
use crate::operation::cipher::{Decrypting, Encrypting};
use crate::operation::multi_part::Making;
use crate::operation::sign::{MessageSigning, MessageVerifying, SignatureVerifying, Signing, Verifying};
use crate::token::Token;
use cryptoki_sys::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A session with a token.
pub struct Session {
    /// The slot's id.
    pub slot: CK_SLOT_ID,
    /// Its token.
    pub token: Arc<Token>,
    /// Opened with CKF_RW_SESSION.
    pub read_write: bool,
    /// C_FindObjects.
    pub find: Place<VecDeque<CK_OBJECT_HANDLE>>,
    /// C_Digest.
    pub digest: Place<Hasher>,
    /// C_Sign.
    pub sign: Place<Signing>,
    /// C_Verify.
    pub verify: Place<Verifying>,
    /// C_Encrypt.
    pub encrypt: Place<Encrypting>,
    /// C_Decrypt.
    pub decrypt: Place<Decrypting>,
    /// C_SignMessage.
    pub message_sign: Place<MessageSigning>,
    /// C_VerifyMessage.
    pub message_verify: Place<MessageVerifying>,
    /// C_VerifySignature.
    pub verify_signature: Place<SignatureVerifying>,
    /// CK_SESSION_INFO.ulDeviceError.
    device_error: AtomicUsize,
    /// A call that is running in it can't be stopped, but is not to succeed.
    closed: AtomicBool,
}

/// Where an operation of one kind goes on.
pub struct Place<T> {
    what: &'static str,
    active: Mutex<Option<Active<T>>>,
}

struct Active<T> {
    operation: T,
    /// An update was called: the call that does all in one is out of place now.
    in_parts: bool,
    /// What came out, and did not fit into the caller's buffer.
    made: Option<Plain>,
}

/// How the data of an operation ends.
#[derive(Clone, Copy)]
pub enum Last<'a> {
    /// C_Sign, C_Digest: this is all of it.
    Whole(&'a [u8]),
    /// C_SignFinal, C_DigestFinal: it came in parts.
    Parts,
}

impl<T> Place<T> {
    const fn new(what: &'static str) -> Self {
        Self { what, active: Mutex::new(None) }
    }

    /// # Errors
    /// CKR_OPERATION_ACTIVE where there is an operation.
    pub fn is_free(&self) -> Result<()> {
        match *self.active() {
            Some(_) => Err(Error::new(CKR_OPERATION_ACTIVE, format!("a {} is active in this session", self.what))),
            None => Ok(()),
        }
    }

    /// Starts an operation.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE.
    pub fn begin(&self, operation: T) -> Result<()> {
        self.is_free()?;
        *self.active() = Some(Active { operation, in_parts: false, made: None });
        Ok(())
    }

    /// Gives up the operation, if there is one.
    pub fn cancel(&self) {
        *self.active() = None;
    }

    /// Looks at the operation, or changes it.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED.
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> Result<R> {
        let mut active = self.active();
        Ok(look(&mut active.as_mut().ok_or_else(|| self.missing())?.operation))
    }

    /// Hands it a part. An error ends the operation.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED, and those of `update`.
    pub fn update(&self, update: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        let mut active = self.active();
        let own = active.as_mut().ok_or_else(|| self.missing())?;
        own.in_parts = true;
        let outcome = update(&mut own.operation);
        if outcome.is_err() {
            *active = None;
        }
        outcome
    }

    /// Takes it out to be ended by `last`.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED; CKR_OPERATION_ACTIVE, which ends it, for data in one after data in parts.
    pub fn take(&self, last: &Last) -> Result<T> {
        Ok(self.taken(last)?.operation)
    }

    fn taken(&self, last: &Last) -> Result<Active<T>> {
        let own = self.active().take().ok_or_else(|| self.missing())?;
        match (last, own.in_parts) {
            (Last::Whole(_), true) => {
                let text = format!("the {} was begun in parts: end it with the function for the last part", self.what);
                Err(Error::new(CKR_OPERATION_ACTIVE, text))
            }
            _ => Ok(own),
        }
    }

    fn active(&self) -> MutexGuard<'_, Option<Active<T>>> {
        self.active.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn missing(&self) -> Error {
        Error::new(CKR_OPERATION_NOT_INITIALIZED, format!("no {} is active in this session", self.what))
    }
}

impl<T: Making> Place<T> {
    /// How long the result can be, and whether it will be just as long: answers a size query without making anything.
    ///
    /// # Errors
    /// Those of [`Place::take`].
    pub fn output_len(&self, last: &Last) -> Result<(usize, bool)> {
        let own = self.taken(last)?;
        let answer = match &own.made {
            Some(made) => (made.len(), true),
            None => (own.operation.longest(), own.operation.is_exact()),
        };
        *self.active() = Some(own);
        Ok(answer)
    }

    /// Makes the result; the operation is over, whatever comes out.
    ///
    /// # Errors
    /// Those of [`Place::take`] and [`Making::finish`].
    pub fn finish(&self, last: Last) -> Result<Plain> {
        let own = self.taken(&last)?;
        if let Some(made) = own.made {
            return Ok(made);
        }
        let mut operation = own.operation;
        if let Last::Whole(data) = last {
            operation.update(data)?;
        }
        operation.finish()
    }
}

impl Place<Decrypting> {
    /// Keeps a result that did not fit into the caller's buffer, for the call with a larger one.
    pub fn keep(&self, operation: Decrypting, made: Plain, last: &Last) {
        let in_parts = matches!(last, Last::Parts);
        *self.active() = Some(Active { operation, in_parts, made: Some(made) });
    }
}

impl Session {
    /// A new session.
    pub fn new(slot: CK_SLOT_ID, token: Arc<Token>, read_write: bool) -> Self {
        Self {
            slot,
            token,
            read_write,
            find: Place::new("search"),
            digest: Place::new("digest"),
            sign: Place::new("signature"),
            verify: Place::new("verification"),
            encrypt: Place::new("encryption"),
            decrypt: Place::new("decryption"),
            message_sign: Place::new("signing of messages"),
            message_verify: Place::new("verification of messages"),
            verify_signature: Place::new("verification of a signature"),
            device_error: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// C_CloseSession, C_CloseAllSessions: a signature that is under way ends with CKR_SESSION_CLOSED.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// The number of the last trouble that the service had in this session (section 5.6.4).
    pub fn device_error(&self) -> CK_ULONG {
        self.device_error.load(Ordering::Relaxed) as CK_ULONG
    }

    /// What a call answers that may have asked the service: remembers its trouble, and is in vain in a closed session.
    ///
    /// # Errors
    /// CKR_SESSION_CLOSED, and the outcome's own.
    pub fn concluded<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.device_error.store(error.device_error as usize, Ordering::Relaxed);
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::new(CKR_SESSION_CLOSED, "the session was closed before the answer came"));
        }
        outcome
    }

    /// The session's state (section 5.6, table of session states).
    pub fn state(&self) -> CK_STATE {
        match (self.token.user(), self.read_write) {
            (Some(CKU_SO), _) => CKS_RW_SO_FUNCTIONS,
            (Some(_), true) => CKS_RW_USER_FUNCTIONS,
            (Some(_), false) => CKS_RO_USER_FUNCTIONS,
            (None, true) => CKS_RW_PUBLIC_SESSION,
            (None, false) => CKS_RO_PUBLIC_SESSION,
        }
    }

    /// Starts a search: `found` is what it will hand out.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE.
    pub fn find_init(&self, found: &[Arc<Object>]) -> Result<()> {
        self.find.begin(found.iter().map(|object| object.handle).collect())
    }

    /// The next `most` handles of the search.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED.
    pub fn find(&self, most: usize) -> Result<Vec<CK_OBJECT_HANDLE>> {
        self.find.with(|found| found.drain(..most.min(found.len())).collect())
    }

    /// C_SessionCancel: ends the operations that the flags name (PKCS#11 3.2 section 5.6.9).
    pub fn cancel(&self, flags: CK_FLAGS) {
        let ends: [(CK_FLAGS, &dyn Fn()); 9] = [
            (CKF_FIND_OBJECTS, &|| self.find.cancel()),
            (CKF_DIGEST, &|| self.digest.cancel()),
            (CKF_SIGN, &|| self.sign.cancel()),
            (CKF_VERIFY, &|| self.verify.cancel()),
            (CKF_VERIFY, &|| self.verify_signature.cancel()),
            (CKF_ENCRYPT, &|| self.encrypt.cancel()),
            (CKF_DECRYPT, &|| self.decrypt.cancel()),
            (CKF_MESSAGE_SIGN, &|| self.message_sign.cancel()),
            (CKF_MESSAGE_VERIFY, &|| self.message_verify.cancel()),
        ];
        ends.iter().filter(|(flag, _)| flags & flag != 0).for_each(|(_, end)| end());
    }
}
