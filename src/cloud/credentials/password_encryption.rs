//! Decryption of data that is encrypted with a password: a private key on its own, or the parts of a PKCS#12 file.
//!
//! RFC 8018 (PBES2 with PBKDF2); RFC 7292 appendices B and C (the schemes of PKCS#12 itself, which older programs
//! write).

use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, Algorithm};
use aws_lc_rs::cipher::{DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::pbkdf2;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit};
use der::Decode;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use spki::AlgorithmIdentifierRef;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// The reason why data cannot be decrypted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecryptError {
    /// The password is wrong, or the data was modified.
    WrongPassword,
    /// The scheme, or one of its parameters, is not supported. The text says which.
    Unsupported(String),
}

impl From<der::Error> for DecryptError {
    fn from(error: der::Error) -> Self {
        DecryptError::Unsupported(format!("its parameters can't be read: {error}"))
    }
}

/// A password, in the forms that the schemes require.
pub(crate) struct Password<'a> {
    pub(crate) text: &'a str,
    /// Whether there is no password. PKCS#12 distinguishes no password from an empty password, and programs
    /// confuse the two.
    pub(crate) is_none: bool,
}

impl Password<'_> {
    /// Returns the password in UTF-16, most significant byte first, with a zero at the end. RFC 7292 appendix B.1.
    fn bmp_string(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * self.text.len() + 2));
        if !self.is_none {
            bytes.extend(self.text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes));
        }
        bytes
    }
}

/// Decrypts `data`, which is encrypted with `scheme`.
pub(crate) fn decrypt(
    scheme: AlgorithmIdentifierRef<'_>,
    data: &[u8],
    password: &Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    if scheme.oid == PBES2 {
        return pbes2(scheme, data, password);
    }
    let row = PKCS12_SCHEMES.iter().find(|(oid, ..)| *oid == scheme.oid);
    let (_, cipher, key_length) = row.ok_or_else(|| DecryptError::Unsupported(scheme.oid.to_string()))?;
    let (salt, iterations) = parameters(&scheme)?.sequence(|reader| {
        let salt = <&OctetStringRef>::decode(reader)?.as_bytes();
        Ok::<_, der::Error>((salt, u32::decode(reader)?))
    })?;
    let iterations = check_iterations(iterations)?;
    let password = password.bmp_string();
    let key = pkcs12_derived(KEY_ID, &password, salt, iterations, *key_length);
    let iv = pkcs12_derived(IV_ID, &password, salt, iterations, 8);
    cipher.decrypt(&key, &iv, data)
}

fn parameters<'a>(scheme: &AlgorithmIdentifierRef<'a>) -> Result<AnyRef<'a>, DecryptError> {
    scheme.parameters.ok_or_else(|| DecryptError::Unsupported(format!("{} without parameters", scheme.oid)))
}

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");

/// The schemes of RFC 7292 appendix C, with the cipher and the length of its key in bytes.
const PKCS12_SCHEMES: [(ObjectIdentifier, Cipher, usize); 4] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3"), Cipher::TripleDes, 24),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.4"), Cipher::TripleDes, 16),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5"), Cipher::Rc2, 16),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6"), Cipher::Rc2, 5),
];

/// The ciphers of PBES2, with the length of the key in bytes. RFC 8018 appendices B.2.2 and B.2.5; NIST's register
/// of AES.
const PBES2_CIPHERS: [(ObjectIdentifier, Cipher, usize); 4] = [
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2"), Cipher::Aes(&AES_128), 16),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22"), Cipher::Aes(&AES_192), 24),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42"), Cipher::Aes(&AES_256), 32),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.3.7"), Cipher::TripleDes, 24),
];

/// The pseudorandom functions of PBKDF2. RFC 8018 appendix B.1.2. The first function is the default.
const PBKDF2_FUNCTIONS: [(ObjectIdentifier, pbkdf2::Algorithm); 4] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.2.7"), pbkdf2::PBKDF2_HMAC_SHA1),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.2.9"), pbkdf2::PBKDF2_HMAC_SHA256),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.2.10"), pbkdf2::PBKDF2_HMAC_SHA384),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.2.11"), pbkdf2::PBKDF2_HMAC_SHA512),
];

/// The maximum number of iterations. No program asks for that many. They take about a second, which is too long
/// for a fuzzer.
const MAX_ITERATIONS: u32 = if cfg!(fuzzing) { 1000 } else { 2_000_000 };

fn check_iterations(iterations: u32) -> Result<NonZeroU32, DecryptError> {
    let bounded = NonZeroU32::new(iterations).filter(|number| number.get() <= MAX_ITERATIONS);
    bounded.ok_or_else(|| DecryptError::Unsupported(format!("{iterations} iterations")))
}

