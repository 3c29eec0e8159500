//! `key destroy`: the end of a key.

use super::right::{ALLOW_DESTROY, not_allowed};
use crate::failure::{Failure, Outcome};
use crate::module::KeyArguments;
use crate::output::note;
use crate::token::{Object, Token};
use clap::Args;
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

/// Destroys a key, or schedules that where the service delays it
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If nobody confirms it, or if the configuration or the service does not permit it.
    pub fn run(&self) -> Outcome<ExitCode> {
        let (token, key) = self.key.open()?;
        if !self.yes {
            confirm(&token, &key)?;
        }
        token.session().destroy_object(key.handle).map_err(|error| not_allowed(error, &ALLOW_DESTROY).of(&token))?;
        note(&format!("the service has accepted the destruction of key {:?} of {token}", key.label));
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks the user on the terminal for the label of the key.
fn confirm(token: &Token, key: &Object) -> Outcome<()> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::new("nothing was destroyed: there is no terminal to ask for a confirmation")
            .fix("confirm on the command line: --yes"));
    }
    let name = String::from_utf8_lossy(&key.id);
    note(&format!("This destroys key {:?} of {token}: {name}", key.label));
    note("What was encrypted for it, or is signed by it, may become useless. Type the label of the key to go on:");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim_end_matches(['\r', '\n']) == key.label {
        true => Ok(()),
        false => Err(Failure::new("nothing was destroyed: that is not the label of the key")),
    }
}
