//! A PKCS#11 module whose keys live in cloud key services.
//!
//! The folders, each of which uses only those after it (`tests/layering.rs` checks that):
//!
//! ```text
//! fuzzing, conformance > ffi > provider > operation > token > object > mechanism > config > store > cloud > certificate
//!     > key > host > error
//! ```
//!
//! One C_Sign: `ffi::table` turns its pointers into `Input` and `Output`; `ffi::guard` finds the provider and contains
//! panics; a size query ends at the session's `output_len`; the session gives its operation away, so that no lock is
//! held; `operation` makes a scheme and a digest of mechanism and data; `token::key` asks the `cloud`, which starts a
//! request on its own thread, and waits with the call's deadline; the signature is verified, and copied out.

pub mod certificate;
pub mod cloud;
pub mod config;
#[cfg(test)]
mod conformance;
pub mod error;
pub mod ffi;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod host;
pub mod key;
pub mod mechanism;
pub mod object;
pub mod operation;
pub mod provider;
pub mod store;
pub mod token;
