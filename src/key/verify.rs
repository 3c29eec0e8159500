//! Verification with a public key.
//!
//! Verifies signatures that a service has made and signatures that callers provide.

use super::curve::Curve;
use super::formatted_message::formatted_message_prefix;
use super::hash::Hash;
use super::kind::Kind;
use super::ml_dsa::Mu;
use super::public_key::{PublicKey, PublicNumbers};
use super::scheme::{Algorithm, Salt, Scheme};
use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use num_bigint::BigUint;

impl Kind {
    /// Returns the schemes that a public key of this kind supports locally, without a request.
    pub fn local_schemes(self) -> Vec<Scheme> {
        match self {
            Kind::Rsa(_) => {
                let raw = [Algorithm::RsaPkcs1.without_hash(), Algorithm::RsaesPkcs1.without_hash()];
                let signed = [Algorithm::RsaPkcs1, Algorithm::RsaPss];
                let signed = signed.into_iter().flat_map(|family| Hash::FIXED.map(|hash| family.with_hash(hash)));
                let salted = Hash::FIXED.map(|hash| Algorithm::RsaPss.with_hash(hash).with_salt(Salt::Any));
                let encrypted = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];
                signed
                    .chain(salted)
                    .chain(encrypted.map(|hash| Algorithm::RsaesOaep.with_hash(hash)))
                    .chain(raw)
                    .collect()
            }
            Kind::Ec(curve) => vec![Algorithm::Ecdsa.with_hash(curve.hash())],
            Kind::Ed25519 => vec![Algorithm::Eddsa.without_hash()],
            Kind::MlDsa(_) => [Algorithm::MlDsa, Algorithm::MlDsaMu].map(Algorithm::without_hash).into(),
            Kind::SlhDsa(_) => {
                let hashed = Hash::all().map(|hash| Algorithm::SlhDsa.with_hash(hash));
                let whole = [Algorithm::SlhDsa, Algorithm::SlhDsaInternal].map(Algorithm::without_hash);
                whole.into_iter().chain(hashed).collect()
            }
            Kind::Hmac(_) => Vec::new(),
        }
    }
}

impl PublicKey {
    /// Returns whether `signature`, in PKCS#11's form, is a signature of `data` by this key.
    ///
    /// `data` is the input of the scheme: a digest as long as its hash, a DigestInfo, a mu, an M', or the message
    /// itself.
    /// A scheme for another kind of key verifies nothing.
    pub fn verifies(&self, scheme: Scheme, data: &[u8], signature: &[u8]) -> bool {
        match (self.material(), scheme.family, scheme.hash) {
            (PublicNumbers::Rsa { modulus, exponent }, Algorithm::RsaPkcs1, None) => {
                verify_digest_info(modulus, exponent, data, signature)
            }
            (PublicNumbers::Ed25519 { point }, Algorithm::Eddsa, None) => {
                UnparsedPublicKey::new(&signature::ED25519, point).verify(data, signature).is_ok()
            }
            (PublicNumbers::MlDsa { set, key }, Algorithm::MlDsaMu, None) => set.verifies(key, data, signature),
            (PublicNumbers::MlDsa { set, key }, Algorithm::MlDsa, None) => {
                let mut mu = Mu::new(key, &[], None);
                mu.update(data);
                set.verifies(key, &mu.finish(), signature)
            }
            (PublicNumbers::SlhDsa { set, key }, Algorithm::SlhDsaInternal, None) => {
                set.verifies(key, &[data], signature)
            }
            (PublicNumbers::SlhDsa { set, key }, Algorithm::SlhDsa, hash) => {
                hash.is_none_or(|hash| hash.len() == data.len())
                    && set.verifies(key, &[&formatted_message_prefix(&[], hash), data], signature)
            }
            (_, _, Some(hash)) => self.verifies_digest(scheme, hash, data, signature),
            _ => false,
        }
    }

