//! The return codes of all 104 functions before C_Initialize, and with an invalid session handle. PKCS#11 3.2
//! section 5.1.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::module_path;
use cryptoki_sys::*;
use serde_json::json;
use std::ffi::c_void;
use std::ptr::null_mut;

/// An argument with which a function is tried.
trait Sample {
    fn sample(room: *mut c_void) -> Self;
}

/// Handles, numbers and lengths are 0.
macro_rules! zero {
    ($($number:ty)*) => { $(impl Sample for $number { fn sample(_: *mut c_void) -> Self { 0 } })* };
}

zero!(CK_ULONG CK_BBOOL);

/// A pointer to enough zeros for any structure, or null.
impl<T> Sample for *mut T {
    fn sample(room: *mut c_void) -> Self {
        room.cast()
    }
}

impl Sample for CK_NOTIFY {
    fn sample(_: *mut c_void) -> Self {
        None
    }
}

/// A C function, called with sample arguments.
trait CallWithSamples {
    fn tried(self, room: *mut c_void) -> CK_RV;
}

macro_rules! tried {
    ($($arg:ident)*) => {
        impl<$($arg: Sample),*> CallWithSamples for Option<unsafe extern "C" fn($($arg),*) -> CK_RV> {
            fn tried(self, room: *mut c_void) -> CK_RV { unsafe { self.unwrap()($($arg::sample(room)),*) } }
        }
    };
}

macro_rules! tried_up_to {
    ($first:ident $($rest:ident)*) => { tried!($first $($rest)*); tried_up_to!($($rest)*); };
    () => {};
}

tried_up_to!(A B C D E F G H I J K L);

macro_rules! all {
    ($list:expr, $null:expr; $($name:ident)*) => {
        vec![$({
            let mut zeros = [0 as CK_ULONG; 512];
            let room = if $null { null_mut() } else { zeros.as_mut_ptr().cast() };
            (stringify!($name), (*$list).$name.tried(room))
        }),*]
    };
}

/// Calls every function except C_Initialize with sample arguments, whose pointers are null if `null` is set.
/// Returns the return codes.
#[rustfmt::skip]
fn answers(p11: &P11, null: bool) -> Vec<(&'static str, CK_RV)> {
    let list = p11.list();
    unsafe {
        all![list, null;
            C_Finalize C_GetInfo C_GetFunctionList C_GetSlotList C_GetSlotInfo C_GetTokenInfo C_GetMechanismList C_GetMechanismInfo
            C_InitToken C_InitPIN C_SetPIN C_OpenSession C_CloseSession C_CloseAllSessions C_GetSessionInfo C_GetOperationState
            C_SetOperationState C_Login C_Logout C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue
            C_SetAttributeValue C_FindObjectsInit C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate
            C_EncryptFinal C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest C_DigestUpdate C_DigestKey
            C_DigestFinal C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit C_SignRecover C_VerifyInit C_Verify
            C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover C_DigestEncryptUpdate C_DecryptDigestUpdate
            C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey C_SeedRandom
            C_GenerateRandom C_GetFunctionStatus C_CancelFunction C_WaitForSlotEvent C_GetInterfaceList C_GetInterface C_LoginUser
            C_SessionCancel C_MessageEncryptInit C_EncryptMessage C_EncryptMessageBegin C_EncryptMessageNext C_MessageEncryptFinal
            C_MessageDecryptInit C_DecryptMessage C_DecryptMessageBegin C_DecryptMessageNext C_MessageDecryptFinal C_MessageSignInit
            C_SignMessage C_SignMessageBegin C_SignMessageNext C_MessageSignFinal C_MessageVerifyInit C_VerifyMessage
            C_VerifyMessageBegin C_VerifyMessageNext C_MessageVerifyFinal C_EncapsulateKey C_DecapsulateKey C_VerifySignatureInit
            C_VerifySignature C_VerifySignatureUpdate C_VerifySignatureFinal C_GetSessionValidationFlags C_AsyncComplete C_AsyncGetID
            C_AsyncJoin C_WrapKeyAuthenticated C_UnwrapKeyAuthenticated
        ]
    }
}

/// The codes that stubs return at any time: "even unsupported functions should have a stub", section 5.1.6;
/// section 5.20.
const STUBS: [CK_RV; 2] = [CKR_FUNCTION_NOT_SUPPORTED, CKR_FUNCTION_NOT_PARALLEL];

/// The functions that work without C_Initialize, section 5.1.6 on CKR_CRYPTOKI_NOT_INITIALIZED.
const LISTS: [&str; 3] = ["C_GetFunctionList", "C_GetInterfaceList", "C_GetInterface"];

/// The functions that take no session, section 5.1.2.
const WITHOUT_SESSION: [&str; 11] = [
    "C_Finalize",
    "C_GetInfo",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_WaitForSlotEvent",
    "C_GetMechanismList",
    "C_GetMechanismInfo",
    "C_InitToken",
    "C_OpenSession",
    "C_CloseAllSessions",
];

