//! `uri`: the `pkcs11:` URI of a key.

use crate::failure::Outcome;
use crate::module::ModuleArguments;
use crate::output::write;
use clap::Args;
use std::process::ExitCode;

/// Prints the pkcs11: URI of a token's private key
#[derive(Args)]
pub struct Arguments {
    /// The label of the token: that of its slot in the configuration
    label: String,
    /// The label of the key, if the token has several
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    module: ModuleArguments,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If there is no such token or key.
    pub fn run(&self) -> Outcome<ExitCode> {
        let token = self.module.token(&self.label)?;
        let key = token.key(self.key.as_deref())?;
        write(&format!("{}\n", token.uri_of(&key)))?;
        Ok(ExitCode::SUCCESS)
    }
}
