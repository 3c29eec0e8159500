//! `decrypt`: the plaintext of what was encrypted with an RSA public key.

use super::format::from_base64;
use super::message::Message;
use crate::failure::{Failure, Outcome};
use crate::module::KeyArguments;
use crate::output_file::OutputArguments;
use clap::{Args, ValueEnum};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use std::path::PathBuf;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Decrypts what was encrypted with an RSA public key of the token
#[derive(Args)]
pub struct Arguments {
    /// The file with the ciphertext; without it or for `-`, stdin
    file: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArguments,
    /// OAEP: its hash, which MGF1 uses as well
    #[arg(long, value_enum, default_value = "sha256")]
    hash: OaepHash,
    /// PKCS#1 v1.5 instead of OAEP
    #[arg(long, conflicts_with = "hash")]
    pkcs1: bool,
    /// The ciphertext is base64 text
    #[arg(long)]
    base64: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// The hashes of OAEP.
#[derive(Clone, Copy, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
enum OaepHash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// More than the base64 text of a ciphertext by the largest key.
const MAX_CIPHERTEXT_LEN: usize = 4096;

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the file can't be read, the key doesn't decrypt it, or the plaintext can't be written.
    pub fn run(&self) -> Outcome<ExitCode> {
        self.output.check()?;
        let message = Message::open(self.file.as_deref())?;
        let name = message.name().to_owned();
        let mut ciphertext = message.read_small(MAX_CIPHERTEXT_LEN, "a ciphertext of an RSA key")?;
        if self.base64 {
            ciphertext = from_base64(&ciphertext).ok_or_else(|| Failure::new(format!("{name} is not base64")))?;
        }
        let (token, key) = self.key.open()?;
        token.check_use(&key, "decrypt")?;
        let decrypted = token.session().decrypt(&self.mechanism(), key.handle, &ciphertext);
        let plaintext = Zeroizing::new(decrypted.map_err(|error| Failure::from(error).of(&token))?);
        self.output.write_secret(&plaintext)?;
        Ok(ExitCode::SUCCESS)
    }

    fn mechanism(&self) -> Mechanism<'static> {
        let (hash, mgf) = match self.hash {
            OaepHash::Sha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
            OaepHash::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
            OaepHash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
            OaepHash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
        };
        match self.pkcs1 {
            true => Mechanism::RsaPkcs,
            false => Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mgf, PkcsOaepSource::empty())),
        }
    }
}
