//! Hash functions: their numbers in the standard, their lengths, and hashing in constant memory.
//!
//! This module knows no keys. DigestInfo: RFC 8017 section 9.2. Numbers: PKCS#11 3.1 section 6.

use aws_lc_rs::digest;
use cryptoki_sys::*;
use sha3::Digest;
use shake::{ExtendableOutput, Update, XofReader};

/// Returns bytes in hexadecimal, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash function that a mechanism can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    /// With an output of 32 bytes, as in HashML-DSA (FIPS 204 section 5.4.1).
    Shake128,
    /// With an output of 64 bytes.
    Shake256,
}

impl Hash {
    /// The hashes of SHA-1, SHA-2 and SHA-3, which have an output of one length.
    pub const FIXED: [Hash; 9] = [
        Hash::Sha1,
        Hash::Sha224,
        Hash::Sha256,
        Hash::Sha384,
        Hash::Sha512,
        Hash::Sha3_224,
        Hash::Sha3_256,
        Hash::Sha3_384,
        Hash::Sha3_512,
    ];
}

struct Row {
    hash: Hash,
    name: &'static str,
    ckm: CK_MECHANISM_TYPE,
    mgf: CK_RSA_PKCS_MGF_TYPE,
    length: usize,
    function: Implementation,
    /// DER of the DigestInfo up to the digest, with NULL parameters (RFC 8017 section 9.2, note 1). The SHAKE
    /// functions have no parameters.
    digest_info: &'static [u8],
}

/// The library that computes the hash. aws-lc-rs lacks a part of SHA-3, and SHAKE.
enum Implementation {
    Library(&'static digest::Algorithm),
    Sponge(fn() -> Box<dyn Sponge>),
}

/// Stands for a missing mechanism number: the standard has no mechanism that only computes this digest.
const NO_MECHANISM: CK_MECHANISM_TYPE = CK_UNAVAILABLE_INFORMATION;

#[rustfmt::skip]
static ROWS: [Row; 11] = [
    Row { hash: Hash::Sha1, name: "SHA-1", ckm: CKM_SHA_1, mgf: CKG_MGF1_SHA1, length: 20, function: Implementation::Library(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        digest_info: &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14] },
    Row { hash: Hash::Sha224, name: "SHA-224", ckm: CKM_SHA224, mgf: CKG_MGF1_SHA224, length: 28, function: Implementation::Library(&digest::SHA224),
        digest_info: &[0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04, 0x05, 0x00, 0x04, 0x1c] },
    Row { hash: Hash::Sha256, name: "SHA-256", ckm: CKM_SHA256, mgf: CKG_MGF1_SHA256, length: 32, function: Implementation::Library(&digest::SHA256),
        digest_info: &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20] },
    Row { hash: Hash::Sha384, name: "SHA-384", ckm: CKM_SHA384, mgf: CKG_MGF1_SHA384, length: 48, function: Implementation::Library(&digest::SHA384),
        digest_info: &[0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30] },
    Row { hash: Hash::Sha512, name: "SHA-512", ckm: CKM_SHA512, mgf: CKG_MGF1_SHA512, length: 64, function: Implementation::Library(&digest::SHA512),
        digest_info: &[0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40] },
    Row { hash: Hash::Sha3_224, name: "SHA3-224", ckm: CKM_SHA3_224, mgf: CKG_MGF1_SHA3_224, length: 28, function: Implementation::Sponge(fixed::<sha3::Sha3_224>),
        digest_info: &[0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x07, 0x05, 0x00, 0x04, 0x1c] },
    Row { hash: Hash::Sha3_256, name: "SHA3-256", ckm: CKM_SHA3_256, mgf: CKG_MGF1_SHA3_256, length: 32, function: Implementation::Sponge(fixed::<sha3::Sha3_256>),
        digest_info: &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x08, 0x05, 0x00, 0x04, 0x20] },
    Row { hash: Hash::Sha3_384, name: "SHA3-384", ckm: CKM_SHA3_384, mgf: CKG_MGF1_SHA3_384, length: 48, function: Implementation::Sponge(fixed::<sha3::Sha3_384>),
        digest_info: &[0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x09, 0x05, 0x00, 0x04, 0x30] },
    Row { hash: Hash::Sha3_512, name: "SHA3-512", ckm: CKM_SHA3_512, mgf: CKG_MGF1_SHA3_512, length: 64, function: Implementation::Sponge(fixed::<sha3::Sha3_512>),
        digest_info: &[0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x0a, 0x05, 0x00, 0x04, 0x40] },
    Row { hash: Hash::Shake128, name: "SHAKE128", ckm: NO_MECHANISM, mgf: NO_MECHANISM, length: 32, function: Implementation::Sponge(extendable::<shake::Shake128, 32>),
        digest_info: &[0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x0b, 0x04, 0x20] },
    Row { hash: Hash::Shake256, name: "SHAKE256", ckm: NO_MECHANISM, mgf: NO_MECHANISM, length: 64, function: Implementation::Sponge(extendable::<shake::Shake256, 64>),
        digest_info: &[0x30, 0x4f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x0c, 0x04, 0x40] },
];

