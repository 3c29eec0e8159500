//! The services of Azure.

pub(crate) mod clouds;
pub(crate) mod entra;
pub(crate) mod vault;