    /// Returns whether the point lies on its curve. Returns true for keys of other kinds.
    pub fn is_on_its_curve(&self) -> bool {
        let Kind::Ec(curve) = self.kind() else { return true };
        UnparsedPublicKey::new(Curve::verifier(curve), self.spki()).parse().is_ok()
    }

    fn verifies_digest(&self, scheme: Scheme, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
        match (self.verifier(scheme, hash), hash.algorithm(), self.material()) {
            (Some(verifier), Some(algorithm), _) => Digest::import_less_safe(digest, algorithm).is_ok_and(|digest| {
                UnparsedPublicKey::new(verifier, self.spki()).verify_digest(&digest, signature).is_ok()
            }),
            // The crypto library has no verifier for SHA-1, SHA-224 and SHA-3, nor for salts of other lengths.
            (_, _, PublicNumbers::Rsa { modulus, exponent }) if digest.len() == hash.len() => match scheme.family {
                Algorithm::RsaPkcs1 => verify_digest_info(modulus, exponent, &hash.digest_info(digest), signature),
                Algorithm::RsaPss => {
                    let salt = match scheme.salt {
                        Salt::Digest => hash.len(),
                        Salt::Length(bytes) => bytes.into(),
                        Salt::Any => return false,
                    };
                    encoded_message(modulus, exponent, signature)
                        .is_some_and(|encoded| is_pss_encoding(&encoded, modulus, salt, hash, digest))
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn verifier(&self, scheme: Scheme, hash: Hash) -> Option<&'static dyn VerificationAlgorithm> {
        match (self.kind(), scheme.family, hash) {
            _ if scheme.salt != Salt::Digest => None,
            (Kind::Rsa(_), Algorithm::RsaPkcs1, Hash::Sha256) => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            (Kind::Rsa(_), Algorithm::RsaPkcs1, Hash::Sha384) => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            (Kind::Rsa(_), Algorithm::RsaPkcs1, Hash::Sha512) => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            (Kind::Rsa(_), Algorithm::RsaPss, Hash::Sha256) => Some(&signature::RSA_PSS_2048_8192_SHA256),
            (Kind::Rsa(_), Algorithm::RsaPss, Hash::Sha384) => Some(&signature::RSA_PSS_2048_8192_SHA384),
            (Kind::Rsa(_), Algorithm::RsaPss, Hash::Sha512) => Some(&signature::RSA_PSS_2048_8192_SHA512),
            (Kind::Ec(curve), Algorithm::Ecdsa, hash) if hash == curve.hash() => Some(Curve::verifier(curve)),
            _ => None,
        }
    }
}

/// Verifies RSASSA-PKCS1-v1_5 of any DigestInfo (RFC 8017 section 8.2.2). The crypto library supports the
/// DigestInfo of some hashes only.
fn verify_digest_info(modulus: &[u8], exponent: &[u8], data: &[u8], signature: &[u8]) -> bool {
    // EMSA-PKCS1-v1_5 requires at least eight padding bytes (section 9.2).
    let Some(padding) = modulus.len().checked_sub(data.len() + 3).filter(|padding| *padding >= 8) else { return false };
    let expected = [&[0, 1][..], &vec![0xff; padding], &[0], data].concat();
    encoded_message(modulus, exponent, signature).is_some_and(|encoded| encoded == expected)
}

/// Returns whether the message is an encoding of the digest with a salt of that length, and MGF1 with the same hash (RFC 8017
/// section 9.1.2). The message has as many bytes as the modulus.
fn is_pss_encoding(encoded: &[u8], modulus: &[u8], salt_length: usize, hash: Hash, digest: &[u8]) -> bool {
    // The encoding has one bit less than the modulus, which may be a whole byte less.
    let bits = BigUint::from_bytes_be(modulus).bits().saturating_sub(1);
    let (length, unused) = (bits.div_ceil(8) as usize, (8 - bits % 8) % 8);
    let (excess, encoded) = encoded.split_at(encoded.len() - length);
    let masked_length = length.checked_sub(hash.len() + 1).filter(|length| *length > salt_length);
    let Some(masked_length) = masked_length else { return false };
    let (masked, rest) = encoded.split_at(masked_length);
    let (proof, trailer) = rest.split_at(hash.len());
    let unused_mask = !(0xff_u8 >> unused);
    if excess.iter().any(|byte| *byte != 0) || trailer != [0xbc] || masked[0] & unused_mask != 0 {
        return false;
    }
    let mask = mgf1(hash, proof, masked_length);
    let mut block: Vec<u8> = masked.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    block[0] &= !unused_mask;
    let (padding, salt) = block.split_at(masked_length - salt_length);
    let is_padding = padding.split_last().is_some_and(|(end, zeros)| *end == 1 && zeros.iter().all(|byte| *byte == 0));
    is_padding && hash.digest(&[&[0; 8][..], digest, salt].concat()) == proof
}

/// Returns `length` bytes of MGF1 (RFC 8017 section B.2.1).
fn mgf1(hash: Hash, seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0u32..).map(|counter| hash.digest(&[seed, &counter.to_be_bytes()].concat()));
    blocks.take(length.div_ceil(hash.len())).flatten().take(length).collect()
}

/// Applies the public key to a signature (RFC 8017 section 5.2.2). Returns as many bytes as the modulus has.
fn encoded_message(modulus: &[u8], exponent: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let (length, modulus) = (modulus.len(), BigUint::from_bytes_be(modulus));
    let number =
        Some(BigUint::from_bytes_be(signature)).filter(|number| signature.len() == length && *number < modulus)?;
    let bytes = number.modpow(&BigUint::from_bytes_be(exponent), &modulus).to_bytes_be();
    Some([vec![0; length - bytes.len()], bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
    use p256::ecdsa::signature::hazmat::PrehashSigner;

    #[test]
    fn a_signature_of_any_digest_info_verifies_raw_and_no_other() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: PublicKeyX509Der = pair.public_key().as_der().unwrap();
        let key = PublicKey::from_spki(der.as_ref()).unwrap();
        let PublicNumbers::Rsa { modulus, .. } = key.material() else { panic!("no RSA key") };
        let mut signature = vec![0; 256];
        pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), b"abc", &mut signature).unwrap();
        let info = Hash::Sha256.digest_info(&Hash::Sha256.digest(b"abc"));
        let raw = Algorithm::RsaPkcs1.without_hash();
        assert!(key.verifies(raw, &info, &signature));
        assert!(!key.verifies(raw, &info[1..], &signature));
        assert!(!key.verifies(raw, &Hash::Sha256.digest_info(&Hash::Sha256.digest(b"abd")), &signature));
        assert!(!key.verifies(raw, &info, &signature[1..]));
        assert!(!key.verifies(raw, &info, &[&[0][..], &signature].concat()));
        assert!(!key.verifies(raw, &[0; 246], &signature), "no room for the padding");
        let more = BigUint::from_bytes_be(&signature) + BigUint::from_bytes_be(modulus);
        assert!(!key.verifies(raw, &info, &more.to_bytes_be()), "one signature has one form");
    }

    /// The crypto library verifies SHA-2, and openssl the others.
    #[test]
    fn pss_and_pkcs1_verify_with_every_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let openssl = |words: &[&str]| {
            let made = std::process::Command::new("openssl").args(words).output().unwrap();
            assert!(made.status.success(), "{words:?}: {made:?}");
        };
        // With 2049 bits, the encoded message is a whole byte shorter than the modulus.
        let some = [Hash::Sha1, Hash::Sha3_512];
        for (bits, hashes) in [(2048, &Hash::FIXED[..]), (2049, &some), (2055, &some)] {
            openssl(&["genrsa", "-out", &path("key"), &bits.to_string()]);
            openssl(&["rsa", "-in", &path("key"), "-pubout", "-outform", "DER", "-out", &path("spki")]);
            let key = PublicKey::from_spki(&std::fs::read(path("spki")).unwrap()).unwrap();
            for hash in hashes.iter().copied() {
                let digest = hash.digest(b"abc");
                std::fs::write(path("digest"), &digest).unwrap();
                let name = format!("digest:{}", hash.name().to_lowercase().replacen("sha-", "sha", 1));
                let longest = (bits - 1_usize).div_ceil(8) - hash.len() - 2;
                let salts = [hash.len(), 0, longest].map(|salt| (Algorithm::RsaPss, "pss", salt));
                for (family, mode, salt) in salts.into_iter().chain([(Algorithm::RsaPkcs1, "pkcs1", 0)]) {
                    let options = [format!("rsa_padding_mode:{mode}"), name.clone(), format!("rsa_pss_saltlen:{salt}")];
                    let options = if mode == "pss" { &options[..] } else { &options[..2] };
                    let files =
                        ["-inkey", &path("key"), "-in", &path("digest"), "-out", &path("signature")].map(str::to_owned);
                    let words = options.iter().flat_map(|option| ["-pkeyopt", option]);
                    let words: Vec<&str> =
                        ["pkeyutl", "-sign"].into_iter().chain(words).chain(files.iter().map(String::as_str)).collect();
                    openssl(&words);
                    let signature = std::fs::read(path("signature")).unwrap();
                    let length =
                        if mode == "pkcs1" || salt == hash.len() { Salt::Digest } else { Salt::Length(salt as u16) };
                    let scheme = family.with_hash(hash).with_salt(length);
                    assert!(key.verifies(scheme, &digest, &signature), "{bits} {mode} {} {salt}", hash.name());
                    assert!(!key.verifies(scheme, &hash.digest(b"abd"), &signature));
                    assert!(mode == "pkcs1" || !key.verifies(scheme.with_salt(Salt::Length(21)), &digest, &signature));
                    assert!(
                        !key.verifies(scheme, &digest[1..], &signature)
                            && !key.verifies(scheme, &digest, &signature[1..])
                    );
                    for at in [0, signature.len() - 1] {
                        let mut spoilt = signature.clone();
                        spoilt[at] ^= 1;
                        assert!(!key.verifies(scheme, &digest, &spoilt));
                    }
                }
            }
        }
    }

