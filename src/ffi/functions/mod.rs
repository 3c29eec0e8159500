//! The bodies of the supported C functions, in safe Rust. PKCS#11 3.1 chapter 5 specifies the functions.
//!
//! These errors are common to many functions, and the comments of the functions do not repeat them:
//!
//! * CKR_SESSION_HANDLE_INVALID or CKR_SLOT_ID_INVALID if there is no such session or slot.
//! * CKR_BUFFER_TOO_SMALL if the result does not fit into the caller's buffer.
//! * CKR_OPERATION_ACTIVE from an Init function if an operation of the same kind is active, and from a single-part
//!   function if an update function was called before.
//! * CKR_OPERATION_NOT_INITIALIZED if no operation is active that the function can continue or end.
//! * CKR_DATA_LEN_RANGE if the data is too long for the mechanism or the service.
//! * CKR_SESSION_CLOSED from a function that makes a request, if the session is closed meanwhile.

pub mod cipher;
pub mod digest;
pub mod keys;
pub mod messages;
pub mod sign;
pub mod termination;
pub mod verify;

use super::pointers::{FixedOutput, HandleBuffer, Input, Output, OutputValue, Template};
use crate::cloud::SecretBytes;
use crate::config::Management;
use crate::error::{Error, Result};
use crate::key::hash::Hash;
use crate::mechanism::MechanismInput;
use crate::operation::multi_part::MultiPartOperation;
use crate::provider::Provider;
use crate::provider::session::{ActiveOperation, FinalInput, Session};
use crate::token::MAX_PIN_LEN;
use cryptoki_sys::*;

/// The version of this module: the first two numbers of that of the crate.
const VERSION: CK_VERSION =
    CK_VERSION { major: number(env!("CARGO_PKG_VERSION_MAJOR")), minor: number(env!("CARGO_PKG_VERSION_MINOR")) };

const fn number(digits: &str) -> u8 {
    if let Ok(number) = u8::from_str_radix(digits, 10) { number } else { u8::MAX }
}

/// C_GetInfo, section 5.4.3. `cryptoki` is the version of the function list through which the function was called.
pub fn info(_: &Provider, cryptoki: CK_VERSION, info: OutputValue<CK_INFO>) -> Result<()> {
    info.write(CK_INFO {
        cryptokiVersion: cryptoki,
        manufacturerID: padded("cloud-kms-pkcs11"),
        flags: 0,
        libraryDescription: padded("Keys in cloud key services"),
        libraryVersion: VERSION,
    });
    Ok(())
}

/// C_GetSlotList, section 5.5.1. Every slot has a token, so `_present` makes no difference.
pub fn slot_list(provider: &Provider, _present: CK_BBOOL, slots: Output<CK_SLOT_ID>) -> Result<()> {
    slots.write(&provider.list_slots())
}

/// C_GetSlotInfo, section 5.5.2.
pub fn slot_info(provider: &Provider, slot: CK_SLOT_ID, info: OutputValue<CK_SLOT_INFO>) -> Result<()> {
    let token = provider.token(slot)?;
    info.write(CK_SLOT_INFO {
        slotDescription: padded(&token.slot_description()),
        manufacturerID: padded(token.backend().identity().manufacturer),
        flags: CKF_TOKEN_PRESENT,
        hardwareVersion: VERSION,
        firmwareVersion: VERSION,
    });
    Ok(())
}

