//! Keys: their kinds, what can be done with them, and their public halves.
//!
//! Knows no service and no C. What needs no more than a public key is in `key::verify` and `key::encrypt`.

mod curve;
mod encrypt;
pub mod hash;
mod kind;
pub mod ml_dsa;
mod public_key;
mod scheme;
mod verify;

pub use curve::{Curve, unknown_params};
pub use encrypt::x963;
pub use kind::Kind;
pub use ml_dsa::ParameterSet;
pub use public_key::{Material, PointForm, PublicKey, Unusable, ecdsa_from_der, pad_left, unwrapped_point};
pub use scheme::{Family, Purpose, Scheme};
