//! The whole module as programs see it: loaded by dlopen, against the emulator. Each test runs in its own process.

#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::macro_metavars_in_unsafe,
    reason = "a C caller's side of the C interface"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]
#![allow(clippy::print_stderr, reason = "to know which tests need a server that is not there")]

mod google;
mod interface;
mod keys;
mod logs;
mod monitoring;
mod operations;
mod process;
mod settings;
mod support;
