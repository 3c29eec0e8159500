//! What KMS reports about a key: its KeySpec, its algorithms and its public key; and the form of signatures.

use super::client::{Clients, RegionClient};
use super::errors::refusal;
use super::operations::{DESCRIBE_KEY, GET_PUBLIC_KEY, SIGN};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::KeyDescription;
use crate::key;
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, ParameterSet, PublicKey, Scheme};
use aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput;
use aws_sdk_kms::types::{
    EncryptionAlgorithmSpec, KeyAgreementAlgorithmSpec, KeyMetadata, KeySpec, KeyState, KeyUsageType, MacAlgorithmSpec,
    MessageType, SigningAlgorithmSpec,
};
use std::sync::Arc;

/// SigningAlgorithm of the API, the scheme, and the MessageType. The salt of PSS is as long as the digest.
#[rustfmt::skip]
static SIGNING: [(SigningAlgorithmSpec, Scheme, MessageType); 11] = [
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha256, Algorithm::RsaPkcs1.with_hash(Hash::Sha256), MessageType::Digest),
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha384, Algorithm::RsaPkcs1.with_hash(Hash::Sha384), MessageType::Digest),
    (SigningAlgorithmSpec::RsassaPkcs1V15Sha512, Algorithm::RsaPkcs1.with_hash(Hash::Sha512), MessageType::Digest),
    (SigningAlgorithmSpec::RsassaPssSha256,      Algorithm::RsaPss.with_hash(Hash::Sha256),   MessageType::Digest),
    (SigningAlgorithmSpec::RsassaPssSha384,      Algorithm::RsaPss.with_hash(Hash::Sha384),   MessageType::Digest),
    (SigningAlgorithmSpec::RsassaPssSha512,      Algorithm::RsaPss.with_hash(Hash::Sha512),   MessageType::Digest),
    (SigningAlgorithmSpec::EcdsaSha256,          Algorithm::Ecdsa.with_hash(Hash::Sha256),    MessageType::Digest),
    (SigningAlgorithmSpec::EcdsaSha384,          Algorithm::Ecdsa.with_hash(Hash::Sha384),    MessageType::Digest),
    (SigningAlgorithmSpec::EcdsaSha512,          Algorithm::Ecdsa.with_hash(Hash::Sha512),    MessageType::Digest),
    (SigningAlgorithmSpec::Ed25519Sha512,        Algorithm::Eddsa.without_hash(),               MessageType::Raw),
    (SigningAlgorithmSpec::MlDsaShake256,        Algorithm::MlDsaMu.without_hash(),             MessageType::ExternalMu),
];

/// EncryptionAlgorithm of the API, for RSA keys.
static ENCRYPTION: [(EncryptionAlgorithmSpec, Scheme); 2] = [
    (EncryptionAlgorithmSpec::RsaesOaepSha1, Algorithm::RsaesOaep.with_hash(Hash::Sha1)),
    (EncryptionAlgorithmSpec::RsaesOaepSha256, Algorithm::RsaesOaep.with_hash(Hash::Sha256)),
];

/// MacAlgorithm of the API.
static MACS: [(MacAlgorithmSpec, Scheme); 4] = [
    (MacAlgorithmSpec::HmacSha224, Algorithm::Hmac.with_hash(Hash::Sha224)),
    (MacAlgorithmSpec::HmacSha256, Algorithm::Hmac.with_hash(Hash::Sha256)),
    (MacAlgorithmSpec::HmacSha384, Algorithm::Hmac.with_hash(Hash::Sha384)),
    (MacAlgorithmSpec::HmacSha512, Algorithm::Hmac.with_hash(Hash::Sha512)),
];

/// KeySpec of the API, as far as this module supports it.
#[rustfmt::skip]
pub(crate) static SPECS: [(KeySpec, Kind); 15] = [
    (KeySpec::Rsa2048, Kind::Rsa(2048)),
    (KeySpec::Rsa3072, Kind::Rsa(3072)),
    (KeySpec::Rsa4096, Kind::Rsa(4096)),
    (KeySpec::EccNistP256, Kind::Ec(Curve::P256)),
    (KeySpec::EccNistP384, Kind::Ec(Curve::P384)),
    (KeySpec::EccNistP521, Kind::Ec(Curve::P521)),
    (KeySpec::EccSecgP256K1, Kind::Ec(Curve::Secp256k1)),
    (KeySpec::EccNistEdwards25519, Kind::Ed25519),
    (KeySpec::MlDsa44, Kind::MlDsa(ParameterSet::MlDsa44)),
    (KeySpec::MlDsa65, Kind::MlDsa(ParameterSet::MlDsa65)),
    (KeySpec::MlDsa87, Kind::MlDsa(ParameterSet::MlDsa87)),
    (KeySpec::Hmac224, Kind::Hmac(Hash::Sha224)),
    (KeySpec::Hmac256, Kind::Hmac(Hash::Sha256)),
    (KeySpec::Hmac384, Kind::Hmac(Hash::Sha384)),
    (KeySpec::Hmac512, Kind::Hmac(Hash::Sha512)),
];

