//! What is kept on disk: public halves, and certificates that programs have written.

pub mod certificates;
pub mod private_directory;
pub mod public_keys;
