//! ML-DSA (FIPS 204): parameter sets, mu, and verification of a signature of mu.
//!
//! Besides the key, a signature depends only on mu (FIPS 204 section 6.2), so 64 bytes suffice to sign a message
//! of any size. This module computes mu. The lattice arithmetic is in the crate `ml-dsa`.

use super::formatted_message::formatted_message_prefix;
use super::hash::Hash;
use const_oid::ObjectIdentifier;
use ml_dsa::{EncodedVerifyingKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};
use shake::{ExtendableOutput, Shake256, Update, XofReader};

/// A parameter set (FIPS 204 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ParameterSet {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

struct Row {
    set: ParameterSet,
    name: &'static str,
    /// RFC 9881 section 2.
    oid: ObjectIdentifier,
    public_key_len: usize,
    signature_len: usize,
    verify: Verify,
}

type Verify = fn(public_key: &[u8], mu: &[u8], signature: &[u8]) -> Option<bool>;

#[rustfmt::skip]
static ROWS: [Row; 3] = [
    Row { set: ParameterSet::MlDsa44, name: "ML-DSA-44", oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17"), public_key_len: 1312, signature_len: 2420, verify: verify::<MlDsa44> },
    Row { set: ParameterSet::MlDsa65, name: "ML-DSA-65", oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"), public_key_len: 1952, signature_len: 3309, verify: verify::<MlDsa65> },
    Row { set: ParameterSet::MlDsa87, name: "ML-DSA-87", oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19"), public_key_len: 2592, signature_len: 4627, verify: verify::<MlDsa87> },
];

impl ParameterSet {
    /// Returns every parameter set.
    pub fn all() -> impl Iterator<Item = ParameterSet> {
        ROWS.iter().map(|row| row.set)
    }

    /// Returns the name of the parameter set in the standard.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the length of a public key in bytes.
    pub fn public_key_len(self) -> usize {
        self.row().public_key_len
    }

    /// Returns the length of a signature in bytes.
    pub fn signature_len(self) -> usize {
        self.row().signature_len
    }

    pub(super) fn oid(self) -> ObjectIdentifier {
        self.row().oid
    }

    pub(super) fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        ROWS.iter().find(|row| row.oid == oid).map(|row| row.set)
    }

    /// Returns whether `signature` is a signature of `mu` under `public_key`.
    pub(super) fn verifies(self, public_key: &[u8], mu: &[u8], signature: &[u8]) -> bool {
        (self.row().verify)(public_key, mu, signature) == Some(true)
    }

    fn row(self) -> &'static Row {
        // The rows have the order of the enum. A test checks this.
        &ROWS[self as usize]
    }
}

fn verify<P: MlDsaParams>(public_key: &[u8], mu: &[u8], signature: &[u8]) -> Option<bool> {
    let public_key = EncodedVerifyingKey::<P>::try_from(public_key).ok()?;
    let signature = Signature::<P>::try_from(signature).ok()?;
    Some(VerifyingKey::<P>::decode(&public_key).verify_mu(&mu.try_into().ok()?, &signature))
}

/// The length of mu in bytes.
pub const MU_LEN: usize = 64;

/// An incremental computation of mu, in constant memory.
#[derive(Clone)]
pub struct Mu(Shake256);

impl Mu {
    /// Begins the mu of a message that is signed as is, or, with `hash`, of a message that is hashed first. In that case
    /// the digest is added with [`update`](Self::update). `context` has at most 255 bytes.
    pub fn new(public_key: &[u8], context: &[u8], hash: Option<Hash>) -> Self {
        let mut tr = [0; 64];
        let mut own = Shake256::default();
        own.update(public_key);
        own.finalize_xof().read(&mut tr);
        let mut mu = Shake256::default();
        mu.update(&tr);
        mu.update(&formatted_message_prefix(context, hash));
        Self(mu)
    }

    /// Adds a part of the message or of the digest.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// Ends the message and returns its mu.
    pub fn finish(self) -> Vec<u8> {
        let mut mu = vec![0; MU_LEN];
        self.0.finalize_xof().read(&mut mu);
        mu
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Algorithm, PublicKey};
    use aws_lc_rs::signature::{KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair};

    #[test]
    fn rows_have_the_order_of_the_enum() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.set as usize, index);
        }
    }

    /// C2SP Wycheproof, testvectors_v1/mldsa_44_sign_seed_test.json, first group: the key with the seed 0x2a..2a,
    /// the tests "baseline" and "non-empty context".
    #[test]
    fn mu_matches_wycheproof_vectors() {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, &[0x2a; 32]).unwrap();
        let public_key = pair.public_key().as_ref();
        let of = |context: &[u8], message: &[u8]| {
            let mut mu = Mu::new(public_key, context, None);
            message.chunks(3).for_each(|part| mu.update(part));
            mu.finish().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(
            of(b"", b"Hello world"),
            "0ba2d90bc4fa5877844e47f7563eefccf658f898eaf4197b2a9a89d3df683955c73a80895ac0a51cc9049d44cdc1d1c550ef3870c1126afdb3d52ee057cbbcdd"
        );
        assert_eq!(
            of(b"Context", b"Hello world"),
            "0d0caf274821366fe709a21d32c0d37eaa97ca009200d4e3c853aa7acf89b47e0a93789e3c9fa2da222977468551ed8432566b01d1b1383da384894302133b20"
        );
    }

    /// The mu of HashML-DSA with SHA-512, the context "Context" and the same key. Computed with Python's hashlib
    /// from the message that dilithium-py 1.4.0 formats (FIPS 204 algorithm 4, line 23).
    #[test]
    fn mu_of_a_digest_is_that_of_another_implementation() {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, &[0x2a; 32]).unwrap();
        let mut mu = Mu::new(pair.public_key().as_ref(), b"Context", Some(Hash::Sha512));
        mu.update(&Hash::Sha512.digest(b"Hello world"));
        assert_eq!(
            mu.finish().iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "f0a5d10442bac6e731dde8b51ed658013b54a34a4fa121a1e53ed26770c447b89661f88fefa919e0d76bed59eb808ded3a096a8670690eba51a7976c025058de"
        );
    }

    /// aws-lc signs the message itself and does not use the mu of this module.
    #[test]
    fn a_signature_of_the_message_verifies_by_its_mu() {
        for (set, algorithm) in ParameterSet::all().zip([&ML_DSA_44_SIGNING, &ML_DSA_65_SIGNING, &ML_DSA_87_SIGNING]) {
            let pair = PqdsaKeyPair::generate(algorithm).unwrap();
            let public_key = pair.public_key().as_ref();
            let mut signature = vec![0; set.signature_len()];
            assert_eq!(pair.sign(b"abc", &mut signature), Ok(set.signature_len()));
            let mut mu = Mu::new(public_key, b"", None);
            mu.update(b"abc");
            let mu = mu.finish();
            assert!(set.verifies(public_key, &mu, &signature));
            let key = PublicKey::ml_dsa(set, public_key).unwrap();
            assert!(key.verifies(Algorithm::MlDsaMu.without_hash(), &mu, &signature));
            assert!(key.verifies(Algorithm::MlDsa.without_hash(), b"abc", &signature));
            assert!(!key.verifies(Algorithm::MlDsa.without_hash(), b"abd", &signature));
            assert!(!key.verifies(Algorithm::MlDsa.without_hash(), &mu, &signature));
            signature[100] ^= 1;
            assert!(!set.verifies(public_key, &mu, &signature));
            assert!(!set.verifies(public_key, &mu, &signature[1..]));
        }
    }
}
