//! A token's keys, made when they are first needed.

use super::key::SlotKey;
use crate::config::Keys;
use std::sync::Arc;

/// A token's keys. They are made when they are first needed: a program that wants one of ten thousand slots pays for one.
#[derive(Debug)]
pub(super) enum TokenKeys {
    Configured(Keys),
    Made(Arc<Vec<Arc<SlotKey>>>),
}