/// Decrypts with PBES2. RFC 8018 section 6.2 and appendix A.4.
fn pbes2(
    scheme: AlgorithmIdentifierRef<'_>,
    data: &[u8],
    password: &Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let (derivation, encryption) = parameters(&scheme)?.sequence(|reader| {
        Ok::<_, der::Error>((AlgorithmIdentifierRef::decode(reader)?, AlgorithmIdentifierRef::decode(reader)?))
    })?;
    if derivation.oid != PBKDF2 {
        return Err(DecryptError::Unsupported(derivation.oid.to_string()));
    }
    let row = PBES2_CIPHERS.iter().find(|(oid, ..)| *oid == encryption.oid);
    let (_, cipher, key_length) = row.ok_or_else(|| DecryptError::Unsupported(encryption.oid.to_string()))?;
    let iv = parameters(&encryption)?.decode_as::<&OctetStringRef>()?.as_bytes();
    let (salt, iterations, function) = parameters(&derivation)?.sequence(|reader| {
        let salt = <&OctetStringRef>::decode(reader)?.as_bytes();
        let iterations = u32::decode(reader)?;
        // The length of the key, which the cipher also determines.
        let _ = Option::<u32>::decode(reader)?;
        Ok::<_, der::Error>((salt, iterations, Option::<AlgorithmIdentifierRef>::decode(reader)?))
    })?;
    let function = function.map_or(PBKDF2_FUNCTIONS[0].0, |function| function.oid);
    let known = PBKDF2_FUNCTIONS.iter().find(|(oid, _)| *oid == function);
    let (_, function) = known.ok_or_else(|| DecryptError::Unsupported(function.to_string()))?;
    let mut key = Zeroizing::new(vec![0; *key_length]);
    pbkdf2::derive(*function, check_iterations(iterations)?, salt, password.text.as_bytes(), &mut key);
    cipher.decrypt(&key, iv, data)
}

/// A cipher, always in CBC mode with PKCS#7 padding.
#[derive(Clone, Copy)]
enum Cipher {
    Aes(&'static Algorithm),
    TripleDes,
    Rc2,
}

impl Cipher {
    fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let data = Zeroizing::new(data.to_vec());
        match self {
            Cipher::Aes(algorithm) => aes(algorithm, key, iv, data),
            Cipher::TripleDes if key.len() == 16 => {
                des::TdesEde2::new_from_slice(key).ok().and_then(|c| cbc(c, iv, data))
            }
            Cipher::TripleDes => des::TdesEde3::new_from_slice(key).ok().and_then(|c| cbc(c, iv, data)),
            Cipher::Rc2 => cbc(rc2::Rc2::new_with_eff_key_len(key, 8 * key.len()), iv, data),
        }
        .ok_or(DecryptError::WrongPassword)
    }
}

fn aes(
    algorithm: &'static Algorithm,
    key: &[u8],
    iv: &[u8],
    mut data: Zeroizing<Vec<u8>>,
) -> Option<Zeroizing<Vec<u8>>> {
    let key = UnboundCipherKey::new(algorithm, key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7).ok()?;
    let iv: &[u8; 16] = iv.try_into().ok()?;
    let length = key.decrypt(&mut data, DecryptionContext::Iv128(iv.into())).ok()?.len();
    data.truncate(length);
    Some(data)
}

fn cbc(cipher: impl BlockCipherDecrypt, iv: &[u8], mut data: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    let mode = cbc::Decryptor::inner_iv_slice_init(cipher, iv).ok()?;
    let length = mode.decrypt_padded::<Pkcs7>(&mut data).ok()?.len();
    data.truncate(length);
    Some(data)
}

/// What is derived: a key or an initialization vector. RFC 7292 appendix B.3.
const KEY_ID: u8 = 1;
const IV_ID: u8 = 2;

/// The block length of SHA-1, in bytes.
const SHA1_BLOCK_LENGTH: usize = 64;

/// Derives `length` bytes with SHA-1. RFC 7292 appendix B.2.
fn pkcs12_derived(id: u8, password: &[u8], salt: &[u8], iterations: NonZeroU32, length: usize) -> Zeroizing<Vec<u8>> {
    let filled = |bytes: &[u8]| {
        bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(SHA1_BLOCK_LENGTH)).collect::<Vec<u8>>()
    };
    let mut input = Zeroizing::new([filled(salt), filled(password)].concat());
    let mut derived = Zeroizing::new(Vec::with_capacity(length + digest::SHA1_OUTPUT_LEN));
    while derived.len() < length {
        let mut hash = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&[id; SHA1_BLOCK_LENGTH][..], &input].concat());
        for _ in 1..iterations.get() {
            hash = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, hash.as_ref());
        }
        derived.extend(hash.as_ref());
        for block in input.chunks_mut(SHA1_BLOCK_LENGTH) {
            add_with_carry(block, hash.as_ref());
        }
    }
    derived.truncate(length);
    derived
}

