//! What KMS says about a key, as facts: its specification, its algorithms, its public half; and the form of signatures.

use super::{Cause, Failure, KeyFacts};
use crate::hash::Hash;
use crate::key::{self, Curve, Family, Kind, PublicKey, Scheme};
use aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, SigningAlgorithmSpec};

/// An operation, and the permission that it needs.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) permission: &'static str,
}

impl Operation {
    pub(super) fn failure(&self, cause: Cause, message: impl Into<String>) -> Failure {
        Failure::new(cause, self.name, message)
    }
}

/// Here, for their failures are made here.
pub(super) const GET_PUBLIC_KEY: Operation = Operation { name: "GetPublicKey", permission: "kms:GetPublicKey" };
pub(super) const SIGN: Operation = Operation { name: "Sign", permission: "kms:Sign" };

/// SigningAlgorithm of the API: always of a digest, and PSS with salt as long as it.
#[rustfmt::skip]
pub(super) static ALGORITHMS: [(SigningAlgorithmSpec, Scheme); 9] = [
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha256, Scheme { family: Family::RsaPkcs1, hash: Hash::Sha256 }),
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha384, Scheme { family: Family::RsaPkcs1, hash: Hash::Sha384 }),
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha512, Scheme { family: Family::RsaPkcs1, hash: Hash::Sha512 }),
    (SigningAlgorithmSpec::RsassaPssSha256, Scheme { family: Family::RsaPss, hash: Hash::Sha256 }),
    (SigningAlgorithmSpec::RsassaPssSha384, Scheme { family: Family::RsaPss, hash: Hash::Sha384 }),
    (SigningAlgorithmSpec::RsassaPssSha512, Scheme { family: Family::RsaPss, hash: Hash::Sha512 }),
    (SigningAlgorithmSpec::EcdsaSha256, Scheme { family: Family::Ecdsa, hash: Hash::Sha256 }),
    (SigningAlgorithmSpec::EcdsaSha384, Scheme { family: Family::Ecdsa, hash: Hash::Sha384 }),
    (SigningAlgorithmSpec::EcdsaSha512, Scheme { family: Family::Ecdsa, hash: Hash::Sha512 }),
];

/// KeySpec of the API, as far as this module serves it.
#[rustfmt::skip]
static SPECS: [(KeySpec, Kind); 7] = [
    (KeySpec::Rsa2048, Kind::Rsa(2048)),
    (KeySpec::Rsa3072, Kind::Rsa(3072)),
    (KeySpec::Rsa4096, Kind::Rsa(4096)),
    (KeySpec::EccNistP256, Kind::Ec(Curve::P256)),
    (KeySpec::EccNistP384, Kind::Ec(Curve::P384)),
    (KeySpec::EccNistP521, Kind::Ec(Curve::P521)),
    (KeySpec::EccSecgP256K1, Kind::Ec(Curve::Secp256k1)),
];

/// Each curve goes with one hash; an RSA key with each of them.
pub(super) fn fits(scheme: Scheme, kind: Kind) -> bool {
    match kind {
        Kind::Rsa(_) => scheme.family != Family::Ecdsa,
        Kind::Ec(curve) => scheme.family == Family::Ecdsa && scheme.hash == curve.hash(),
    }
}

pub(super) fn facts(reply: GetPublicKeyOutput) -> Result<KeyFacts, Failure> {
    let spec = reply.key_spec.as_ref();
    let der = reply.public_key.as_ref().map_or(&[][..], |blob| blob.as_ref());
    let public_key = PublicKey::from_spki(der).map_err(|unusable| {
        // Ed25519, ML-DSA, SM2 and whatever comes are right replies about keys that this module can't serve.
        let cause =
            if SPECS.iter().any(|(known, _)| Some(known) == spec) { Cause::Malformed } else { Cause::Unsupported };
        let spec = spec.map_or("unknown", KeySpec::as_str);
        GET_PUBLIC_KEY.failure(cause, format!("a key of KeySpec {spec}: {}", unusable.0))
    })?;
    let kind = public_key.kind();
    if let Some((spec, told)) = SPECS.iter().find(|(known, _)| Some(known) == spec)
        && *told != kind
    {
        let message = format!("KeySpec is {}, but the public key is of kind {}", spec.as_str(), kind.name());
        return Err(GET_PUBLIC_KEY.failure(Cause::Malformed, message));
    }
    let (schemes, refusal) = abilities(&reply, kind);
    Ok(KeyFacts { immutable_id: reply.key_id, public_key, schemes, refusal, hardware: true })
}

fn abilities(reply: &GetPublicKeyOutput, kind: Kind) -> (Vec<Scheme>, Option<String>) {
    if let Some(usage) = reply.key_usage.as_ref().filter(|usage| **usage != KeyUsageType::SignVerify) {
        return (Vec::new(), Some(format!("its KeyUsage is {}", usage.as_str())));
    }
    let offered = reply.signing_algorithms();
    let known = ALGORITHMS.iter().filter(|(algorithm, scheme)| offered.contains(algorithm) && fits(*scheme, kind));
    let schemes: Vec<_> = known.map(|(_, scheme)| *scheme).collect();
    let names: Vec<_> = offered.iter().map(SigningAlgorithmSpec::as_str).collect();
    let refusal = schemes.is_empty().then(|| format!("its SigningAlgorithms are [{}]", names.join(", ")));
    (schemes, refusal)
}

/// KMS encodes ECDSA signatures in DER (ANSI X9.62); RSA ones are as PKCS#11 wants them.
pub(super) fn in_pkcs11_form(kind: Kind, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let length = bytes.len();
    let converted = match kind {
        Kind::Rsa(bits) => Some(bytes).filter(|bytes| bytes.len() == bits.div_ceil(8)),
        Kind::Ec(curve) => key::ecdsa_from_der(&bytes, curve.width()),
    };
    let message = || format!("{length} bytes that are no signature of kind {}", kind.name());
    converted.ok_or_else(|| SIGN.failure(Cause::Malformed, message()))
}