/// C_GetTokenInfo, section 5.5.3. Never makes a request.
pub fn token_info(provider: &Provider, slot: CK_SLOT_ID, info: OutputValue<CK_TOKEN_INFO>) -> Result<()> {
    let token = provider.token(slot)?;
    let identity = token.backend().identity();
    let requires_login = token.backend().login().is_some();
    let login_flag = if requires_login { CKF_LOGIN_REQUIRED } else { 0 };
    let (all, writing) = token.session_counts();
    let changes = token.management().is_some_and(Management::allows_anything);
    let write_protected = if changes { 0 } else { CKF_WRITE_PROTECTED };
    info.write(CK_TOKEN_INFO {
        label: padded(token.label()),
        manufacturerID: padded(identity.manufacturer),
        model: padded(identity.model),
        serialNumber: padded(token.serial()),
        // CKF_USER_PIN_INITIALIZED is set even if no PIN is needed: libp11 before 0.4.13 skips the token otherwise.
        flags: CKF_RNG | CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | write_protected | login_flag,
        ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
        ulSessionCount: all as CK_ULONG,
        ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
        ulRwSessionCount: writing as CK_ULONG,
        ulMaxPinLen: if requires_login { MAX_PIN_LEN as CK_ULONG } else { 255 },
        ulMinPinLen: CK_ULONG::from(requires_login),
        ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
        hardwareVersion: VERSION,
        firmwareVersion: VERSION,
        utcTime: padded(""),
    });
    Ok(())
}

/// C_WaitForSlotEvent, section 5.5.4. There are no slot events to wait for.
///
/// # Errors
/// CKR_NO_EVENT with CKF_DONT_BLOCK, otherwise CKR_FUNCTION_NOT_SUPPORTED.
pub fn wait_for_slot_event(_: &Provider, flags: CK_FLAGS) -> Result<()> {
    let rv = if flags & CKF_DONT_BLOCK != 0 { CKR_NO_EVENT } else { CKR_FUNCTION_NOT_SUPPORTED };
    Err(Error::new(rv, "the slots of this module never change, so they have no events"))
}

/// C_GetMechanismList, section 5.5.5: lists the mechanisms of the token's keys, and the digests.
pub fn mechanism_list(provider: &Provider, slot: CK_SLOT_ID, list: Output<CK_MECHANISM_TYPE>) -> Result<()> {
    let token = provider.token(slot)?;
    let key_mechanisms = token.mechanisms().into_iter();
    list.write(&key_mechanisms.chain(Hash::with_digest_mechanism().map(Hash::ckm)).collect::<Vec<_>>())
}

/// C_GetMechanismInfo, section 5.5.6.
///
/// # Errors
/// CKR_MECHANISM_INVALID if the token does not have the mechanism.
pub fn mechanism_info(
    provider: &Provider,
    slot: CK_SLOT_ID,
    ckm: CK_MECHANISM_TYPE,
    info: OutputValue<CK_MECHANISM_INFO>,
) -> Result<()> {
    let token = provider.token(slot)?;
    let unknown = || Error::expected(CKR_MECHANISM_INVALID, format!("the token does not have the mechanism 0x{ckm:x}"));
    let digests = CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: CKF_DIGEST };
    info.write(match Hash::from_ckm(ckm) {
        Some(_) => digests,
        None => token.mechanism_info(ckm).ok_or_else(unknown)?,
    });
    Ok(())
}

/// C_OpenSession, section 5.6.1.
///
/// # Errors
/// Those of [`Provider::open_session`].
pub fn open_session(
    provider: &Provider,
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    handle: OutputValue<CK_SESSION_HANDLE>,
) -> Result<()> {
    handle.write(provider.open_session(slot, flags)?);
    Ok(())
}

/// C_CloseSession, section 5.6.2.
pub fn close_session(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.close_session(session)
}

/// C_CloseAllSessions, section 5.6.3.
pub fn close_all_sessions(provider: &Provider, slot: CK_SLOT_ID) -> Result<()> {
    provider.close_all_sessions(slot)
}

/// C_GetSessionInfo, section 5.6.4.
pub fn session_info(provider: &Provider, session: CK_SESSION_HANDLE, info: OutputValue<CK_SESSION_INFO>) -> Result<()> {
    let session = provider.session(session)?;
    let writing = if session.read_write { CKF_RW_SESSION } else { 0 };
    info.write(CK_SESSION_INFO {
        slotID: session.slot,
        state: session.state(),
        flags: CKF_SERIAL_SESSION | writing,
        ulDeviceError: session.device_error(),
    });
    Ok(())
}

