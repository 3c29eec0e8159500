//! What is to go wrong. The server and the services carry the faults out.

mod action;
mod fault;
mod fault_set;
mod flaw;
mod tamper;

pub use action::Action;
pub use fault::Fault;
pub(crate) use fault::{CONNECT, CONNECTION};
pub(crate) use fault_set::FaultSet;
pub use flaw::Flaw;
pub(crate) use tamper::Tamper;
