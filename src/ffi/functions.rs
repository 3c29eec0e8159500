//! Body of each supported C function: safe calls, answers out. What each must do: PKCS#11 3.1 chapter 5.

use super::pointers::{Batch, Input, Output, Place, Region, Template};
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::mechanism::{Mechanism, Request};
use crate::provider::Provider;
use crate::session::Last;
use crate::token::Token;
use cryptoki_sys::*;

/// The version of this module.
const VERSION: CK_VERSION = CK_VERSION { major: 0, minor: 1 };

/// C_GetInfo, section 5.4.3. `cryptoki` is the version of the function list that it was called through.
pub fn info(_: &Provider, cryptoki: CK_VERSION, info: Place<CK_INFO>) -> Result<()> {
    info.write(CK_INFO {
        cryptokiVersion: cryptoki,
        manufacturerID: padded("cloud-kms-pkcs11"),
        flags: 0,
        libraryDescription: padded("Keys in cloud key services"),
        libraryVersion: VERSION,
    });
    Ok(())
}

/// C_GetSlotList, section 5.5.1.
pub fn slot_list(provider: &Provider, _present: CK_BBOOL, slots: Output<CK_SLOT_ID>) -> Result<()> {
    slots.write(&provider.slots())
}

/// C_GetSlotInfo, section 5.5.2.
pub fn slot_info(provider: &Provider, slot: CK_SLOT_ID, info: Place<CK_SLOT_INFO>) -> Result<()> {
    let token = provider.token(slot)?;
    info.write(CK_SLOT_INFO {
        slotDescription: padded(&token.backend().place()),
        manufacturerID: padded(token.backend().identity().manufacturer),
        flags: CKF_TOKEN_PRESENT,
        hardwareVersion: VERSION,
        firmwareVersion: VERSION,
    });
    Ok(())
}

