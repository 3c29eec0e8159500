//! `pubkey`: the public half of a key.

mod jwk;
mod ssh;

use crate::failure::{Failure, Outcome};
use crate::module::KeyArguments;
use crate::output_file::OutputArguments;
use clap::Args;
use cloud_kms_pkcs11::key::PublicKey;
use der::pem::LineEnding;
use std::process::ExitCode;

/// Writes the public half of a key
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    output: OutputArguments,
}

/// Without any of them, PEM.
#[derive(Args)]
#[group(multiple = false)]
struct Form {
    /// DER: a SubjectPublicKeyInfo
    #[arg(long)]
    der: bool,
    /// A line for authorized_keys of OpenSSH
    #[arg(long)]
    ssh: bool,
    /// A JSON Web Key
    #[arg(long)]
    jwk: bool,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If there is no such key, or if its kind doesn't have the wanted form.
    pub fn run(&self) -> Outcome<ExitCode> {
        self.output.check()?;
        if self.form.der {
            self.output.refuse_terminal("DER", "leave out --der")?;
        }
        let (token, key) = self.key.open()?;
        let spki = key.public_key.as_deref();
        let spki = spki.ok_or_else(|| Failure::new(format!("key {:?} has no public half", key.label)).of(&token))?;
        self.output.write(&self.form.encode(spki, &key.label).map_err(|failure| failure.of(&token))?)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Form {
    fn encode(&self, spki: &[u8], label: &str) -> Outcome<Vec<u8>> {
        if self.der {
            return Ok(spki.to_vec());
        }
        if !self.ssh && !self.jwk {
            let pem = der::pem::encode_string("PUBLIC KEY", LineEnding::LF, spki);
            return pem.map(String::into_bytes).map_err(|error| Failure::new(error.to_string()));
        }
        let key = PublicKey::from_spki(spki).map_err(|unusable| Failure::new(unusable.0))?;
        let (text, name) = match self.ssh {
            true => (ssh::line(&key, label), "OpenSSH"),
            false => (jwk::document(&key), "JWK"),
        };
        let missing = || Failure::new(format!("{name} has no form for keys of kind {}", key.kind().name()));
        text.map(String::into_bytes).ok_or_else(missing)
    }
}
