//! A PKCS#11 module whose keys live in cloud key services.
pub mod attribute;
pub mod backend;
pub mod certificate;
pub mod config;
pub mod error;
pub mod ffi;
pub mod hash;
pub mod key;
pub mod lazy;
pub mod logging;
pub mod mechanism;
pub mod object;
pub mod process;
pub mod provider;
pub mod session;
pub mod slot_key;
pub mod token;
