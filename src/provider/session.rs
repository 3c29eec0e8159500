//! Sessions and the operations that are active in them, at most one of each kind. PKCS#11 3.2 sections 5.6 to 5.18.
//!
//! No lock is held during a request to the service: an operation is first taken out of its session, then finished.

use crate::cloud::SecretBytes;
use crate::error::{Error, Result};
use crate::key::hash::Hasher;
use crate::object::Object;
use crate::operation::cipher::{DecryptionOperation, EncryptionOperation};
use crate::operation::multi_part::MultiPartOperation;
use crate::operation::sign::{
    MessageSigningOperation, MessageVerificationOperation, SignatureVerificationOperation, SigningOperation,
    VerificationOperation,
};
use crate::token::Token;
use cryptoki_sys::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A session with a token.
pub struct Session {
    /// The slot's id.
    pub slot: CK_SLOT_ID,
    /// The token in the slot.
    pub token: Arc<Token>,
    /// Whether the session was opened with CKF_RW_SESSION.
    pub read_write: bool,
    /// The search of C_FindObjects: the handles that were not returned yet.
    pub find: ActiveOperation<VecDeque<CK_OBJECT_HANDLE>>,
    /// The operation of C_Digest.
    pub digest: ActiveOperation<Hasher>,
    /// The operation of C_Sign.
    pub sign: ActiveOperation<SigningOperation>,
    /// The operation of C_Verify.
    pub verify: ActiveOperation<VerificationOperation>,
    /// The operation of C_Encrypt.
    pub encrypt: ActiveOperation<EncryptionOperation>,
    /// The operation of C_Decrypt.
    pub decrypt: ActiveOperation<DecryptionOperation>,
    /// The operation of C_SignMessage.
    pub message_sign: ActiveOperation<MessageSigningOperation>,
    /// The operation of C_VerifyMessage.
    pub message_verify: ActiveOperation<MessageVerificationOperation>,
    /// The operation of C_VerifySignature.
    pub verify_signature: ActiveOperation<SignatureVerificationOperation>,
    /// CK_SESSION_INFO.ulDeviceError.
    device_error: AtomicUsize,
    /// Whether the session was closed. A call that is running in the session cannot be stopped, but must not succeed.
    closed: AtomicBool,
}

/// Holds the active operation of one kind, if there is one.
pub struct ActiveOperation<T> {
    name: &'static str,
    active: Mutex<Option<Active<T>>>,
}

struct Active<T> {
    operation: T,
    /// Whether an update function was called. The single-part function then fails.
    is_multi_part: bool,
    /// The result, if it did not fit into the caller's buffer.
    result: Option<SecretBytes>,
}

/// How a call ends an operation: with all of its data, or after the last part.
#[derive(Clone, Copy)]
pub enum FinalInput<'a> {
    /// A single-part call, such as C_Sign or C_Digest, with all of the data.
    SinglePart(&'a [u8]),
    /// The end of a multiple-part operation, such as C_SignFinal or C_DigestFinal.
    MultiPart,
}

impl<T> ActiveOperation<T> {
    const fn new(what: &'static str) -> Self {
        Self { name: what, active: Mutex::new(None) }
    }

    /// Checks that no operation is active.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE if an operation is active.
    pub fn check_inactive(&self) -> Result<()> {
        match *self.active() {
            Some(_) => Err(Error::new(
                CKR_OPERATION_ACTIVE,
                format!("a {} is already active in this session; finish it first", self.name),
            )),
            None => Ok(()),
        }
    }

    /// Starts an operation.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE if an operation is active.
    pub fn begin(&self, operation: T) -> Result<()> {
        self.check_inactive()?;
        *self.active() = Some(Active { operation, is_multi_part: false, result: None });
        Ok(())
    }

    /// Cancels the active operation, if there is one.
    pub fn cancel(&self) {
        *self.active() = None;
    }

    /// Calls `look` with the active operation, which it can read or change.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED if no operation is active.
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> Result<R> {
        let mut active = self.active();
        Ok(look(&mut active.as_mut().ok_or_else(|| self.not_initialized())?.operation))
    }

    /// Calls `update` to pass a part of the data to the active operation. An error ends the operation.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED if no operation is active, and the errors of `update`.
    pub fn update(&self, update: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        let mut active = self.active();
        let own = active.as_mut().ok_or_else(|| self.not_initialized())?;
        own.is_multi_part = true;
        let outcome = update(&mut own.operation);
        if outcome.is_err() {
            *active = None;
        }
        outcome
    }

    /// Takes the active operation out of the session, for the call that ends it as `last` says.
    ///
    /// # Errors
    /// * CKR_OPERATION_NOT_INITIALIZED if no operation is active.
    /// * CKR_OPERATION_ACTIVE for a single-part call after an update function. The operation ends.
    pub fn take(&self, last: &FinalInput) -> Result<T> {
        Ok(self.take_active(last)?.operation)
    }

    fn take_active(&self, last: &FinalInput) -> Result<Active<T>> {
        let own = self.active().take().ok_or_else(|| self.not_initialized())?;
        match (last, own.is_multi_part) {
            (FinalInput::SinglePart(_), true) => {
                let text = format!("the {} is active in parts; end it with the function for the last part", self.name);
                Err(Error::new(CKR_OPERATION_ACTIVE, text))
            }
            _ => Ok(own),
        }
    }

