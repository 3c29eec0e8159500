//! `cloud-kms-pkcs11`: the command-line tool of the module.
//!
//! The tool loads the module and calls its C interface, so it shows what programs get. It uses the module's library for the
//! rest, such as the source of a credential.
//!
//! Each command is a file or a folder in `commands`, with the arguments of the command and a function `run`. Each file uses
//! only those after it:
//!
//! ```text
//! main > arguments > commands > x509 > signer > signature_algorithm > mechanism > module > token > context > uri > output_file > output > failure
//! ```

mod arguments;
mod commands;
mod context;
mod failure;
mod mechanism;
mod module;
mod output;
mod output_file;
mod signature_algorithm;
mod signer;
mod token;
mod uri;
mod x509;

use arguments::Arguments;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(code) => code,
        Err(failure) => {
            output::report(&failure);
            ExitCode::FAILURE
        }
    }
}
