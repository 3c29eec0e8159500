//! `csr`: certificate requests.

use crate::failure::Outcome;
use crate::module::ModuleArguments;
use crate::signer::{AlgorithmArguments, Signer};
use crate::x509::{TemplateArguments, X509OutputArguments, sign_request};
use clap::Args;
use std::process::ExitCode;

/// Makes a certificate request (PKCS#10), signed by a key of the cloud
#[derive(Args)]
pub struct Arguments {
    /// The label of the token: that of its slot in the configuration
    #[arg(long, value_name = "LABEL")]
    slot: String,
    /// The label of the key, if the token has several
    #[arg(long, value_name = "LABEL")]
    key: Option<String>,
    #[command(flatten)]
    template: TemplateArguments,
    #[command(flatten)]
    algorithm: AlgorithmArguments,
    #[command(flatten)]
    output: X509OutputArguments,
    #[command(flatten)]
    module: ModuleArguments,
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
        let module = self.module.load()?;
        let token = module.token(&self.slot)?;
        self.module.log_in(&token)?;
        let signer = Signer::new(&token, token.key(self.key.as_deref())?, &self.algorithm)?;
        self.output.write("CERTIFICATE REQUEST", &sign_request(&signer, &template)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
