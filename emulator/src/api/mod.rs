//! The handles for Rust tests.

pub(crate) mod aws;
pub(crate) mod vault;
