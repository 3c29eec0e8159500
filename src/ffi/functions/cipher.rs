//! Encryption and decryption. PKCS#11 3.2 sections 5.8 and 5.10.
//!
//! C_Encrypt runs locally, without a request. C_Decrypt makes one request. RSA cannot process data in parts: the update
//! functions store the data and return no output, and the final function returns the whole result.

use super::finish_operation;
use crate::error::Result;
use crate::ffi::pointers::{Input, Output};
use crate::mechanism::MechanismInput;
use crate::operation::multi_part::MultiPartOperation;
use crate::provider::Provider;
use crate::provider::session::FinalInput;
use cryptoki_sys::*;

/// C_EncryptInit, section 5.8.1. Without a mechanism, cancels the active encryption.
///
/// # Errors
/// Those of `Token::encrypt_init`.
pub fn encrypt_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::init_operation(&session.encrypt, request, |request| session.token.encrypt_init(key, request))
}

/// C_Encrypt, section 5.8.2.
///
/// # Errors
/// CKR_FUNCTION_FAILED if the public key cannot encrypt the data.
pub fn encrypt(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, encrypted: Output<u8>) -> Result<()> {
    finish_encryption(provider, session, FinalInput::SinglePart(data.0), encrypted)
}

/// C_EncryptUpdate, section 5.8.3. The output is always empty.
pub fn encrypt_update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input, out: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    if out.is_size_query() {
        return session.encrypt.with(|_| ()).and_then(|()| out.write(&[]));
    }
    session.encrypt.update(|encrypting| encrypting.update(part.0))?;
    out.write(&[])
}

/// C_EncryptFinal, section 5.8.4.
///
/// # Errors
/// As [`encrypt`].
pub fn encrypt_last(provider: &Provider, session: CK_SESSION_HANDLE, encrypted: Output<u8>) -> Result<()> {
    finish_encryption(provider, session, FinalInput::MultiPart, encrypted)
}

fn finish_encryption(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    last: FinalInput,
    encrypted: Output<u8>,
) -> Result<()> {
    let session = provider.session(session)?;
    finish_operation(&session, &session.encrypt, last, encrypted, drop)
}

/// C_DecryptInit, section 5.10.1. Without a mechanism, cancels the active decryption.
///
/// # Errors
/// Those of `Token::decrypt_init`.
pub fn decrypt_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<MechanismInput>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::init_operation(&session.decrypt, request, |request| session.token.decrypt_init(key, request))
}

/// C_Decrypt, section 5.10.2.
///
/// # Errors
/// CKR_ENCRYPTED_DATA_LEN_RANGE, and those of the service.
pub fn decrypt(provider: &Provider, session: CK_SESSION_HANDLE, encrypted: Input, data: Output<u8>) -> Result<()> {
    finish_decryption(provider, session, FinalInput::SinglePart(encrypted.0), data)
}

/// C_DecryptUpdate, section 5.10.3. The output is always empty.
pub fn decrypt_update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input, out: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    if out.is_size_query() {
        return session.decrypt.with(|_| ()).and_then(|()| out.write(&[]));
    }
    session.decrypt.update(|decrypting| decrypting.update(part.0))?;
    out.write(&[])
}

/// C_DecryptFinal, section 5.10.4.
///
/// # Errors
/// As [`decrypt`].
pub fn decrypt_last(provider: &Provider, session: CK_SESSION_HANDLE, data: Output<u8>) -> Result<()> {
    finish_decryption(provider, session, FinalInput::MultiPart, data)
}

/// Stores a plaintext that does not fit into the caller's buffer, because a second request would cost a second time.
fn finish_decryption(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    last: FinalInput,
    data: Output<u8>,
) -> Result<()> {
    let session = provider.session(session)?;
    let begun = session.decrypt.with(|decrypting| decrypting.clone())?;
    finish_operation(&session, &session.decrypt, last, data, |made| session.decrypt.store_result(begun, made, &last))
}
