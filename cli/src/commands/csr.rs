//! `csr`: certificate requests.

use crate::failure::Outcome;
use crate::module::KeyArguments;
use crate::signer::{AlgorithmArguments, Signer};
use crate::x509::{TemplateArguments, X509OutputArguments, sign_request};
use clap::Args;
use std::process::ExitCode;

/// Makes a certificate request (PKCS#10), signed by a key of the cloud
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    template: TemplateArguments,
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
        let template = self.template.read()?;
        template.check()?;
        self.output.check()?;
        let (token, key) = self.key.open()?;
        let signer = Signer::new(&token, key, &self.algorithm)?;
        self.output.write("CERTIFICATE REQUEST", &sign_request(&signer, &template)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
