//! The commands that use a key: `sign`, `verify` and `decrypt`.

mod format;
mod message;
mod signing;

pub mod decrypt;
pub mod sign;
pub mod verify;
