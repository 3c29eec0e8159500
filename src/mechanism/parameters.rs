//! The parameters of mechanisms: their layout in memory, and the values that the services can honor.
//!
//! PKCS#11 3.2: CK_RSA_PKCS_PSS_PARAMS (6.1.8), CK_RSA_PKCS_OAEP_PARAMS (6.1.7), CK_ECDH1_DERIVE_PARAMS (6.3.18),
//! CK_EDDSA_PARAMS (6.3.6), CK_SIGN_ADDITIONAL_CONTEXT and CK_HASH_SIGN_ADDITIONAL_CONTEXT (6.67, 6.68).

use super::table::{Input, MECHANISMS, Mechanism};
use crate::error::{Error, Result};
use crate::key::hash::Hash;
use crate::key::{Algorithm, MAX_CONTEXT_LEN, Salt};
use crate::log_info;
use cryptoki_sys::*;

/// A mechanism as the caller passes it: its number, its parameters, and the data to which pointers in the
/// parameters point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MechanismInput {
    /// The number of the mechanism.
    pub ckm: CK_MECHANISM_TYPE,
    /// The bytes of the parameters as the caller passed them. Pointers in these bytes are no longer valid.
    pub parameter: Vec<u8>,
    /// The data to which the pointers of the shape point, in the order of [`ParameterLayout::pointers`].
    pub data: Vec<Vec<u8>>,
}

/// The layout of a mechanism's parameters in memory: words of the length of a CK_ULONG, some of which are
/// pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterLayout {
    /// The number of words.
    pub words: usize,
    /// For each pointer, the index of its word and the index of the word with the length in bytes of its data.
    pub pointers: &'static [(usize, usize)],
    /// Whether the caller may pass no parameters.
    optional: bool,
}

const NONE: ParameterLayout = ParameterLayout { words: 0, pointers: &[], optional: true };
const PSS: ParameterLayout = ParameterLayout { words: 3, pointers: &[], optional: false };
const OAEP: ParameterLayout = ParameterLayout { words: 5, pointers: &[(3, 4)], optional: false };
const ECDH1: ParameterLayout = ParameterLayout { words: 5, pointers: &[(2, 1), (4, 3)], optional: false };
const EDDSA: ParameterLayout = ParameterLayout { words: 3, pointers: &[(2, 1)], optional: true };
const CONTEXT: ParameterLayout = ParameterLayout { words: 3, pointers: &[(1, 2)], optional: true };
const HASH_CONTEXT: ParameterLayout = ParameterLayout { words: 4, pointers: &[(1, 2)], optional: false };

/// Returns the shape of a mechanism's parameters. An unknown mechanism has no parameters.
pub fn shape(ckm: CK_MECHANISM_TYPE) -> ParameterLayout {
    MECHANISMS.iter().find(|row| row.ckm == ckm).map_or(NONE, Mechanism::shape)
}

/// The values in the parameters of a mechanism.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// The hash that the parameters name.
    pub hash: Option<Hash>,
    /// The salt of a PSS signature. Other mechanisms have none.
    pub salt: Salt,
    /// The context of an ML-DSA or SLH-DSA signature.
    pub context: Vec<u8>,
    /// The other party of a key agreement.
    pub agreement: Option<Ecdh1Parameters>,
}

/// The values in CK_ECDH1_DERIVE_PARAMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecdh1Parameters {
    /// The hash of the X9.63 key derivation function. None is CKD_NULL.
    pub kdf: Option<Hash>,
    /// The data that both parties share besides the secret.
    pub shared_data: Vec<u8>,
    /// The uncompressed point of the other party, possibly in DER of an OCTET STRING.
    pub public_data: Vec<u8>,
}

/// The key derivation functions, with the hash of each.
const KDFS: [(CK_EC_KDF_TYPE, Option<Hash>); 10] = [
    (CKD_NULL, None),
    (CKD_SHA1_KDF, Some(Hash::Sha1)),
    (CKD_SHA224_KDF, Some(Hash::Sha224)),
    (CKD_SHA256_KDF, Some(Hash::Sha256)),
    (CKD_SHA384_KDF, Some(Hash::Sha384)),
    (CKD_SHA512_KDF, Some(Hash::Sha512)),
    (CKD_SHA3_224_KDF, Some(Hash::Sha3_224)),
    (CKD_SHA3_256_KDF, Some(Hash::Sha3_256)),
    (CKD_SHA3_384_KDF, Some(Hash::Sha3_384)),
    (CKD_SHA3_512_KDF, Some(Hash::Sha3_512)),
];

impl Mechanism {
    fn shape(&self) -> ParameterLayout {
        match (self.family, self.input) {
            (Algorithm::RsaPss, _) => PSS,
            (Algorithm::RsaesOaep, _) => OAEP,
            (Algorithm::Ecdh, _) => ECDH1,
            (Algorithm::Eddsa, _) => EDDSA,
            (Algorithm::MlDsa | Algorithm::SlhDsa, Input::Digest) => HASH_CONTEXT,
            (Algorithm::MlDsa | Algorithm::SlhDsa, _) => CONTEXT,
            _ => NONE,
        }
    }

