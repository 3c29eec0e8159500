//! Keys that are wrapped, unwrapped and derived, and objects that callers make and destroy.
//!
//! PKCS#11 3.2 sections 5.7 and 5.18.

use crate::error::{Error, Result};
use crate::ffi::pointers::{Input, Output, Target, Template};
use crate::keyed;
use crate::making::Making;
use crate::mechanism::Request;
use crate::provider::Provider;
use cryptoki_sys::*;

/// C_CreateObject, section 5.7.1: objects of the session.
pub fn create_object(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    template: Template,
    object: Target<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    object.write(keyed::created(&own.token, &template.attributes()?, session)?);
    Ok(())
}

/// C_DestroyObject, section 5.7.3: objects of a session.
pub fn destroy_object(provider: &Provider, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Result<()> {
    let own = provider.session(session)?;
    if own.token.discard(object) {
        return Ok(());
    }
    provider.object(session, object)?;
    Err(Error::new(CKR_ACTION_PROHIBITED, "an object of the token can't be destroyed"))
}

/// C_WrapKey, section 5.18.3: needs no service.
pub fn wrap(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    wrapping: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
    mut wrapped: Output<u8>,
) -> Result<()> {
    let token = &provider.session(session)?.token;
    let encrypting = token.wrap(wrapping, &given(request)?, key)?;
    if wrapped.has_room(encrypting.longest())? {
        wrapped.write(&encrypting.finish()?)?;
    }
    Ok(())
}

/// C_UnwrapKey, section 5.18.4: one request.
pub fn unwrap(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    unwrapping: CK_OBJECT_HANDLE,
    wrapped: Input,
    template: Template,
    key: Target<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    let template = template.attributes()?;
    let made = own.token.unwrap(unwrapping, &given(request)?, wrapped.0, &template, session);
    key.write(own.concluded(made)?);
    Ok(())
}

/// C_DeriveKey, section 5.18.5: one request.
pub fn derive(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    base: CK_OBJECT_HANDLE,
    template: Template,
    key: Target<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    let made = own.token.derive(base, &given(request)?, &template.attributes()?, session);
    key.write(own.concluded(made)?);
    Ok(())
}

fn given(request: Option<Request>) -> Result<Request> {
    request.ok_or_else(|| Error::new(CKR_ARGUMENTS_BAD, "a null pointer for the mechanism"))
}
