//! Signatures and MACs: one request for each, and none for a size query. PKCS#11 3.2 section 5.13.

use super::finish_operation;
use crate::error::Result;
use crate::ffi::pointers::{Input, Output};
use crate::mechanism::MechanismInput;
use crate::operation::multi_part::MultiPartOperation;
use crate::provider::Provider;
use crate::provider::session::FinalInput;
use cryptoki_sys::*;

/// C_SignInit, section 5.13.1. Without a mechanism, cancels the active operation.
///
/// # Errors
/// Those of `Token::sign_init`.
pub fn init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::init_operation(&session.sign, request, |request| session.token.sign_init(key, request))
}

/// C_Sign, section 5.13.2.
///
/// # Errors
/// CKR_DATA_INVALID, and those of the service.
pub fn single_part(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, signature: Output<u8>) -> Result<()> {
    finish(provider, session, FinalInput::SinglePart(data.0), signature)
}

/// C_SignUpdate, section 5.13.3.
pub fn update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input) -> Result<()> {
    provider.session(session)?.sign.update(|signing| signing.update(part.0))
}

/// C_SignFinal, section 5.13.4.
///
/// # Errors
/// As [`single_part`].
pub fn finalize(provider: &Provider, session: CK_SESSION_HANDLE, signature: Output<u8>) -> Result<()> {
    finish(provider, session, FinalInput::MultiPart, signature)
}

fn finish(provider: &Provider, session: CK_SESSION_HANDLE, last: FinalInput, signature: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    finish_operation(&session, &session.sign, last, signature, drop)
}
