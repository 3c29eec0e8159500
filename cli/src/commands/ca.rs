//! `ca`: a certification authority whose key is in the cloud.

use crate::failure::{Failure, Outcome};
use crate::module::KeyArguments;
use crate::signer::{AlgorithmArguments, Signer};
use crate::token::Token;
use crate::x509::{Authority, Request, TemplateArguments, ValidityArguments, X509OutputArguments, sign_certificate};
use clap::{Args, Subcommand};
use cloud_kms_pkcs11::certificate::Certificate;
use std::path::PathBuf;
use std::process::ExitCode;

/// Signs the requests of others as a certification authority. Its own certificate is made by self-sign --ca
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Sign(Box<SignArguments>),
}

/// Signs a certificate request
///
/// Subject, alternative names, key usages and extended key usages are those of the request, unless options state others.
/// The rights of an authority are never taken from a request: they need --ca
#[derive(Args)]
struct SignArguments {
    #[command(flatten)]
    key: KeyArguments,
    /// The certificate of the CA [default: the token's own]
    #[arg(long, value_name = "FILE")]
    ca_certificate: Option<PathBuf>,
    /// The request, in PEM or DER
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
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
    /// If the request is wrong, if the key is not that of an authority, or if the file can't be written.
    pub fn run(&self) -> Outcome<ExitCode> {
        match &self.command {
            Command::Sign(sign) => sign.run(),
        }
    }
}

impl SignArguments {
    fn run(&self) -> Outcome<ExitCode> {
        let given = self.template.read()?;
        let validity = self.validity.clone().or(given.validity());
        let request = Request::read(&self.csr)?;
        if request.asks_for_ca && !given.ca && given.key_usage.is_empty() {
            return Err(Failure::new("the request asks for the rights of a certification authority")
                .of(self.csr.display())
                .fix("grant them by --ca, or refuse them by --key-usage digitalSignature"));
        }
        let mut asked = request.template;
        asked.path_length = asked.path_length.filter(|_| given.ca);
        let template = given.or(asked).with_default_usages();
        template.check()?;
        self.output.check()?;
        let (token, key) = self.key.open()?;
        let signer = Signer::new(&token, key, &self.algorithm)?;
        let authority = Authority::new(&signer, &self.certificate(&token, &signer)?)?;
        authority.check(&template)?;
        let made = sign_certificate(&signer, &template, &validity, &request.public_key, Some(&authority))?;
        self.output.write("CERTIFICATE", &made)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the certificate of the CA: the one that the user has named, or the one that the token has for the key.
    fn certificate(&self, token: &Token, signer: &Signer) -> Outcome<Certificate> {
        if let Some(path) = &self.ca_certificate {
            let failed = |failure: Failure| failure.of(path.display());
            let bytes = std::fs::read(path).map_err(|error| failed(error.into()))?;
            let parsed = Certificate::parse_all(&bytes).map_err(|why| failed(Failure::new(why.0)))?.0;
            let own = parsed.iter().find(|certificate| signer.is_key_of(certificate)).or(parsed.first());
            return own.cloned().ok_or_else(|| failed(Failure::new("it contains no certificate")));
        }
        let objects = token.objects()?.into_iter().filter_map(|object| object.certificate);
        let mut parsed = objects.filter_map(|der| Certificate::from_der(&der).ok());
        parsed.find(|certificate| signer.is_key_of(certificate)).ok_or_else(|| {
            Failure::new(format!("{signer}: the token has no certificate for this key"))
                .fix("name the certificate of the CA by --ca-certificate; cloud-kms-pkcs11 self-sign --ca makes it")
        })
    }
}
