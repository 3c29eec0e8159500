//! Which function ends which operation, whatever it answers but CKR_BUFFER_TOO_SMALL and a length.
//!
//! PKCS#11 3.2 says so of each, in the same words: sections 5.8 to 5.16. Most bodies take the operation out of its session
//! before they do anything; what is here is for what is wrong before that: a null pointer, a length that no memory has.

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

const ENDINGS: [(&str, End); 18] = [
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

/// Ends what that error of that function ends in a session, which is the first argument of each of these functions.
pub fn end(provider: &Provider, function: &str, first_argument: usize, error: &Error) {
    let ending = ENDINGS.iter().find(|(name, _)| *name == function && error.rv != CKR_BUFFER_TOO_SMALL);
    if let Some((_, end)) = ending
        && let Ok(session) = provider.session(first_argument as CK_SESSION_HANDLE)
    {
        end(&session);
    }
}
