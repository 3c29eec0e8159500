//! Signature algorithms: how PKCS#11 and X.509 name them.

use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Kind, PublicKey, Salt, Scheme, ecdsa_from_der};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::*;
use cryptoki::mechanism::dsa::{HedgeType, SignAdditionalContext};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use der::asn1::{Any, AnyRef, UintRef};
use der::{Decode, Encode, Sequence};
use spki::AlgorithmIdentifierOwned;

/// A signature algorithm.
pub struct SignatureAlgorithm {
    /// The name in messages.
    pub name: &'static str,
    /// The algorithm without its hash.
    pub algorithm: Algorithm,
    /// The hash of the message, if the algorithm has one.
    pub hash: Option<Hash>,
    /// The mechanism that signs a message.
    pub mechanism: fn() -> Mechanism<'static>,
    /// The object identifier, or None if it is that of the public key: RFC 8410, RFC 9881, RFC 9909.
    oid: Option<ObjectIdentifier>,
}

macro_rules! row {
    ($name:literal, $algorithm:ident, $hash:expr, $oid:expr, $mechanism:expr) => {
        SignatureAlgorithm {
            name: $name,
            algorithm: Algorithm::$algorithm,
            hash: $hash,
            oid: $oid,
            mechanism: || $mechanism,
        }
    };
}

/// The algorithms, the usual one of each kind of key first.
#[rustfmt::skip]
static ALGORITHMS: [SignatureAlgorithm; 12] = [
    row!("RSA PKCS#1 v1.5 with SHA-256", RsaPkcs1, Some(Hash::Sha256), Some(SHA_256_WITH_RSA_ENCRYPTION), Mechanism::Sha256RsaPkcs),
    row!("RSA PKCS#1 v1.5 with SHA-384", RsaPkcs1, Some(Hash::Sha384), Some(SHA_384_WITH_RSA_ENCRYPTION), Mechanism::Sha384RsaPkcs),
    row!("RSA PKCS#1 v1.5 with SHA-512", RsaPkcs1, Some(Hash::Sha512), Some(SHA_512_WITH_RSA_ENCRYPTION), Mechanism::Sha512RsaPkcs),
    row!("RSA PSS with SHA-256", RsaPss, Some(Hash::Sha256), Some(ID_RSASSA_PSS), Mechanism::Sha256RsaPkcsPss(pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32))),
    row!("RSA PSS with SHA-384", RsaPss, Some(Hash::Sha384), Some(ID_RSASSA_PSS), Mechanism::Sha384RsaPkcsPss(pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48))),
    row!("RSA PSS with SHA-512", RsaPss, Some(Hash::Sha512), Some(ID_RSASSA_PSS), Mechanism::Sha512RsaPkcsPss(pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64))),
    row!("ECDSA with SHA-256", Ecdsa, Some(Hash::Sha256), Some(ECDSA_WITH_SHA_256), Mechanism::EcdsaSha256),
    row!("ECDSA with SHA-384", Ecdsa, Some(Hash::Sha384), Some(ECDSA_WITH_SHA_384), Mechanism::EcdsaSha384),
    row!("ECDSA with SHA-512", Ecdsa, Some(Hash::Sha512), Some(ECDSA_WITH_SHA_512), Mechanism::EcdsaSha512),
    row!("Ed25519", Eddsa, None, None, Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure))),
    row!("ML-DSA", MlDsa, None, None, Mechanism::MlDsa(SignAdditionalContext::new(HedgeType::Preferred, None))),
    row!("SLH-DSA", SlhDsa, None, None, Mechanism::SlhDsa(SignAdditionalContext::new(HedgeType::Preferred, None))),
];

fn pss(hash_alg: MechanismType, mgf: PkcsMgfType, salt: u64) -> PkcsPssParams {
    PkcsPssParams { hash_alg, mgf, s_len: salt.into() }
}

/// RSASSA-PSS-params (RFC 4055 section 3.1). Not with SHA-1, its default, so hash and mask are always present.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", default = "default_salt_length")]
    salt_length: u16,
}

fn default_salt_length() -> u16 {
    20
}

