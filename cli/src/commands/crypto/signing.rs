//! The mechanism with which a key signs and verifies.

use crate::failure::{Failure, Outcome};
use crate::token::{Object, Token};
use clap::{Args, ValueEnum};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Kind, PublicKey};
use cryptoki::mechanism::dsa::{HashSignAdditionalContext, HedgeType, SignAdditionalContext};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType};

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
}

/// The hashes that can be chosen.
#[derive(Clone, Copy, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum HashName {
    Sha256,
    Sha384,
    Sha512,
}

/// A mechanism with its parameters.
pub struct Method {
    /// What C_SignInit gets.
    pub mechanism: Mechanism<'static>,
    /// The kind of the key. None for a secret key.
    pub kind: Option<Kind>,
    algorithm: Algorithm,
    hash: Option<Hash>,
}

struct Row {
    algorithm: Algorithm,
    /// The hash of the mechanism. None if the message or the digest is passed on as it is.
    hash: Option<Hash>,
    takes_digest: bool,
    ckm: MechanismType,
    mechanism: fn(Hash) -> Mechanism<'static>,
}

macro_rules! row {
    ($algorithm:ident, digest, $ckm:ident, $mechanism:expr) => {
        row!($algorithm, None, true, $ckm, $mechanism)
    };
    ($algorithm:ident, message, $ckm:ident, $mechanism:expr) => {
        row!($algorithm, None, false, $ckm, $mechanism)
    };
    ($algorithm:ident, $hash:ident, $ckm:ident, $mechanism:expr) => {
        row!($algorithm, Some(Hash::$hash), false, $ckm, $mechanism)
    };
    ($algorithm:ident, $hash:expr, $takes_digest:expr, $ckm:ident, $mechanism:expr) => {
        Row {
            algorithm: Algorithm::$algorithm,
            hash: $hash,
            takes_digest: $takes_digest,
            ckm: MechanismType::$ckm,
            mechanism: $mechanism,
        }
    };
}

/// The mechanisms. Of those that the arguments leave, the first one is chosen that the key permits.
#[rustfmt::skip]
static ROWS: [Row; 28] = [
    row!(RsaPkcs1, Sha256,  SHA256_RSA_PKCS,      |_| Mechanism::Sha256RsaPkcs),
    row!(RsaPkcs1, Sha384,  SHA384_RSA_PKCS,      |_| Mechanism::Sha384RsaPkcs),
    row!(RsaPkcs1, Sha512,  SHA512_RSA_PKCS,      |_| Mechanism::Sha512RsaPkcs),
    row!(RsaPkcs1, digest,  RSA_PKCS,             |_| Mechanism::RsaPkcs),
    row!(RsaPss,   Sha256,  SHA256_RSA_PKCS_PSS,  |hash| Mechanism::Sha256RsaPkcsPss(pss(hash))),
    row!(RsaPss,   Sha384,  SHA384_RSA_PKCS_PSS,  |hash| Mechanism::Sha384RsaPkcsPss(pss(hash))),
    row!(RsaPss,   Sha512,  SHA512_RSA_PKCS_PSS,  |hash| Mechanism::Sha512RsaPkcsPss(pss(hash))),
    row!(RsaPss,   digest,  RSA_PKCS_PSS,         |hash| Mechanism::RsaPkcsPss(pss(hash))),
    row!(Ecdsa,    Sha256,  ECDSA_SHA256,         |_| Mechanism::EcdsaSha256),
    row!(Ecdsa,    Sha384,  ECDSA_SHA384,         |_| Mechanism::EcdsaSha384),
    row!(Ecdsa,    Sha512,  ECDSA_SHA512,         |_| Mechanism::EcdsaSha512),
    row!(Ecdsa,    digest,  ECDSA,                |_| Mechanism::Ecdsa),
    row!(Eddsa,    message, EDDSA,                |_| Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519))),
    row!(MlDsa,    message, ML_DSA,               |_| Mechanism::MlDsa(no_context())),
    row!(MlDsa,    Sha256,  HASH_ML_DSA_SHA256,   |_| Mechanism::HashMlDsaSha256(no_context())),
    row!(MlDsa,    Sha384,  HASH_ML_DSA_SHA384,   |_| Mechanism::HashMlDsaSha384(no_context())),
    row!(MlDsa,    Sha512,  HASH_ML_DSA_SHA512,   |_| Mechanism::HashMlDsaSha512(no_context())),
    row!(MlDsa,    digest,  HASH_ML_DSA,          |hash| Mechanism::HashMlDsa(hash_of_digest(hash))),
    row!(SlhDsa,   message, SLH_DSA,              |_| Mechanism::SlhDsa(no_context())),
    row!(SlhDsa,   Sha256,  HASH_SLH_DSA_SHA256,  |_| Mechanism::HashSlhDsaSha256(no_context())),
    row!(SlhDsa,   Sha384,  HASH_SLH_DSA_SHA384,  |_| Mechanism::HashSlhDsaSha384(no_context())),
    row!(SlhDsa,   Sha512,  HASH_SLH_DSA_SHA512,  |_| Mechanism::HashSlhDsaSha512(no_context())),
    row!(SlhDsa,   digest,  HASH_SLH_DSA,         |hash| Mechanism::HashSlhDsa(hash_of_digest(hash))),
    row!(Hmac,     Sha256,  SHA256_HMAC,          |_| Mechanism::Sha256Hmac),
    row!(Hmac,     Sha384,  SHA384_HMAC,          |_| Mechanism::Sha384Hmac),
    row!(Hmac,     Sha512,  SHA512_HMAC,          |_| Mechanism::Sha512Hmac),
    row!(Hmac,     Sha224,  SHA224_HMAC,          |_| Mechanism::Sha224Hmac),
    row!(Hmac,     Sha1,    SHA1_HMAC,            |_| Mechanism::Sha1Hmac),
];

