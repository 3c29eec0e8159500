//! A PKCS#11 module whose keys live in cloud key services.
//!
//! Each folder uses only the folders that follow it in this list (`tests/layering.rs` checks this):
//!
//! ```text
//! fuzzing, conformance, diagnosis > ffi > provider > operation > token > object > mechanism > config > store > cloud
//!     > certificate > key > audit, metrics > host > error
//! ```
//!
//! A call of C_Sign takes these steps:
//!
//! 1. `ffi::table` turns the pointers into `Input` and `Output`. `ffi::guard` finds the provider and contains panics.
//! 2. A size query ends at the session's `output_len`.
//! 3. The session hands over its operation, so that no lock is held during the request.
//! 4. `operation` turns the mechanism and the data into a scheme and a digest.
//! 5. `token::key` calls `cloud`, which starts a request on its own thread. The caller's thread waits until the
//!    deadline of the call.
//! 6. The signature is verified and copied to the caller's buffer.
//!
//! Each cloud is a cargo feature. `cloud` and `config::Service` are the only modules that differ between the builds.

#![cfg_attr(not(feature = "default"), allow(dead_code, reason = "the code that clouds share is for all of them"))]

#[cfg(not(any(feature = "aws", feature = "azure", feature = "google", feature = "vault")))]
compile_error!("the module needs at least one cloud; add --features with one or more of: aws, azure, google, vault");

pub mod audit;
pub mod certificate;
pub mod cloud;
pub mod config;
#[cfg(test)]
#[cfg(feature = "default")]
mod conformance;
pub mod diagnosis;
pub mod error;
pub mod ffi;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod host;
pub mod key;
pub mod mechanism;
pub mod metrics;
pub mod object;
pub mod operation;
pub mod provider;
pub mod store;
pub mod token;
