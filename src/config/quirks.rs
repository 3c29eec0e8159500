//! How a slot behaves, besides its keys.

use crate::key::PointForm;

/// What a slot does otherwise than others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// CKM_RSA_PKCS given a bare digest of 32, 48 or 64 bytes signs it as SHA-256, SHA-384 or SHA-512.
    pub accept_bare_digest: bool,
    /// How CKA_EC_POINT of an Edwards curve key looks.
    pub edwards_point: PointForm,
    /// C_GenerateRandom asks the service.
    pub random_of_service: bool,
    /// CK_TOKEN_INFO.serialNumber is "0", as the old modules have it: it stands in people's URIs.
    pub zero_serial: bool,
}
