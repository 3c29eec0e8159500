//! The functions that end an operation, unless they return CKR_BUFFER_TOO_SMALL or answer a size query.
//!
//! PKCS#11 3.2 requires this of each function in the same words: sections 5.8 to 5.16. Most function bodies first take
//! the operation out of its session. This table covers the errors that are found before that: a null pointer, or a
//! length that exceeds the address space.

use crate::error::Error;
use crate::provider::Provider;
use crate::provider::session::Session;
use cryptoki_sys::*;

type End = fn(&Session);

const DIGEST: End = |session| session.digest.cancel();
const SIGN: End = |session| session.sign.cancel();
const VERIFY: End = |session| session.verify.cancel();
const ENCRYPT: End = |session| session.encrypt.cancel();
const DECRYPT: End = |session| session.decrypt.cancel();
const VERIFY_SIGNATURE: End = |session| session.verify_signature.cancel();

const TERMINATING_FUNCTIONS: [(&str, End); 18] = [
    ("C_Digest", DIGEST),
    ("C_DigestUpdate", DIGEST),
    ("C_DigestFinal", DIGEST),
    ("C_Sign", SIGN),
    ("C_SignUpdate", SIGN),
    ("C_SignFinal", SIGN),
    ("C_Verify", VERIFY),
    ("C_VerifyUpdate", VERIFY),
    ("C_VerifyFinal", VERIFY),
    ("C_Encrypt", ENCRYPT),
    ("C_EncryptUpdate", ENCRYPT),
    ("C_EncryptFinal", ENCRYPT),
    ("C_Decrypt", DECRYPT),
    ("C_DecryptUpdate", DECRYPT),
    ("C_DecryptFinal", DECRYPT),
    ("C_VerifySignature", VERIFY_SIGNATURE),
    ("C_VerifySignatureUpdate", VERIFY_SIGNATURE),
    ("C_VerifySignatureFinal", VERIFY_SIGNATURE),
];

/// Called when the C function `function` has failed with `error`. Ends the operation that the standard requires to end.
/// `first_argument` is the first argument of the C function. For all functions in the table, it is the session handle.
pub fn terminate_operation(provider: &Provider, function: &str, first_argument: usize, error: &Error) {
    let ending = TERMINATING_FUNCTIONS.iter().find(|(name, _)| *name == function && error.rv != CKR_BUFFER_TOO_SMALL);
    if let Some((_, end)) = ending
        && let Ok(session) = provider.session(first_argument as CK_SESSION_HANDLE)
    {
        end(&session);
    }
}
