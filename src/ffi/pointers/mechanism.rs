//! Copies mechanisms with their parameters from the caller's memory.

use super::arguments::Input;
use crate::error::{Error, Result};
use crate::mechanism::{self, MechanismInput};
use cryptoki_sys::*;

/// Copies a mechanism with its parameters. Returns None for a null pointer, which cancels an operation (PKCS#11 3.0,
/// C_SignInit).
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for a null pointer with a length, and for parameters that are longer than those of any
/// mechanism.
///
/// # Safety
/// The contract of [`super`], also for the pointers among the parameters.
pub unsafe fn mechanism(mechanism: *const CK_MECHANISM) -> Result<Option<MechanismInput>> {
    // SAFETY: null or valid by the contract.
    let Some(mechanism) = (unsafe { mechanism.as_ref() }) else { return Ok(None) };
    let length = mechanism.ulParameterLen;
    if length > 4096 || (length > 0 && mechanism.pParameter.is_null()) {
        let text = format!("the mechanism's parameters can't be read: {length} bytes at {:?}", mechanism.pParameter);
        return Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text));
    }
    // SAFETY: valid for ulParameterLen bytes by the contract.
    let parameter = unsafe { Input::new(mechanism.pParameter.cast(), length) }?.0.to_vec();
    let shape = mechanism::shape(mechanism.mechanism);
    let words = mechanism::words(&parameter);
    let data = match parameter.len() == shape.words * mechanism::WORD {
        // SAFETY: the contract covers the pointers among the parameters, and `shape.pointers` names these words.
        true => unsafe { copy_pointed_data(&words, shape.pointers) }?,
        false => Vec::new(),
    };
    Ok(Some(MechanismInput { ckm: mechanism.mechanism, parameter, data }))
}

/// Copies the data that pointers among the parameters point to. `pointers` has the index of the word that is a pointer,
/// and the index of the word that is the length in bytes.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for a null pointer with a length, and for more than `MAX_POINTED_LEN` bytes.
///
/// # Safety
/// The contract of [`super`], for these pointers.
unsafe fn copy_pointed_data(words: &[CK_ULONG], pointers: &[(usize, usize)]) -> Result<Vec<Vec<u8>>> {
    let one = |(pointer, length): &(usize, usize)| {
        let (address, length) = (words[*pointer] as usize, words[*length]);
        if length > MAX_POINTED_LEN || (length > 0 && address == 0) {
            let text = format!("a buffer in the mechanism's parameters can't be read: {length} bytes at 0x{address:x}");
            return Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text));
        }
        let bytes = std::ptr::with_exposed_provenance(address);
        // SAFETY: not null unless the length is 0, and valid for `length` bytes by the contract.
        Ok(unsafe { Input::new(bytes, length) }?.0.to_vec())
    };
    pointers.iter().map(one).collect()
}

/// The maximum length in bytes of data that a parameter points to. No context, label, point or shared information is
/// longer.
const MAX_POINTED_LEN: CK_ULONG = 64 << 10;
