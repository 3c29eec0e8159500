//! What is to go wrong.

pub(crate) mod fault;
