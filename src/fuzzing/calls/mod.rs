//! The fuzz targets for the C interface, with a service in memory, sessions that may be closed, and memory that
//! reveals where the module wrote.
//!
//! Compiled into tests and fuzzers only. The checks for every call are: no crash, no panic, a CK_RV that has a
//! name and is not CKR_GENERAL_ERROR, and no write outside of the lengths that the caller passed.

#![allow(unsafe_code, reason = "it calls the C interface")]
#![allow(clippy::panic, reason = "for tests and fuzzers only")]

mod arguments;
mod caller;
mod digest_and_sign;
mod memory;
mod model;
mod other_calls;
mod sequence;
mod templates;

pub use sequence::run as calls;
pub use templates::run as templates;
