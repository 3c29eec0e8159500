//! Attributes of objects and of templates.
//!
//! Values have the form in which C_GetAttributeValue copies them to the caller (PKCS#11 3.1 sections 4 and 5.7).
//! This module knows neither pointers nor keys.

use cryptoki_sys::*;
use zeroize::Zeroizing;

/// An attribute of a template: its type and the bytes of its value.
pub type Attribute = (CK_ATTRIBUTE_TYPE, Vec<u8>);

/// The attributes of an object, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Each type, with the offset in `values` at which its value ends. A value begins where the previous one ends.
    types: Vec<(CK_ATTRIBUTE_TYPE, usize)>,
    /// Overwritten when dropped, because a secret may be among the values.
    values: Zeroizing<Vec<u8>>,
}

/// The attributes of a private key that do not depend on what its service reports: its names, and what is the same for
/// every private key.
const INDEPENDENT_OF_KEY: [CK_ATTRIBUTE_TYPE; 14] = [
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_ID,
    CKA_MODIFIABLE,
    CKA_COPYABLE,
    CKA_DESTROYABLE,
    CKA_SENSITIVE,
    CKA_ALWAYS_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_NEVER_EXTRACTABLE,
    CKA_WRAP_WITH_TRUSTED,
    CKA_ALWAYS_AUTHENTICATE,
];

/// Returns whether the value of a private key's attribute depends on what the service reports about the key.
pub fn depends_on_key(kind: CK_ATTRIBUTE_TYPE) -> bool {
    !INDEPENDENT_OF_KEY.contains(&kind)
}

impl Attributes {
    /// Returns an empty list with capacity for `bytes` bytes of values.
    ///
    /// Used for objects that contain a secret: a vector that grows leaves copies of its contents behind.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { types: Vec::new(), values: Vec::with_capacity(bytes).into() }
    }

    /// Replaces the value of an attribute. Does nothing if the object does not have the attribute.
    ///
    /// If a secret is among the values, the new value must have the length of the old one: a vector that grows
    /// leaves copies of its contents behind.
    pub fn set(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        let Some(index) = self.types.iter().position(|(own, _)| *own == kind) else { return };
        let start = if index == 0 { 0 } else { self.types[index - 1].1 };
        let end = self.types[index].1;
        self.values.splice(start..end, value.iter().copied());
        self.types[index..].iter_mut().for_each(|(_, own_end)| *own_end = *own_end - end + start + value.len());
    }

    /// Adds a CK_BBOOL.
    pub fn flag(&mut self, kind: CK_ATTRIBUTE_TYPE, value: bool) -> &mut Self {
        self.bytes(kind, [if value { CK_TRUE } else { CK_FALSE }])
    }

    /// Adds a CK_ULONG or a type based on it, such as a class or a key type.
    pub fn number(&mut self, kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> &mut Self {
        self.bytes(kind, value.to_ne_bytes())
    }

    /// Adds an array of CK_ULONG, such as mechanism types.
    pub fn numbers(&mut self, kind: CK_ATTRIBUTE_TYPE, values: &[CK_ULONG]) -> &mut Self {
        self.bytes(kind, values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>())
    }

    /// Adds a CK_DATE: the day that is `seconds` seconds after the start of 1970.
    pub fn date(&mut self, kind: CK_ATTRIBUTE_TYPE, seconds: u64) -> &mut Self {
        let (year, month, day) = civil_date(seconds / 86_400);
        self.bytes(kind, format!("{year:04}{month:02}{day:02}"))
    }

    /// Adds a value as is: text without a terminator, DER, or a big-endian number.
    pub fn bytes(&mut self, kind: CK_ATTRIBUTE_TYPE, value: impl AsRef<[u8]>) -> &mut Self {
        self.values.extend_from_slice(value.as_ref());
        self.types.push((kind, self.values.len()));
        self
    }

    /// Returns the value of an attribute, or None if the object does not have it.
    pub fn value(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        let index = self.types.iter().position(|(own, _)| *own == kind)?;
        let start = if index == 0 { 0 } else { self.types[index - 1].1 };
        self.values.get(start..self.types[index].1)
    }

    /// Releases unused capacity. Called when all attributes have been added.
    pub fn shrink_to_fit(&mut self) {
        self.types.shrink_to_fit();
        self.values.shrink_to_fit();
    }

    /// Returns the size of all types and values in bytes, as C_GetObjectSize reports it.
    pub fn size(&self) -> usize {
        self.types.len() * size_of::<CK_ATTRIBUTE_TYPE>() + self.values.len()
    }

    /// Returns whether the object has every attribute of the template with exactly the template's value. An empty
    /// template matches every object.
    pub fn matches(&self, template: &[Attribute]) -> bool {
        template.iter().all(|(kind, value)| self.value(*kind) == Some(&value[..]))
    }
}

/// The form of an attribute whose values have a fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedForm {
    /// CK_BBOOL.
    Flag,
    /// CK_ULONG or a type based on it.
    Number,
    /// CK_DATE, or an empty value.
    Date,
}

impl FixedForm {
    /// Returns whether a value of this form can be `length` bytes long.
    pub fn fits(self, length: usize) -> bool {
        match self {
            FixedForm::Flag => length == size_of::<CK_BBOOL>(),
            FixedForm::Number => length == size_of::<CK_ULONG>(),
            FixedForm::Date => [0, size_of::<CK_DATE>()].contains(&length),
        }
    }
}