/// Sets `block` to `block` + `hash` + 1, as big-endian numbers of the length of `block`. `hash` is repeated to
/// that length.
fn add_with_carry(block: &mut [u8], hash: &[u8]) {
    let mut carry = 1;
    for (place, byte) in block.iter_mut().enumerate().rev() {
        let sum = u16::from(*byte) + u16::from(hash[place % hash.len()]) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
    use der::Encode;
    use der::asn1::Any;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// The test vectors of OpenSSL, Botan and Bouncy Castle.
    #[test]
    fn derived_keys_match_known_vectors() {
        for (password, id, salt, iterations, derived) in [
            ("smeg", KEY_ID, "0a58cf64530d823f", 1, "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"),
            ("smeg", IV_ID, "0a58cf64530d823f", 1, "79993dfe048d3b76"),
            ("smeg", KEY_ID, "642b99ab44fb4b1f", 1, "f3a95fec48d7711e985cfe67908c5ab79fa3d7c5caa5d966"),
            ("queeg", KEY_ID, "05dec959acff72f7", 1000, "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"),
            ("queeg", IV_ID, "05dec959acff72f7", 1000, "11dedad7758d4860"),
        ] {
            let password = Password { text: password, is_none: false }.bmp_string();
            let (derived, iterations) = (hex(derived), NonZeroU32::new(iterations).unwrap());
            assert_eq!(*pkcs12_derived(id, &password, &hex(salt), iterations, derived.len()), derived);
        }
    }

    fn sequence(parts: &[&dyn Fn() -> Vec<u8>]) -> Vec<u8> {
        let content: Vec<u8> = parts.iter().flat_map(|part| part()).collect();
        Any::new(der::Tag::Sequence, content).unwrap().to_der().unwrap()
    }

    /// Returns an AlgorithmIdentifier of one of the schemes of PKCS#12.
    fn pkcs12(oid: ObjectIdentifier, salt: &[u8], iterations: u32) -> Vec<u8> {
        let salt = || OctetStringRef::new(salt).unwrap().to_der().unwrap();
        let parameters = || sequence(&[&salt, &|| iterations.to_der().unwrap()]);
        sequence(&[&|| oid.to_der().unwrap(), &parameters])
    }

    fn opened(scheme: &[u8], data: &[u8], text: &str, is_none: bool) -> Result<Vec<u8>, DecryptError> {
        let scheme = AlgorithmIdentifierRef::from_der(scheme).unwrap();
        decrypt(scheme, data, &Password { text, is_none }).map(|plain| plain.to_vec())
    }

    #[test]
    fn no_password_is_not_an_empty_one() {
        let (salt, oid) = ([7; 8], PKCS12_SCHEMES[0].0);
        let one = NonZeroU32::MIN;
        let (key, iv) = (pkcs12_derived(KEY_ID, &[], &salt, one, 24), pkcs12_derived(IV_ID, &[], &salt, one, 8));
        let mode = cbc::Encryptor::<des::TdesEde3>::new_from_slices(&key, &iv).unwrap();
        let mut data = b"plaintext.......".to_vec();
        mode.encrypt_padded::<Pkcs7>(&mut data, 9).unwrap();
        let scheme = pkcs12(oid, &salt, 1);
        assert_eq!(opened(&scheme, &data, "", true), Ok(b"plaintext".to_vec()));
        assert_ne!(opened(&scheme, &data, "", false), Ok(b"plaintext".to_vec()));
    }

    #[test]
    fn unsupported_schemes_are_reported() {
        let unknown = ObjectIdentifier::new_unwrap("1.2.3.4");
        assert_eq!(opened(&pkcs12(unknown, &[], 1), &[], "x", false), Err(DecryptError::Unsupported("1.2.3.4".into())));
        for (iterations, words) in [(0, "0 iterations"), (u32::MAX, "4294967295 iterations")] {
            let scheme = pkcs12(PKCS12_SCHEMES[0].0, &[1], iterations);
            assert_eq!(opened(&scheme, &[0; 8], "x", false), Err(DecryptError::Unsupported(words.into())));
        }
        let empty = sequence(&[&|| PKCS12_SCHEMES[3].0.to_der().unwrap()]);
        assert!(matches!(opened(&empty, &[], "x", false), Err(DecryptError::Unsupported(_))));
        // The data is not a whole number of blocks.
        assert_eq!(
            opened(&pkcs12(PKCS12_SCHEMES[3].0, &[], 1), &[1, 2, 3], "x", false),
            Err(DecryptError::WrongPassword)
        );
    }
}
