//! `completions`: what a shell needs to complete command lines of the tool.

use crate::failure::Outcome;
use crate::output::write_bytes;
use clap::{Args, Command};
use clap_complete::Shell;
use std::process::ExitCode;

/// Writes the completions for a shell
#[derive(Args)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Arguments {
    /// Runs the command. `tool` is the tool's whole command line.
    ///
    /// # Errors
    /// If stdout can't be written.
    pub fn run(&self, mut tool: Command) -> Outcome<ExitCode> {
        let (name, mut script) = (tool.get_name().to_owned(), Vec::new());
        clap_complete::generate(self.shell, &mut tool, name, &mut script);
        write_bytes(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
