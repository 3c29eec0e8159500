//! The mechanism with which a key signs and verifies.

use super::format::SignatureFormat;
use super::message::Message;
use crate::failure::{Failure, Outcome};
use crate::mechanism::{HashName, SIGNING_MECHANISMS, SigningMechanism};
use crate::token::{Object, Token};
use clap::Args;
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Kind};
use cryptoki::mechanism::Mechanism;

/// The arguments that choose a mechanism. Without them, the key decides.
#[derive(Args)]
pub struct SigningArguments {
    /// The hash; without it, that of the key's algorithm or curve, and for RSA sha256
    #[arg(long, value_enum)]
    hash: Option<HashName>,
    /// RSA: PSS instead of PKCS#1 v1.5. It is the default of keys that can do nothing else
    #[arg(long)]
    pss: bool,
    /// The input is a digest: its bytes, not hexadecimal digits
    #[arg(long)]
    pub prehashed: bool,
    /// The form of the signature
    #[arg(long, value_enum, default_value = "der")]
    pub format: SignatureFormat,
}

/// The length of the longest digest.
const MAX_DIGEST_LEN: usize = 64;

/// A mechanism with its parameters.
pub struct Method {
    /// What C_SignInit gets.
    pub mechanism: Mechanism<'static>,
    /// The kind of the key. None for a secret key.
    pub kind: Option<Kind>,
    algorithm: Algorithm,
    hash: Option<Hash>,
}

impl SigningArguments {
    /// Reads the input, which is a digest, and returns it with the mechanism for a private or secret key.
    ///
    /// # Errors
    /// As [`Self::method`], and if the input can't be read or is too long.
    pub fn read_digest(&self, token: &Token, key: &Object, input: Message) -> Outcome<(Method, Vec<u8>)> {
        let digest = input.read_small(MAX_DIGEST_LEN, "a digest")?;
        let method = self.method(token, key, Some(&digest))?;
        let data = method.input(&digest);
        Ok((method, data))
    }

    /// Returns the mechanism for a private or secret key. `digest` is the input, if it is a digest.
    ///
    /// # Errors
    /// If the key doesn't sign, or not as the arguments want it.
    pub fn method(&self, token: &Token, key: &Object, digest: Option<&[u8]>) -> Outcome<Method> {
        token.check_use(key, "sign")?;
        let kind = key.kind();
        let hash = match (digest, self.hash.map(Hash::from), kind) {
            (Some(digest), hash, _) => Some(hash_with_length(digest, hash)?),
            (None, None, Some(Kind::Ec(curve))) => Some(curve.hash()),
            (None, hash, _) => hash,
        };
        let algorithms = self.algorithms(kind)?;
        let suits = |row: &&SigningMechanism| {
            algorithms.contains(&row.algorithm)
                && row.takes_digest == digest.is_some()
                && (row.takes_digest || hash.is_none() || row.hash == hash)
        };
        let allowed = token.allowed_mechanisms(key)?;
        let is_allowed = |row: &&SigningMechanism| allowed.as_ref().is_none_or(|allowed| allowed.contains(&row.ckm));
        let mut rows = SIGNING_MECHANISMS.iter().filter(suits);
        // If the key permits none of them, the module says what it permits.
        let row = rows.clone().find(is_allowed).or_else(|| rows.next()).ok_or_else(|| unsuitable(self, key))?;
        let hash = row.hash.or(hash.filter(|_| row.takes_digest));
        let mechanism = row.with_hash(hash);
        Ok(Method { mechanism, kind, algorithm: row.algorithm, hash })
    }

    /// Returns what a key of this kind can sign with, in the order of preference.
    fn algorithms(&self, kind: Option<Kind>) -> Outcome<&'static [Algorithm]> {
        if self.pss && !matches!(kind, Some(Kind::Rsa(_))) {
            return Err(Failure::new("--pss is for RSA keys only"));
        }
        Ok(match kind {
            Some(Kind::Rsa(_)) if self.pss => &[Algorithm::RsaPss],
            Some(Kind::Rsa(_)) => &[Algorithm::RsaPkcs1, Algorithm::RsaPss],
            Some(Kind::Ec(_)) => &[Algorithm::Ecdsa],
            Some(Kind::Ed25519) => &[Algorithm::Eddsa],
            Some(Kind::MlDsa(_)) => &[Algorithm::MlDsa],
            Some(Kind::SlhDsa(_)) => &[Algorithm::SlhDsa],
            Some(Kind::Hmac(_)) | None => &[Algorithm::Hmac],
        })
    }
}

impl Method {
    /// Returns what the mechanism takes for a digest: for CKM_RSA_PKCS, the DER encoding of a DigestInfo.
    fn input(&self, digest: &[u8]) -> Vec<u8> {
        match (self.algorithm, self.hash) {
            (Algorithm::RsaPkcs1, Some(hash)) => hash.digest_info(digest),
            _ => digest.to_vec(),
        }
    }

    /// Turns a failure of C_SignUpdate or C_VerifyUpdate into one about the message.
    pub fn explain(&self, error: cryptoki::error::Error, name: &str) -> Failure {
        use cryptoki::error::{Error, RvError};
        match error {
            Error::Pkcs11(RvError::DataLenRange, _) => Failure::new(format!(
                "{name}: the service signs the message itself, and does not accept one of this length"
            ))
            .fix("use a key that signs digests, such as RSA or ECDSA; the module's line about it names the limit"),
            other => Failure::from(other).of(name),
        }
    }
}

/// Returns the hash of a digest: the wanted one, or the one with that length.
fn hash_with_length(digest: &[u8], wanted: Option<Hash>) -> Outcome<Hash> {
    let hashes = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
    let of_length = hashes.into_iter().find(|hash| hash.len() == digest.len());
    match (of_length, wanted) {
        (Some(hash), wanted) if wanted.is_none_or(|wanted| wanted == hash) => Ok(hash),
        (_, wanted) => {
            let name = wanted.map_or("SHA-256, SHA-384 or SHA-512", Hash::name);
            Err(Failure::new(format!("the input has {} bytes, which is no digest of {name}", digest.len()))
                .fix("make the digest by: openssl dgst -sha256 -binary FILE"))
        }
    }
}

fn unsuitable(arguments: &SigningArguments, key: &Object) -> Failure {
    let option = if arguments.prehashed { "--prehashed" } else { "--hash" };
    let kind = key.kind().map_or_else(|| "HMAC".to_owned(), Kind::name);
    Failure::new(format!("key {:?} of kind {kind} signs the message itself", key.label))
        .fix(format!("leave out {option}, or use an RSA or ECDSA key"))
}
