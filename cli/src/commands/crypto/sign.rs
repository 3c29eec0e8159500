//! `sign`: the signature of a file.

use super::format::SignatureFormat;
use super::message::Message;
use super::signing::{Method, SigningArguments};
use crate::failure::{Failure, Outcome};
use crate::module::KeyArguments;
use crate::output_file::OutputArguments;
use crate::token::{Object, Token};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Signs a file of any size, or stdin
#[derive(Args)]
pub struct Arguments {
    /// The file to sign; without it or for `-`, stdin
    file: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArguments,
    #[command(flatten)]
    signing: SigningArguments,
    #[command(flatten)]
    output: OutputArguments,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the file can't be read, the key doesn't sign it, or the signature can't be written.
    pub fn run(&self) -> Outcome<ExitCode> {
        self.output.check()?;
        if self.signing.format != SignatureFormat::Base64 {
            self.output.refuse_terminal("a signature", "--format base64")?;
        }
        let message = Message::open(self.file.as_deref())?;
        let (token, key) = self.key.open()?;
        let (method, signature) = match self.signing.prehashed {
            true => self.sign_digest(&token, &key, message)?,
            false => self.sign_message(&token, &key, message)?,
        };
        self.output.write(&self.signing.format.encode(method.kind, signature)?)?;
        Ok(ExitCode::SUCCESS)
    }

    fn sign_digest(&self, token: &Token, key: &Object, message: Message) -> Outcome<(Method, Vec<u8>)> {
        let (method, data) = self.signing.read_digest(token, key, message)?;
        let signed = token.session().sign(&method.mechanism, key.handle, &data);
        Ok((method, signed.map_err(|error| Failure::from(error).of(token))?))
    }

    /// The module hashes the parts that C_SignUpdate passes to it, or refuses what is too long for a service that gets
    /// the message itself.
    fn sign_message(&self, token: &Token, key: &Object, mut message: Message) -> Outcome<(Method, Vec<u8>)> {
        let of_token = |error| Failure::from(error).of(token);
        let method = self.signing.method(token, key, None)?;
        let (session, name) = (token.session(), message.name().to_owned());
        session.sign_init(&method.mechanism, key.handle).map_err(of_token)?;
        message.for_each_part(|part| session.sign_update(part).map_err(|error| method.explain(error, &name)))?;
        let signature = session.sign_final().map_err(|error| method.explain(error, &name).of(token))?;
        Ok((method, signature))
    }
}
