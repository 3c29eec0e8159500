//! THE MECHANISM TABLE, and the parameters of mechanisms. PKCS#11 3.1 sections 6.1 and 6.3.
//!
//! A mechanism is a row: the key family, what the caller hands in, and whether it has parameters. What is offered is
//! row x key x service: a row is there for a key if the service has a scheme that the row can lead to.

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::{Family, Kind, Scheme};
use cryptoki_sys::*;

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Mechanism {
    /// Its number in the standard.
    pub ckm: CK_MECHANISM_TYPE,
    /// Its name in the standard.
    pub name: &'static str,
    /// How it signs.
    pub family: Family,
    /// What the caller hands in.
    pub input: Input,
}

/// What the caller of a mechanism hands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// DER of a DigestInfo, which names the hash.
    DigestInfo,
    /// A digest; its hash is named by the parameters (PSS), or does not matter (ECDSA).
    Digest,
    /// A message, which is hashed here.
    Message(Hash),
}

macro_rules! row {
    ($ckm:ident, $family:ident, $input:expr) => {
        Mechanism { ckm: $ckm, name: stringify!($ckm), family: Family::$family, input: $input }
    };
}

/// The mechanisms of this module. To add one is to add a row.
#[rustfmt::skip]
pub static MECHANISMS: [Mechanism; 14] = [
    row!(CKM_RSA_PKCS,            RsaPkcs1, Input::DigestInfo),
    row!(CKM_SHA256_RSA_PKCS,     RsaPkcs1, Input::Message(Hash::Sha256)),
    row!(CKM_SHA384_RSA_PKCS,     RsaPkcs1, Input::Message(Hash::Sha384)),
    row!(CKM_SHA512_RSA_PKCS,     RsaPkcs1, Input::Message(Hash::Sha512)),
    row!(CKM_RSA_PKCS_PSS,        RsaPss,   Input::Digest),
    row!(CKM_SHA256_RSA_PKCS_PSS, RsaPss,   Input::Message(Hash::Sha256)),
    row!(CKM_SHA384_RSA_PKCS_PSS, RsaPss,   Input::Message(Hash::Sha384)),
    row!(CKM_SHA512_RSA_PKCS_PSS, RsaPss,   Input::Message(Hash::Sha512)),
    row!(CKM_ECDSA,               Ecdsa,    Input::Digest),
    row!(CKM_ECDSA_SHA1,          Ecdsa,    Input::Message(Hash::Sha1)),
    row!(CKM_ECDSA_SHA224,        Ecdsa,    Input::Message(Hash::Sha224)),
    row!(CKM_ECDSA_SHA256,        Ecdsa,    Input::Message(Hash::Sha256)),
    row!(CKM_ECDSA_SHA384,        Ecdsa,    Input::Message(Hash::Sha384)),
    row!(CKM_ECDSA_SHA512,        Ecdsa,    Input::Message(Hash::Sha512)),
];

/// A mechanism as a caller names it: its number and the bytes of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentence above says it")]
pub struct Request {
    pub ckm: CK_MECHANISM_TYPE,
    pub parameter: Vec<u8>,
}

impl Mechanism {
    /// The row of that number.
    pub fn from_ckm(ckm: CK_MECHANISM_TYPE) -> Option<&'static Mechanism> {
        MECHANISMS.iter().find(|row| row.ckm == ckm)
    }

    /// The rows that lead to one of these schemes of that kind of key.
    pub fn offered(kind: Kind, schemes: &[Scheme]) -> impl Iterator<Item = &'static Mechanism> {
        MECHANISMS.iter().filter(move |row| schemes.iter().any(|scheme| row.leads_to(kind, *scheme)))
    }

    /// Whether input of this row can become a signature of that scheme.
    fn leads_to(&self, kind: Kind, scheme: Scheme) -> bool {
        self.family == scheme.family
            && match (self.input, kind) {
                // The hash and the key are independent in ECDSA: a digest is fitted to what the service wants.
                (_, Kind::Ec(curve)) => scheme.hash == curve.hash(),
                (Input::Message(hash), _) => scheme.hash == hash,
                (Input::DigestInfo | Input::Digest, _) => true,
            }
    }

    /// CK_MECHANISM_INFO: key sizes in bits, and flags.
    pub fn info(&self) -> CK_MECHANISM_INFO {
        let (smallest, largest, flags) = match self.family {
            Family::RsaPkcs1 | Family::RsaPss => (2048, 4096, 0),
            Family::Ecdsa => (256, 521, CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS),
        };
        CK_MECHANISM_INFO { ulMinKeySize: smallest, ulMaxKeySize: largest, flags: CKF_SIGN | flags }
    }
}

impl Input {
    /// The hash that the mechanism makes of a message itself.
    pub fn hash(self) -> Option<Hash> {
        match self {
            Input::Message(hash) => Some(hash),
            Input::DigestInfo | Input::Digest => None,
        }
    }
}

/// The hash that the parameters name; the parameters have to be just those that the services can honour.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID.
pub fn parameters(mechanism: &Mechanism, parameter: &[u8]) -> Result<Option<Hash>> {
    let invalid = |text: String| Error::new(CKR_MECHANISM_PARAM_INVALID, format!("{}: {text}", mechanism.name));
    if mechanism.family != Family::RsaPss {
        return match parameter.len() {
            0 => Ok(None),
            length => Err(invalid(format!("takes no parameters, {length} bytes were given"))),
        };
    }
    // PKCS#11 3.1 section 6.1.8: CK_RSA_PKCS_PSS_PARAMS { hashAlg, mgf, sLen }.
    let [hash_alg, mgf, salt] = numbers(parameter)
        .ok_or_else(|| invalid(format!("wants CK_RSA_PKCS_PSS_PARAMS, {} bytes were given", parameter.len())))?;
    let hash = Hash::from_ckm(hash_alg).ok_or_else(|| invalid(format!("hashAlg 0x{hash_alg:x} is unknown")))?;
    if mechanism.input.hash().is_some_and(|own| own != hash) {
        return Err(invalid(format!("hashAlg names {}, another hash than the mechanism's", hash.name())));
    }
    if mgf != hash.mgf() {
        return Err(invalid(format!("mgf 0x{mgf:x}: the services only have MGF1 with the same hash, {}", hash.name())));
    }
    if salt != hash.len() as CK_ULONG {
        return Err(invalid(format!(
            "a salt of {salt} bytes: the services only have one as long as the digest, {} bytes (openssl: rsa_pss_saltlen:digest)",
            hash.len()
        )));
    }
    Ok(Some(hash))
}

fn numbers(parameter: &[u8]) -> Option<[CK_ULONG; 3]> {
    const SIZE: usize = size_of::<CK_ULONG>();
    let bytes: &[u8; 3 * SIZE] = parameter.try_into().ok()?;
    let number = |index: usize| {
        let mut one = [0; SIZE];
        one.copy_from_slice(&bytes[index * SIZE..(index + 1) * SIZE]);
        CK_ULONG::from_ne_bytes(one)
    };
    Some([number(0), number(1), number(2)])
}