    /// Returns the values in the parameters. Only values that the services can honor are accepted.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID.
    pub fn parse_parameters(&self, request: &MechanismInput) -> Result<Parameters> {
        let shape = self.shape();
        let words = words(&request.parameter);
        if request.parameter.is_empty() && shape.optional {
            return Ok(Parameters::default());
        }
        if request.parameter.len() != shape.words * WORD || request.data.len() != shape.pointers.len() {
            let text =
                format!("the parameters must have {} bytes, but have {}", shape.words * WORD, request.parameter.len());
            return Err(self.invalid(text));
        }
        match shape {
            PSS => self.pss(&words),
            OAEP => self.oaep(&words, &request.data[0]),
            ECDH1 => self.ecdh1(&words, &request.data),
            EDDSA => self.eddsa(request.parameter[0], &request.data[0]),
            _ => self.context(&words, &request.data[0]),
        }
    }

    fn pss(&self, words: &[CK_ULONG]) -> Result<Parameters> {
        let [hash_alg, mgf, salt] = *words else {
            return Err(self.invalid("the parameters must be CK_RSA_PKCS_PSS_PARAMS".into()));
        };
        let hash = self.hash(hash_alg)?;
        if self.input.hash().is_some_and(|own| own != hash) {
            return Err(self.invalid(format!("hashAlg is {}, which is not the hash of the mechanism", hash.name())));
        }
        self.check_mgf(hash, mgf)?;
        let salt = match u16::try_from(salt) {
            Ok(length) if usize::from(length) == hash.len() => Salt::Digest,
            Ok(length) => Salt::Length(length),
            Err(_) => return Err(self.invalid(format!("sLen is {salt}, which is longer than any key"))),
        };
        Ok(Parameters { hash: Some(hash), salt, ..Default::default() })
    }

    fn oaep(&self, words: &[CK_ULONG], label: &[u8]) -> Result<Parameters> {
        // OpenSSL's pkcs11-provider (1.0 to 1.3) leaves out what a program does not name. If only a hash is named
        // (rsa_oaep_md), the mask generation function is MGF1 with that hash, since there is one for each hash. If
        // neither is named, the defaults of RFC 8017 appendix A.2.1 apply, as in OpenSSL.
        let hash = match (words[0], words[1]) {
            (0, 0) => Hash::Sha1,
            (ckm, _) => self.hash(ckm)?,
        };
        match words[1] {
            0 => log_info!("{}: mgf 0 is treated as MGF1 with the same hash, {}", self.name, hash.name()),
            mgf => self.check_mgf(hash, mgf)?,
        }
        // Without data, a source other than CKZ_DATA_SPECIFIED has no meaning. Many callers pass 0.
        if !label.is_empty() || ![0, CKZ_DATA_SPECIFIED].contains(&words[2]) {
            return Err(self.invalid("the services support OAEP only with an empty label".into()));
        }
        Ok(Parameters { hash: Some(hash), ..Default::default() })
    }

    fn ecdh1(&self, words: &[CK_ULONG], data: &[Vec<u8>]) -> Result<Parameters> {
        let kdf = KDFS.iter().find(|(number, _)| *number == words[0]);
        let (_, kdf) = kdf.ok_or_else(|| self.invalid(format!("kdf {} is not supported", words[0])))?;
        if kdf.is_none() && !data[0].is_empty() {
            return Err(self.invalid("CKD_NULL takes no shared data".into()));
        }
        let agreement = Ecdh1Parameters { kdf: *kdf, shared_data: data[0].clone(), public_data: data[1].clone() };
        Ok(Parameters { agreement: Some(agreement), ..Default::default() })
    }

    fn eddsa(&self, prehash: u8, context: &[u8]) -> Result<Parameters> {
        match (prehash, context) {
            (CK_FALSE, []) => Ok(Parameters::default()),
            _ => Err(self.invalid("the services support Ed25519 only without a prehash and without a context".into())),
        }
    }

    /// Whether signatures are hedged is the service's choice, and a signature does not show it. So the module
    /// cannot promise CKH_DETERMINISTIC_REQUIRED, and refuses it.
    fn context(&self, words: &[CK_ULONG], context: &[u8]) -> Result<Parameters> {
        if words[0] == CKH_DETERMINISTIC_REQUIRED {
            return Err(self
                .invalid("the services do not guarantee deterministic signatures; use another hedge variant".into()));
        }
        if context.len() > MAX_CONTEXT_LEN {
            return Err(self.invalid(format!("the context has {} bytes, but 255 at most are allowed", context.len())));
        }
        let hash = words.get(3).map(|ckm| self.hash(*ckm)).transpose()?;
        Ok(Parameters { hash, context: context.to_vec(), ..Default::default() })
    }

    fn hash(&self, ckm: CK_MECHANISM_TYPE) -> Result<Hash> {
        Hash::from_ckm(ckm).ok_or_else(|| self.invalid(format!("hashAlg 0x{ckm:x} is unknown")))
    }

    fn check_mgf(&self, hash: Hash, mgf: CK_RSA_PKCS_MGF_TYPE) -> Result<()> {
        if mgf == hash.mgf() {
            return Ok(());
        }
        let text =
            format!("mgf 0x{mgf:x} is not supported: the services only use MGF1 with the same hash, {}", hash.name());
        Err(self.invalid(text))
    }

    fn invalid(&self, text: String) -> Error {
        Error::new(CKR_MECHANISM_PARAM_INVALID, format!("{}: {text}", self.name))
    }
}

/// The length of a word in bytes.
pub const WORD: usize = size_of::<CK_ULONG>();

/// Returns the parameters as words. An incomplete word at the end is left out.
pub fn words(parameter: &[u8]) -> Vec<CK_ULONG> {
    let (words, _) = parameter.as_chunks::<WORD>();
    words.iter().map(|word| CK_ULONG::from_ne_bytes(*word)).collect()
}
