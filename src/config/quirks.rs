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
    /// What PKCS#11 URIs contain about the slot besides the label.
    pub identity: SlotIdentity,
    /// A key without a certificate has one that the module generates.
    pub generate_certificate: bool,
}

/// The serial number of the token and the description of the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlotIdentity {
    /// Derived from the configuration.
    #[default]
    Own,
    /// As in aws-kms-pkcs11 and azure-keyvault-pkcs11.
    SerialZero,
    /// As in libkmsp11.
    Libkmsp11,
}

impl SlotIdentity {
    /// Returns the fixed CK_TOKEN_INFO.serialNumber, if there is one.
    pub fn serial_number(self) -> Option<&'static str> {
        match self {
            SlotIdentity::Own => None,
            SlotIdentity::SerialZero => Some("0"),
            SlotIdentity::Libkmsp11 => Some("0000000000000000"),
        }
    }

    /// Returns the fixed CK_SLOT_INFO.slotDescription, if there is one.
    pub fn slot_description(self) -> Option<&'static str> {
        (self == SlotIdentity::Libkmsp11).then_some("A virtual slot mapped to a key ring in Google Cloud KMS")
    }
}
