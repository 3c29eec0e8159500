//! `man`: the manual pages, for packages.

use crate::failure::{Failure, Outcome};
use clap::{Args, Command};
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes a manual page for each command
#[derive(Args)]
pub struct Arguments {
    /// The directory, which must exist
    directory: PathBuf,
}

impl Arguments {
    /// Runs the command. `tool` is the tool's whole command line.
    ///
    /// # Errors
    /// If the directory can't be written.
    pub fn run(&self, tool: Command) -> Outcome<ExitCode> {
        clap_mangen::generate_to(tool, &self.directory)
            .map_err(|error| Failure::from(error).of(self.directory.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}