impl SigningArguments {
    /// Returns the mechanism for a private or secret key. `digest` is the input, if it is a digest.
    ///
    /// # Errors
    /// If the key doesn't sign, or not as the arguments want it.
    pub fn method(&self, token: &Token, key: &Object, digest: Option<&[u8]>) -> Outcome<Method> {
        if !key.uses.contains(&"sign") {
            let uses = key.uses.join(", ");
            return Err(Failure::new(format!("key {:?} does not sign; it is for: {uses}", key.label)).of(token));
        }
        let public = key.public_key.as_deref().and_then(|spki| PublicKey::from_spki(spki).ok());
        let kind = public.map(|public| public.kind());
        let hash = match (digest, self.hash.map(Hash::from), kind) {
            (Some(digest), hash, _) => Some(hash_with_length(digest, hash)?),
            (None, None, Some(Kind::Ec(curve))) => Some(curve.hash()),
            (None, hash, _) => hash,
        };
        let algorithms = self.algorithms(kind)?;
        let suits = |row: &&Row| {
            algorithms.contains(&row.algorithm)
                && row.takes_digest == digest.is_some()
                && (row.takes_digest || hash.is_none() || row.hash == hash)
        };
        let allowed = allowed_mechanisms(token, key)?;
        let is_allowed = |row: &&Row| allowed.as_ref().is_none_or(|allowed| allowed.contains(&row.ckm));
        let mut rows = ROWS.iter().filter(suits);
        // If the key permits none of them, the module says what it permits.
        let row = rows.clone().find(is_allowed).or_else(|| rows.next()).ok_or_else(|| unsuitable(self, key))?;
        let hash = row.hash.or(hash.filter(|_| row.takes_digest));
        let mechanism = (row.mechanism)(hash.unwrap_or(Hash::Sha256));
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
    pub fn input(&self, digest: &[u8]) -> Vec<u8> {
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

impl From<HashName> for Hash {
    fn from(name: HashName) -> Self {
        match name {
            HashName::Sha256 => Hash::Sha256,
            HashName::Sha384 => Hash::Sha384,
            HashName::Sha512 => Hash::Sha512,
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

/// Returns CKA_ALLOWED_MECHANISMS, or None if the list has a mechanism that the wrapper of the C interface doesn't know.
fn allowed_mechanisms(token: &Token, key: &Object) -> Outcome<Option<Vec<MechanismType>>> {
    match token.session().get_attributes(key.handle, &[AttributeType::AllowedMechanisms]) {
        Ok(attributes) => Ok(attributes.into_iter().find_map(|attribute| match attribute {
            Attribute::AllowedMechanisms(mechanisms) => Some(mechanisms),
            _ => None,
        })),
        Err(cryptoki::error::Error::NotSupported) => Ok(None),
        Err(error) => Err(Failure::from(error).of(token)),
    }
}

fn unsuitable(arguments: &SigningArguments, key: &Object) -> Failure {
    let option = if arguments.prehashed { "--prehashed" } else { "--hash" };
    let kind = key.kind().unwrap_or_else(|| "HMAC".to_owned());
    Failure::new(format!("key {:?} of kind {kind} signs the message itself", key.label))
        .fix(format!("leave out {option}, or use an RSA or ECDSA key"))
}

/// Returns the parameters that all services support: MGF1 with the same hash, and a salt as long as the digest.
fn pss(hash: Hash) -> PkcsPssParams {
    let (hash_alg, mgf) = match hash {
        Hash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
        Hash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
        _ => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
    };
    PkcsPssParams { hash_alg, mgf, s_len: (hash.len() as u64).into() }
}

fn no_context() -> SignAdditionalContext<'static> {
    SignAdditionalContext::new(HedgeType::Preferred, None)
}

fn hash_of_digest(hash: Hash) -> HashSignAdditionalContext<'static> {
    HashSignAdditionalContext::new(HedgeType::Preferred, None, pss(hash).hash_alg)
}
