//! The fuzz target for templates. C_GetAttributeValue is checked against its five cases (section 5.7.5),
//! C_FindObjectsInit against the objects.

use super::arguments::pointer;
use super::caller::{Caller, call};
use super::memory::{GuardedMemory, InputBuffer};
use crate::ffi::guard;
use crate::ffi::pointers::MAX_VALUE_LEN;
use crate::object::Object;
use crate::object::attribute;
use cryptoki_sys::*;
use std::sync::Arc;

/// Runs the target: opens one session with a slot, and makes one query after the other.
pub fn run(data: &[u8]) {
    let mut caller = Caller::new(data);
    caller.initialize();
    let slot = CK_SLOT_ID::from(caller.source.byte() % 5);
    caller.open_and_find(slot);
    let handle = caller.sessions[0].handle;
    for _ in 0..32 {
        if caller.source.is_empty() {
            break;
        }
        match caller.source.byte() % 3 {
            0 => caller.search(handle),
            _ => {
                let object = caller.object();
                caller.attribute_value(handle, object);
            }
        }
    }
}

/// Attribute types that objects have, attribute types of secrets, and attribute types that no object has.
#[rustfmt::skip]
const TYPES: [CK_ATTRIBUTE_TYPE; 32] = [
    CKA_CLASS, CKA_TOKEN, CKA_PRIVATE, CKA_LABEL, CKA_ID, CKA_VALUE, CKA_KEY_TYPE, CKA_MODULUS, CKA_MODULUS_BITS,
    CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_COEFFICIENT, CKA_EC_PARAMS, CKA_EC_POINT, CKA_SIGN,
    CKA_VERIFY, CKA_ALLOWED_MECHANISMS, CKA_SUBJECT, CKA_ISSUER, CKA_SERIAL_NUMBER, CKA_CERTIFICATE_TYPE,
    CKA_START_DATE, CKA_END_DATE, CKA_UNIQUE_ID, CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_PUBLIC_KEY_INFO,
    CKA_CHECK_VALUE, CKA_VENDOR_DEFINED, CKA_ALWAYS_AUTHENTICATE, CKA_URL,
];

