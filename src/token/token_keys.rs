//! The keys of a token, created when they are first needed.

use super::key::SlotKey;
use crate::config::Keys;
use std::sync::Arc;

/// The keys of a token. They are created when they are first needed: a program that uses one of ten thousand slots
/// pays for one.
#[derive(Debug)]
pub(super) enum TokenKeys {
    Configured(Keys),
    Created(Arc<Vec<Arc<SlotKey>>>),
}
