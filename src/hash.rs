//! Hash functions as rows: their numbers in the standard, their lengths, and hashing in constant memory.
//!
//! Knows nothing of keys. DigestInfo: RFC 8017 section 9.2; numbers: PKCS#11 3.1 section 6.

use aws_lc_rs::digest;
use cryptoki_sys::*;

/// A hash function that a mechanism can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

struct Row {
    hash: Hash,
    name: &'static str,
    ckm: CK_MECHANISM_TYPE,
    mgf: CK_RSA_PKCS_MGF_TYPE,
    length: usize,
    algorithm: &'static digest::Algorithm,
    /// The DER of DigestInfo up to the digest, with NULL parameters (RFC 8017 section 9.2, note 1).
    digest_info: &'static [u8],
}

#[rustfmt::skip]
static ROWS: [Row; 5] = [
    Row { hash: Hash::Sha1, name: "SHA-1", ckm: CKM_SHA_1, mgf: CKG_MGF1_SHA1, length: 20, algorithm: &digest::SHA1_FOR_LEGACY_USE_ONLY,
        digest_info: &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14] },
    Row { hash: Hash::Sha224, name: "SHA-224", ckm: CKM_SHA224, mgf: CKG_MGF1_SHA224, length: 28, algorithm: &digest::SHA224,
        digest_info: &[0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04, 0x05, 0x00, 0x04, 0x1c] },
    Row { hash: Hash::Sha256, name: "SHA-256", ckm: CKM_SHA256, mgf: CKG_MGF1_SHA256, length: 32, algorithm: &digest::SHA256,
        digest_info: &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20] },
    Row { hash: Hash::Sha384, name: "SHA-384", ckm: CKM_SHA384, mgf: CKG_MGF1_SHA384, length: 48, algorithm: &digest::SHA384,
        digest_info: &[0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30] },
    Row { hash: Hash::Sha512, name: "SHA-512", ckm: CKM_SHA512, mgf: CKG_MGF1_SHA512, length: 64, algorithm: &digest::SHA512,
        digest_info: &[0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40] },
];

impl Hash {
    /// Every hash function.
    pub fn all() -> impl Iterator<Item = Hash> {
        ROWS.iter().map(|row| row.hash)
    }

    /// The hash whose digesting mechanism (CKM_SHA256, ...) this is.
    pub fn from_ckm(ckm: CK_MECHANISM_TYPE) -> Option<Hash> {
        ROWS.iter().find(|row| row.ckm == ckm).map(|row| row.hash)
    }

    /// Its name in prose.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its digesting mechanism, as in CK_RSA_PKCS_PSS_PARAMS.hashAlg.
    pub fn ckm(self) -> CK_MECHANISM_TYPE {
        self.row().ckm
    }

    /// Its mask generation function, as in CK_RSA_PKCS_PSS_PARAMS.mgf.
    pub fn mgf(self) -> CK_RSA_PKCS_MGF_TYPE {
        self.row().mgf
    }

    /// The length of its digest in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a digest's length is never zero")]
    pub fn len(self) -> usize {
        self.row().length
    }

    /// The algorithm of the crypto library.
    pub fn algorithm(self) -> &'static digest::Algorithm {
        self.row().algorithm
    }

    /// The digest of `data`.
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), data).as_ref().to_vec()
    }

    /// DigestInfo of `digest`: what CKM_RSA_PKCS signs.
    pub fn digest_info(self, digest: &[u8]) -> Vec<u8> {
        [self.row().digest_info, digest].concat()
    }

    /// Takes a DigestInfo apart: exact prefix, exact length, nothing behind.
    pub fn parse_digest_info(data: &[u8]) -> Option<(Hash, &[u8])> {
        ROWS.iter().find_map(|row| {
            let digest = data.strip_prefix(row.digest_info)?;
            (digest.len() == row.length).then_some((row.hash, digest))
        })
    }

    /// DER of its object identifier: the first part of the AlgorithmIdentifier in its DigestInfo.
    pub fn oid(self) -> &'static [u8] {
        let info = self.row().digest_info;
        &info[4..6 + usize::from(info[5])]
    }

    fn row(self) -> &'static Row {
        // The rows stand in the order of the enum; a test holds them to it.
        &ROWS[self as usize]
    }
}

/// A digest in the making: hashes a message of any size in constant memory.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Hasher {
    /// Begins a digest.
    pub fn new(hash: Hash) -> Self {
        Self(digest::Context::new(hash.algorithm()))
    }

    /// The length of the digest in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a digest's length is never zero")]
    pub fn len(&self) -> usize {
        self.0.algorithm().output_len()
    }

    /// Adds a part of the message.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// Ends the message.
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_enum() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.hash as usize, index);
            assert_eq!(row.length, row.algorithm.output_len());
            // The last byte of the prefix is the length of the OCTET STRING that follows, the second that of the SEQUENCE.
            assert_eq!(row.digest_info.last().copied(), Some(row.length as u8));
            assert_eq!(row.digest_info[1] as usize, row.digest_info.len() - 2 + row.length);
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
        // FIPS 204 section 5.4.1 prints this one.
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
