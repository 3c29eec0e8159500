//! The mechanisms that generate keys. PKCS#11 3.2 sections 6.1.4, 6.3.13, 6.3.14, 6.67.4, 6.68.4 and 6.8.3.

use crate::key::Kind;
use cryptoki_sys::*;

/// A mechanism that generates keys.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyGenMechanism {
    /// The number of the mechanism in the standard.
    pub ckm: CK_MECHANISM_TYPE,
    /// The name of the mechanism in the standard.
    pub name: &'static str,
    /// CKA_KEY_TYPE of the generated keys.
    pub key_type: CK_KEY_TYPE,
    /// CKF_GENERATE_KEY_PAIR or CKF_GENERATE.
    pub flag: CK_FLAGS,
    /// ulMinKeySize and ulMaxKeySize of CK_MECHANISM_INFO, and its flags besides `flag`.
    sizes: (CK_ULONG, CK_ULONG, CK_FLAGS),
}

macro_rules! row {
    ($ckm:ident, $key_type:ident, $flag:ident, $sizes:expr) => {
        KeyGenMechanism { ckm: $ckm, name: stringify!($ckm), key_type: $key_type, flag: $flag, sizes: $sizes }
    };
}

const CURVES: CK_FLAGS = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_OID;

/// All mechanisms that generate keys. A token has those for whose kinds of keys its service can generate keys.
#[rustfmt::skip]
pub static KEY_GEN_MECHANISMS: [KeyGenMechanism; 6] = [
    row!(CKM_RSA_PKCS_KEY_PAIR_GEN,   CKK_RSA,            CKF_GENERATE_KEY_PAIR, (2048, 4096, 0)),
    row!(CKM_EC_KEY_PAIR_GEN,         CKK_EC,             CKF_GENERATE_KEY_PAIR, (256, 521, CURVES | CKF_EC_UNCOMPRESS)),
    row!(CKM_EC_EDWARDS_KEY_PAIR_GEN, CKK_EC_EDWARDS,     CKF_GENERATE_KEY_PAIR, (255, 255, CURVES | CKF_EC_COMPRESS)),
    row!(CKM_ML_DSA_KEY_PAIR_GEN,     CKK_ML_DSA,         CKF_GENERATE_KEY_PAIR, (1312, 2592, 0)),
    row!(CKM_SLH_DSA_KEY_PAIR_GEN,    CKK_SLH_DSA,        CKF_GENERATE_KEY_PAIR, (32, 32, 0)),
    row!(CKM_GENERIC_SECRET_KEY_GEN,  CKK_GENERIC_SECRET, CKF_GENERATE,          (28, 64, 0)),
];

impl KeyGenMechanism {
    /// Returns whether the mechanism generates keys of this kind.
    pub fn generates(&self, kind: Kind) -> bool {
        self.key_type
            == match kind {
                Kind::Rsa(_) => CKK_RSA,
                Kind::Ec(_) => CKK_EC,
                Kind::Ed25519 => CKK_EC_EDWARDS,
                Kind::MlDsa(_) => CKK_ML_DSA,
                Kind::SlhDsa(_) => CKK_SLH_DSA,
                Kind::Hmac(_) => CKK_GENERIC_SECRET,
            }
    }

    /// Returns CK_MECHANISM_INFO. The service generates the keys, not software on this machine.
    pub fn info(&self) -> CK_MECHANISM_INFO {
        let (smallest, largest, more) = self.sizes;
        CK_MECHANISM_INFO { ulMinKeySize: smallest, ulMaxKeySize: largest, flags: self.flag | more }
    }
}
