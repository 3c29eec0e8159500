//! Mechanisms with their parameters.

use super::arguments::Input;
use crate::error::{Error, Result};
use crate::mechanism::{self, Request};
use cryptoki_sys::*;

/// A mechanism with its parameters; None for null, which ends an operation (PKCS#11 3.0, C_SignInit).
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for parameters that are null but have a length, or are
/// longer than any mechanism's.
///
/// # Safety
/// The contract at the head of the file.
pub unsafe fn mechanism(mechanism: *const CK_MECHANISM) -> Result<Option<Request>> {
    // SAFETY: null or valid by the contract.
    let Some(mechanism) = (unsafe { mechanism.as_ref() }) else { return Ok(None) };
    let length = mechanism.ulParameterLen;
    if length > 4096 || (length > 0 && mechanism.pParameter.is_null()) {
        let text = format!("parameters of {length} bytes at {:?}", mechanism.pParameter);
        return Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text));
    }
    // SAFETY: as long as ulParameterLen says, by the contract.
    let parameter = unsafe { Input::new(mechanism.pParameter.cast(), length) }?.0.to_vec();
    let shape = mechanism::shape(mechanism.mechanism);
    let words = mechanism::words(&parameter);
    let data = match parameter.len() == shape.words * mechanism::WORD {
        // SAFETY: the contract covers what the parameters point to, and these are the words that are pointers.
        true => unsafe { pointees(&words, shape.pointers) }?,
        false => Vec::new(),
    };
    Ok(Some(Request { ckm: mechanism.mechanism, parameter, data }))
}

/// What pointers among the parameters point to: each is a word, and its length another.
///
/// # Safety
/// The contract at the head of the file, for these pointers.
unsafe fn pointees(words: &[CK_ULONG], pointers: &[(usize, usize)]) -> Result<Vec<Vec<u8>>> {
    let one = |(pointer, length): &(usize, usize)| {
        let (address, length) = (words[*pointer] as usize, words[*length]);
        if length > LONGEST_PARAMETER || (length > 0 && address == 0) {
            let text = format!("{length} bytes among the parameters, at 0x{address:x}");
            return Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text));
        }
        let bytes = std::ptr::with_exposed_provenance(address);
        // SAFETY: not null, and as long as the length says, by the contract.
        Ok(unsafe { Input::new(bytes, length) }?.0.to_vec())
    };
    pointers.iter().map(one).collect()
}

/// More is no parameter: contexts, labels, points and what both sides know.
const LONGEST_PARAMETER: CK_ULONG = 64 << 10;
