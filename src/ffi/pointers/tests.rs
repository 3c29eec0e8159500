//! Tests of the raw dereferences without other C code. Miri (`cargo +nightly miri test --lib ffi::pointers`) can run
//! them, and finds faults that a plain run does not show.

#![allow(clippy::undocumented_unsafe_blocks, reason = "these are the C caller's promises, kept or broken on purpose")]

use crate::error::Result;
use crate::ffi::pointers::*;
use crate::object::Object;
use crate::object::attribute::Attributes;
use cryptoki_sys::*;
use std::mem::MaybeUninit;
use std::os::raw::c_void;
use std::ptr::{dangling, dangling_mut, null, null_mut};

fn rv<T>(outcome: Result<T>) -> CK_RV {
    outcome.err().map_or(CKR_OK, |error| error.rv)
}

/// A length that exceeds the address space.
const HUGE: CK_ULONG = CK_ULONG::MAX;

#[test]
fn input_is_null_empty_or_bytes() {
    unsafe {
        assert!(Input::new(null(), 0).unwrap().0.is_empty());
        assert!(Input::new(dangling(), 0).unwrap().0.is_empty(), "a pointer with length 0 is not looked at");
        assert_eq!(rv(Input::new(null(), 1)), CKR_ARGUMENTS_BAD);
        assert_eq!(rv(Input::new(dangling(), HUGE)), CKR_ARGUMENTS_BAD);
        let bytes = [1, 2, 3];
        assert_eq!(Input::new(bytes.as_ptr(), 2).unwrap().0, [1, 2]);
    }
}

#[test]
fn output_follows_the_convention() {
    // Uninitialized, as the buffer of a C caller may be.
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4];
    let place: *mut u8 = buffer.as_mut_ptr().cast();
    let write = |buffer, offered| {
        let mut length = offered;
        let outcome = unsafe { Output::new(buffer, &mut length) }.and_then(|output| output.write(b"abc"));
        (rv(outcome), length)
    };
    assert_eq!(rv(unsafe { Output::<u8>::new(place, null_mut()) }), CKR_ARGUMENTS_BAD);
    assert_eq!(write(null_mut(), 0), (CKR_OK, 3));
    assert_eq!(write(place, 2), (CKR_BUFFER_TOO_SMALL, 3));
    assert_eq!(write(place, 3), (CKR_OK, 3));
    assert_eq!(write(place, HUGE), (CKR_OK, 3), "more than there is is the caller's lie, and not needed");
    let written = unsafe { std::slice::from_raw_parts(place, 3) };
    assert_eq!(written, b"abc");
    let mut numbers = [MaybeUninit::<CK_ULONG>::uninit(); 2];
    let mut length = 2;
    unsafe { Output::<CK_ULONG>::new(numbers.as_mut_ptr().cast(), &mut length) }.unwrap().write(&[7, 8]).unwrap();
    assert_eq!(numbers.map(|number| unsafe { number.assume_init() }), [7, 8]);
}

#[test]
fn a_batch_takes_what_there_is_room_for() {
    let (mut handles, mut count) = ([MaybeUninit::<CK_OBJECT_HANDLE>::uninit(); 3], 99);
    let place: *mut CK_OBJECT_HANDLE = handles.as_mut_ptr().cast();
    unsafe {
        assert_eq!(rv(HandleBuffer::new(place, 3, null_mut())), CKR_ARGUMENTS_BAD);
        assert_eq!(rv(HandleBuffer::new(null_mut(), 3, &mut count)), CKR_ARGUMENTS_BAD);
        HandleBuffer::new(null_mut(), 0, &mut count).unwrap().write(&[5]);
        assert_eq!(count, 0);
        let batch = HandleBuffer::new(place, 2, &mut count).unwrap();
        assert_eq!(batch.capacity(), 2);
        batch.write(&[5, 6, 7]);
        assert_eq!((count, handles[0].assume_init(), handles[1].assume_init()), (2, 5, 6));
    }
}

