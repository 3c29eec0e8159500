//! `config migrate`.

use crate::failure::{Failure, Outcome};
use crate::output::note;
use crate::output_file::OutputArguments;
use clap::Args;
use clap::builder::PossibleValuesParser;
use cloud_kms_pkcs11::config::tool::migrate::{OLD_MODULES, migrate};
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes a configuration file from those of aws-kms-pkcs11, azure-keyvault-pkcs11 and libkmsp11, and says what changes
#[derive(Args)]
pub struct Arguments {
    /// The old file, instead of those that the module reads if it has no file of its own
    file: Option<PathBuf>,
    /// The module that the old file is for, if its place and contents do not tell
    #[arg(long, value_name = "MODULE", requires = "file", value_parser = PossibleValuesParser::new(OLD_MODULES))]
    from: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the old file can't be read or has a mistake, or if the new one exists or can't be written.
    pub fn run(&self) -> Outcome<ExitCode> {
        self.output.check()?;
        let migration =
            migrate(self.file.as_deref(), self.from.as_deref()).map_err(|error| Failure::new(error.message))?;
        self.output.write(migration.text.as_bytes())?;
        for source in &migration.sources {
            note(&format!("read: {}", source.display()));
        }
        for change in &migration.changes {
            note(&format!("changes: {change}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