/// C_GetTokenInfo, section 5.5.3: never a request.
pub fn token_info(provider: &Provider, slot: CK_SLOT_ID, info: Place<CK_TOKEN_INFO>) -> Result<()> {
    let token = provider.token(slot)?;
    let identity = token.backend().identity();
    let (all, writing) = token.session_counts();
    info.write(CK_TOKEN_INFO {
        label: padded(token.label()),
        manufacturerID: padded(identity.manufacturer),
        model: padded(identity.model),
        serialNumber: padded(identity.serial),
        // A PIN counts as initialized though none is needed: libp11 before 0.4.13 passes over the token otherwise.
        flags: CKF_RNG | CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_WRITE_PROTECTED,
        ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
        ulSessionCount: all as CK_ULONG,
        ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
        ulRwSessionCount: writing as CK_ULONG,
        ulMaxPinLen: 255,
        ulMinPinLen: 0,
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

/// C_WaitForSlotEvent, section 5.5.4: slots never change, so there is nothing to wait for.
pub fn wait_for_slot_event(_: &Provider, flags: CK_FLAGS) -> Result<()> {
    let rv = if flags & CKF_DONT_BLOCK != 0 { CKR_NO_EVENT } else { CKR_FUNCTION_NOT_SUPPORTED };
    Err(Error::new(rv, "the slots of this module have no events"))
}

/// C_GetMechanismList, section 5.5.5.
pub fn mechanism_list(provider: &Provider, slot: CK_SLOT_ID, list: Output<CK_MECHANISM_TYPE>) -> Result<()> {
    let token = provider.token(slot)?;
    let signing = token.mechanisms().into_iter().map(|row| row.ckm);
    list.write(&signing.chain(Hash::all().map(Hash::ckm)).collect::<Vec<_>>())
}

/// C_GetMechanismInfo, section 5.5.6.
pub fn mechanism_info(
    provider: &Provider,
    slot: CK_SLOT_ID,
    ckm: CK_MECHANISM_TYPE,
    info: Place<CK_MECHANISM_INFO>,
) -> Result<()> {
    let token = provider.token(slot)?;
    let digests = CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: CKF_DIGEST };
    info.write(match Hash::from_ckm(ckm) {
        Some(_) => digests,
        None => mechanism(&token, ckm)?.info(),
    });
    Ok(())
}

/// C_OpenSession, section 5.6.1.
pub fn open_session(
    provider: &Provider,
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    handle: Place<CK_SESSION_HANDLE>,
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
pub fn session_info(provider: &Provider, session: CK_SESSION_HANDLE, info: Place<CK_SESSION_INFO>) -> Result<()> {
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

/// C_SessionCancel, PKCS#11 3.1 section 5.6.5: ends the operations that the flags name.
pub fn session_cancel(provider: &Provider, session: CK_SESSION_HANDLE, flags: CK_FLAGS) -> Result<()> {
    let session = provider.session(session)?;
    if flags & CKF_SIGN != 0 {
        session.sign_cancel();
    }
    if flags & CKF_DIGEST != 0 {
        session.digest_cancel();
    }
    if flags & CKF_FIND_OBJECTS != 0 {
        session.find_cancel();
    }
    Ok(())
}

/// C_Login, section 5.6.8. The PIN is not looked at: none is needed.
pub fn login(provider: &Provider, session: CK_SESSION_HANDLE, user: CK_USER_TYPE, _pin: Input) -> Result<()> {
    provider.log_in(session, user)
}

/// C_LoginUser, section 5.6.9.
pub fn login_user(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    _pin: Input,
    _name: Input,
) -> Result<()> {
    provider.log_in(session, user)
}

/// C_Logout, section 5.6.10.
pub fn logout(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.log_out(session)
}

/// C_GetSessionValidationFlags, PKCS#11 3.2 section 5.6.11: no validation is claimed.
pub fn session_validation_flags(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    _kind: CK_ULONG,
    flags: Place<CK_FLAGS>,
) -> Result<()> {
    provider.session(session)?;
    flags.write(0);
    Ok(())
}

/// C_GetObjectSize, section 5.7.4: what the attributes take.
pub fn object_size(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    size: Place<CK_ULONG>,
) -> Result<()> {
    size.write(provider.object(session, object)?.attributes.size() as CK_ULONG);
    Ok(())
}

/// C_GetAttributeValue, section 5.7.5: from memory, never a request.
pub fn attribute_value(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: Template,
) -> Result<()> {
    template.answer(&*provider.object(session, object)?)
}

/// C_FindObjectsInit, section 5.7.7: what is not loaded yet is loaded here.
pub fn find_objects_init(provider: &Provider, session: CK_SESSION_HANDLE, template: Template) -> Result<()> {
    provider.find_init(session, &template.attributes()?)
}

/// C_FindObjects, section 5.7.8.
pub fn find_objects(provider: &Provider, session: CK_SESSION_HANDLE, batch: Batch) -> Result<()> {
    let found = provider.session(session)?.find(batch.room())?;
    batch.write(&found);
    Ok(())
}

/// C_FindObjectsFinal, section 5.7.9.
pub fn find_objects_final(provider: &Provider, session: CK_SESSION_HANDLE) -> Result<()> {
    provider.session(session)?.find_final()
}

/// C_DigestInit, section 5.12.1. Digests are made here: Java's PSS wants them of the token that signs.
pub fn digest_init(provider: &Provider, session: CK_SESSION_HANDLE, request: Option<Request>) -> Result<()> {
    let session = provider.session(session)?;
    let Some(request) = request else {
        session.digest_cancel();
        return Ok(());
    };
    let hash = Hash::from_ckm(request.ckm);
    session.digest_init(hash.ok_or_else(|| {
        Error::new(CKR_MECHANISM_INVALID, format!("mechanism 0x{:x} is no digest of this module's", request.ckm))
    })?)
}

/// C_Digest, section 5.12.2.
pub fn digest(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, digest: Output<u8>) -> Result<()> {
    finish_digest(provider, session, Last::Whole(data.0), digest)
}

/// C_DigestUpdate, section 5.12.3.
pub fn digest_update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input) -> Result<()> {
    provider.session(session)?.digest_update(part.0)
}

/// C_DigestFinal, section 5.12.5.
pub fn digest_final(provider: &Provider, session: CK_SESSION_HANDLE, digest: Output<u8>) -> Result<()> {
    finish_digest(provider, session, Last::Parts, digest)
}

fn finish_digest(provider: &Provider, session: CK_SESSION_HANDLE, last: Last, mut digest: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    if digest.has_room(session.digest_len()?)? {
        digest.write(&session.digest(last)?)?;
    }
    Ok(())
}

/// C_SignInit, section 5.13.1. Without a mechanism it ends the active signature (PKCS#11 3.0).
pub fn sign_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    match request {
        Some(request) => provider.sign_init(session, &request, key),
        None => {
            provider.session(session)?.sign_cancel();
            Ok(())
        }
    }
}

/// C_Sign, section 5.13.2: one request, and none for a size query.
pub fn sign(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, signature: Output<u8>) -> Result<()> {
    finish(provider, session, Last::Whole(data.0), signature)
}

/// C_SignUpdate, section 5.13.3.
pub fn sign_update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input) -> Result<()> {
    provider.session(session)?.sign_update(part.0)
}

/// C_SignFinal, section 5.13.4: one request, and none for a size query.
pub fn sign_final(provider: &Provider, session: CK_SESSION_HANDLE, signature: Output<u8>) -> Result<()> {
    finish(provider, session, Last::Parts, signature)
}

/// C_GenerateRandom, section 5.17.2: from the operating system, which costs no request.
pub fn generate_random(provider: &Provider, session: CK_SESSION_HANDLE, random: Region) -> Result<()> {
    provider.session(session)?;
    random.fill_with(|bytes| {
        aws_lc_rs::rand::fill(bytes).map_err(|_| Error::new(CKR_RANDOM_NO_RNG, "the operating system gives no random"))
    })
}

fn finish(provider: &Provider, session: CK_SESSION_HANDLE, last: Last, mut signature: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    if signature.has_room(session.signature_len(&last)?)? {
        signature.write(&session.sign(last)?)?;
    }
    Ok(())
}

fn mechanism(token: &Token, ckm: CK_MECHANISM_TYPE) -> Result<&'static Mechanism> {
    let row = token.mechanisms().into_iter().find(|row| row.ckm == ckm);
    row.ok_or_else(|| Error::probe(CKR_MECHANISM_INVALID, format!("mechanism 0x{ckm:x} is not one of this token's")))
}

/// Text in a field of fixed size: cut to its bytes, padded by blanks, not terminated (section 3.2).
fn padded<const N: usize>(text: &str) -> [CK_UTF8CHAR; N] {
    let mut field = [b' '; N];
    let length = text.len().min(N);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
    field
}
