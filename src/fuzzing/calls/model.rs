//! The caller's knowledge of a session: the operations that are active in it.

use crate::key::hash::Hash;
use cryptoki_sys::*;

/// A session that was opened, and may be closed now.
#[derive(Clone)]
pub struct SessionModel {
    /// The session's handle.
    pub handle: CK_SESSION_HANDLE,
    /// The session's slot.
    pub slot: CK_SLOT_ID,
    /// Whether the session is still open.
    pub is_open: bool,
    /// The length that the module reports for the signature, if a signature operation is active.
    pub signature_length: Option<usize>,
    /// Whether C_SignUpdate has succeeded in the active operation.
    pub is_multi_part: bool,
    /// The hash and the message so far, if a digest operation is active.
    pub digest: Option<(Hash, Vec<u8>)>,
    /// Whether a search is active.
    pub is_searching: bool,
}

impl SessionModel {
    /// Creates the model of a new session, in which no operation is active.
    pub fn new(handle: CK_SESSION_HANDLE, slot: CK_SLOT_ID) -> Self {
        Self {
            handle,
            slot,
            is_open: true,
            signature_length: None,
            is_multi_part: false,
            digest: None,
            is_searching: false,
        }
    }

    /// Checks the result of a function that continues an operation, and returns whether the operation is still
    /// active.
    ///
    /// `was` is whether the operation was active before. `ends` is true for the functions that end the operation
    /// if they succeed. According to section 5.8 and the similar sections, every error except CKR_BUFFER_TOO_SMALL
    /// ends the operation.
    pub fn check_continuation(was: bool, rv: CK_RV, ends: bool) -> bool {
        match rv {
            CKR_OPERATION_NOT_INITIALIZED => assert!(!was, "it was lost"),
            CKR_ARGUMENTS_BAD => {}
            _ => assert!(was, "there was none, but 0x{rv:x}"),
        }
        was && (rv == CKR_BUFFER_TOO_SMALL || rv == CKR_OK && !ends)
    }
}
