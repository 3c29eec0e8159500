//! The port.

pub(crate) mod delivery;
pub(crate) mod port;
pub(crate) mod router;
