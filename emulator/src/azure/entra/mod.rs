//! Microsoft Entra.

pub(crate) mod token_endpoint;