    #[test]
    fn a_point_lies_on_its_curve_or_not() {
        let private = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let mut point = private.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        assert!(PublicKey::ec(Curve::P256, &point).unwrap().is_on_its_curve());
        point[64] ^= 1;
        assert!(!PublicKey::ec(Curve::P256, &point).unwrap().is_on_its_curve());
        assert!(!PublicKey::ec(Curve::P521, &[&[4][..], &[0; 132]].concat()).unwrap().is_on_its_curve());
    }

    #[test]
    fn ed25519_verifies_the_message_itself() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = PublicKey::ed25519(pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(b"abc");
        assert!(key.verifies(Algorithm::Eddsa.without_hash(), b"abc", signature.as_ref()));
        assert!(!key.verifies(Algorithm::Eddsa.without_hash(), b"abd", signature.as_ref()));
        assert!(!key.verifies(Algorithm::MlDsa.without_hash(), b"abc", signature.as_ref()));
    }

    #[test]
    fn a_signature_verifies_under_its_key_scheme_and_digest_only() {
        let private = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let point = private.verifying_key().to_sec1_point(false);
        let key = PublicKey::ec(Curve::P256, point.as_bytes()).unwrap();
        let digest = Hash::Sha256.digest(b"abc");
        let signature: p256::ecdsa::Signature = private.sign_prehash(&digest).unwrap();
        let scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);
        assert!(key.verifies(scheme, &digest, &signature.to_bytes()));
        assert!(!key.verifies(scheme, &Hash::Sha256.digest(b"abd"), &signature.to_bytes()));
        assert!(!key.verifies(scheme, &digest[..31], &signature.to_bytes()));
        assert!(!key.verifies(scheme, &digest, &signature.to_bytes()[..63]));
        assert!(!key.verifies(Algorithm::Ecdsa.with_hash(Hash::Sha384), &digest, &signature.to_bytes()));
    }
}
