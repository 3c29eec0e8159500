//! Keys: their kinds, the schemes to use them, and public keys.
//!
//! This module knows neither a service nor C. Operations that need only a public key are in `key::verify` and
//! `key::encrypt`.

mod curve;
mod encrypt;
mod formatted_message;
pub mod hash;
mod kind;
pub mod ml_dsa;
mod public_key;
mod scheme;
pub mod slh_dsa;
mod verify;

pub use curve::{Curve, ec_params_error};
pub use encrypt::x963_kdf;
pub use formatted_message::{MAX_CONTEXT_LEN, formatted_message_prefix};
pub use kind::Kind;
pub use ml_dsa::ParameterSet;
pub use public_key::{PointEncoding, PublicKey, PublicNumbers, Unusable, ecdsa_from_der, pad_left, unwrapped_point};
pub use scheme::{Algorithm, Purpose, Salt, Scheme};
