//! What Key Vault reports about a key: its identifier, its algorithms, its JSON Web Key, and whether it can sign
//! now.

use super::client::{Clients, Vault};
use super::errors::refusal;
use super::operations::GET_KEY;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::KeyDescription;
use crate::cloud::key::KeyName;
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, PublicKey, Purpose, Scheme};
use azure_core::time::OffsetDateTime;
use azure_security_keyvault_keys::models::KeyClientGetKeyOptions;
use azure_security_keyvault_keys::models::{
    CurveName, EncryptionAlgorithm, JsonWebKey, Key, KeyAttributes, KeyType, SignatureAlgorithm,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// SignatureAlgorithm of the API (RFC 7518 section 3.1, RFC 8812), the scheme, and the curve. The algorithms sign
/// a digest, and the salt of PSS is as long as the digest. RSNULL signs a DigestInfo as it is.
#[rustfmt::skip]
static SIGNING: [(SignatureAlgorithm, Scheme, Option<Curve>); 11] = [
    (SignatureAlgorithm::Rs256,  Algorithm::RsaPkcs1.with_hash(Hash::Sha256), None),
    (SignatureAlgorithm::Rs384,  Algorithm::RsaPkcs1.with_hash(Hash::Sha384), None),
    (SignatureAlgorithm::Rs512,  Algorithm::RsaPkcs1.with_hash(Hash::Sha512), None),
    (SignatureAlgorithm::Ps256,  Algorithm::RsaPss.with_hash(Hash::Sha256),   None),
    (SignatureAlgorithm::Ps384,  Algorithm::RsaPss.with_hash(Hash::Sha384),   None),
    (SignatureAlgorithm::Ps512,  Algorithm::RsaPss.with_hash(Hash::Sha512),   None),
    (SignatureAlgorithm::Rsnull, Algorithm::RsaPkcs1.without_hash(),            None),
    (SignatureAlgorithm::Es256,  Algorithm::Ecdsa.with_hash(Hash::Sha256),    Some(Curve::P256)),
    (SignatureAlgorithm::Es384,  Algorithm::Ecdsa.with_hash(Hash::Sha384),    Some(Curve::P384)),
    (SignatureAlgorithm::Es512,  Algorithm::Ecdsa.with_hash(Hash::Sha512),    Some(Curve::P521)),
    (SignatureAlgorithm::Es256K, Algorithm::Ecdsa.with_hash(Hash::Sha256),    Some(Curve::Secp256k1)),
];

/// EncryptionAlgorithm of the API, for RSA keys (RFC 7518 section 4.1).
static ENCRYPTION: [(EncryptionAlgorithm, Scheme); 3] = [
    (EncryptionAlgorithm::Rsa1_5, Algorithm::RsaesPkcs1.without_hash()),
    (EncryptionAlgorithm::RsaOaep, Algorithm::RsaesOaep.with_hash(Hash::Sha1)),
    (EncryptionAlgorithm::RsaOaep256, Algorithm::RsaesOaep.with_hash(Hash::Sha256)),
];

fn curve_of(kind: Kind) -> Option<Curve> {
    match kind {
        Kind::Ec(curve) => Some(curve),
        _ => None,
    }
}

pub(crate) fn signature_algorithm(scheme: Scheme, kind: Kind) -> Option<SignatureAlgorithm> {
    let row = SIGNING.iter().find(|row| (row.1, row.2) == (scheme, curve_of(kind)));
    row.map(|row| row.0.clone())
}

pub(crate) fn encryption_algorithm(scheme: Scheme) -> Option<EncryptionAlgorithm> {
    ENCRYPTION.iter().find(|row| row.1 == scheme).map(|row| row.0.clone())
}

/// Returns all schemes that Key Vault has for keys of this kind. The scheme that signs a DigestInfo as it is
/// belongs to them only if `rsnull` is set.
pub(crate) fn schemes(kind: Kind, rsnull: bool) -> Vec<Scheme> {
    let all = SIGNING.iter().map(|row| row.1).chain(ENCRYPTION.iter().map(|row| row.1));
    all.filter(|scheme| scheme.suits(kind) && (rsnull || *scheme != Algorithm::RsaPkcs1.without_hash())).fold(
        Vec::new(),
        |mut known, scheme| {
            // Two curves use SHA-256.
            if !known.contains(&scheme) {
                known.push(scheme);
            }
            known
        },
    )
}

/// Returns what Get Key reports about a key.
///
/// # Errors
/// Fails with [`Cause::Unsupported`] if this module does not support the key, and with [`Cause::Malformed`] if the
/// reply lacks a part or its public key cannot be read.
pub(crate) fn facts(reply: Key, rsnull: bool) -> Result<KeyDescription, Failure> {
    let malformed = |message: &str| GET_KEY.failure(Cause::Malformed, message);
    let key = reply.key.ok_or_else(|| malformed("the reply lacks the key"))?;
    let id = key.kid.clone().filter(|id| version_in_id(id).is_some());
    let immutable_id = Some(id.ok_or_else(|| malformed("the reply lacks the key's identifier with its version"))?);
    let public_key = public_key(&key)?;
    let state = State::of(reply.attributes.as_ref());
    let ops = key.key_ops.as_ref().map(|ops| format!("its key_ops are [{}]", ops.join(", ")));
    let usage = match (state.message(), ops) {
        (Some(words), Some(ops)) => Some(format!("{words}; {ops}")),
        (words, ops) => words.or(ops),
    };
    let (schemes, withheld) = permitted_schemes(schemes(public_key.kind(), rsnull), key.key_ops.as_deref(), &state);
    let usage: Option<Arc<str>> = usage.map(Arc::from);
    let refusal = usage.clone().filter(|_| schemes.is_empty());
    Ok(KeyDescription {
        immutable_id,
        unusable_reason: refusal,
        usage,
        forbidden_purposes: withheld,
        ..KeyDescription::from_public_key(public_key, schemes)
    })
}

/// JsonWebKeyOperation for the operations of a private key.
const OPERATIONS: [(Purpose, &str); 3] =
    [(Purpose::Sign, "sign"), (Purpose::Decrypt, "decrypt"), (Purpose::Unwrap, "unwrapKey")];

/// Returns those of the schemes that the key is intended for, and the purposes that are not permitted although one
/// of the schemes would serve them. Returns no schemes if no purpose is permitted now.
fn permitted_schemes(
    mut schemes: Vec<Scheme>,
    key_ops: Option<&[String]>,
    state: &State,
) -> (Vec<Scheme>, Vec<Purpose>) {
    let named = |name: &str| key_ops.is_none_or(|ops| ops.iter().any(|op| op == name));
    let serves = |scheme: &Scheme, purpose: Purpose| scheme.family.purpose() == purpose.scheme_purpose();
    schemes.retain(|scheme| OPERATIONS.iter().any(|(purpose, name)| named(name) && serves(scheme, *purpose)));
    let served = OPERATIONS.into_iter().filter(|row| schemes.iter().any(|scheme| serves(scheme, row.0)));
    let (permitted, withheld): (Vec<_>, Vec<_>) =
        served.partition(|(purpose, name)| state.permits(*purpose) && named(name));
    match permitted.is_empty() {
        true => (Vec::new(), Vec::new()),
        false => (schemes, withheld.into_iter().map(|row| row.0).collect()),
    }
}

/// Returns the public key of a JSON Web Key. Contrary to RFC 7518, numbers may have leading zeros (`n`) or lack
/// them (`x`, `y`).
fn public_key(key: &JsonWebKey) -> Result<PublicKey, Failure> {
    let part = |part: &Option<Vec<u8>>| part.clone().unwrap_or_default();
    let made = match &key.kty {
        Some(KeyType::Rsa | KeyType::RsaHsm) => PublicKey::rsa(&part(&key.n), &part(&key.e)),
        Some(KeyType::Ec | KeyType::EcHsm) => {
            let curve = key.crv.as_ref().and_then(curve_from_name);
            let unknown = || GET_KEY.failure(Cause::Unsupported, format!("the key is on the curve {:?}", key.crv));
            PublicKey::ec_coordinates(curve.ok_or_else(unknown)?, &part(&key.x), &part(&key.y))
        }
        other => {
            let name = other.as_ref().map_or("unknown", KeyType::as_ref);
            return Err(GET_KEY.failure(Cause::Unsupported, format!("the key has the type {name}")));
        }
    };
    made.map_err(|unusable| GET_KEY.failure(Cause::Malformed, unusable.0))
}

fn curve_from_name(name: &CurveName) -> Option<Curve> {
    match name {
        CurveName::P256 => Some(Curve::P256),
        CurveName::P384 => Some(Curve::P384),
        CurveName::P521 => Some(Curve::P521),
        CurveName::P256K => Some(Curve::Secp256k1),
        CurveName::UnknownValue(name) if name == "SECP256K1" => Some(Curve::Secp256k1),
        _ => None,
    }
}

/// Whether a key may be used now.
enum State {
    Valid,
    /// "About keys, Date-time controlled operations": outside its validity period a key still decrypts, so that
    /// old data can be read.
    OutsideValidityPeriod(String),
    Disabled,
}

impl State {
    fn of(attributes: Option<&KeyAttributes>) -> Self {
        let now = OffsetDateTime::now_utc();
        let (enabled, begin, end) = attributes.map_or((None, None, None), |a| (a.enabled, a.not_before, a.expires));
        match (begin, end) {
            _ if enabled == Some(false) => Self::Disabled,
            (Some(time), _) if time > now => Self::OutsideValidityPeriod(format!("it is not valid before {time}")),
            (_, Some(time)) if time <= now => Self::OutsideValidityPeriod(format!("it expired at {time}")),
            _ => Self::Valid,
        }
    }

    fn permits(&self, purpose: Purpose) -> bool {
        match self {
            Self::Valid => true,
            Self::OutsideValidityPeriod(_) => purpose != Purpose::Sign,
            Self::Disabled => false,
        }
    }

    fn message(&self) -> Option<String> {
        match self {
            Self::Valid => None,
            Self::OutsideValidityPeriod(words) => Some(words.clone()),
            Self::Disabled => Some("it is disabled".into()),
        }
    }
}

/// Returns the name and the version in `https://VAULT/keys/NAME/VERSION`. The host is ignored, because it may be
/// another name of the vault.
pub(crate) fn name_and_version(id: &str) -> Option<(&str, Option<&str>)> {
    let (_, path) = id.split_once("/keys/")?;
    let (name, version) = path.split_once('/').map_or((path, None), |(name, version)| (name, Some(version)));
    let version = version.filter(|version| !version.is_empty());
    (!name.is_empty() && version.is_none_or(|version| !version.contains('/'))).then_some((name, version))
}

pub(crate) fn version_in_id(id: &str) -> Option<&str> {
    name_and_version(id)?.1
}

/// Describes a key, and stores its public key under its immutable id.
pub(crate) async fn describe(clients: &Clients, vault: &Vault, key: &KeyName) -> Result<KeyDescription, FailedAttempt> {
    let options = KeyClientGetKeyOptions { key_version: key.version.clone(), ..Default::default() };
    let reply = vault.keys.get_key(&key.id, Some(options)).await.map_err(|e| refusal(&GET_KEY, e))?;
    let facts = facts(reply.into_model().map_err(|e| refusal(&GET_KEY, e))?, clients.settings.rsnull)?;
    if let (Some(id), Some(public_key)) = (&facts.immutable_id, &facts.public_key) {
        let mut told = clients.public_keys.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(id.clone(), public_key.clone());
    }
    Ok(facts)
}

/// The tag that holds a key's label, if the label is not the key's name.
pub(crate) const LABEL_TAG: &str = "pkcs11-label";

/// Returns the label in a key's tags.
pub(crate) fn label_from_tags(tags: Option<&HashMap<String, String>>) -> Option<String> {
    tags?.get(LABEL_TAG).filter(|label| !label.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_taken_apart() {
        for (id, parts) in [
            ("https://v.vault.azure.net/keys/web/0123", Some(("web", Some("0123")))),
            ("https://v.vault.azure.net:443/keys/web", Some(("web", None))),
            ("https://v.vault.azure.net/keys/web/", Some(("web", None))),
            ("https://v.vault.azure.net/keys/web/0123/sign", None),
            ("https://v.vault.azure.net/keys/", None),
            ("web", None),
        ] {
            assert_eq!(name_and_version(id), parts, "{id}");
        }
    }

    #[test]
    fn both_spellings_of_secp256k1_are_known() {
        for name in ["P-256K", "SECP256K1"] {
            let name: CurveName = name.parse().unwrap();
            assert_eq!(curve_from_name(&name), Some(Curve::Secp256k1));
        }
    }
}