    fn active(&self) -> MutexGuard<'_, Option<Active<T>>> {
        self.active.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn not_initialized(&self) -> Error {
        Error::new(CKR_OPERATION_NOT_INITIALIZED, format!("no {} is active in this session", self.name))
    }
}

impl<T: MultiPartOperation> ActiveOperation<T> {
    /// Returns the maximum length of the result in bytes, and whether the result has exactly this length. Used to
    /// answer a size query without computing the result.
    ///
    /// # Errors
    /// Those of [`ActiveOperation::take`].
    pub fn output_len(&self, last: &FinalInput) -> Result<(usize, bool)> {
        let own = self.take_active(last)?;
        let answer = match &own.result {
            Some(made) => (made.len(), true),
            None => (own.operation.max_output_len(), own.operation.is_output_len_exact()),
        };
        *self.active() = Some(own);
        Ok(answer)
    }

    /// Computes the result. The operation ends, even if that fails.
    ///
    /// # Errors
    /// Those of [`ActiveOperation::take`], [`MultiPartOperation::update`] and [`MultiPartOperation::finish`].
    pub fn finish(&self, last: FinalInput) -> Result<SecretBytes> {
        let own = self.take_active(&last)?;
        if let Some(made) = own.result {
            return Ok(made);
        }
        let mut operation = own.operation;
        if let FinalInput::SinglePart(data) = last {
            operation.update(data)?;
        }
        operation.finish()
    }
}

impl ActiveOperation<DecryptionOperation> {
    /// Stores a result that did not fit into the caller's buffer, for the next call with a larger buffer.
    pub fn store_result(&self, operation: DecryptionOperation, made: SecretBytes, last: &FinalInput) {
        let in_parts = matches!(last, FinalInput::MultiPart);
        *self.active() = Some(Active { operation, is_multi_part: in_parts, result: Some(made) });
    }
}

impl Session {
    /// Creates a session without an active operation.
    pub fn new(slot: CK_SLOT_ID, token: Arc<Token>, read_write: bool) -> Self {
        Self {
            slot,
            token,
            read_write,
            find: ActiveOperation::new("search"),
            digest: ActiveOperation::new("digest"),
            sign: ActiveOperation::new("signature"),
            verify: ActiveOperation::new("verification"),
            encrypt: ActiveOperation::new("encryption"),
            decrypt: ActiveOperation::new("decryption"),
            message_sign: ActiveOperation::new("signing of messages"),
            message_verify: ActiveOperation::new("verification of messages"),
            verify_signature: ActiveOperation::new("verification of a signature"),
            device_error: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Called by C_CloseSession and C_CloseAllSessions. A signature that is in progress then fails with
    /// CKR_SESSION_CLOSED.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Returns the number of the last failure that [`Session::record_outcome`] recorded (section 5.6.4). The number is 0 if
    /// there was no failure, or if the service was not its cause.
    pub fn device_error(&self) -> CK_ULONG {
        self.device_error.load(Ordering::Relaxed) as CK_ULONG
    }

    /// Returns the outcome of a call that may have made a request to the service. Records the number of a failure for
    /// [`Session::device_error`].
    ///
    /// # Errors
    /// CKR_SESSION_CLOSED if the session was closed during the call; otherwise the error of `outcome`.
    pub fn record_outcome<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.device_error.store(error.device_error as usize, Ordering::Relaxed);
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::new(CKR_SESSION_CLOSED, "the session was closed before the reply came"));
        }
        outcome
    }

    /// Returns the session's state (section 5.6, table of session states).
    pub fn state(&self) -> CK_STATE {
        match (self.token.user(), self.read_write) {
            (Some(CKU_SO), _) => CKS_RW_SO_FUNCTIONS,
            (Some(_), true) => CKS_RW_USER_FUNCTIONS,
            (Some(_), false) => CKS_RO_USER_FUNCTIONS,
            (None, true) => CKS_RW_PUBLIC_SESSION,
            (None, false) => CKS_RO_PUBLIC_SESSION,
        }
    }

    /// Starts a search that returns the handles of the objects in `found`.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE if a search is active.
    pub fn find_init(&self, found: &[Arc<Object>]) -> Result<()> {
        self.find.begin(found.iter().map(|object| object.handle).collect())
    }

    /// Returns the next handles of the search, at most `most`.
    ///
    /// # Errors
    /// CKR_OPERATION_NOT_INITIALIZED if no search is active.
    pub fn find_next(&self, most: usize) -> Result<Vec<CK_OBJECT_HANDLE>> {
        self.find.with(|found| found.drain(..most.min(found.len())).collect())
    }

    /// Implements C_SessionCancel: cancels the operations that the flags name (PKCS#11 3.2 section 5.6.9).
    pub fn cancel(&self, flags: CK_FLAGS) {
        let cancellations: [(CK_FLAGS, &dyn Fn()); 9] = [
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
        cancellations.iter().filter(|(flag, _)| flags & flag != 0).for_each(|(_, end)| end());
    }
}
