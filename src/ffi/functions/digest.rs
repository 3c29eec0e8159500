//! Digests, which are computed locally. PKCS#11 3.2 section 5.12.

use super::finish_operation;
use crate::error::{Error, Result};
use crate::ffi::pointers::{Input, Output};
use crate::key::hash::{Hash, Hasher};
use crate::mechanism::MechanismInput;
use crate::provider::Provider;
use crate::provider::session::FinalInput;
use cryptoki_sys::*;

/// C_DigestInit, section 5.12.1. Java's PSS signatures need digests from the token that signs. Without a mechanism,
/// cancels the active digest.
///
/// # Errors
/// CKR_MECHANISM_INVALID if the mechanism is not a digest of this module; CKR_MECHANISM_PARAM_INVALID if parameters are
/// given.
pub fn init(provider: &Provider, session: CK_SESSION_HANDLE, request: Option<MechanismInput>) -> Result<()> {
    super::init_operation(&provider.session(session)?.digest, request, |request| {
        let unknown = || {
            let text = format!("mechanism 0x{:x} is not a digest mechanism of this module", request.ckm);
            Error::new(CKR_MECHANISM_INVALID, text)
        };
        let hash = Hash::from_ckm(request.ckm).ok_or_else(unknown)?;
        match request.parameter.len() {
            0 => Ok(Hasher::new(hash)),
            length => {
                let text = format!("the call passes {length} bytes of parameters, but a digest takes none");
                Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text))
            }
        }
    })
}

/// C_Digest, section 5.12.2.
pub fn whole(provider: &Provider, session: CK_SESSION_HANDLE, data: Input, digest: Output<u8>) -> Result<()> {
    ended(provider, session, FinalInput::SinglePart(data.0), digest)
}

/// C_DigestUpdate, section 5.12.3.
pub fn update(provider: &Provider, session: CK_SESSION_HANDLE, part: Input) -> Result<()> {
    provider.session(session)?.digest.update(|hasher| {
        hasher.update(part.0);
        Ok(())
    })
}

/// C_DigestFinal, section 5.12.5.
pub fn last(provider: &Provider, session: CK_SESSION_HANDLE, digest: Output<u8>) -> Result<()> {
    ended(provider, session, FinalInput::MultiPart, digest)
}

fn ended(provider: &Provider, session: CK_SESSION_HANDLE, last: FinalInput, digest: Output<u8>) -> Result<()> {
    let session = provider.session(session)?;
    finish_operation(&session, &session.digest, last, digest, drop)
}
