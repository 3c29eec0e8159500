//! The key of an operation.

use super::key::SlotKey;
use crate::cloud::KeyDescription;
use crate::object::session_object::SessionObject;
use cryptoki_sys::CK_OBJECT_CLASS;
use std::sync::Arc;

/// The key that an operation uses.
pub enum UsedKey {
    /// A key of the token, through one of its objects.
    Token {
        /// The key.
        key: Arc<SlotKey>,
        /// What is known about the key.
        facts: Arc<KeyDescription>,
        /// The class of the object.
        class: CK_OBJECT_CLASS,
    },
    /// A key that is a session object.
    Session(Arc<SessionObject>),
}
