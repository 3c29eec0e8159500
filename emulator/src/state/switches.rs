//! Oddities of the real services.

use serde::{Deserialize, Serialize};

/// Oddities of the real services that can be switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// KMS: error types carry `com.amazonaws.kms#`.
    pub kms_type_prefix: bool,
    /// KMS: error messages are in `Message`.
    pub kms_capital_message: bool,
    /// KMS: the first page of each list is empty, with `Truncated` true.
    pub kms_empty_page: bool,
    /// Key Vault: the first page of a list is empty and still has a `nextLink`.
    pub vault_empty_page: bool,
    /// Key Vault: `n` of a JWK starts with a zero byte.
    pub jwk_leading_zero: bool,
    /// Key Vault: `x` and `y` of a JWK come without leading zero bytes.
    pub jwk_short_coordinates: bool,
    /// Key Vault: tokens that were not asked for with `claims` get a 401 with `error="insufficient_claims"`.
    pub require_claims: bool,
    /// Key Vault: keys made over HTTP are not valid for so many seconds after their creation.
    pub not_yet_valid_seconds: u32,
    /// Cloud KMS: the asymmetric keys that programs create are PENDING_GENERATION for so many milliseconds.
    pub google_generation_ms: u32,
}
