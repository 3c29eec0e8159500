//! What is going on in a session: one search, signature and digest at most. PKCS#11 3.1 sections 5.6, 5.7, 5.12, 5.13.
//!
//! The lock is never held while the service is asked: an operation is taken out, then finished.

use crate::error::{Error, Result};
use crate::hash::{Hash, Hasher};
use crate::object::Object;
use crate::token::{Signing, Token};
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
    operations: Mutex<Operations>,
    /// CK_SESSION_INFO.ulDeviceError.
    device_error: AtomicUsize,
    /// A call that is running in it can't be stopped, but is not to succeed.
    closed: AtomicBool,
}

#[derive(Default)]
struct Operations {
    find: Option<VecDeque<CK_OBJECT_HANDLE>>,
    sign: Option<Sign>,
    digest: Option<Hasher>,
}

struct Sign {
    signing: Signing,
    /// C_SignUpdate was called: C_Sign is out of place now.
    in_parts: bool,
}

/// How the data of a signature or digest ends.
pub enum Last<'a> {
    /// C_Sign, C_Digest: this is all of it.
    Whole(&'a [u8]),
    /// C_SignFinal, C_DigestFinal: it came in parts.
    Parts,
}

impl Session {
    /// A new session.
    pub fn new(slot: CK_SLOT_ID, token: Arc<Token>, read_write: bool) -> Self {
        let (device_error, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { slot, token, read_write, operations: Mutex::default(), device_error, closed }
    }

    /// C_CloseSession, C_CloseAllSessions: a signature that is under way ends with CKR_SESSION_CLOSED.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// The number of the last trouble that the service had in this session (section 5.6.4).
    pub fn device_error(&self) -> CK_ULONG {
        self.device_error.load(Ordering::Relaxed) as CK_ULONG
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
    pub fn find_init(&self, found: &[Arc<Object>]) -> Result<()> {
        let mut operations = self.operations();
        if operations.find.is_some() {
            return Err(Error::new(CKR_OPERATION_ACTIVE, "a search is active in this session"));
        }
        operations.find = Some(found.iter().map(|object| object.handle).collect());
        Ok(())
    }

    /// Whether a search is active.
    pub fn is_finding(&self) -> bool {
        self.operations().find.is_some()
    }

    /// The next `most` handles of the search.
    pub fn find(&self, most: usize) -> Result<Vec<CK_OBJECT_HANDLE>> {
        let mut operations = self.operations();
        let found = operations.find.as_mut().ok_or_else(|| not_initialized("search"))?;
        let count = most.min(found.len());
        Ok(found.drain(..count).collect())
    }

    /// Ends the search.
    pub fn find_final(&self) -> Result<()> {
        self.operations().find.take().map(|_| ()).ok_or_else(|| not_initialized("search"))
    }

    /// Starts a signature.
    pub fn sign_init(&self, signing: Signing) -> Result<()> {
        let mut operations = self.operations();
        if operations.sign.is_some() {
            return Err(Error::new(CKR_OPERATION_ACTIVE, "a signature is active in this session"));
        }
        operations.sign = Some(Sign { signing, in_parts: false });
        Ok(())
    }

    /// Whether a signature is active.
    pub fn is_signing(&self) -> bool {
        self.operations().sign.is_some()
    }

    /// Gives up the signature, if one is active.
    pub fn sign_cancel(&self) {
        self.operations().sign = None;
    }

    /// Gives up the search, if one is active.
    pub fn find_cancel(&self) {
        self.operations().find = None;
    }

    /// Adds a part of the data. An error ends the operation.
    pub fn sign_update(&self, part: &[u8]) -> Result<()> {
        let mut operations = self.operations();
        let sign = operations.sign.as_mut().ok_or_else(|| not_initialized("signature"))?;
        sign.in_parts = true;
        let outcome = sign.signing.update(part);
        if outcome.is_err() {
            operations.sign = None;
        }
        outcome
    }

    /// The length of the signature: answers a size query, and tells whether a buffer will do, without signing.
    pub fn signature_len(&self, last: &Last) -> Result<usize> {
        let mut operations = self.operations();
        let sign = operations.sign.as_ref().ok_or_else(|| not_initialized("signature"))?;
        let length = sign.signing.signature_len();
        if matches!(last, Last::Whole(_)) && sign.in_parts {
            operations.sign = None;
            return Err(Error::new(CKR_OPERATION_ACTIVE, "C_Sign after C_SignUpdate: end it with C_SignFinal"));
        }
        Ok(length)
    }

    /// Signs; the operation is over, whatever comes out.
    pub fn sign(&self, last: Last) -> Result<Vec<u8>> {
        let sign = self.operations().sign.take().ok_or_else(|| not_initialized("signature"))?;
        let mut signing = sign.signing;
        if let Last::Whole(data) = last {
            signing.update(data)?;
        }
        let signature = signing.finish();
        if let Err(error) = &signature {
            self.device_error.store(error.device_error as usize, Ordering::Relaxed);
        }
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::new(CKR_SESSION_CLOSED, "the session was closed before the signature came"));
        }
        signature
    }

    /// Starts a digest.
    pub fn digest_init(&self, hash: Hash) -> Result<()> {
        let mut operations = self.operations();
        if operations.digest.is_some() {
            return Err(Error::new(CKR_OPERATION_ACTIVE, "a digest is active in this session"));
        }
        operations.digest = Some(Hasher::new(hash));
        Ok(())
    }

    /// Gives up the digest, if one is active.
    pub fn digest_cancel(&self) {
        self.operations().digest = None;
    }

    /// Adds a part of the message.
    pub fn digest_update(&self, part: &[u8]) -> Result<()> {
        self.operations().digest.as_mut().map(|hasher| hasher.update(part)).ok_or_else(|| not_initialized("digest"))
    }

    /// The length of the digest in bytes.
    pub fn digest_len(&self) -> Result<usize> {
        self.operations().digest.as_ref().map(Hasher::len).ok_or_else(|| not_initialized("digest"))
    }

    /// The digest; the operation is over.
    pub fn digest(&self, last: Last) -> Result<Vec<u8>> {
        let mut hasher = self.operations().digest.take().ok_or_else(|| not_initialized("digest"))?;
        if let Last::Whole(data) = last {
            hasher.update(data);
        }
        Ok(hasher.finish())
    }

    fn operations(&self) -> MutexGuard<'_, Operations> {
        self.operations.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn not_initialized(what: &str) -> Error {
    Error::new(CKR_OPERATION_NOT_INITIALIZED, format!("no {what} is active in this session"))
}
