//! Templates: the attributes that a caller searches for, wants to know, or gives.

use super::arguments::{Input, Output, bad, in_memory};
use crate::error::{Error, Result};
use crate::object::Object;
use crate::object::attribute::{self, Attribute};
use cryptoki_sys::*;

/// The attributes that the caller searches for, or wants to know.
pub struct Template<'a>(&'a mut [CK_ATTRIBUTE]);

impl Template<'_> {
    /// # Errors
    /// CKR_ARGUMENTS_BAD for null with a count.
    ///
    /// # Safety
    /// The contract at the head of the file, for the template and for each value in it.
    pub unsafe fn new(attributes: *mut CK_ATTRIBUTE, count: CK_ULONG) -> Result<Self> {
        match (attributes.is_null(), count) {
            (_, 0) => Ok(Self(&mut [])),
            (true, _) => Err(bad("a null pointer for a template")),
            (false, count) => {
                let count = in_memory::<CK_ATTRIBUTE>(count)?;
                if count > MOST_ATTRIBUTES {
                    return Err(bad("a template of more attributes than there are"));
                }
                // SAFETY: not null, and `count` elements long by the contract.
                Ok(Self(unsafe { std::slice::from_raw_parts_mut(attributes, count) }))
            }
        }
    }

    /// The attributes with their values, of an object that is to be made or changed. The length that is declared is looked
    /// at before the memory: a caller who breaks the contract there is the likeliest.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a value that is null but has a length; CKR_ATTRIBUTE_VALUE_INVALID for a length that no value of
    /// the attribute has.
    pub fn attributes(&self) -> Result<Vec<Attribute>> {
        let owned = |attribute: &CK_ATTRIBUTE| match misfit(attribute) {
            Some(text) => Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text)),
            None => owned(attribute),
        };
        self.0.iter().map(owned).collect()
    }

    /// The attributes to search for. A length that no value of the attribute has is that of no object, and no error: its
    /// memory is not looked at.
    ///
    /// # Errors
    /// CKR_ARGUMENTS_BAD for a value that is null but has a length.
    pub fn criteria(&self) -> Result<Vec<Attribute>> {
        let owned = |attribute: &CK_ATTRIBUTE| match misfit(attribute) {
            Some(_) => Ok((attribute.type_, NO_VALUE.to_vec())),
            None => owned(attribute),
        };
        self.0.iter().map(owned).collect()
    }

    /// C_GetAttributeValue (section 5.7.5): every attribute is answered, even if one can't be.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID or CKR_BUFFER_TOO_SMALL, once all are answered.
    pub fn answer(self, object: &Object) -> Result<()> {
        let mut outcome = Ok(());
        for attribute in self.0 {
            let answered = answer_one(attribute, object);
            if answered.is_err() {
                attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
                outcome = outcome.and(answered);
            }
        }
        outcome
    }
}

/// An attribute with its value.
fn owned(attribute: &CK_ATTRIBUTE) -> Result<Attribute> {
    // SAFETY: the contract of `Template::new` covers the values.
    let value = unsafe { Input::new(attribute.pValue.cast(), attribute.ulValueLen) }?;
    Ok((attribute.type_, value.0.to_vec()))
}

/// Why no value of the attribute has the length that is declared.
fn misfit(attribute: &CK_ATTRIBUTE) -> Option<String> {
    let length = attribute.ulValueLen;
    match attribute::form(attribute.type_) {
        Some((name, form)) if !form.fits(usize::try_from(length).unwrap_or(usize::MAX)) => {
            Some(format!("{name} of {length} bytes"))
        }
        None if length > LONGEST_VALUE => {
            Some(format!("attribute 0x{:x} of {length} bytes, more than any value has", attribute.type_))
        }
        _ => None,
    }
}

/// More than any object has: a template of more is no template.
const MOST_ATTRIBUTES: usize = 4096;

/// Far more than a certificate, a name or an address has.
pub const LONGEST_VALUE: CK_ULONG = 1 << 20;

/// A value of a fixed form's attribute that no object has: it is longer than any of them.
const NO_VALUE: [u8; 9] = [0; 9];

fn answer_one(attribute: &mut CK_ATTRIBUTE, object: &Object) -> Result<()> {
    let Some(value) = object.attributes.value(attribute.type_) else {
        let (rv, why) = match is_secret(object.class, attribute.type_) {
            true => (CKR_ATTRIBUTE_SENSITIVE, "is never shown"),
            false => (CKR_ATTRIBUTE_TYPE_INVALID, "is none of this object"),
        };
        // Callers try out what an object has.
        return Err(Error::probe(rv, format!("attribute 0x{:x} {why}", attribute.type_)));
    };
    // SAFETY: the contract of `Template::new` covers the values: room for ulValueLen bytes.
    unsafe { Output::<u8>::new(attribute.pValue.cast(), &mut attribute.ulValueLen) }?.write(value)
}

/// The parts of a private or secret key.
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
