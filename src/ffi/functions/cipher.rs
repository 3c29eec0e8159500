//! C_Encrypt, which needs no service, and C_Decrypt, one request. PKCS#11 3.2 sections 5.8 and 5.10.
//!
//! RSA has no parts: what is handed in by updates is kept, and comes out at the end.

use super::finish;
use crate::error::Result;
use crate::ffi::pointers::{Input, Output};
use crate::mechanism::Request;
use crate::operation::multi_part::Making;
use crate::provider::Provider;
use crate::provider::session::Last;
use cryptoki_sys::*;

/// C_EncryptInit, section 5.8.1.
pub fn encrypt_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::begin(&session.encrypt, request, |request| session.token.encrypt_init(key, request))
}

/// C_Encrypt, section 5.8.2.
pub fn encrypt(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, encrypted: Output<u8>) -> Result<()> {
    encrypted_to(provider, session, Last::Whole(data.0), encrypted)
}

/// C_EncryptUpdate, section 5.8.3.
pub fn encrypt_update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input, out: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    if out.is_size_query() {
        return session.encrypt.with(|_| ()).and_then(|()| out.write(&[]));
    }
    session.encrypt.update(|encrypting| encrypting.update(part.0))?;
    out.write(&[])
}

/// C_EncryptFinal, section 5.8.4.
pub fn encrypt_last(provider: &Provider, session: CK_SESSION_HANDLE, encrypted: Output<u8>) -> Result<()> {
    encrypted_to(provider, session, Last::Parts, encrypted)
}

fn encrypted_to(provider: &Provider, session: CK_SESSION_HANDLE, last: Last, encrypted: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    finish(&session, &session.encrypt, last, encrypted, drop)
}

/// C_DecryptInit, section 5.10.1.
pub fn decrypt_init(
    provider: &Provider,
    session: CK_SESSION_HANDLE,
    request: Option<Request>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    let session = provider.session(session)?;
    super::begin(&session.decrypt, request, |request| session.token.decrypt_init(key, request))
}

/// C_Decrypt, section 5.10.2.
pub fn decrypt(provider: &Provider, session: CK_SESSION_HANDLE, encrypted: Input, data: Output<u8>) -> Result<()> {
    decrypted_to(provider, session, Last::Whole(encrypted.0), data)
}

/// C_DecryptUpdate, section 5.10.3.
pub fn decrypt_update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input, out: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    if out.is_size_query() {
        return session.decrypt.with(|_| ()).and_then(|()| out.write(&[]));
    }
    session.decrypt.update(|decrypting| decrypting.update(part.0))?;
    out.write(&[])
}

/// C_DecryptFinal, section 5.10.4.
pub fn decrypt_last(provider: &Provider, session: CK_SESSION_HANDLE, data: Output<u8>) -> Result<()> {
    decrypted_to(provider, session, Last::Parts, data)
}

/// A text that does not fit is kept: asking the service twice would cost twice.
fn decrypted_to(provider: &Provider, session: CK_SESSION_HANDLE, last: Last, data: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    let begun = session.decrypt.with(|decrypting| decrypting.clone())?;
    finish(&session, &session.decrypt, last, data, |made| session.decrypt.keep(begun, made, &last))
}