impl SignatureAlgorithm {
    /// Returns the algorithms of a kind of key, the usual one first.
    pub fn of_kind(kind: Kind) -> Vec<&'static Self> {
        let mut rows: Vec<_> = ALGORITHMS.iter().filter(|row| row.algorithm.supports(kind)).collect();
        if let Kind::Ec(curve) = kind {
            rows.sort_by_key(|row| row.hash != Some(curve.hash()));
        }
        rows
    }

    /// Returns the AlgorithmIdentifier of signatures of a key with this `key` identifier.
    ///
    /// # Errors
    /// If DER can't be written.
    pub fn identifier(&self, key: &AlgorithmIdentifierOwned) -> der::Result<AlgorithmIdentifierOwned> {
        let parameters = match (self.algorithm, self.hash) {
            (Algorithm::RsaPkcs1, _) => Some(Any::null()),
            (Algorithm::RsaPss, Some(hash)) => Some(Any::encode_from(&PssParameters::of(hash)?)?),
            _ => None,
        };
        Ok(AlgorithmIdentifierOwned { oid: self.oid.unwrap_or(key.oid), parameters })
    }

    /// Returns a signature in PKCS#11's form as X.509 has it, which differs for ECDSA: RFC 3279 section 2.2.3.
    ///
    /// # Errors
    /// If DER can't be written.
    pub fn x509_signature(&self, signature: Vec<u8>) -> der::Result<Vec<u8>> {
        match self.algorithm {
            Algorithm::Ecdsa => {
                let (r, s) = signature.split_at(signature.len() / 2);
                EcdsaSignature { r: UintRef::new(r)?, s: UintRef::new(s)? }.to_der()
            }
            _ => Ok(signature),
        }
    }
}

/// ECDSA-Sig-Value.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl PssParameters {
    /// Returns the parameters with this hash, also for the mask, and with a salt as long as the digest.
    fn of(hash: Hash) -> der::Result<Self> {
        let hash_identifier =
            AlgorithmIdentifierOwned { oid: ObjectIdentifier::from_der(hash.oid())?, parameters: Some(Any::null()) };
        let mask = AlgorithmIdentifierOwned { oid: ID_MGF_1, parameters: Some(Any::encode_from(&hash_identifier)?) };
        Ok(Self { hash: hash_identifier, mask, salt_length: hash.len() as u16 })
    }

    /// Returns the length of the salt, if the hash and that of the mask are this one.
    fn salt_with(&self, hash: Hash) -> Option<Salt> {
        let own = Self::of(hash).ok()?;
        let is_same = self.hash.oid == own.hash.oid && self.mask == own.mask;
        let salt = if self.salt_length == own.salt_length { Salt::Digest } else { Salt::Length(self.salt_length) };
        is_same.then_some(salt)
    }
}

/// Returns whether `signature`, in X.509's form, is a signature of `message` by this key. Returns None for an algorithm
/// that this tool does not know.
pub fn verifies(
    identifier: &AlgorithmIdentifierOwned,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let scheme = scheme(identifier, key)?;
    let Kind::Ec(curve) = key.kind() else {
        let digest = scheme.hash.map(|hash| hash.digest(message));
        return Some(key.verifies(scheme, digest.as_deref().unwrap_or(message), signature));
    };
    // The services tie a hash to the curve. Another digest is fitted to it: FIPS 186-5 section 6.4.2.
    let (digest, length) = (scheme.hash?.digest(message), curve.hash().len());
    let mut fitted = vec![0; length.saturating_sub(digest.len())];
    fitted.extend(digest.iter().take(length));
    let fixed = ecdsa_from_der(signature, curve.field_len());
    Some(fixed.is_some_and(|fixed| key.verifies(Algorithm::Ecdsa.with_hash(curve.hash()), &fitted, &fixed)))
}

/// Returns the scheme that an AlgorithmIdentifier names, if it is one for this key.
fn scheme(identifier: &AlgorithmIdentifierOwned, key: &PublicKey) -> Option<Scheme> {
    let own = spki::SubjectPublicKeyInfoRef::from_der(key.spki()).ok()?.algorithm.oid;
    SignatureAlgorithm::of_kind(key.kind()).into_iter().find_map(|row| {
        let scheme = Scheme { family: row.algorithm, hash: row.hash, salt: Salt::Digest };
        match row.oid.unwrap_or(own) == identifier.oid {
            true if row.algorithm == Algorithm::RsaPss => {
                let parameters = identifier.parameters.as_ref().map(AnyRef::from)?;
                Some(scheme.with_salt(parameters.decode_as::<PssParameters>().ok()?.salt_with(row.hash?)?))
            }
            is_same => is_same.then_some(scheme),
        }
    })
}
