//! One HTTP exchange.

pub(crate) mod request;
