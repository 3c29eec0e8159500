//! `key label`: another label for a key.

use super::right::{ALLOW_LABELS, not_allowed};
use crate::failure::{Failure, Outcome};
use crate::module::KeyArguments;
use crate::output::write;
use clap::Args;
use cryptoki::object::Attribute;
use std::process::ExitCode;

/// Changes the label of a key, where the service stores labels
#[derive(Args)]
pub struct Arguments {
    /// The new label
    label: String,
    #[command(flatten)]
    key: KeyArguments,
}

impl Arguments {
    /// Runs the command, and prints the URI of the key.
    ///
    /// # Errors
    /// If the configuration or the service does not permit it.
    pub fn run(&self) -> Outcome<ExitCode> {
        let (token, key) = self.key.open()?;
        let label = [Attribute::Label(self.label.clone().into_bytes())];
        let updated = token.session().update_attributes(key.handle, &label);
        updated.map_err(|error| not_allowed(error, &ALLOW_LABELS).of(&token))?;
        let key = token.object(key.handle).map_err(|error| Failure::from(error).of(&token))?;
        write(&format!("{}\n", token.uri_of(&key)))?;
        Ok(ExitCode::SUCCESS)
    }
}
