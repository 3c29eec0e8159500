//! The secret that a key agreement yields. PKCS#11 3.2 section 6.3.18 (CKM_ECDH1_DERIVE).

use crate::cloud::SecretBytes;
use crate::error::{Error, Result};
use crate::key::x963_kdf;
use crate::mechanism::Ecdh1Parameters;
use crate::object::attribute::{Attribute, number_in};
use cryptoki_sys::*;

/// Applies the key derivation function to the shared secret. The result has the length that the template wants.
pub(super) fn derive_key(
    agreement: &Ecdh1Parameters,
    shared: SecretBytes,
    template: &[Attribute],
) -> Result<SecretBytes> {
    let wanted = number_in(template, CKA_VALUE_LEN).map(|length| length as usize);
    match agreement.kdf {
        Some(hash) => {
            let length = wanted.unwrap_or(shared.len());
            if length > MAX_DERIVED_LEN {
                return Err(Error::new(CKR_KEY_SIZE_RANGE, format!("CKA_VALUE_LEN {length} is too large")));
            }
            Ok(x963_kdf(hash, &shared, &agreement.shared_data, length))
        }
        // Section 6.3.18: the leading bytes are removed.
        None => match wanted.unwrap_or(shared.len()) {
            length if length <= shared.len() => Ok(shared[shared.len() - length..].to_vec().into()),
            length => {
                let text = format!("CKA_VALUE_LEN is {length}, but the shared secret has {} bytes", shared.len());
                Err(Error::new(CKR_KEY_SIZE_RANGE, text))
            }
        },
    }
}

/// The longest derived secret, in bytes. No key is longer.
const MAX_DERIVED_LEN: usize = 64 << 10;
