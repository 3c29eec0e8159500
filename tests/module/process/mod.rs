//! The module as a guest: forks, threads, clocks, faults of the network, hosts of all kinds.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))] // Others have no clock of their own: build.rs.
mod clocks;
mod faults;
mod forks;
mod hosts;
mod machine;
mod processes;
mod programs;
mod threads;
