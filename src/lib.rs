//! A PKCS#11 module whose keys live in cloud key services.
pub mod backend;
pub mod certificate;
pub mod config;
pub mod error;
pub mod hash;
pub mod key;
pub mod logging;
pub mod process;
