//! Deviations of a slot from the default behavior.

use crate::key::PointEncoding;

/// Per-slot deviations from the default behavior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// CKM_RSA_PKCS accepts a digest of 32, 48 or 64 bytes without a DigestInfo, and signs it as SHA-256, SHA-384
    /// or SHA-512.
    pub accept_bare_digest: bool,
    /// The encoding of CKA_EC_POINT of an Edwards curve key.
    pub edwards_point: PointEncoding,
    /// C_GenerateRandom gets its bytes from the service.
    pub random_from_service: bool,
    /// CK_TOKEN_INFO.serialNumber is "0", as in the replaced modules. Users' PKCS#11 URIs contain it.
    pub serial_number_zero: bool,
}