/// Returns the algorithm for a scheme, and the MessageType that belongs to it.
pub(crate) fn signing_algorithm(scheme: Scheme) -> Option<(&'static SigningAlgorithmSpec, MessageType)> {
    SIGNING.iter().find(|row| row.1 == scheme).map(|row| (&row.0, row.2.clone()))
}

pub(crate) fn encryption_algorithm(scheme: Scheme) -> Option<&'static EncryptionAlgorithmSpec> {
    ENCRYPTION.iter().find(|row| row.1 == scheme).map(|row| &row.0)
}

pub(crate) fn mac_algorithm(scheme: Scheme) -> Option<&'static MacAlgorithmSpec> {
    MACS.iter().find(|row| row.1 == scheme).map(|row| &row.0)
}

/// Returns all schemes that KMS has for keys of this kind. KMS derives shared secrets on the NIST curves only.
pub(crate) fn schemes(kind: Kind) -> Vec<Scheme> {
    let nist = matches!(kind, Kind::Ec(curve) if curve != Curve::Secp256k1);
    let all =
        SIGNING.iter().map(|row| row.1).chain(ENCRYPTION.iter().map(|row| row.1)).chain(MACS.iter().map(|row| row.1));
    all.chain(nist.then(|| Algorithm::Ecdh.without_hash())).filter(|scheme| scheme.suits(kind)).collect()
}

/// Returns what GetPublicKey reports about a key.
///
/// # Errors
/// Fails with [`Cause::Unsupported`] if this module does not support the key, and with [`Cause::Malformed`] if the
/// reply contradicts itself or its public key cannot be read.
pub(crate) fn facts(reply: GetPublicKeyOutput) -> Result<KeyDescription, Failure> {
    let spec = reply.key_spec.as_ref();
    let der = reply.public_key.as_ref().map_or(&[][..], |blob| blob.as_ref());
    let public_key = PublicKey::from_spki(der).map_err(|unusable| {
        // SM2, ML-KEM and future values of KeySpec are correct replies about keys that this module does not
        // support. LocalStack replies for secret keys as well, without a public key.
        let is_public_key_spec = |known: &&(KeySpec, Kind)| Some(&known.0) == spec && !matches!(known.1, Kind::Hmac(_));
        let cause =
            if SPECS.iter().any(|known| is_public_key_spec(&known)) { Cause::Malformed } else { Cause::Unsupported };
        let spec = spec.map_or("unknown", KeySpec::as_str);
        GET_PUBLIC_KEY.failure(cause, format!("the key has the KeySpec {spec}: {}", unusable.0))
    })?;
    let kind = public_key.kind();
    if let Some((spec, told)) = SPECS.iter().find(|(known, _)| Some(known) == spec)
        && *told != kind
    {
        let message = format!("the KeySpec is {}, but the public key is of kind {}", spec.as_str(), kind.name());
        return Err(GET_PUBLIC_KEY.failure(Cause::Malformed, message));
    }
    let (schemes, refusal) = offered_schemes(&reply, kind);
    let usage = reply.key_usage.as_ref().map(|usage| usage_message(usage).into());
    Ok(KeyDescription {
        immutable_id: reply.key_id,
        unusable_reason: refusal.map(Arc::from),
        usage,
        ..KeyDescription::from_public_key(public_key, schemes)
    })
}

/// Returns what DescribeKey reports about an HMAC key, or None for any other key.
pub(crate) fn hmac_facts(about: KeyMetadata) -> Option<KeyDescription> {
    let (_, kind) = SPECS.iter().find(|(spec, _)| Some(spec) == about.key_spec.as_ref())?;
    let offered = about.mac_algorithms();
    let known = MACS.iter().filter(|(algorithm, scheme)| offered.contains(algorithm) && scheme.suits(*kind));
    let schemes: Vec<_> = known.map(|(_, scheme)| *scheme).collect();
    let state = about.key_state.as_ref().filter(|state| **state != KeyState::Enabled);
    let refusal = state.map(|state| format!("its KeyState is {}", state.as_str()));
    let schemes = if refusal.is_some() { Vec::new() } else { schemes };
    let usage = about.key_usage.as_ref().map(|usage| usage_message(usage).into());
    matches!(kind, Kind::Hmac(_)).then(|| KeyDescription {
        immutable_id: about.arn,
        kind: *kind,
        public_key: None,
        schemes,
        unusable_reason: refusal.map(Arc::from),
        usage,
        forbidden_purposes: Vec::new(),
    })
}