impl Hash {
    /// Returns every hash function.
    pub fn all() -> impl Iterator<Item = Hash> {
        ROWS.iter().map(|row| row.hash)
    }

    /// Returns the hash functions that have a digest mechanism.
    pub fn with_digest_mechanism() -> impl Iterator<Item = Hash> {
        Self::all().filter(|hash| hash.ckm() != NO_MECHANISM)
    }

    /// Returns the hash function of a digest mechanism (CKM_SHA256, ...), or None for another mechanism.
    pub fn from_ckm(ckm: CK_MECHANISM_TYPE) -> Option<Hash> {
        ROWS.iter().find(|row| row.ckm == ckm && ckm != NO_MECHANISM).map(|row| row.hash)
    }

    /// Returns the name of the hash function in messages and documents.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the digest mechanism, as in CK_RSA_PKCS_PSS_PARAMS.hashAlg. SHAKE has none:
    /// CK_UNAVAILABLE_INFORMATION.
    pub fn ckm(self) -> CK_MECHANISM_TYPE {
        self.row().ckm
    }

    /// Returns the mask generation function, as in CK_RSA_PKCS_PSS_PARAMS.mgf. SHAKE has none:
    /// CK_UNAVAILABLE_INFORMATION.
    pub fn mgf(self) -> CK_RSA_PKCS_MGF_TYPE {
        self.row().mgf
    }

    /// Returns the length of the digest in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a digest's length is never zero")]
    pub fn len(self) -> usize {
        self.row().length
    }

    /// Returns the algorithm of aws-lc-rs, or None if another library computes the hash.
    pub fn algorithm(self) -> Option<&'static digest::Algorithm> {
        match self.row().function {
            Implementation::Library(algorithm) => Some(algorithm),
            Implementation::Sponge(_) => None,
        }
    }

    /// Returns the digest of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        hasher.update(data);
        hasher.finish()
    }

    /// Returns the DigestInfo of `digest`, which CKM_RSA_PKCS signs.
    pub fn digest_info(self, digest: &[u8]) -> Vec<u8> {
        [self.row().digest_info, digest].concat()
    }

    /// Returns the hash and the digest in a DigestInfo. The prefix and the length must be exact, without trailing
    /// bytes; otherwise returns None.
    pub fn parse_digest_info(data: &[u8]) -> Option<(Hash, &[u8])> {
        ROWS.iter().find_map(|row| {
            let digest = data.strip_prefix(row.digest_info)?;
            (digest.len() == row.length).then_some((row.hash, digest))
        })
    }

    /// Returns DER of the object identifier, which is the first part of the AlgorithmIdentifier in the DigestInfo.
    pub fn oid(self) -> &'static [u8] {
        let info = self.row().digest_info;
        &info[4..6 + usize::from(info[5])]
    }

    fn row(self) -> &'static Row {
        // The rows have the order of the enum. A test checks this.
        &ROWS[self as usize]
    }
}

/// An incremental digest of a message of any size, in constant memory.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Library(digest::Context),
    Sponge(Box<dyn Sponge>),
}

impl Hasher {
    /// Begins a digest.
    pub fn new(hash: Hash) -> Self {
        Self(match hash.row().function {
            Implementation::Library(algorithm) => State::Library(digest::Context::new(algorithm)),
            Implementation::Sponge(begin) => State::Sponge(begin()),
        })
    }

    /// Returns the length of the digest in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a digest's length is never zero")]
    pub fn len(&self) -> usize {
        match &self.0 {
            State::Library(context) => context.algorithm().output_len(),
            State::Sponge(sponge) => sponge.len(),
        }
    }

    /// Adds a part of the message.
    pub fn update(&mut self, part: &[u8]) {
        match &mut self.0 {
            State::Library(context) => context.update(part),
            State::Sponge(sponge) => sponge.absorb(part),
        }
    }

    /// Ends the message and returns its digest.
    pub fn finish(self) -> Vec<u8> {
        match self.0 {
            State::Library(context) => context.finish().as_ref().to_vec(),
            State::Sponge(sponge) => sponge.squeeze(),
        }
    }
}