/// C_SessionCancel, PKCS#11 3.1 section 5.6.5: cancels the operations that the flags name.
pub fn session_cancel(provider: &Provider, session: CK_SESSION_HANDLE, flags: CK_FLAGS) -> Result<()> {
    provider.session(session)?.cancel(flags);
    Ok(())
}

/// C_Login, section 5.6.8. The PIN is ignored, unless the PIN is the token's credential.
///
/// # Errors
/// Those of [`Provider::log_in`].
pub fn login(provider: &Provider, session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: Input) -> Result<()> {
    provider.log_in(session, user, pin.0)
}

/// C_LoginUser, section 5.6.9. The user name is ignored.
///
/// # Errors
/// Those of [`Provider::log_in`].
pub fn login_user(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: Input,
    _name: Input,
) -> Result<()> {
    provider.log_in(session, user, pin.0)
}

/// C_Logout, section 5.6.10.
///
/// # Errors
/// CKR_USER_NOT_LOGGED_IN if no user is logged in.
pub fn logout(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.log_out(session)
}

/// C_GetSessionValidationFlags, PKCS#11 3.2 section 5.6.11. The module claims no validation.
pub fn session_validation_flags(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    _kind: CK_ULONG,
    flags: OutputValue<CK_FLAGS>,
) -> Result<()> {
    provider.session(session)?;
    flags.write(0);
    Ok(())
}

/// C_GetObjectSize, section 5.7.4: returns the size of the attributes.
///
/// # Errors
/// CKR_OBJECT_HANDLE_INVALID if there is no such object.
pub fn object_size(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    size: OutputValue<CK_ULONG>,
) -> Result<()> {
    let own = provider.session(session)?;
    own.record_outcome(own.token.confirm(object))?;
    size.write(provider.object(session, object)?.attributes.size() as CK_ULONG);
    Ok(())
}

/// C_GetAttributeValue, section 5.7.5. Reads the attributes from memory. Only a cached public key that may be out of date
/// takes a request, once.
///
/// # Errors
/// Those of [`Token::object_with`](crate::token::Token::object_with) and [`Template::write_values`].
pub fn attribute_value(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: Template,
) -> Result<()> {
    let own = provider.session(session)?;
    let object = own.token.object_with(object, template.types());
    template.write_values(&*own.record_outcome(object)?)
}

/// C_FindObjectsInit, section 5.7.7. Loads the objects that are not loaded yet.
///
/// # Errors
/// Those of [`Template::search_criteria`] and [`Provider::find_init`].
pub fn find_objects_init(provider: &Provider, session: CK_SESSION_HANDLE, template: Template) -> Result<()> {
    provider.find_init(session, &template.search_criteria()?)
}

/// C_FindObjects, section 5.7.8.
pub fn find_objects(provider: &Provider, session: CK_SESSION_HANDLE, batch: HandleBuffer) -> Result<()> {
    let found = provider.session(session)?.find_next(batch.capacity())?;
    batch.write(&found);
    Ok(())
}

/// C_FindObjectsFinal, section 5.7.9.
pub fn find_objects_final(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.session(session)?.find.take(&FinalInput::MultiPart).map(drop)
}

/// C_GenerateRandom, section 5.17.2. The random data comes from the operating system, without a request, or from the
/// service if the slot's configuration says so.
///
/// # Errors
/// CKR_RANDOM_NO_RNG if the operating system returns no random data, and those of the service.
pub fn generate_random(provider: &Provider, session: CK_SESSION_HANDLE, random: FixedOutput) -> Result<()> {
    let session = provider.session(session)?;
    if session.token.quirks().random_from_service {
        let bytes = session.record_outcome(session.token.random(random.len()))?;
        return random.write(&bytes);
    }
    random.fill_with(|bytes| {
        aws_lc_rs::rand::fill(bytes)
            .map_err(|_| Error::new(CKR_RANDOM_NO_RNG, "the operating system returned no random bytes"))
    })
}

