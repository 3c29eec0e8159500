//! Verification of signatures and MACs. PKCS#11 3.2 sections 5.15 and 5.16.
//!
//! Signatures are verified locally. MACs are verified by the service.

use crate::error::Result;
use crate::ffi::pointers::Input;
use crate::mechanism::Request;
use crate::operation::sign::SignatureVerifying;
use crate::provider::Provider;
use crate::provider::session::Last;
use cryptoki_sys::*;

/// C_VerifyInit, section 5.15.1. Without a mechanism, cancels the active operation.
///
/// # Errors
/// Those of `Token::verify_init`.
pub fn init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::begin(&session.verify, request, |request| session.token.verify_init(key, request))
}

/// C_Verify, section 5.15.2.
///
/// # Errors
/// CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE, CKR_DATA_INVALID, and those of the service for a MAC.
pub fn whole(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, signature: Input) -> Result<()> {
    ended(provider, session, Last::Whole(data.0), signature)
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
    ended(provider, session, Last::Parts, signature)
}

fn ended(provider: &Provider, session: CK_SESSION_HANDLE, last: Last, signature: Input) -> Result<()> {
    let session = provider.session(session)?;
    let mut verifying = session.verify.take(&last)?;
    if let Last::Whole(data) = last {
        verifying.update(data)?;
    }
    session.concluded(verifying.finish(signature.0))
}

/// C_VerifySignatureInit, section 5.16.1. The caller passes the signature before the data. Without a mechanism, cancels
/// the active operation.
///
/// # Errors
/// Those of `Token::verify_init`.
pub fn signature_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    key: CK_OBJECT_HANDLE,
    signature: Input,
) -> Result<()> {
    let session = provider.session(session)?;
    super::begin(&session.verify_signature, request, |request| {
        let verifying = session.token.verify_init(key, request)?;
        Ok(SignatureVerifying { verifying, signature: signature.0.to_vec() })
    })
}

/// C_VerifySignature, section 5.16.2.
///
/// # Errors
/// As [`whole`].
pub fn signature_whole(provider: &Provider, session: CK_SESSION_HANDLE, data: Input) -> Result<()> {
    signature_ended(provider, session, Last::Whole(data.0))
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
    signature_ended(provider, session, Last::Parts)
}

fn signature_ended(provider: &Provider, session: CK_SESSION_HANDLE, last: Last) -> Result<()> {
    let session = provider.session(session)?;
    let SignatureVerifying { mut verifying, signature } = session.verify_signature.take(&last)?;
    if let Last::Whole(data) = last {
        verifying.update(data)?;
    }
    session.concluded(verifying.finish(&signature))
}