module_test! {
    fn every_function_fails_before_c_initialize(world) {
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
        let p11 = P11::load(&module_path());
        for null in [true, false] {
            let answers = answers(&p11, null);
            assert_eq!(answers.len(), 104 - 1);
            for (name, rv) in answers {
                // The reserved pointer of C_Finalize is not null.
                let bad = name == "C_Finalize" && !null && rv == CKR_ARGUMENTS_BAD;
                let refused = bad || rv == CKR_CRYPTOKI_NOT_INITIALIZED || STUBS.contains(&rv);
                assert!(refused || LISTS.contains(&name), "{name}: 0x{rv:x}");
            }
        }
        assert_eq!(p11.initialize(), Ok(()), "C_Initialize succeeds after these calls");
        assert_eq!(world.requests(), 0);
    }
}

module_test! {
    fn an_invalid_session_handle_is_refused_by_all_functions(world) {
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
        let p11 = world.module();
        for (name, rv) in answers(&p11, false) {
            if !LISTS.contains(&name) && !WITHOUT_SESSION.contains(&name) {
                assert!(rv == CKR_SESSION_HANDLE_INVALID || STUBS.contains(&rv), "{name}: 0x{rv:x}");
            }
        }
        // The two legacy functions for functions that ran in parallel with their callers, section 5.20.
        assert_eq!(crate::c!(p11, C_GetFunctionStatus(0)), Err(CKR_FUNCTION_NOT_PARALLEL));
        assert_eq!(crate::c!(p11, C_CancelFunction(0)), Err(CKR_FUNCTION_NOT_PARALLEL));
        let mut slot = 0;
        assert_eq!(crate::c!(p11, C_WaitForSlotEvent(CKF_DONT_BLOCK, &mut slot, null_mut())), Err(CKR_NO_EVENT));
        assert_eq!(crate::c!(p11, C_WaitForSlotEvent(0, &mut slot, null_mut())), Err(CKR_FUNCTION_NOT_SUPPORTED));
        assert_eq!(world.requests(), 0);
    }
}

module_test! {
    fn get_interface_returns_3_0_by_default_and_any_named_version(world) {
        world.configure(json!([]));
        type Get = unsafe extern "C" fn(*mut CK_UTF8CHAR, *mut CK_VERSION, *mut *mut CK_INTERFACE, CK_FLAGS) -> CK_RV;
        let list = P11::load(&module_path()).list();
        let get: Get = unsafe { (*list).C_GetInterface.unwrap() };
        let ask = |name: Option<&std::ffi::CStr>, version: Option<(u8, u8)>, flags| {
            let mut version = version.map(|(major, minor)| CK_VERSION { major, minor });
            let version = version.as_mut().map_or(null_mut(), std::ptr::from_mut);
            let name = name.map_or(null_mut(), |name| name.as_ptr().cast_mut().cast());
            let mut found: *mut CK_INTERFACE = null_mut();
            match unsafe { get(name, version, &mut found, flags) } {
                CKR_OK => Ok(unsafe { *(*found).pFunctionList.cast::<CK_VERSION>() }).map(|own| (own.major, own.minor)),
                rv => Err(rv),
            }
        };
        for name in [None, Some(c"PKCS 11")] {
            assert_eq!(ask(name, None, 0), Ok((3, 0)));
            assert_eq!(ask(name, None, CKF_INTERFACE_FORK_SAFE), Ok((3, 0)));
            for version in [(3, 2), (3, 0), (2, 40)] {
                assert_eq!(ask(name, Some(version), 0), Ok(version));
            }
            assert_eq!(ask(name, Some((3, 1)), 0), Err(CKR_ARGUMENTS_BAD));
            assert_eq!(ask(name, None, 1 << 20), Err(CKR_ARGUMENTS_BAD));
        }
        assert_eq!(ask(Some(c"Vendor X"), None, 0), Err(CKR_ARGUMENTS_BAD));
        let (mut interfaces, mut count): ([CK_INTERFACE; 3], _) = (unsafe { std::mem::zeroed() }, 3);
        assert_eq!(unsafe { (*list).C_GetInterfaceList.unwrap()(interfaces.as_mut_ptr(), &mut count) }, CKR_OK);
        let minors = interfaces.map(|interface| unsafe { (*interface.pFunctionList.cast::<CK_VERSION>()).minor });
        assert_eq!(minors, [0, 2, 40], "the default interface is the first");
        // pkcs11-spy of OpenSC 0.23 and 0.26 writes its own list into the interface that it gets.
        let mut found: *mut CK_INTERFACE = null_mut();
        let mut get = || unsafe {
            assert_eq!(get(null_mut(), null_mut(), &mut found, 0), CKR_OK);
            &mut *found
        };
        let own = get().pFunctionList;
        get().pFunctionList = null_mut();
        assert_eq!(get().pFunctionList, own, "a caller that overwrites its interface does not change the next one");
    }
}
