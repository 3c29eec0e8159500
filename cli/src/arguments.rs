//! The command line: one row for each command.

use crate::commands::crypto::{decrypt, sign, verify};
use crate::commands::{ca, cert, completions, config, csr, doctor, key, list, man, pubkey, self_sign, snippet, uri};
use crate::failure::Outcome;
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Shows, tests and manages the keys of cloud-kms-pkcs11, the PKCS#11 module whose keys live in AWS KMS, Azure Key Vault,
/// Google Cloud KMS and HashiCorp Vault
#[derive(Parser)]
#[command(name = "cloud-kms-pkcs11", version, disable_help_subcommand = true, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Ca(ca::Arguments),
    Cert(cert::Arguments),
    Completions(completions::Arguments),
    Config(config::Arguments),
    Csr(Box<csr::Arguments>),
    Decrypt(decrypt::Arguments),
    Doctor(doctor::Arguments),
    Key(key::Arguments),
    List(list::Arguments),
    #[command(hide = true)]
    Man(man::Arguments),
    Pubkey(pubkey::Arguments),
    SelfSign(Box<self_sign::Arguments>),
    Sign(sign::Arguments),
    Snippet(snippet::Arguments),
    Uri(uri::Arguments),
    Verify(verify::Arguments),
}

impl Arguments {
    /// Runs the command. Returns the exit code: 0, or another one if the command has found a problem.
    ///
    /// # Errors
    /// If the command failed. The exit code is 1 then, as for a problem. It is 2 for a wrong command line.
    pub fn run(&self) -> Outcome<ExitCode> {
        match &self.command {
            Command::Ca(ca) => ca.run(),
            Command::Cert(cert) => cert.run(),
            Command::Completions(completions) => completions.run(Self::command()),
            Command::Config(config) => config.run(),
            Command::Csr(csr) => csr.run(),
            Command::Decrypt(decrypt) => decrypt.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Key(key) => key.run(),
            Command::List(list) => list.run(),
            Command::Man(man) => man.run(Self::command()),
            Command::Pubkey(pubkey) => pubkey.run(),
            Command::SelfSign(self_sign) => self_sign.run(),
            Command::Sign(sign) => sign.run(),
            Command::Snippet(snippet) => snippet.run(),
            Command::Uri(uri) => uri.run(),
            Command::Verify(verify) => verify.run(),
        }
    }
}
