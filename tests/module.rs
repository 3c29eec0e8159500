//! The whole module, as programs see it: loaded by dlopen, against the emulator. Each test has a process of its own.

#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::macro_metavars_in_unsafe,
    reason = "a C caller's side of the C interface"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod module {
    pub mod door;
    pub mod p11;
    pub mod world;
    pub mod writer;

    mod answers;
    mod artifact;
    mod aws_settings;
    mod azure_settings;
    mod cache;
    mod careless_callers;
    mod certificates;
    mod cipher;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))] // Others have no clock of their own: build.rs.
    mod clocks;
    mod configuration_files;
    mod edwards_and_lattice;
    mod faults;
    mod forks;
    mod hosts;
    mod labels;
    mod legacy;
    mod life;
    mod log_readers;
    mod login;
    mod machine;
    mod macs;
    mod manage;
    mod messages;
    mod objects;
    mod order;
    mod processes;
    mod profiles;
    mod programs;
    mod random;
    mod reports;
    mod requests;
    mod roles;
    mod secrets;
    mod sha3;
    mod shared_secrets;
    mod signatures;
    mod threads;
    mod token_info;
    mod verify;
    mod written_certificates;
}
