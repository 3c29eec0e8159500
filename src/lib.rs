//! A PKCS#11 module whose keys live in cloud key services.
//!
//! The layers, each of which uses only what stands to its right (`tests/layering.rs` holds them to it):
//!
//! ```text
//! fuzzing, conformance > ffi > provider > keyed, managing, session > token > signing, cipher, session_object, key_template
//!     > making > slot_key, profile > operation > object > mechanism > config > lazy > cache, certificate_store
//!     > backend::{aws, azure} > backend (trait, runtime) > certificate > key > private_folder > hash, attribute, pem
//!     > error, logging, process, fuzz_input
//! ```
//!
//! One C_Sign: `ffi::table` turns its pointers into `Input` and `Output`; `ffi::guard` finds the provider and contains
//! panics; a size query ends at the session's `output_len`; the session gives its operation away, so that no lock is
//! held; `operation` makes a scheme and a digest of mechanism and data; `slot_key` asks the `backend`, which starts a
//! request on its own thread, and waits with the call's deadline; the signature is verified, and copied out.

pub mod attribute;
pub mod backend;
pub mod cache;
pub mod certificate;
pub mod certificate_bundle;
pub mod certificate_file;
pub mod certificate_store;
pub mod cipher;
pub mod config;
#[cfg(test)]
mod conformance;
pub mod error;
pub mod ffi;
#[cfg(any(test, fuzzing))]
pub mod fuzz_input;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hash;
pub mod key;
pub mod key_template;
pub mod keyed;
pub mod lazy;
pub mod logging;
pub mod making;
pub mod managing;
pub mod mechanism;
pub mod object;
pub mod operation;
mod pem;
pub mod permissions;
pub mod private_folder;
pub mod process;
pub mod profile;
pub mod provider;
pub mod session;
pub mod session_object;
pub mod signing;
pub mod slot_key;
pub mod token;
pub mod tokens;
