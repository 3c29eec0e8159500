//! The module as a guest: forks, threads, clocks, network faults, hosts of all kinds.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))] // Other targets have no own clock: build.rs.
mod clocks;
mod failover;
mod faults;
mod forks;
mod hosts;
mod machine;
mod processes;
mod programs;
mod threads;
