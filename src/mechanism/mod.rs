//! Mechanisms: the table, their parameters, and the mechanisms that generate keys.

mod key_generation;
mod parameters;
mod table;

pub use key_generation::{GENERATIONS, Generation};
pub use parameters::{Agreement, Parameters, Request, Shape, WORD, shape, words};
pub use table::{Input, MECHANISMS, Mechanism};