#[test]
fn a_region_is_filled_whole() {
    assert_eq!(rv(unsafe { FixedOutput::new(null_mut(), 1) }), CKR_ARGUMENTS_BAD);
    assert_eq!(rv(unsafe { FixedOutput::new(dangling_mut(), HUGE) }), CKR_ARGUMENTS_BAD);
    for length in [0, 1, 1024, 2500] {
        let mut region = vec![MaybeUninit::<u8>::uninit(); length + 1];
        let place: *mut u8 = region.as_mut_ptr().cast();
        region[length].write(0xee);
        let fill = |piece: &mut [u8]| {
            piece.fill(0xaa);
            Ok(())
        };
        unsafe { FixedOutput::new(place, length as CK_ULONG) }.unwrap().fill_with(fill).unwrap();
        let bytes: Vec<u8> = region.iter().map(|byte| unsafe { byte.assume_init() }).collect();
        assert!(bytes[..length].iter().all(|byte| *byte == 0xaa) && bytes[length] == 0xee);
    }
    let failing = unsafe { FixedOutput::new(null_mut(), 0) }.unwrap().fill_with(|_| Err(arguments_bad("never asked")));
    assert!(failing.is_ok(), "nothing to fill");
}

#[test]
fn a_target_is_written_without_being_read() {
    let mut place = MaybeUninit::<CK_SESSION_HANDLE>::uninit();
    assert_eq!(rv(unsafe { OutputValue::<CK_SESSION_HANDLE>::new(null_mut()) }), CKR_ARGUMENTS_BAD);
    unsafe { OutputValue::new(place.as_mut_ptr()) }.unwrap().write(7);
    assert_eq!(unsafe { place.assume_init() }, 7);
}

fn attribute(kind: CK_ATTRIBUTE_TYPE, value: *mut u8, length: CK_ULONG) -> CK_ATTRIBUTE {
    CK_ATTRIBUTE { type_: kind, pValue: value.cast(), ulValueLen: length }
}

#[test]
fn a_template_is_copied() {
    assert_eq!(rv(unsafe { Template::new(null_mut(), 1) }), CKR_ARGUMENTS_BAD);
    assert_eq!(rv(unsafe { Template::new(dangling_mut(), HUGE) }), CKR_ARGUMENTS_BAD);
    assert!(unsafe { Template::new(null_mut(), 0) }.unwrap().attributes().unwrap().is_empty());
    let mut label = *b"label";
    let mut attributes = [attribute(CKA_LABEL, label.as_mut_ptr(), 5), attribute(CKA_ID, null_mut(), 0)];
    let template = unsafe { Template::new(attributes.as_mut_ptr(), 2) }.unwrap();
    assert_eq!(template.attributes().unwrap(), [(CKA_LABEL, b"label".to_vec()), (CKA_ID, vec![])]);
    let mut broken = [attribute(CKA_LABEL, null_mut(), 5)];
    assert_eq!(rv(unsafe { Template::new(broken.as_mut_ptr(), 1) }.unwrap().attributes()), CKR_ARGUMENTS_BAD);
}

/// A label or an id may be any bytes, so no short value can stand for "the value of no object".
#[test]
fn a_criterion_of_a_length_that_no_value_has_matches_no_object() {
    let mut attributes = Attributes::default();
    attributes.bytes(CKA_ID, [0; 9]).number(CKA_CLASS, CKO_PRIVATE_KEY);
    for (kind, length) in [(CKA_ID, MAX_VALUE_LEN + 1), (CKA_CLASS, 7), (CKA_CLASS, 9)] {
        let mut asked = [attribute(kind, dangling_mut(), length)];
        let criteria = unsafe { Template::new(asked.as_mut_ptr(), 1) }.unwrap().search_criteria().unwrap();
        assert_eq!(criteria[0].0, kind);
        assert!(!attributes.matches(&criteria), "0x{kind:x} of {length} bytes");
    }
}

