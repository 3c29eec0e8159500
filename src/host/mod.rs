//! The host, which is the process that the module is loaded into, and its machine. The only `unsafe` outside `ffi`
//! and the fuzz targets of C calls.

#![allow(unsafe_code, reason = "fork handlers, signal masks and write(2) have no safe interface in std")]

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod clock;
pub mod descriptor_watch;
pub mod descriptors;
pub mod file_id;
pub mod fork;
pub mod logging;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
mod memory_hooks;
mod on_drop;
pub mod permissions;
pub mod process;
pub mod signals;
pub mod tracked_descriptor;