/// Ends an operation and writes its result, or only the length of the result for a size query. A result that does not
/// fit into the buffer is not lost: if the exact length is known in advance, the buffer is checked before the operation
/// ends; otherwise `keep` stores the result for the next call.
fn finish_operation<T: MultiPartOperation>(
    session: &Session,
    place: &ActiveOperation<T>,
    last: FinalInput,
    mut output: Output<u8>,
    keep: impl FnOnce(SecretBytes),
) -> Result<()> {
    let (longest, exact) = place.output_len(&last)?;
    if (exact || output.is_size_query()) && !output.check_capacity(longest)? {
        return Ok(());
    }
    let made = session.record_outcome(place.finish(last))?;
    let written = output.write(&made);
    if written.is_err() {
        keep(made);
    }
    written
}

/// Implements an Init function: starts the operation that `made` returns, or cancels the active operation if there is
/// no mechanism (PKCS#11 3.0).
fn init_operation<T>(
    place: &ActiveOperation<T>,
    request: Option<MechanismInput>,
    made: impl FnOnce(&MechanismInput) -> Result<T>,
) -> Result<()> {
    let Some(request) = request else {
        place.cancel();
        return Ok(());
    };
    place.check_inactive()?;
    place.begin(made(&request)?)
}

/// Returns `text` in a field of fixed size: cut between two characters, padded with blanks, and not null-terminated
/// (section 3.2). Programs in Python, Java and Go give up on all tokens if one field is not valid UTF-8.
fn padded<const N: usize>(text: &str) -> [CK_UTF8CHAR; N] {
    let mut field = [b' '; N];
    let length = text.floor_char_boundary(N);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
    field
}

/// C_GetOperationState, section 5.6.6. Operations cannot be saved, because the service of the key holds no part of an
/// operation.
///
/// # Errors
/// CKR_STATE_UNSAVEABLE.
pub fn operation_state(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.session(session)?;
    Err(Error::new(CKR_STATE_UNSAVEABLE, "operations of this module can't be saved"))
}

/// C_SetOperationState, section 5.6.7. There is no saved operation, because this module cannot save operations.
///
/// # Errors
/// CKR_SAVED_STATE_INVALID.
pub fn set_operation_state(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.session(session)?;
    Err(Error::new(CKR_SAVED_STATE_INVALID, "operations of this module can't be saved"))
}

/// C_SeedRandom, section 5.19.1. Neither the operating system nor a service takes seeds.
///
/// # Errors
/// CKR_RANDOM_SEED_NOT_SUPPORTED.
pub fn seed_random(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.session(session)?;
    Err(Error::new(CKR_RANDOM_SEED_NOT_SUPPORTED, "the random number generator takes no seed"))
}

/// C_AsyncComplete, C_AsyncGetID and C_AsyncJoin, PKCS#11 3.2 section 5.22. No session of this module is asynchronous.
///
/// # Errors
/// CKR_SESSION_ASYNC_NOT_SUPPORTED.
pub fn async_not_supported(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.session(session)?;
    Err(Error::new(CKR_SESSION_ASYNC_NOT_SUPPORTED, "the sessions of this module are synchronous"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_cut_between_characters_and_padded() {
        let field = |text: &str| String::from_utf8(padded::<8>(text).into()).unwrap();
        assert_eq!(field("key"), "key     ");
        assert_eq!(field("12345678"), "12345678");
        assert_eq!(field("123456789"), "12345678");
        for (text, cut) in [
            ("1234567\u{e9}", "1234567 "),
            ("123456\u{e9}", "123456\u{e9}"),
            ("12345\u{20ac}\u{20ac}", "12345\u{20ac}"),
            ("123456\u{20ac}", "123456  "),
            ("12345\u{1f511}", "12345   "),
            ("1234\u{1f511}", "1234\u{1f511}"),
        ] {
            assert_eq!(field(text), cut, "{text}");
        }
    }
}
