//! SLH-DSA (FIPS 205): parameter sets, and verification of a signature of M'.
//!
//! The hash trees are in the crate `slh-dsa`.

use const_oid::ObjectIdentifier;
use slh_dsa::{Sha2_128s, Signature, VerifyingKey};

/// A parameter set (FIPS 205 section 11). Another one is another row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ParameterSet {
    Sha2_128s,
}

struct Row {
    set: ParameterSet,
    name: &'static str,
    /// RFC 9909 section 3.
    oid: ObjectIdentifier,
    public_key_len: usize,
    signature_len: usize,
    verify: Verify,
}

type Verify = fn(public_key: &[u8], formatted_message: &[&[u8]], signature: &[u8]) -> Option<()>;

#[rustfmt::skip]
static ROWS: [Row; 1] = [
    Row { set: ParameterSet::Sha2_128s, name: "SLH-DSA-SHA2-128s", oid: ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.20"), public_key_len: 32, signature_len: 7856, verify: verify::<Sha2_128s> },
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

    /// Returns whether `signature` is a signature of the parts of M' under `public_key` (FIPS 205 algorithm 20).
    pub(super) fn verifies(self, public_key: &[u8], formatted_message: &[&[u8]], signature: &[u8]) -> bool {
        (self.row().verify)(public_key, formatted_message, signature).is_some()
    }

    fn row(self) -> &'static Row {
        // The rows have the order of the enum. A test checks this.
        &ROWS[self as usize]
    }
}

fn verify<P: slh_dsa::ParameterSet>(public_key: &[u8], formatted_message: &[&[u8]], signature: &[u8]) -> Option<()> {
    let public_key = VerifyingKey::<P>::try_from(public_key).ok()?;
    let signature = Signature::<P>::try_from(signature).ok()?;
    public_key.slh_verify_internal(formatted_message, &signature).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash::Hash;
    use crate::key::{Algorithm, PublicKey, formatted_message_prefix};
    use fips205::slh_dsa_sha2_128s::PrivateKey;
    use fips205::traits::{SerDes, Signer};

    #[test]
    fn rows_have_the_order_of_the_enum() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.set as usize, index);
        }
    }

    /// NIST ACVP, SLH-DSA-keyGen-FIPS205, SLH-DSA-SHA2-128s, tcId 1: SK.seed, SK.prf, PK.seed and PK.root. The last two
    /// are the public key.
    const PRIVATE_KEY: &str = concat!(
        "173D04C938C1C36BF289C3C022D04B1463AE23C41AA546DA589774AC20B745C4",
        "0D794777914C99766827F0F09CA972BE0162C10219D422ADBA1359E6AA65299C"
    );

    /// The crate `fips205`, another implementation, makes the signatures.
    #[test]
    fn signatures_of_another_implementation_verify() {
        let bytes = |at: usize| u8::from_str_radix(&PRIVATE_KEY[2 * at..2 * at + 2], 16).unwrap();
        let private_key: [u8; 64] = std::array::from_fn(bytes);
        let set = ParameterSet::Sha2_128s;
        let key = PublicKey::slh_dsa(set, &private_key[32..]).unwrap();
        let private_key = PrivateKey::try_from_bytes(private_key).unwrap();
        let (message, digest) = (b"abc", Hash::Sha256.digest(b"abc"));
        let (pure, hashed) = (Algorithm::SlhDsa.without_hash(), Algorithm::SlhDsa.with_hash(Hash::Sha256));
        let internal = Algorithm::SlhDsaInternal.without_hash();
        let formatted = |context, hash, data: &[u8]| [&formatted_message_prefix(context, hash)[..], data].concat();

        let of_message = private_key.try_sign(message, b"", false).unwrap();
        assert_eq!(of_message.len(), set.signature_len());
        assert!(key.verifies(pure, message, &of_message));
        assert!(key.verifies(internal, &formatted(b"", None, message), &of_message));
        assert!(!key.verifies(pure, b"abd", &of_message) && !key.verifies(pure, message, &of_message[1..]));
        assert!(!key.verifies(hashed, &digest, &of_message), "another domain");
        for at in [0, 16, of_message.len() - 1] {
            let mut spoilt = of_message;
            spoilt[at] ^= 1;
            assert!(!key.verifies(pure, message, &spoilt), "byte {at}");
        }

        let of_digest = private_key.try_hash_sign(&digest, b"", Hash::Sha256.oid(), false).unwrap();
        assert!(key.verifies(hashed, &digest, &of_digest));
        assert!(!key.verifies(hashed, &digest[1..], &of_digest) && !key.verifies(pure, &digest, &of_digest));
        assert!(!key.verifies(Algorithm::SlhDsa.with_hash(Hash::Sha3_256), &digest, &of_digest), "another hash");

        let with_context = private_key.try_sign(message, b"context", false).unwrap();
        assert!(key.verifies(internal, &formatted(b"context", None, message), &with_context));
        assert!(!key.verifies(internal, &formatted(b"contexT", None, message), &with_context));
        assert!(!key.verifies(pure, message, &with_context));
    }
}