fn usage_message(usage: &KeyUsageType) -> String {
    let more = match usage {
        KeyUsageType::SignVerify | KeyUsageType::EncryptDecrypt => {
            "; a key of AWS KMS can sign or decrypt, but not both"
        }
        _ => "",
    };
    format!("its KeyUsage is {}{more}", usage.as_str())
}

/// Returns the schemes of a key, according to the algorithms in the reply and the key's KeyUsage; and the reason
/// if there are none.
fn offered_schemes(reply: &GetPublicKeyOutput, kind: Kind) -> (Vec<Scheme>, Option<String>) {
    let signing = SIGNING.iter().filter(|row| reply.signing_algorithms().contains(&row.0)).map(|row| row.1);
    let decrypting = ENCRYPTION.iter().filter(|row| reply.encryption_algorithms().contains(&row.0)).map(|row| row.1);
    // LocalStack omits the list.
    let agreeing = reply.key_agreement_algorithms.as_ref();
    let agrees = agreeing.is_none_or(|known| known.contains(&KeyAgreementAlgorithmSpec::Ecdh));
    let offered: Vec<_> = match reply.key_usage.as_ref() {
        Some(KeyUsageType::SignVerify) | None => signing.collect(),
        Some(KeyUsageType::EncryptDecrypt) => decrypting.collect(),
        Some(KeyUsageType::KeyAgreement) if agrees => vec![Algorithm::Ecdh.without_hash()],
        Some(_) => Vec::new(),
    };
    let known: Vec<_> = offered.into_iter().filter(|scheme| scheme.suits(kind)).collect();
    let refusal = known.is_empty().then(|| {
        let names: Vec<_> = reply.signing_algorithms().iter().map(SigningAlgorithmSpec::as_str).collect();
        match reply.key_usage.as_ref().filter(|usage| **usage != KeyUsageType::SignVerify) {
            Some(usage) => format!("its KeyUsage is {}", usage.as_str()),
            None => format!("its SigningAlgorithms are [{}]", names.join(", ")),
        }
    });
    (known, refusal)
}

/// Converts a signature to the form of PKCS#11. KMS encodes ECDSA signatures in DER (ANSI X9.62). RSA signatures
/// have the form of PKCS#11 already.
///
/// # Errors
/// Fails with [`Cause::Malformed`] if the bytes are not a signature of this kind of key.
pub(crate) fn to_pkcs11_signature(kind: Kind, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let length = bytes.len();
    let converted = match kind {
        Kind::Ec(curve) => key::ecdsa_from_der(&bytes, curve.field_len()),
        _ => Some(bytes).filter(|bytes| bytes.len() == kind.signature_len()),
    };
    let message = || format!("the {length} bytes are not a signature of kind {}", kind.name());
    converted.ok_or_else(|| SIGN.failure(Cause::Malformed, message()))
}

impl Clients {
    /// Describes a key with GetPublicKey, or with DescribeKey if the key may be a secret key.
    pub(crate) async fn describe(&self, id: &str) -> Result<KeyDescription, Failure> {
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.get_public_key().key_id(id);
            async move { Ok(facts(request.send().await.map_err(|e| refusal(&GET_PUBLIC_KEY, e))?)?) }
        };
        let described = match self.call_with_key(&GET_PUBLIC_KEY, id, id, attempt).await {
            // A secret key has no public key, so DescribeKey is used instead.
            Err(failure) if failure.cause == Cause::Unsupported => self.describe_secret(id, failure).await,
            answer => answer,
        }?;
        let immutable_id = described.immutable_id.map(|arn| self.primary_arn(id, arn));
        Ok(KeyDescription { immutable_id, ..described })
    }

    async fn describe_secret(&self, id: &str, before: Failure) -> Result<KeyDescription, Failure> {
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.describe_key().key_id(id);
            async move { Ok(request.send().await.map_err(|e| refusal(&DESCRIBE_KEY, e))?.key_metadata) }
        };
        match self.call_with_key(&DESCRIBE_KEY, id, id, attempt).await? {
            Some(about) => hmac_facts(about).ok_or(before),
            None => Err(before),
        }
    }
}

/// Returns whether `id` is `alias/NAME` or the ARN of an alias. An alias can be moved to another key.
pub(crate) fn is_alias(id: &str) -> bool {
    id.starts_with("alias/") || id.contains(":alias/")
}