/// An incremental digest of SHA-3 or SHAKE (FIPS 202).
trait Sponge: Send + Sync {
    fn absorb(&mut self, part: &[u8]);
    fn squeeze(self: Box<Self>) -> Vec<u8>;
    fn len(&self) -> usize;
    fn boxed_clone(&self) -> Box<dyn Sponge>;
}

impl Clone for Box<dyn Sponge> {
    fn clone(&self) -> Self {
        self.as_ref().boxed_clone()
    }
}

#[derive(Clone)]
struct Fixed<D>(D);

#[derive(Clone)]
struct Extendable<X, const LENGTH: usize>(X);

fn fixed<D: Digest + Clone + Send + Sync + 'static>() -> Box<dyn Sponge> {
    Box::new(Fixed(D::new()))
}

fn extendable<X, const LENGTH: usize>() -> Box<dyn Sponge>
where
    X: Default + Update + ExtendableOutput + Clone + Send + Sync + 'static,
{
    Box::new(Extendable::<X, LENGTH>(X::default()))
}

impl<D: Digest + Clone + Send + Sync + 'static> Sponge for Fixed<D> {
    fn absorb(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    fn squeeze(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }

    fn len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn boxed_clone(&self) -> Box<dyn Sponge> {
        Box::new(self.clone())
    }
}

impl<X, const LENGTH: usize> Sponge for Extendable<X, LENGTH>
where
    X: Update + ExtendableOutput + Clone + Send + Sync + 'static,
{
    fn absorb(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    fn squeeze(self: Box<Self>) -> Vec<u8> {
        let mut digest = vec![0; LENGTH];
        self.0.finalize_xof().read(&mut digest);
        digest
    }

    fn len(&self) -> usize {
        LENGTH
    }

    fn boxed_clone(&self) -> Box<dyn Sponge> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_order_of_the_enum() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.hash as usize, index);
            assert_eq!(row.length, Hasher::new(row.hash).len());
            assert_eq!(row.length, row.hash.digest(b"").len());
            // The last byte of the prefix is the length of the OCTET STRING that follows. The second byte is the
            // length of the SEQUENCE.
            assert_eq!(row.digest_info.last().copied(), Some(row.length as u8));
            assert_eq!(row.digest_info[1] as usize, row.digest_info.len() - 2 + row.length);
        }
    }

    /// The digests are from Python's hashlib, which uses OpenSSL. The SHA-3 digests are also NIST's examples.
    #[test]
    fn sha3_and_shake_match_published_digests() {
        let known = [
            (Hash::Sha3_224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
            (Hash::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            (
                Hash::Sha3_384,
                "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
            ),
            (
                Hash::Sha3_512,
                "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
            ),
            (Hash::Shake128, "5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8"),
            (
                Hash::Shake256,
                "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4",
            ),
        ];
        for (hash, digest) in known {
            let mut hasher = Hasher::new(hash);
            hasher.update(b"a");
            let copy = hasher.clone();
            for mut own in [hasher, copy] {
                own.update(b"bc");
                assert_eq!(own.len(), hash.len());
                let text: String = own.finish().iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(text, digest, "{}", hash.name());
            }
        }
    }

    #[test]
    fn digest_info_is_parsed_whole() {
        for hash in Hash::all() {
            let digest = hash.digest(b"abc");
            let info = hash.digest_info(&digest);
            assert_eq!(Hash::parse_digest_info(&info), Some((hash, &digest[..])));
            assert_eq!(Hash::parse_digest_info(&info[..info.len() - 1]), None, "too short");
            assert_eq!(Hash::parse_digest_info(&[&info[..], &[0]].concat()), None, "too long");
            for bit in 0..(info.len() - digest.len()) * 8 {
                let mut changed = info.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Hash::parse_digest_info(&changed), None, "bit {bit} of the prefix");
            }
        }
        assert_eq!(Hash::parse_digest_info(&[]), None);
    }

    #[test]
    fn identifiers_are_those_of_the_digest_infos() {
        // FIPS 204 section 5.4.1 prints this object identifier.
        assert_eq!(Hash::Sha256.oid(), [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]);
        assert_eq!(Hash::Sha1.oid(), [0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a]);
    }

    #[test]
    fn parts_give_the_digest_of_the_whole() {
        let mut hasher = Hasher::new(Hash::Sha256);
        hasher.update(b"ab");
        hasher.update(b"");
        hasher.update(b"c");
        assert_eq!(hasher.finish(), Hash::Sha256.digest(b"abc"));
    }
}
