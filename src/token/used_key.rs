//! The key of an operation.

use super::key::SlotKey;
use crate::cloud::KeyFacts;
use crate::object::session_object::SessionObject;
use cryptoki_sys::CK_OBJECT_CLASS;
use std::sync::Arc;

/// The key of an operation.
pub enum UsedKey {
    /// One of the token's, and which of its objects.
    Token {
        /// The key.
        key: Arc<SlotKey>,
        /// What is known of it.
        facts: Arc<KeyFacts>,
        /// The object's class.
        class: CK_OBJECT_CLASS,
    },
    /// One of a session's.
    Session(Arc<SessionObject>),
}
