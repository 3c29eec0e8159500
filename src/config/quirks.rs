//! Deviations of a slot from the default behavior.

use crate::key::PointForm;

/// Per-slot deviations from the default behavior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// CKM_RSA_PKCS accepts a digest of 32, 48 or 64 bytes without a DigestInfo, and signs it as SHA-256, SHA-384
    /// or SHA-512.
    pub accept_bare_digest: bool,
    /// The encoding of CKA_EC_POINT of an Edwards curve key.
    pub edwards_point: PointForm,
    /// C_GenerateRandom gets its bytes from the service.
    pub random_of_service: bool,
    /// CK_TOKEN_INFO.serialNumber is "0", as in the replaced modules. Users' PKCS#11 URIs contain it.
    pub zero_serial: bool,
}
