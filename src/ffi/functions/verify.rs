//! Verification of signatures and MACs. PKCS#11 3.2 sections 5.15 and 5.16.
//!
//! Signatures are verified locally. MACs are verified by the service.

use crate::error::Result;
use crate::ffi::pointers::Input;
use crate::mechanism::MechanismInput;
use crate::operation::sign::SignatureVerificationOperation;
use crate::provider::Provider;
use crate::provider::session::FinalInput;
use cryptoki_sys::*;

/// C_VerifyInit, section 5.15.1. Without a mechanism, cancels the active operation.
///
/// # Errors
/// Those of `Token::verify_init`.
pub fn init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::init_operation(&session.verify, request, |request| session.token.verify_init(key, request))
}

/// C_Verify, section 5.15.2.
///
/// # Errors
/// CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE, CKR_DATA_INVALID, and those of the service for a MAC.
pub fn whole(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, signature: Input) -> Result<()> {
    ended(provider, session, FinalInput::SinglePart(data.0), signature)
}

/// C_VerifyUpdate, section 5.15.3.
pub fn update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input) -> Result<()> {
    provider.session(session)?.verify.update(|verifying| verifying.update(part.0))
}

/// C_VerifyFinal, section 5.15.4.
///
/// # Errors
/// As [`whole`].
pub fn last(provider: &Provider, session: CK_SESSION_HANDLE, signature: Input) -> Result<()> {
    ended(provider, session, FinalInput::MultiPart, signature)
}

fn ended(provider: &Provider, session: CK_SESSION_HANDLE, last: FinalInput, signature: Input) -> Result<()> {
    let session = provider.session(session)?;
    let mut verifying = session.verify.take(&last)?;
    if let FinalInput::SinglePart(data) = last {
        verifying.update(data)?;
    }
    session.record_outcome(verifying.finish(signature.0))
}

/// C_VerifySignatureInit, section 5.16.1. The caller passes the signature before the data. Without a mechanism, cancels
/// the active operation.
///
/// # Errors
/// Those of `Token::verify_init`.
pub fn signature_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    key: CK_OBJECT_HANDLE,
    signature: Input,
) -> Result<()> {
    let session = provider.session(session)?;
    super::init_operation(&session.verify_signature, request, |request| {
        let verifying = session.token.verify_init(key, request)?;
        Ok(SignatureVerificationOperation { verifying, signature: signature.0.to_vec() })
    })
}

/// C_VerifySignature, section 5.16.2.
///
/// # Errors
/// As [`whole`].
pub fn signature_whole(provider: &Provider, session: CK_SESSION_HANDLE, data: Input) -> Result<()> {
    signature_ended(provider, session, FinalInput::SinglePart(data.0))
}

/// C_VerifySignatureUpdate, section 5.16.3.
pub fn signature_update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input) -> Result<()> {
    provider.session(session)?.verify_signature.update(|own| own.verifying.update(part.0))
}

/// C_VerifySignatureFinal, section 5.16.4.
///
/// # Errors
/// As [`whole`].
pub fn signature_last(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    signature_ended(provider, session, FinalInput::MultiPart)
}

fn signature_ended(provider: &Provider, session: CK_SESSION_HANDLE, last: FinalInput) -> Result<()> {
    let session = provider.session(session)?;
    let SignatureVerificationOperation { mut verifying, signature } = session.verify_signature.take(&last)?;
    if let FinalInput::SinglePart(data) = last {
        verifying.update(data)?;
    }
    session.record_outcome(verifying.finish(&signature))
}
