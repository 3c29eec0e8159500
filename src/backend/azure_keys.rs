//! What Key Vault says about a key, as facts: names, algorithms, JSON web keys, and whether it can sign now.

use super::azure_client::Operation;
use super::{Cause, Failure, KeyFacts};
use crate::hash::Hash;
use crate::key::{Curve, Family, Kind, PublicKey, Scheme};
use azure_core::time::OffsetDateTime;
use azure_security_keyvault_keys::models::{CurveName, JsonWebKey, Key, KeyAttributes, KeyType, SignatureAlgorithm};

/// Here, for its failures are made here.
#[rustfmt::skip]
pub(super) const GET_KEY: Operation = Operation { name: "GetKey", permission: "keys/get", role: "Key Vault Crypto User" };
/// SignatureAlgorithm of the API (RFC 7518 section 3.1, RFC 8812): always of a digest, and PSS with salt as long as it.
#[rustfmt::skip]
pub(super) static ALGORITHMS: [(SignatureAlgorithm, (Scheme, Option<Curve>)); 10] = [
    (SignatureAlgorithm::Rs256, (Scheme { family: Family::RsaPkcs1, hash: Hash::Sha256 }, None)),
    (SignatureAlgorithm::Rs384, (Scheme { family: Family::RsaPkcs1, hash: Hash::Sha384 }, None)),
    (SignatureAlgorithm::Rs512, (Scheme { family: Family::RsaPkcs1, hash: Hash::Sha512 }, None)),
    (SignatureAlgorithm::Ps256, (Scheme { family: Family::RsaPss, hash: Hash::Sha256 }, None)),
    (SignatureAlgorithm::Ps384, (Scheme { family: Family::RsaPss, hash: Hash::Sha384 }, None)),
    (SignatureAlgorithm::Ps512, (Scheme { family: Family::RsaPss, hash: Hash::Sha512 }, None)),
    (SignatureAlgorithm::Es256, (Scheme { family: Family::Ecdsa, hash: Hash::Sha256 }, Some(Curve::P256))),
    (SignatureAlgorithm::Es384, (Scheme { family: Family::Ecdsa, hash: Hash::Sha384 }, Some(Curve::P384))),
    (SignatureAlgorithm::Es512, (Scheme { family: Family::Ecdsa, hash: Hash::Sha512 }, Some(Curve::P521))),
    (SignatureAlgorithm::Es256K, (Scheme { family: Family::Ecdsa, hash: Hash::Sha256 }, Some(Curve::Secp256k1))),
];

pub(super) fn curve_of(kind: Kind) -> Option<Curve> {
    match kind {
        Kind::Rsa(_) => None,
        Kind::Ec(curve) => Some(curve),
    }
}

pub(super) fn signature_len(kind: Kind) -> usize {
    match kind {
        Kind::Rsa(bits) => bits.div_ceil(8),
        Kind::Ec(curve) => 2 * curve.width(),
    }
}

pub(super) fn facts(reply: Key) -> Result<KeyFacts, Failure> {
    let malformed = |message: &str| GET_KEY.failure(Cause::Malformed, message);
    let key = reply.key.ok_or_else(|| malformed("no key"))?;
    let id = key.kid.clone().filter(|id| version_of(id).is_some());
    let immutable_id = Some(id.ok_or_else(|| malformed("no identifier with a version"))?);
    let public_key = public_key(&key)?;
    let hardware = matches!(key.kty, Some(KeyType::EcHsm | KeyType::RsaHsm));
    let refusal = refusal(reply.attributes.as_ref(), key.key_ops.as_deref());
    let curve = curve_of(public_key.kind());
    let schemes = match refusal {
        Some(_) => Vec::new(),
        None => ALGORITHMS.iter().map(|(_, row)| row).filter(|row| row.1 == curve).map(|row| row.0).collect(),
    };
    Ok(KeyFacts { immutable_id, public_key, schemes, refusal, hardware })
}

/// Numbers may have leading zeros (`n`) or lack them (`x`, `y`), unlike RFC 7518 says.
fn public_key(key: &JsonWebKey) -> Result<PublicKey, Failure> {
    let part = |part: &Option<Vec<u8>>| part.clone().unwrap_or_default();
    let made = match &key.kty {
        Some(KeyType::Rsa | KeyType::RsaHsm) => PublicKey::rsa(&part(&key.n), &part(&key.e)),
        Some(KeyType::Ec | KeyType::EcHsm) => {
            let curve = key.crv.as_ref().and_then(curve_from_name);
            let unknown = || GET_KEY.failure(Cause::Unsupported, format!("a key on curve {:?}", key.crv));
            PublicKey::ec_coordinates(curve.ok_or_else(unknown)?, &part(&key.x), &part(&key.y))
        }
        other => {
            let name = other.as_ref().map_or("unknown", KeyType::as_ref);
            return Err(GET_KEY.failure(Cause::Unsupported, format!("a key of type {name}")));
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

/// Why the key can't sign now, if it can't.
fn refusal(attributes: Option<&KeyAttributes>, key_ops: Option<&[String]>) -> Option<String> {
    let now = OffsetDateTime::now_utc();
    let (enabled, begin, end) = attributes.map_or((None, None, None), |a| (a.enabled, a.not_before, a.expires));
    match key_ops {
        _ if enabled == Some(false) => Some("it is disabled".into()),
        _ if begin.is_some_and(|begin| begin > now) => begin.map(|time| format!("it is not valid before {time}")),
        _ if end.is_some_and(|end| end <= now) => end.map(|time| format!("it has expired at {time}")),
        Some(ops) if !ops.iter().any(|op| op == "sign") => Some(format!("its key_ops are [{}]", ops.join(", "))),
        _ => None,
    }
}

/// What `https://VAULT/keys/NAME/VERSION` says behind `/keys/`. The host may be another name of the vault.
pub(super) fn name_and_version(id: &str) -> Option<(&str, Option<&str>)> {
    let (_, path) = id.split_once("/keys/")?;
    let (name, version) = path.split_once('/').map_or((path, None), |(name, version)| (name, Some(version)));
    let version = version.filter(|version| !version.is_empty());
    (!name.is_empty() && version.is_none_or(|version| !version.contains('/'))).then_some((name, version))
}

pub(super) fn version_of(id: &str) -> Option<&str> {
    name_and_version(id)?.1
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
