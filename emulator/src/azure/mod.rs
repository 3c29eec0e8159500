//! The services of Azure: plain functions from a request to a reply.

pub(crate) mod clouds;
pub(crate) mod entra;
pub(crate) mod vault;
