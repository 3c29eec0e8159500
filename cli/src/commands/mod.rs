//! The commands: a file or a folder for each, with its arguments and a function `run`.

pub mod ca;
pub mod cert;
pub mod completions;
pub mod config;
pub mod crypto;
pub mod csr;
pub mod doctor;
pub mod key;
pub mod list;
pub mod man;
pub mod pubkey;
pub mod self_sign;
pub mod snippet;
pub mod uri;
