//! `self-sign`: certificates that a key signs for itself, such as that of a root authority.

use crate::failure::Outcome;
use crate::module::KeyArguments;
use crate::signer::{AlgorithmArguments, Signer};
use crate::x509::{TemplateArguments, ValidityArguments, X509OutputArguments, sign_certificate};
use clap::Args;
use std::process::ExitCode;

/// Makes a self-signed certificate of a key of the cloud; with --ca, that of a root authority
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    template: TemplateArguments,
    #[command(flatten)]
    validity: ValidityArguments,
    #[command(flatten)]
    algorithm: AlgorithmArguments,
    #[command(flatten)]
    output: X509OutputArguments,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the contents are wrong, if the key can't sign, or if the file can't be written.
    pub fn run(&self) -> Outcome<ExitCode> {
        let template = self.template.read()?.with_default_usages();
        let validity = self.validity.clone().or(template.validity());
        template.check()?;
        self.output.check()?;
        let (token, key) = self.key.open()?;
        let signer = Signer::new(&token, key, &self.algorithm)?;
        let certificate = sign_certificate(&signer, &template, &validity, signer.public_key(), None)?;
        self.output.write("CERTIFICATE", &certificate)?;
        Ok(ExitCode::SUCCESS)
    }
}
