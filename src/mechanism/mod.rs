//! Mechanisms: the table, their parameters, and the mechanisms that generate keys.

mod key_generation;
mod parameters;
mod table;

pub use key_generation::{KEY_GEN_MECHANISMS, KeyGenMechanism};
pub use parameters::{Ecdh1Parameters, MechanismInput, ParameterLayout, Parameters, WORD, shape, words};
pub use table::{Input, MECHANISMS, Mechanism};
