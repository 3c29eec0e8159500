//! The tool as its users run it, with the emulator as the clouds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::print_stderr, reason = "to know which programs are not there")]

mod certificates;
mod completions;
mod config;
mod data;
mod doctor;
mod files;
mod keys;
mod list;
mod pubkey;
mod snippets;
mod support;
