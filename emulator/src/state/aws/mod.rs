//! What an account at AWS holds.

pub(crate) mod account;
