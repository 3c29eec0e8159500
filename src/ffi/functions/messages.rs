//! Message signing and verification: any number of messages after one call of the Init function.
//!
//! PKCS#11 3.2 sections 5.14 and 5.17. No mechanism of this module has parameters for each message: every function that
//! takes such a parameter fails with CKR_MECHANISM_PARAM_INVALID if the parameter is not empty.

use crate::error::{Error, Result};
use crate::ffi::pointers::{Input, Output};
use crate::mechanism::Request;
use crate::operation::multi_part::Making;
use crate::operation::sign::{MessageSigning, MessageVerifying};
use crate::provider::Provider;
use crate::provider::session::{Last, Session};
use cryptoki_sys::*;

/// C_MessageSignInit, section 5.14.1. Without a mechanism, cancels the active operation.
///
/// # Errors
/// Those of `Token::sign_init`.
pub fn sign_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::begin(&session.message_sign, request, |request| {
        Ok(MessageSigning { each: session.token.sign_init(key, request)?, current: None })
    })
}

/// C_SignMessage, section 5.14.2.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started with C_SignMessageBegin and not finished, and those of the service.
pub fn sign(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    parameter: Input,
    data: Input,
    mut signature: Output<u8>,
) -> Result<()> {
    no_parameter(parameter)?;
    let session = provider.session(session)?;
    let mut signing = session.message_sign.with(|own| match own.current {
        Some(_) => Err(in_parts()),
        None => Ok(own.each.clone()),
    })??;
    if !signature.has_room(signing.longest())? {
        return Ok(());
    }
    let made = signing.update(data.0).and_then(|()| signing.finish());
    signature.write(&ended_if_bad(&session, session.concluded(made))?)
}

/// C_SignMessageBegin, section 5.14.3.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished.
pub fn sign_begin(provider: &Provider, session: CK_SESSION_HANDLE, parameter: Input) -> Result<()> {
    no_parameter(parameter)?;
    provider.session(session)?.message_sign.with(|own| match own.current {
        Some(_) => Err(in_parts()),
        None => {
            own.current = Some(own.each.clone());
            Ok(())
        }
    })?
}

/// C_SignMessageNext, section 5.14.4. If the pointer to the signature's length is null, more parts follow.
///
/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED if no message was started, and those of the service.
pub fn sign_next(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    parameter: Input,
    part: Input,
    signature: Option<Output<u8>>,
) -> Result<()> {
    no_parameter(parameter)?;
    let session = provider.session(session)?;
    let Some(mut signature) = signature else {
        return session.message_sign.with(|own| own.current.as_mut().ok_or_else(not_begun)?.update(part.0))?;
    };
    let longest =
        session.message_sign.with(|own| own.current.as_ref().map(Making::longest).ok_or_else(not_begun))??;
    if !signature.has_room(longest)? {
        return Ok(());
    }
    let mut signing = session.message_sign.with(|own| own.current.take().ok_or_else(not_begun))??;
    let made = signing.update(part.0).and_then(|()| signing.finish());
    signature.write(&ended_if_bad(&session, session.concluded(made))?)
}

/// C_MessageSignFinal, section 5.14.5.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished. The operation ends in that case too.
pub fn sign_final(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    let own = provider.session(session)?.message_sign.take(&Last::Parts)?;
    if own.current.is_some() { Err(in_parts()) } else { Ok(()) }
}

/// C_MessageVerifyInit, section 5.17.1. Without a mechanism, cancels the active operation.
///
/// # Errors
/// Those of `Token::verify_init`.
pub fn verify_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::begin(&session.message_verify, request, |request| {
        Ok(MessageVerifying { each: session.token.verify_init(key, request)?, current: None })
    })
}

/// C_VerifyMessage, section 5.17.2.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started with C_VerifyMessageBegin and not finished, and those of
/// `Verifying::finish`.
pub fn verify(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    parameter: Input,
    data: Input,
    signature: Input,
) -> Result<()> {
    no_parameter(parameter)?;
    let session = provider.session(session)?;
    let mut verifying = session.message_verify.with(|own| match own.current {
        Some(_) => Err(in_parts()),
        None => Ok(own.each.clone()),
    })??;
    session.concluded(verifying.update(data.0).and_then(|()| verifying.finish(signature.0)))
}

/// C_VerifyMessageBegin, section 5.17.3.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished.
pub fn verify_begin(provider: &Provider, session: CK_SESSION_HANDLE, parameter: Input) -> Result<()> {
    no_parameter(parameter)?;
    provider.session(session)?.message_verify.with(|own| match own.current {
        Some(_) => Err(in_parts()),
        None => {
            own.current = Some(own.each.clone());
            Ok(())
        }
    })?
}

/// C_VerifyMessageNext, section 5.17.4. If the signature is empty, more parts follow.
///
/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED if no message was started, and those of `Verifying::finish`.
pub fn verify_next(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    parameter: Input,
    part: Input,
    signature: Input,
) -> Result<()> {
    no_parameter(parameter)?;
    let session = provider.session(session)?;
    if signature.0.is_empty() {
        return session.message_verify.with(|own| own.current.as_mut().ok_or_else(not_begun)?.update(part.0))?;
    }
    let mut verifying = session.message_verify.with(|own| own.current.take().ok_or_else(not_begun))??;
    session.concluded(verifying.update(part.0).and_then(|()| verifying.finish(signature.0)))
}

/// C_MessageVerifyFinal, section 5.17.5.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished. The operation ends in that case too.
pub fn verify_final(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    let own = provider.session(session)?.message_verify.take(&Last::Parts)?;
    if own.current.is_some() { Err(in_parts()) } else { Ok(()) }
}

/// Ends the whole signing operation on an error, as C_Sign does: on a failure of the service, and also on a wrong
/// length of the data.
fn ended_if_bad<T>(session: &Session, outcome: Result<T>) -> Result<T> {
    outcome.inspect_err(|_| session.message_sign.cancel())
}

fn no_parameter(parameter: Input) -> Result<()> {
    match parameter.0.len() {
        0 => Ok(()),
        length => {
            let text = format!("no mechanism here has parameters for each message, {length} bytes were given");
            Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text))
        }
    }
}

fn in_parts() -> Error {
    Error::new(CKR_OPERATION_ACTIVE, "a message was begun in parts, and not ended")
}

fn not_begun() -> Error {
    Error::new(CKR_OPERATION_NOT_INITIALIZED, "no message was begun in parts")
}
