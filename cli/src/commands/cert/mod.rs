//! `cert`: the certificates of keys.

mod place;
mod store;

use crate::failure::{Failure, Outcome};
use crate::module::ModuleArguments;
use crate::output::write;
use crate::output_file::{FOR_ALL, write_file};
use crate::token::{Object, Token};
use clap::{Args, Subcommand};
use cloud_kms_pkcs11::certificate::Certificate;
use cloud_kms_pkcs11::certificate::bundle::Bundle;
use cloud_kms_pkcs11::key::{Kind, PublicKey};
use cryptoki::object::ObjectClass;
use place::{Place, Slot};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::CertifiedKey;

/// Stores the certificates of keys
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Put(PutArguments),
}

/// Stores the certificate of a key where the key's slot has it
///
/// That is Key Vault, if it waits for the certificate; HashiCorp Vault; the file that the configuration names
/// (certificate_path); or the directory that it names (certificate_store)
#[derive(Args)]
struct PutArguments {
    /// The label of the token: that of its slot in the configuration
    #[arg(long, value_name = "LABEL")]
    slot: String,
    /// The certificate, and optionally those of its issuers: PEM, DER or PKCS#7
    file: PathBuf,
    /// Replace the certificate that the key has
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    module: ModuleArguments,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the certificate is that of another key, or can't be stored.
    pub fn run(&self) -> Outcome<ExitCode> {
        match &self.command {
            Command::Put(put) => put.run(),
        }
    }
}

impl PutArguments {
    fn run(&self) -> Outcome<ExitCode> {
        let certificates = read(&self.file)?;
        let token = self.module.token(&self.slot)?;
        let objects = token.objects()?;
        let slot = Slot::of(&token);
        let keys = objects.iter().filter(|object| object.class == ObjectClass::PRIVATE_KEY);
        let keys: Vec<&Object> = keys.filter(|object| object.public_key.is_some()).collect();
        let is_certified = |key: &&&Object| certificates.iter().any(|own| Some(&own.spki) == key.public_key.as_ref());
        let stored = match keys.iter().find(is_certified) {
            Some(key) => self.put(&token, &slot, key, &objects, certificates)?,
            None => put_pending(&token, &slot, &keys, certificates)?,
        };
        write(&format!("{token}: the certificate {stored}\n"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Stores the certificate of a key that the token shows. Returns where it is now.
    fn put(
        &self,
        token: &Token,
        slot: &Slot,
        key: &Object,
        objects: &[Object],
        certificates: Vec<Certificate>,
    ) -> Outcome<String> {
        let public_key = key.public_key.as_deref().map(PublicKey::from_spki).and_then(Result::ok);
        let public_key = public_key.ok_or_else(|| Failure::new("the public key can't be read").of(token))?;
        let chain = chain_of(&public_key, certificates);
        match slot.place(key) {
            Place::File(path) => {
                check_contents(&path)?;
                let text: String = chain.iter().map(Certificate::to_pem).collect();
                write_file(&path, self.force, text.as_bytes(), FOR_ALL)?;
                Ok(format!("of key {:?} is in {}", key.label, path.display()))
            }
            Place::Elsewhere(fix) => {
                Err(Failure::new("the configuration determines the certificate of this key").of(token).fix(fix))
            }
            Place::Token => {
                slot.check_right().map_err(|failure| failure.of(token))?;
                let key = CertifiedKey { token, slot, key, public_key: &public_key, objects };
                key.put(&chain, self.force)
            }
        }
    }
}

fn read(path: &Path) -> Outcome<Vec<Certificate>> {
    let bytes = std::fs::read(path).map_err(|error| Failure::from(error).of(path.display()))?;
    let (certificates, _) = Certificate::parse_all(&bytes).map_err(|why| Failure::new(why.0).of(path.display()))?;
    Ok(certificates)
}

/// Returns the certificate of the key, followed by those of its issuers.
fn chain_of(public_key: &PublicKey, certificates: Vec<Certificate>) -> Vec<Certificate> {
    let mut chain = Bundle::new(certificates).chain_of(public_key);
    // Without a chain from one to the next, all certificates stay: the key's own comes first.
    chain.sort_by_key(|certificate| !certificate.certifies(public_key));
    chain
}

/// Checks that a file which is about to be replaced has nothing but certificates.
fn check_contents(path: &Path) -> Outcome<()> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::from(error).of(path.display())),
    };
    match Certificate::parse_all(&bytes) {
        Ok((_, others)) if others.is_empty() => Ok(()),
        Ok((_, others)) => {
            Err(Failure::new(format!("{} has more than certificates: {}", path.display(), others.join("; ")))
                .fix("move that elsewhere, or name another file in \"certificate_path\""))
        }
        Err(why) if !bytes.is_empty() => {
            Err(Failure::new(format!("{} is not a file of certificates: {}", path.display(), why.0))
                .fix("name another file in \"certificate_path\""))
        }
        Err(_) => Ok(()),
    }
}

/// Gives a certificate to a vault that waits for it. The token does not show such a key.
fn put_pending(token: &Token, slot: &Slot, keys: &[&Object], certificates: Vec<Certificate>) -> Outcome<String> {
    let bundle = Bundle::new(certificates);
    let leaf = bundle.leaf().ok_or_else(|| Failure::new("the file contains no certificate"))?;
    let names: Vec<_> = keys
        .iter()
        .map(|key| format!("{:?} ({})", key.label, key.kind().map(Kind::name).unwrap_or_default()))
        .collect();
    let kind = leaf.public_key().map_or_else(|why| why.0, |key| key.kind().name());
    let name = leaf.common_name.as_deref().unwrap_or("no common name");
    let other = || {
        Failure::new(format!("the certificate ({name}, {kind}) is that of another key")).of(token).fix(format!(
            "choose the slot of its key; this token has {}",
            if names.is_empty() { "no key".into() } else { names.join(", ") }
        ))
    };
    if !slot.may_wait() {
        return Err(other());
    }
    slot.check_right().map_err(|failure| failure.of(token))?;
    match store::create(token, leaf)? {
        Some(_) => Ok("is in the vault, which waited for it".into()),
        None => Err(other()),
    }
}
