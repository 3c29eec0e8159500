//! `cloud-kms-pkcs11`: the command-line tool of the module.
//!
//! What a program would see, the tool sees as a program does: it loads the module and calls its C interface. What the C
//! interface can't tell, such as where a credential came from, the tool asks the same code as a library.
//!
//! Each command is a file or a folder in `commands`, with the arguments of the command and a function `run`. Each file uses
//! only those after it:
//!
//! ```text
//! main > arguments > commands > x509 > signer > signature_algorithm > mechanism > module > token > uri > output_file > output > failure
//! ```

mod arguments;
mod commands;
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