impl Caller<'_> {
    fn attribute_type(&mut self) -> CK_ATTRIBUTE_TYPE {
        match self.source.byte() {
            byte @ 0..0xe0 => TYPES[usize::from(byte) % TYPES.len()],
            _ => self.source.number() as CK_ATTRIBUTE_TYPE,
        }
    }

    /// Calls C_GetAttributeValue for some attributes, and checks that each is handled as if it were alone.
    pub fn attribute_value(&mut self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) {
        if self.source.byte() >= 0xf8 {
            let count = self.source.pick(&[0, 1, CK_ULONG::MAX]);
            let rv = call!(self, C_GetAttributeValue(session, object, std::ptr::null_mut(), count));
            return assert!(count == 0 || [CKR_ARGUMENTS_BAD, CKR_CRYPTOKI_NOT_INITIALIZED].contains(&rv));
        }
        let object_before = guard::provider().and_then(|provider| provider.object(session, object).ok());
        let mut values = Vec::new();
        for _ in 0..self.source.below(9) {
            let kind = self.attribute_type();
            // A buffer whose claimed size exceeds its real size still has more room than any attribute takes.
            let (room, claimed) = match self.source.byte() {
                0..0x40 => (None, 0),
                0x40..0x50 => (None, CK_ULONG::MAX),
                0x50..0x90 => (Some(2000), 2000),
                0x90..0xa0 => (Some(2000), CK_ULONG::MAX),
                byte => (Some(usize::from(byte % 37)), CK_ULONG::from(byte % 37)),
            };
            values.push((kind, room.map(GuardedMemory::new), claimed));
        }
        let mut template = GuardedMemory::new(values.len() * size_of::<CK_ATTRIBUTE>());
        let first: *mut CK_ATTRIBUTE = template.pointer();
        for (index, (kind, room, claimed)) in values.iter_mut().enumerate() {
            let attribute = CK_ATTRIBUTE { type_: *kind, pValue: pointer(room), ulValueLen: *claimed };
            // SAFETY: the template has room for one attribute per value.
            unsafe { first.add(index).write(attribute) };
        }
        let rv = call!(self, C_GetAttributeValue(session, object, first, values.len() as CK_ULONG));
        let Some(object) = object_before else {
            return assert!(values.iter().all(|(_, room, _)| room.as_ref().is_none_or(GuardedMemory::is_untouched)));
        };
        let mut expected = CKR_OK;
        for (index, (kind, room, claimed)) in values.iter().enumerate() {
            // SAFETY: the template holds one attribute per value, of which the module has changed only the length.
            let answered = unsafe { first.add(index).read() };
            let error = check_attribute(&object, *kind, room.as_ref(), *claimed, answered.ulValueLen);
            expected = if expected == CKR_OK { error } else { expected };
        }
        assert_eq!(rv, expected);
        template.check_written(values.len() * size_of::<CK_ATTRIBUTE>());
    }

    /// Checks that a search finds exactly the objects that have every attribute of the template.
    fn search(&mut self, session: CK_SESSION_HANDLE) {
        let mut values: Vec<(CK_ATTRIBUTE_TYPE, InputBuffer)> = Vec::new();
        for _ in 0..self.source.below(5) {
            let kind = self.attribute_type();
            let object = self.object();
            let own = guard::provider().and_then(|provider| provider.object(session, object).ok());
            let own = own.and_then(|object| object.attributes.value(kind).map(<[u8]>::to_vec));
            let value = match (self.source.byte(), own) {
                (0..0xd0, Some(own)) => {
                    InputBuffer { length: own.len() as CK_ULONG, bytes: Some(own.into_boxed_slice()) }
                }
                _ => self.input_buffer(),
            };
            values.push((kind, value));
        }
        let mut template: Vec<CK_ATTRIBUTE> = values
            .iter_mut()
            .map(|(kind, value)| CK_ATTRIBUTE { type_: *kind, pValue: value.pointer(), ulValueLen: value.length })
            .collect();
        let rv = call!(self, C_FindObjectsInit(session, template.as_mut_ptr(), template.len() as CK_ULONG));
        // A value whose length is invalid for its attribute matches no object, and the module does not read it.
        let is_read = |(kind, value): &(CK_ATTRIBUTE_TYPE, InputBuffer)| match attribute::form(*kind) {
            Some((_, form)) => form.fits(value.length as usize),
            None => value.length <= MAX_VALUE_LEN,
        };
        if values.iter().any(|value| value.1.must_be_refused() && is_read(value)) {
            return assert_eq!(rv, CKR_ARGUMENTS_BAD);
        }
        assert_eq!(rv, CKR_OK);
        let (mut found, mut count) = ([0; 64], 0);
        assert_eq!(call!(self, C_FindObjects(session, found.as_mut_ptr(), 64, &mut count)), CKR_OK);
        assert_eq!(call!(self, C_FindObjectsFinal(session)), CKR_OK);
        let mut found: Vec<_> = found[..count as usize].to_vec();
        let matches = |object: &Arc<Object>| {
            values.iter().all(|own| is_read(own) && object.attributes.value(own.0) == Some(own.1.read()))
        };
        let object = |handle| guard::provider().and_then(|provider| provider.object(session, handle).ok());
        let all = self.objects.iter().filter_map(|handle| object(*handle));
        let mut expected: Vec<_> = all.filter(matches).map(|object| object.handle).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

/// Checks the result of C_GetAttributeValue for one attribute, and returns the code that is due for this
/// attribute.
fn check_attribute(
    object: &Object,
    kind: CK_ATTRIBUTE_TYPE,
    room: Option<&GuardedMemory>,
    claimed: CK_ULONG,
    told: CK_ULONG,
) -> CK_RV {
    let untouched = || room.is_none_or(GuardedMemory::is_untouched);
    match (object.attributes.value(kind), room) {
        (None, _) => {
            assert!(told == CK_UNAVAILABLE_INFORMATION && untouched());
            let secret = [CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_COEFFICIENT].contains(&kind)
                || [CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2].contains(&kind);
            let sensitive = secret && object.class == CKO_PRIVATE_KEY;
            if sensitive { CKR_ATTRIBUTE_SENSITIVE } else { CKR_ATTRIBUTE_TYPE_INVALID }
        }
        (Some(value), None) => {
            assert_eq!(told, value.len() as CK_ULONG);
            CKR_OK
        }
        (Some(value), Some(room)) if claimed >= value.len() as CK_ULONG => {
            assert_eq!((told, &room.check_written(value.len())[..]), (value.len() as CK_ULONG, value));
            CKR_OK
        }
        (Some(_), Some(_)) => {
            assert!(told == CK_UNAVAILABLE_INFORMATION && untouched());
            CKR_BUFFER_TOO_SMALL
        }
    }
}
