//! Templates: the attributes that a caller searches for, reads, or gives to an object.

use super::arguments::{Input, Output, arguments_bad, checked_len};
use crate::error::{Error, Result};
use crate::object::Object;
use crate::object::attribute::{self, Attribute};
use cryptoki_sys::*;

/// The attributes that a caller searches for, reads, or gives to an object.
pub struct Template<'a>(&'a mut [CK_ATTRIBUTE]);

impl Template<'_> {
    /// Creates a template of `count` attributes.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a null pointer with a count, and for more than `MAX_ATTRIBUTES` attributes.
    ///
    /// # Safety
    /// The contract of [`super`], for the template and for each value in it.
    pub unsafe fn new(attributes: *mut CK_ATTRIBUTE, count: CK_ULONG) -> Result<Self> {
        match (attributes.is_null(), count) {
            (_, 0) => Ok(Self(&mut [])),
            (true, _) => Err(arguments_bad("the pointer to the template is null, but its count is not 0")),
            (false, count) => {
                let count = checked_len::<CK_ATTRIBUTE>(count)?;
                if count > MAX_ATTRIBUTES {
                    return Err(arguments_bad("the template has more attributes than PKCS#11 defines"));
                }
                // SAFETY: not null, and valid for `count` elements by the contract.
                Ok(Self(unsafe { std::slice::from_raw_parts_mut(attributes, count) }))
            }
        }
    }

    /// Returns the attributes and their values, for an object that is to be created or changed. The declared length is
    /// checked before the memory is read, because a wrong length is the most likely breach of the contract.
    ///
    /// # Errors
    /// * CKR_ARGUMENTS_BAD for a value that is a null pointer with a length.
    /// * CKR_ATTRIBUTE_VALUE_INVALID for a length that no value of the attribute has.
    pub fn attributes(&self) -> Result<Vec<Attribute>> {
        let owned = |attribute: &CK_ATTRIBUTE| match invalid_length(attribute) {
            Some(text) => Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text)),
            None => copy_attribute(attribute),
        };
        self.0.iter().map(owned).collect()
    }

    /// Returns the attributes to search for. A length that no value of the attribute has is not an error, but matches
    /// no object. The memory of such a value is not read.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a value that is a null pointer with a length.
    pub fn search_criteria(&self) -> Result<Vec<Attribute>> {
        let owned = |attribute: &CK_ATTRIBUTE| match invalid_length(attribute) {
            Some(_) => Ok((attribute.type_, vec![0; UNMATCHABLE_LEN])),
            None => copy_attribute(attribute),
        };
        self.0.iter().map(owned).collect()
    }

    /// Returns the types of the attributes.
    pub fn types(&self) -> impl Iterator<Item = CK_ATTRIBUTE_TYPE> {
        self.0.iter().map(|attribute| attribute.type_)
    }

    /// Writes the values of the object's attributes into the template, for C_GetAttributeValue (section 5.7.5). If one
    /// attribute fails, the others are still written.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID or CKR_BUFFER_TOO_SMALL: the first failure, after all
    /// attributes were processed.
    pub fn write_values(self, object: &Object) -> Result<()> {
        let mut outcome = Ok(());
        for attribute in self.0 {
            let answered = write_value(attribute, object);
            if answered.is_err() {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                outcome = outcome.and(answered);
            }
        }
        outcome
    }
}

/// Copies an attribute with its value.
fn copy_attribute(attribute: &CK_ATTRIBUTE) -> Result<Attribute> {
    // SAFETY: the contract of `Template::new_key` covers the values.
    let value = unsafe { Input::new(attribute.pValue.cast(), attribute.ulValueLen) }?;
    Ok((attribute.type_, value.0.to_vec()))
}

/// Returns the reason why no value of the attribute has the declared length, or None if a value can have this length.
fn invalid_length(attribute: &CK_ATTRIBUTE) -> Option<String> {
    let length = attribute.ulValueLen;
    match attribute::form(attribute.type_) {
        Some((name, form)) if !form.fits(usize::try_from(length).unwrap_or(usize::MAX)) => {
            Some(format!("{name} has {length} bytes"))
        }
        None if length > MAX_VALUE_LEN => {
            Some(format!("attribute 0x{:x} has {length} bytes, more than any value can have", attribute.type_))
        }
        _ => None,
    }
}

/// The maximum number of attributes in a template. No object has that many.
const MAX_ATTRIBUTES: usize = 4096;

/// The maximum length of a value in bytes, far more than a certificate, a name or an address has.
pub const MAX_VALUE_LEN: CK_ULONG = 1 << 20;

/// No attribute of any object has a value of this length.
const UNMATCHABLE_LEN: usize = MAX_VALUE_LEN as usize + 1;

fn write_value(attribute: &mut CK_ATTRIBUTE, object: &Object) -> Result<()> {
    let Some(value) = object.attributes.value(attribute.type_) else {
        let (rv, why) = match is_secret(object.class, attribute.type_) {
            true => (CKR_ATTRIBUTE_SENSITIVE, "is secret and can't be read"),
            false => (CKR_ATTRIBUTE_TYPE_INVALID, "is not an attribute of this object"),
        };
        // Callers test which attributes an object has.
        return Err(Error::expected(rv, format!("attribute 0x{:x} {why}", attribute.type_)));
    };
    // SAFETY: the contract of `Template::new_key` covers the values: pValue is null or has room for ulValueLen bytes.
    unsafe { Output::<u8>::new(attribute.pValue.cast(), &mut attribute.ulValueLen) }?.write(value)
}

/// Returns whether an attribute is a secret part of a private or secret key.
fn is_secret(class: CK_OBJECT_CLASS, kind: CK_ATTRIBUTE_TYPE) -> bool {
    const PRIVATE: [CK_ATTRIBUTE_TYPE; 8] = [
        CKA_VALUE,
        CKA_SEED,
        CKA_PRIVATE_EXPONENT,
        CKA_PRIME_1,
        CKA_PRIME_2,
        CKA_EXPONENT_1,
        CKA_EXPONENT_2,
        CKA_COEFFICIENT,
    ];
    [CKO_PRIVATE_KEY, CKO_SECRET_KEY].contains(&class) && PRIVATE.contains(&kind)
}