#[test]
fn every_attribute_is_written() {
    let mut attributes = Attributes::default();
    attributes.bytes(CKA_LABEL, b"a label").bytes(CKA_ID, b"");
    let object = Object { handle: 1, class: CKO_PRIVATE_KEY, attributes };
    let mut room = [MaybeUninit::<u8>::uninit(); 7];
    let (place, mut small, mut nothing) = (room.as_mut_ptr().cast(), [0xeeu8; 3], [0xeeu8; 1]);
    let mut asked = [
        attribute(CKA_VALUE, null_mut(), 0),
        attribute(CKA_LABEL, small.as_mut_ptr(), 3),
        attribute(CKA_MODULUS, null_mut(), 0),
        attribute(CKA_LABEL, null_mut(), 0),
        attribute(CKA_LABEL, place, 7),
        attribute(CKA_ID, nothing.as_mut_ptr(), 1),
    ];
    let outcome = unsafe { Template::new(asked.as_mut_ptr(), 6) }.unwrap().write_values(&object);
    assert_eq!(rv(outcome), CKR_ATTRIBUTE_SENSITIVE, "the first that can't be answered");
    const NONE: CK_ULONG = CK_UNAVAILABLE_INFORMATION;
    assert_eq!(asked.map(|attribute| attribute.ulValueLen), [NONE, NONE, NONE, 7, 7, 0]);
    assert_eq!((small, nothing), ([0xee; 3], [0xee; 1]), "nothing was written");
    assert_eq!(room.map(|byte| unsafe { byte.assume_init() }), *b"a label");
}

#[test]
fn a_mechanism_is_copied_with_its_parameters() {
    assert!(unsafe { mechanism(null()) }.unwrap().is_none());
    let mut parameter = [1u8, 2, 3];
    let ask = |pointer: *mut u8, length| {
        let asked = CK_MECHANISM { mechanism: 7, pParameter: pointer.cast(), ulParameterLen: length };
        unsafe { mechanism(&asked) }.map(Option::unwrap)
    };
    let request = ask(parameter.as_mut_ptr(), 3).unwrap();
    assert_eq!((request.ckm, request.parameter), (7, vec![1, 2, 3]));
    assert!(ask(null_mut(), 0).unwrap().parameter.is_empty());
    assert_eq!(rv(ask(null_mut(), 3)), CKR_MECHANISM_PARAM_INVALID);
    assert_eq!(rv(ask(dangling_mut(), HUGE)), CKR_MECHANISM_PARAM_INVALID);
}

#[test]
fn the_arguments_of_c_initialize_are_checked() {
    extern "C" fn create(_: *mut *mut c_void) -> CK_RV {
        CKR_OK
    }
    extern "C" fn other(_: *mut c_void) -> CK_RV {
        CKR_OK
    }
    let check = |mutexes, flags, reserved: *mut c_void| {
        let mut args = CK_C_INITIALIZE_ARGS {
            CreateMutex: (mutexes > 0).then_some(create),
            DestroyMutex: (mutexes > 1).then_some(other),
            LockMutex: (mutexes > 2).then_some(other),
            UnlockMutex: (mutexes > 3).then_some(other),
            flags,
            pReserved: reserved,
        };
        rv(unsafe { initialize_args((&raw mut args).cast()) })
    };
    assert!(unsafe { initialize_args(null()) }.is_ok());
    assert_eq!(check(0, 0, null_mut()), CKR_OK);
    assert_eq!(check(0, 0, dangling_mut::<u8>().cast()), CKR_ARGUMENTS_BAD);
    assert_eq!(check(2, CKF_OS_LOCKING_OK, null_mut()), CKR_ARGUMENTS_BAD);
    assert_eq!(check(4, 0, null_mut()), CKR_CANT_LOCK);
    assert_eq!(check(4, CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS, null_mut()), CKR_OK);
    assert_eq!(check(0, CKF_LIBRARY_CANT_CREATE_OS_THREADS, null_mut()), CKR_NEED_TO_CREATE_THREADS);
}
