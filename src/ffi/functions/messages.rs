//! Message signing and verification: any number of messages after one call of the Init function.
//!
//! PKCS#11 3.2 sections 5.14 and 5.17. No mechanism of this module has parameters for each message: every function that
//! takes such a parameter fails with CKR_MECHANISM_PARAM_INVALID if the parameter is not empty.

use crate::error::{Error, Result};
use crate::ffi::pointers::{Input, Output};
use crate::mechanism::MechanismInput;
use crate::operation::multi_part::MultiPartOperation;
use crate::operation::sign::{MessageSigningOperation, MessageVerificationOperation};
use crate::provider::Provider;
use crate::provider::session::{FinalInput, Session};
use cryptoki_sys::*;

/// C_MessageSignInit, section 5.14.1. Without a mechanism, cancels the active operation.
///
/// # Errors
/// Those of `Token::sign_init`.
pub fn sign_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::init_operation(&session.message_sign, request, |request| {
        Ok(MessageSigningOperation { template: session.token.sign_init(key, request)?, current: None })
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
    check_no_parameter(parameter)?;
    let session = provider.session(session)?;
    let mut signing = session.message_sign.with(|own| match own.current {
        Some(_) => Err(message_active()),
        None => Ok(own.template.clone()),
    })??;
    if !signature.check_capacity(signing.max_output_len())? {
        return Ok(());
    }
    let made = signing.update(data.0).and_then(|()| signing.finish());
    signature.write(&cancel_on_error(&session, session.record_outcome(made))?)
}

/// C_SignMessageBegin, section 5.14.3.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished.
pub fn sign_begin(provider: &Provider, session: CK_SESSION_HANDLE, parameter: Input) -> Result<()> {
    check_no_parameter(parameter)?;
    provider.session(session)?.message_sign.with(|own| match own.current {
        Some(_) => Err(message_active()),
        None => {
            own.current = Some(own.template.clone());
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
    check_no_parameter(parameter)?;
    let session = provider.session(session)?;
    let Some(mut signature) = signature else {
        return session.message_sign.with(|own| own.current.as_mut().ok_or_else(no_message_active)?.update(part.0))?;
    };
    let longest = session
        .message_sign
        .with(|own| own.current.as_ref().map(MultiPartOperation::max_output_len).ok_or_else(no_message_active))??;
    if !signature.check_capacity(longest)? {
        return Ok(());
    }
    let mut signing = session.message_sign.with(|own| own.current.take().ok_or_else(no_message_active))??;
    let made = signing.update(part.0).and_then(|()| signing.finish());
    signature.write(&cancel_on_error(&session, session.record_outcome(made))?)
}

/// C_MessageSignFinal, section 5.14.5.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished. The operation ends in that case too.
pub fn sign_final(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    let own = provider.session(session)?.message_sign.take(&FinalInput::MultiPart)?;
    if own.current.is_some() { Err(message_active()) } else { Ok(()) }
}

/// C_MessageVerifyInit, section 5.17.1. Without a mechanism, cancels the active operation.
///
/// # Errors
/// Those of `Token::verify_init`.
pub fn verify_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::init_operation(&session.message_verify, request, |request| {
        Ok(MessageVerificationOperation { template: session.token.verify_init(key, request)?, current: None })
    })
}

/// C_VerifyMessage, section 5.17.2.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started with C_VerifyMessageBegin and not finished, and those of
/// `VerificationOperation::finish`.
pub fn verify(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    parameter: Input,
    data: Input,
    signature: Input,
) -> Result<()> {
    check_no_parameter(parameter)?;
    let session = provider.session(session)?;
    let mut verifying = session.message_verify.with(|own| match own.current {
        Some(_) => Err(message_active()),
        None => Ok(own.template.clone()),
    })??;
    session.record_outcome(verifying.update(data.0).and_then(|()| verifying.finish(signature.0)))
}

/// C_VerifyMessageBegin, section 5.17.3.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished.
pub fn verify_begin(provider: &Provider, session: CK_SESSION_HANDLE, parameter: Input) -> Result<()> {
    check_no_parameter(parameter)?;
    provider.session(session)?.message_verify.with(|own| match own.current {
        Some(_) => Err(message_active()),
        None => {
            own.current = Some(own.template.clone());
            Ok(())
        }
    })?
}

/// C_VerifyMessageNext, section 5.17.4. If the signature is empty, more parts follow.
///
/// # Errors
/// CKR_OPERATION_NOT_INITIALIZED if no message was started, and those of `VerificationOperation::finish`.
pub fn verify_next(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    parameter: Input,
    part: Input,
    signature: Input,
) -> Result<()> {
    check_no_parameter(parameter)?;
    let session = provider.session(session)?;
    if signature.0.is_empty() {
        return session
            .message_verify
            .with(|own| own.current.as_mut().ok_or_else(no_message_active)?.update(part.0))?;
    }
    let mut verifying = session.message_verify.with(|own| own.current.take().ok_or_else(no_message_active))??;
    session.record_outcome(verifying.update(part.0).and_then(|()| verifying.finish(signature.0)))
}

/// C_MessageVerifyFinal, section 5.17.5.
///
/// # Errors
/// CKR_OPERATION_ACTIVE if a message was started and not finished. The operation ends in that case too.
pub fn verify_final(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    let own = provider.session(session)?.message_verify.take(&FinalInput::MultiPart)?;
    if own.current.is_some() { Err(message_active()) } else { Ok(()) }
}

/// Ends the whole signing operation on an error, as C_Sign does: on a failure of the service, and also on a wrong
/// length of the data.
fn cancel_on_error<T>(session: &Session, outcome: Result<T>) -> Result<T> {
    outcome.inspect_err(|_| session.message_sign.cancel())
}

fn check_no_parameter(parameter: Input) -> Result<()> {
    match parameter.0.len() {
        0 => Ok(()),
        length => {
            let text = format!(
                "the call passes {length} bytes of parameters for the message, but no mechanism of this module takes any"
            );
            Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text))
        }
    }
}

fn message_active() -> Error {
    Error::new(CKR_OPERATION_ACTIVE, "a message in parts is active; end it with the function for its last part")
}

fn no_message_active() -> Error {
    Error::new(CKR_OPERATION_NOT_INITIALIZED, "no message in parts is active; begin one first")
}
