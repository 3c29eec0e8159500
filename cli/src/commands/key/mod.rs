//! `key`: creates, destroys and labels keys in the service.

mod destroy;
mod generate;
mod label;
mod right;

use crate::failure::Outcome;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Creates, destroys and labels keys, where the option `allow` of the slot permits it
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Destroy(destroy::Arguments),
    Generate(generate::Arguments),
    Label(label::Arguments),
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the configuration or the service does not permit the change.
    pub fn run(&self) -> Outcome<ExitCode> {
        match &self.command {
            Command::Destroy(destroy) => destroy.run(),
            Command::Generate(generate) => generate.run(),
            Command::Label(label) => label.run(),
        }
    }
}
