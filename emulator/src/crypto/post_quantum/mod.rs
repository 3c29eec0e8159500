//! Post-quantum signatures. Both libraries are other ones than those that verify the signatures in the tests.

pub(super) mod ml_dsa;
pub(super) mod slh_dsa;

pub(crate) use ml_dsa::ParameterSet;
