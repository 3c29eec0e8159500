//! The services of Google Cloud: plain functions from a request to a reply.

pub(crate) mod forged;
pub(crate) mod identity;
pub(crate) mod kms;
mod status;
