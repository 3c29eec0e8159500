//! Microsoft Entra: the token endpoint, the discovery documents, and the endpoints for managed identities.

mod access_token;
mod client_assertion;
mod discovery;
mod error;
mod managed_identity;
mod token_endpoint;

pub(crate) use access_token::issue;
pub(crate) use discovery::discovery;
pub(crate) use error::error;
pub(crate) use managed_identity::{IDENTITY_HEADER, managed_identity};
pub(crate) use token_endpoint::token;
