//! The C interface under fuzzers: a service in memory, sessions that may be stale, memory that shows who wrote where.
//!
//! Compiled into tests and fuzzers only. What is promised everywhere: no crash, no panic, a CK_RV that has a name and is
//! not CKR_GENERAL_ERROR, nothing written outside of the lengths that were handed in.

#![allow(unsafe_code, reason = "it calls the C interface")]
#![allow(clippy::panic, reason = "for tests and fuzzers only")]

mod arguments;
mod beyond;
mod lifecycle;
mod memory;
mod model;
mod sequence;
mod templates;
mod world;

pub use sequence::run as calls;
pub use templates::run as templates;
