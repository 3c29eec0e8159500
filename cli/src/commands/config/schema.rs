//! `config schema`.

use crate::failure::Outcome;
use crate::output::write_json;
use clap::Args;
use cloud_kms_pkcs11::config::tool::schema::schema;
use std::process::ExitCode;

/// Writes the JSON Schema of the configuration file, with which editors complete and check
#[derive(Args)]
pub struct Arguments {}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If stdout can't be written.
    pub fn run(&self) -> Outcome<ExitCode> {
        write_json(&schema())?;
        Ok(ExitCode::SUCCESS)
    }
}
