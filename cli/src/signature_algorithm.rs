//! Signature algorithms: how PKCS#11 and X.509 name them.

use crate::mechanism::{SIGNING_MECHANISMS, SigningMechanism};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Kind, PublicKey, Salt, Scheme, ecdsa_from_der};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::*;
use der::asn1::{Any, AnyRef, UintRef};
use der::{Decode, Encode, Sequence};
use spki::AlgorithmIdentifierOwned;

/// A signature algorithm of X.509.
#[derive(Clone, Copy)]
pub struct SignatureAlgorithm {
    /// The mechanism that signs a message.
    pub mechanism: &'static SigningMechanism,
    /// The name in messages.
    pub name: &'static str,
    /// The object identifier, or None if it is that of the public key.
    oid: Option<ObjectIdentifier>,
}

/// A name in messages, an algorithm, its hash, and the object identifier (None: that of the public key).
type Row = (&'static str, Algorithm, Option<Hash>, Option<ObjectIdentifier>);

/// RFC 4055, 5758, 8410, 9881 and 9909.
#[rustfmt::skip]
static ROWS: [Row; 12] = [
    ("RSA PKCS#1 v1.5 with SHA-256", Algorithm::RsaPkcs1, Some(Hash::Sha256), Some(SHA_256_WITH_RSA_ENCRYPTION)),
    ("RSA PKCS#1 v1.5 with SHA-384", Algorithm::RsaPkcs1, Some(Hash::Sha384), Some(SHA_384_WITH_RSA_ENCRYPTION)),
    ("RSA PKCS#1 v1.5 with SHA-512", Algorithm::RsaPkcs1, Some(Hash::Sha512), Some(SHA_512_WITH_RSA_ENCRYPTION)),
    ("RSA PSS with SHA-256",         Algorithm::RsaPss,   Some(Hash::Sha256), Some(ID_RSASSA_PSS)),
    ("RSA PSS with SHA-384",         Algorithm::RsaPss,   Some(Hash::Sha384), Some(ID_RSASSA_PSS)),
    ("RSA PSS with SHA-512",         Algorithm::RsaPss,   Some(Hash::Sha512), Some(ID_RSASSA_PSS)),
    ("ECDSA with SHA-256",           Algorithm::Ecdsa,    Some(Hash::Sha256), Some(ECDSA_WITH_SHA_256)),
    ("ECDSA with SHA-384",           Algorithm::Ecdsa,    Some(Hash::Sha384), Some(ECDSA_WITH_SHA_384)),
    ("ECDSA with SHA-512",           Algorithm::Ecdsa,    Some(Hash::Sha512), Some(ECDSA_WITH_SHA_512)),
    ("Ed25519",                      Algorithm::Eddsa,    None,               None),
    ("ML-DSA",                       Algorithm::MlDsa,    None,               None),
    ("SLH-DSA",                      Algorithm::SlhDsa,   None,               None),
];

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
    pub fn of_kind(kind: Kind) -> Vec<Self> {
        let signing = SIGNING_MECHANISMS.iter().filter(|own| own.algorithm.supports(kind) && !own.takes_digest);
        let mut algorithms: Vec<_> = signing.filter_map(Self::of_mechanism).collect();
        if let Kind::Ec(curve) = kind {
            algorithms.sort_by_key(|own| own.mechanism.hash != Some(curve.hash()));
        }
        algorithms
    }

    fn of_mechanism(mechanism: &'static SigningMechanism) -> Option<Self> {
        let mut rows = ROWS.iter();
        let (name, _, _, oid) = rows.find(|row| (row.1, row.2) == (mechanism.algorithm, mechanism.hash))?;
        Some(Self { mechanism, name, oid: *oid })
    }

    /// Returns the AlgorithmIdentifier of signatures of a key with this `key` identifier.
    ///
    /// # Errors
    /// If DER can't be written.
    pub fn identifier(&self, key: &AlgorithmIdentifierOwned) -> der::Result<AlgorithmIdentifierOwned> {
        let parameters = match (self.mechanism.algorithm, self.mechanism.hash) {
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
        match self.mechanism.algorithm {
            Algorithm::Ecdsa => ecdsa_to_der(&signature),
            _ => Ok(signature),
        }
    }
}

/// Converts r and s, each of the same length, to DER (ECDSA-Sig-Value, RFC 3279 section 2.2.3).
///
/// # Errors
/// If DER can't be written.
pub fn ecdsa_to_der(signature: &[u8]) -> der::Result<Vec<u8>> {
    let (r, s) = signature.split_at(signature.len() / 2);
    vec![UintRef::new(r)?, UintRef::new(s)?].to_der()
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
        let SigningMechanism { algorithm, hash, .. } = *row.mechanism;
        let scheme = Scheme { family: algorithm, hash, salt: Salt::Digest };
        match row.oid.unwrap_or(own) == identifier.oid {
            true if algorithm == Algorithm::RsaPss => {
                let parameters = identifier.parameters.as_ref().map(AnyRef::from)?;
                Some(scheme.with_salt(parameters.decode_as::<PssParameters>().ok()?.salt_with(hash?)?))
            }
            is_same => is_same.then_some(scheme),
        }
    })
}
