//! `verify`: whether a signature is that of a file.

use super::message::Message;
use super::signing::SigningArguments;
use crate::failure::{Failure, Outcome};
use crate::module::KeyArguments;
use crate::output::write;
use crate::token::{Object, Token};
use clap::Args;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use std::path::PathBuf;
use std::process::ExitCode;

/// Verifies the signature of a file of any size, or of stdin, with the token's public key
#[derive(Args)]
pub struct Arguments {
    /// The file that was signed; without it or for `-`, stdin
    file: Option<PathBuf>,
    /// The file with the signature
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    signing: SigningArguments,
}

/// No signature is longer, not even in base64.
const MAX_SIGNATURE_LEN: usize = 128 * 1024;

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the signature is not valid, or if that can't be told.
    pub fn run(&self) -> Outcome<ExitCode> {
        let signature = Message::open(Some(&self.signature))?.read_small(MAX_SIGNATURE_LEN, "a signature")?;
        let message = Message::open(self.file.as_deref())?;
        let (token, key) = self.key.open()?;
        self.verify(&token, &key, message, &signature)?;
        write("signature is valid\n")?;
        Ok(ExitCode::SUCCESS)
    }

    fn verify(&self, token: &Token, key: &Object, mut message: Message, signature: &[u8]) -> Outcome<()> {
        let name = message.name().to_owned();
        let (session, verifier) = (token.session(), verifier(token, key)?);
        let form = |kind| {
            self.signing.format.decode(kind, signature).ok_or_else(|| {
                Failure::new(format!("{}: signature is not valid: it has another form", self.signature.display()))
                    .fix("name the form by --format: der, raw or base64")
            })
        };
        if self.signing.prehashed {
            let (method, data) = self.signing.read_digest(token, key, message)?;
            let verified = session.verify(&method.mechanism, verifier, &data, &form(method.kind)?);
            return verified.map_err(|error| self.explain(error, &name));
        }
        let method = self.signing.method(token, key, None)?;
        let signature = form(method.kind)?;
        session.verify_init(&method.mechanism, verifier).map_err(|error| Failure::from(error).of(token))?;
        message.for_each_part(|part| session.verify_update(part).map_err(|error| method.explain(error, &name)))?;
        session.verify_final(&signature).map_err(|error| self.explain(error, &name))
    }

    fn explain(&self, error: Error, name: &str) -> Failure {
        match error {
            Error::Pkcs11(RvError::SignatureInvalid | RvError::SignatureLenRange, _) => {
                let file = self.signature.display();
                Failure::new(format!("{file}: signature is not valid for {name} and this key"))
                    .fix("if it should be, check --slot, --key, --hash, --pss and --format")
            }
            other => Failure::from(other).of(name),
        }
    }
}

/// Returns the key that verifies: the public half, or the secret key itself.
fn verifier(token: &Token, key: &Object) -> Outcome<ObjectHandle> {
    if key.class == ObjectClass::SECRET_KEY {
        return Ok(key.handle);
    }
    let found = token.find(&[Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(key.id.clone())])?;
    let missing = || Failure::new(format!("key {:?} has no public half", key.label)).of(token);
    found.first().map(|public| public.handle).ok_or_else(missing)
}
