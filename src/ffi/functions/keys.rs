//! Functions that create, change and destroy objects, and that generate, wrap, unwrap and derive keys.
//!
//! PKCS#11 3.2 sections 5.7 and 5.18.

use crate::error::{Error, Result};
use crate::ffi::pointers::{Input, Output, OutputValue, Template};
use crate::mechanism::MechanismInput;
use crate::object::attribute::{Attribute, flag_in, number_in};
use crate::operation::init;
use crate::operation::multi_part::MultiPartOperation;
use crate::provider::Provider;
use crate::provider::session::Session;
use crate::token;
use cryptoki_sys::*;

/// C_CreateObject, section 5.7.1: creates session objects, and certificates that are token objects.
///
/// # Errors
/// CKR_SESSION_READ_ONLY for a token object in a read-only session, and those of `Token::add_certificate` and
/// `init::created`.
pub fn create_object(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    template: Template,
    object: OutputValue<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    let template = template.attributes()?;
    let is_token_object = flag_in(&template, CKA_TOKEN) == Some(true);
    check_token_object(&own, &template)?;
    object.write(match number_in(&template, CKA_CLASS) {
        Some(CKO_CERTIFICATE) if is_token_object => {
            own.record_outcome(own.token.add_certificate(&template, own.read_write))?
        }
        _ => init::create_object(&own.token, &template, session)?,
    });
    Ok(())
}

/// Checks that the session is read-write if the template is of a token object, whatever its class (section 5.7).
fn check_token_object(session: &Session, template: &[Attribute]) -> Result<()> {
    match flag_in(template, CKA_TOKEN) {
        Some(true) if !session.read_write => Err(token::session_read_only()),
        _ => Ok(()),
    }
}

/// C_CopyObject, section 5.7.2. No object has CKA_COPYABLE.
///
/// # Errors
/// CKR_OBJECT_HANDLE_INVALID if there is no such object, otherwise CKR_ACTION_PROHIBITED.
pub fn copy_object(provider: &Provider, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Result<()> {
    provider.object(session, object)?;
    Err(Error::new(CKR_ACTION_PROHIBITED, "objects of this module can't be copied"))
}

/// C_DestroyObject, section 5.7.3: destroys session objects, and also keys and certificates if the configuration allows
/// it.
///
/// # Errors
/// Those of `Token::destroy`.
pub fn destroy_object(provider: &Provider, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Result<()> {
    let own = provider.session(session)?;
    if own.token.remove_session_object(object) {
        return Ok(());
    }
    own.record_outcome(own.token.destroy(object, own.read_write))
}

/// C_SetAttributeValue, section 5.7.6: changes the labels of keys if the configuration allows it.
///
/// # Errors
/// Those of `Token::set_attributes`.
pub fn set_attribute_value(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: Template,
) -> Result<()> {
    let own = provider.session(session)?;
    own.record_outcome(own.token.set_attributes(object, &template.attributes()?, own.read_write))
}

/// C_GenerateKey, section 5.18.1. The service generates the key.
///
/// # Errors
/// CKR_ARGUMENTS_BAD without a mechanism, and those of `Token::generate`.
pub fn generate(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    template: Template,
    key: OutputValue<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    let result = own.token.generate(&required_mechanism(request)?, &template.attributes()?, own.read_write);
    key.write(own.record_outcome(result)?);
    Ok(())
}

/// C_GenerateKeyPair, section 5.18.2. The service generates the key pair.
///
/// # Errors
/// CKR_ARGUMENTS_BAD without a mechanism, and those of `Token::generate_pair`.
pub fn generate_pair(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    public: Template,
    private: Template,
    public_key: OutputValue<CK_OBJECT_HANDLE>,
    private_key: OutputValue<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    let (public, private) = (public.attributes()?, private.attributes()?);
    let made = own.token.generate_pair(&required_mechanism(request)?, &public, &private, own.read_write);
    let (public, private) = own.record_outcome(made)?;
    public_key.write(public);
    private_key.write(private);
    Ok(())
}

/// C_WrapKey, section 5.18.3. Runs locally, without a request.
///
/// # Errors
/// CKR_ARGUMENTS_BAD without a mechanism, and those of `Token::wrap`.
pub fn wrap(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    wrapping: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
    mut wrapped: Output<u8>,
) -> Result<()> {
    let token = &provider.session(session)?.token;
    let encrypting = token.wrap(wrapping, &required_mechanism(request)?, key)?;
    if wrapped.check_capacity(encrypting.max_output_len())? {
        wrapped.write(&encrypting.finish()?)?;
    }
    Ok(())
}

/// C_UnwrapKey, section 5.18.4. Makes one request.
///
/// # Errors
/// CKR_ARGUMENTS_BAD without a mechanism, CKR_SESSION_READ_ONLY for a token object in a read-only session, and those of
/// `Token::unwrap`.
pub fn unwrap(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    unwrapping: CK_OBJECT_HANDLE,
    wrapped: Input,
    template: Template,
    key: OutputValue<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    let template = template.attributes()?;
    check_token_object(&own, &template)?;
    let made = own.token.unwrap(unwrapping, &required_mechanism(request)?, wrapped.0, &template, session);
    key.write(own.record_outcome(made)?);
    Ok(())
}

/// C_DeriveKey, section 5.18.5. Makes one request.
///
/// # Errors
/// CKR_ARGUMENTS_BAD without a mechanism, CKR_SESSION_READ_ONLY for a token object in a read-only session, and those of
/// `Token::derive`.
pub fn derive(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    base: CK_OBJECT_HANDLE,
    template: Template,
    key: OutputValue<CK_OBJECT_HANDLE>,
) -> Result<()> {
    let own = provider.session(session)?;
    let template = template.attributes()?;
    check_token_object(&own, &template)?;
    let made = own.token.derive(base, &required_mechanism(request)?, &template, session);
    key.write(own.record_outcome(made)?);
    Ok(())
}

fn required_mechanism(request: Option<MechanismInput>) -> Result<MechanismInput> {
    request.ok_or_else(|| Error::new(CKR_ARGUMENTS_BAD, "the pointer to the mechanism is null"))
}
