//! What a caller knows of a session: which operations are active in it.

use crate::key::hash::Hash;
use cryptoki_sys::*;

/// A session that was opened once.
#[derive(Clone)]
pub struct Known {
    pub handle: CK_SESSION_HANDLE,
    pub slot: CK_SLOT_ID,
    pub open: bool,
    /// The length that the module tells for the signature.
    pub sign: Option<usize>,
    pub in_parts: bool,
    /// The hash, and the message so far.
    pub digest: Option<(Hash, Vec<u8>)>,
    pub find: bool,
}

impl Known {
    pub fn new(handle: CK_SESSION_HANDLE, slot: CK_SLOT_ID) -> Self {
        Self { handle, slot, open: true, sign: None, in_parts: false, digest: None, find: false }
    }

    /// Checks the answer of a function that goes on with an operation, and tells whether the operation still is there.
    ///
    /// `ends` is for the functions that end it when all is well. Section 5.8 and its siblings: every error but one ends it.
    pub fn goes_on(was: bool, rv: CK_RV, ends: bool) -> bool {
        match rv {
            CKR_OPERATION_NOT_INITIALIZED => assert!(!was, "it was lost"),
            CKR_ARGUMENTS_BAD => {}
            _ => assert!(was, "there was none, but 0x{rv:x}"),
        }
        was && (rv == CKR_BUFFER_TOO_SMALL || rv == CKR_OK && !ends)
    }
}
