//! In which form a certificate or a request is written.

use crate::failure::{Failure, Outcome};
use crate::output_file::OutputArguments;
use clap::Args;
use der::pem::{LineEnding, encode_string};

/// Where a certificate or a request goes, and in which form.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct X509OutputArguments {
    #[command(flatten)]
    output: OutputArguments,
    /// Write DER instead of PEM
    #[arg(long)]
    der: bool,
}

impl X509OutputArguments {
    /// Checks whether the file may be written, before a signature is made for nothing.
    ///
    /// # Errors
    /// If the file exists, and shall not be replaced.
    pub fn check(&self) -> Outcome<()> {
        if self.der {
            self.output.refuse_terminal("DER", "leave out --der")?;
        }
        self.output.check()
    }

    /// Writes DER, as PEM with this label unless the user wants DER.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, label: &str, der: &[u8]) -> Outcome<()> {
        let pem = encode_string(label, LineEnding::LF, der).map_err(|error| Failure::new(error.to_string()))?;
        self.output.write(if self.der { der } else { pem.as_bytes() })
    }
}
