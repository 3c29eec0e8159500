//! `config`: checks, shows, describes and migrates configuration files.

mod check;
mod migrate;
mod schema;
mod show;

use crate::failure::Outcome;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Checks, shows, describes and migrates configuration files, without a request
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Arguments),
    Show(show::Arguments),
    Schema(schema::Arguments),
    Migrate(migrate::Arguments),
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If a file can't be read or written.
    pub fn run(&self) -> Outcome<ExitCode> {
        match &self.command {
            Command::Check(check) => check.run(),
            Command::Show(show) => show.run(),
            Command::Schema(schema) => schema.run(),
            Command::Migrate(migrate) => migrate.run(),
        }
    }
}