/// Returns the name and form of an attribute whose values have a fixed length, or None if values of any length are
/// allowed.
pub fn form(kind: CK_ATTRIBUTE_TYPE) -> Option<(&'static str, FixedForm)> {
    FORMS.iter().find(|row| row.0 == kind).map(|row| (row.1, row.2))
}

macro_rules! forms {
    ($($kind:ident $form:ident;)*) => { &[$(($kind, stringify!($kind), FixedForm::$form)),*] };
}

/// The attributes whose values have a fixed length. PKCS#11 3.2 sections 4.4 to 4.13 and 6.
const FORMS: &[(CK_ATTRIBUTE_TYPE, &str, FixedForm)] = forms! {
    CKA_CLASS Number;
    CKA_TOKEN Flag;
    CKA_PRIVATE Flag;
    CKA_MODIFIABLE Flag;
    CKA_COPYABLE Flag;
    CKA_DESTROYABLE Flag;
    CKA_CERTIFICATE_TYPE Number;
    CKA_CERTIFICATE_CATEGORY Number;
    CKA_TRUSTED Flag;
    CKA_NAME_HASH_ALGORITHM Number;
    CKA_JAVA_MIDP_SECURITY_DOMAIN Number;
    CKA_START_DATE Date;
    CKA_END_DATE Date;
    CKA_KEY_TYPE Number;
    CKA_DERIVE Flag;
    CKA_LOCAL Flag;
    CKA_KEY_GEN_MECHANISM Number;
    CKA_ENCRYPT Flag;
    CKA_VERIFY Flag;
    CKA_VERIFY_RECOVER Flag;
    CKA_WRAP Flag;
    CKA_DECRYPT Flag;
    CKA_SIGN Flag;
    CKA_SIGN_RECOVER Flag;
    CKA_UNWRAP Flag;
    CKA_SENSITIVE Flag;
    CKA_ALWAYS_SENSITIVE Flag;
    CKA_EXTRACTABLE Flag;
    CKA_NEVER_EXTRACTABLE Flag;
    CKA_WRAP_WITH_TRUSTED Flag;
    CKA_ALWAYS_AUTHENTICATE Flag;
    CKA_MODULUS_BITS Number;
    CKA_VALUE_BITS Number;
    CKA_VALUE_LEN Number;
    CKA_PARAMETER_SET Number;
    CKA_PROFILE_ID Number;
    CKA_MECHANISM_TYPE Number;
};

/// Returns the value of `kind` in a template as a CK_ULONG, or None if it is missing or has another length.
pub fn number_in(template: &[Attribute], kind: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
    value_in(template, kind)?.try_into().ok().map(CK_ULONG::from_ne_bytes)
}

/// Returns the value of `kind` in a template as a CK_BBOOL, or None if it is missing or has another length.
pub fn flag_in(template: &[Attribute], kind: CK_ATTRIBUTE_TYPE) -> Option<bool> {
    match value_in(template, kind)? {
        [CK_FALSE] => Some(false),
        [_] => Some(true),
        _ => None,
    }
}

/// Returns the value of `kind` in a template, or None if it is missing.
pub fn value_in(template: &[Attribute], kind: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
    template.iter().find(|(own, _)| *own == kind).map(|(_, value)| &value[..])
}

/// Converts a number of days since the start of 1970 to year, month and day (proleptic Gregorian calendar).
fn civil_date(days: u64) -> (u64, u64, u64) {
    // The eras have 400 years and begin on 1 March, so that the leap day is the last day of a year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_matches_by_all_its_values() {
        let mut object = Attributes::default();
        object.flag(CKA_TOKEN, true).number(CKA_CLASS, CKO_PRIVATE_KEY).bytes(CKA_ID, b"k");
        assert!(object.matches(&[]));
        assert!(object.matches(&[(CKA_ID, b"k".to_vec()), (CKA_TOKEN, vec![CK_TRUE])]));
        assert!(!object.matches(&[(CKA_ID, b"k".to_vec()), (CKA_TOKEN, vec![CK_FALSE])]));
        assert!(!object.matches(&[(CKA_LABEL, Vec::new())]), "an attribute that it does not have");
    }

    #[test]
    fn a_number_is_read_only_from_eight_bytes() {
        assert_eq!(number_in(&[(CKA_CLASS, CKO_DATA.to_ne_bytes().to_vec())], CKA_CLASS), Some(CKO_DATA));
        assert_eq!(number_in(&[(CKA_CLASS, vec![1])], CKA_CLASS), None);
        assert_eq!(number_in(&[], CKA_CLASS), None);
    }

    #[test]
    fn a_fixed_form_has_one_length() {
        let fits =
            |kind, lengths: [usize; 4]| lengths.map(|length| form(kind).is_none_or(|(_, form)| form.fits(length)));
        assert_eq!(fits(CKA_TOKEN, [0, 1, 2, 8]), [false, true, false, false]);
        assert_eq!(fits(CKA_KEY_TYPE, [0, 1, 8, 9]), [false, false, true, false]);
        assert_eq!(fits(CKA_START_DATE, [0, 1, 8, 9]), [true, false, true, false]);
        assert_eq!(fits(CKA_LABEL, [0, 1, 8, 9]), [true; 4]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in
            [(0, "19700101"), (951_782_400, "20000229"), (951_868_800, "20000301"), (4_102_444_799, "20991231")]
        {
            let mut attributes = Attributes::default();
            attributes.date(CKA_START_DATE, seconds);
            assert_eq!(attributes.value(CKA_START_DATE), Some(date.as_bytes()));
        }
    }
}
