//! The ABI: one row per C function. The function lists of 2.40, 3.0 and 3.2 are built from the rows.
//!
//! A row has one of three forms: the C arguments of the function and the safe call that they become; `own`, for a
//! function that is written out in `ffi`; or the return value of a stub. PKCS#11 3.2 section 5 and its header files.

use super::functions;
use super::functions::{cipher, digest, keys, messages, sign, termination, verify};
use super::guard;
use super::pointers::{FixedOutput, HandleBuffer, Input, Output, OutputValue, Template, mechanism};
use cryptoki_sys::*;
use std::os::raw::c_void;

/// The stubs for functions that are not supported. A stub takes up to twelve arguments of any type and always returns
/// the same CK_RV.
trait Stub {
    const NOT_SUPPORTED: Self;
    const NOT_PARALLEL: Self;
}

macro_rules! stubs {
    ($($arg:ident)*) => {
        impl<$($arg),*> Stub for Option<unsafe extern "C" fn($($arg),*) -> CK_RV> {
            const NOT_SUPPORTED: Self = { unsafe extern "C" fn stub<$($arg),*>($(_: $arg),*) -> CK_RV { CKR_FUNCTION_NOT_SUPPORTED } Some(stub) };
            const NOT_PARALLEL: Self = { unsafe extern "C" fn stub<$($arg),*>($(_: $arg),*) -> CK_RV { CKR_FUNCTION_NOT_PARALLEL } Some(stub) };
        }
    };
}

macro_rules! stubs_up_to {
    ($first:ident $($rest:ident)*) => { stubs!($first $($rest)*); stubs_up_to!($($rest)*); };
    () => {};
}

stubs_up_to!(A B C D E F G H I J K L);

/// Defines the C function of a row, if the function is supported. An error may end an operation, even if the error is
/// found before the body of the row runs. The first argument of such a function is the session handle.
macro_rules! function {
    ($name:ident ($first:ident: $first_type:ty $(, $arg:ident: $type:ty)*) => $module:ident::$body:ident($($value:expr),*)) => {
        #[allow(unused_unsafe, reason = "some rows have no pointers")]
        unsafe extern "C" fn $name($first: $first_type $(, $arg: $type)*) -> CK_RV {
            guard::call(stringify!($name), |provider| {
                // SAFETY: by the contract of `pointers`, which the caller of this C function promises to keep.
                let body = || unsafe { $module::$body(provider, $($value),*) };
                body().inspect_err(|error| termination::terminate_operation(provider, stringify!($name), $first as usize, error))
            })
        }
    };
    ($name:ident => $stub:ident) => {};
}

/// Expands to the entry of a row in a function list.
macro_rules! entry {
    ($name:ident own) => {
        Some(super::$name)
    };
    ($name:ident NOT_SUPPORTED) => {
        Stub::NOT_SUPPORTED
    };
    ($name:ident NOT_PARALLEL) => {
        Stub::NOT_PARALLEL
    };
    ($name:ident $module:ident) => {
        Some($name)
    };
}

/// A row for the table in docs/conformance.md.
#[cfg(test)]
pub struct Row {
    /// The name of the C function.
    pub name: &'static str,
    /// The version of the standard that introduced the function.
    pub since: CK_VERSION,
    /// The module that contains the function's body, or the name of its stub.
    pub body: &'static str,
}

macro_rules! rows {
    (
        v2_40 { $($n2:ident $(($($a2:ident: $t2:ty),*))? => $k2:ident $(::$b2:ident($($v2:expr),*))?;)* }
        v3_0 { $($n30:ident $(($($a30:ident: $t30:ty),*))? => $k30:ident $(::$b30:ident($($v30:expr),*))?;)* }
        v3_2 { $($n32:ident $(($($a32:ident: $t32:ty),*))? => $k32:ident $(::$b32:ident($($v32:expr),*))?;)* }
    ) => {
        $(function! { $n2 $(($($a2: $t2),*))? => $k2 $(::$b2($($v2),*))? })*
        $(function! { $n30 $(($($a30: $t30),*))? => $k30 $(::$b30($($v30),*))? })*
        $(function! { $n32 $(($($a32: $t32),*))? => $k32 $(::$b32($($v32),*))? })*

        /// All rows, in the order of the function lists.
        #[cfg(test)]
        pub const ROWS: &[Row] = &[
            $(Row { name: stringify!($n2), since: V2_40, body: stringify!($k2) },)*
            $(Row { name: stringify!($n30), since: V3_0, body: stringify!($k30) },)*
            $(Row { name: stringify!($n32), since: V3_2, body: stringify!($k32) },)*
        ];
        /// The function list of C_GetFunctionList and of the interface "PKCS 11" 2.40.
        pub static LIST_2_40: CK_FUNCTION_LIST = CK_FUNCTION_LIST { C_GetInfo: Some(get_info_2_40), ..ROWS_2_40 };
        const ROWS_2_40: CK_FUNCTION_LIST = CK_FUNCTION_LIST {
            version: V2_40,
            $($n2: entry!($n2 $k2),)*
        };
        /// The function list of the interface "PKCS 11" 3.0.
        pub static LIST_3_0: CK_FUNCTION_LIST_3_0 = CK_FUNCTION_LIST_3_0 { C_GetInfo: Some(get_info_3_0), ..ROWS_3_0 };
        const ROWS_3_0: CK_FUNCTION_LIST_3_0 = CK_FUNCTION_LIST_3_0 {
            version: V3_0,
            $($n2: entry!($n2 $k2),)*
            $($n30: entry!($n30 $k30),)*
        };
        /// The function list of the interface "PKCS 11" 3.2.
        pub static LIST_3_2: CK_FUNCTION_LIST_3_2 = CK_FUNCTION_LIST_3_2 {
            version: V3_2,
            $($n2: entry!($n2 $k2),)*
            $($n30: entry!($n30 $k30),)*
            $($n32: entry!($n32 $k32),)*
        };
    };
}

const V2_40: CK_VERSION = CK_VERSION { major: 2, minor: 40 };
const V3_0: CK_VERSION = CK_VERSION { major: 3, minor: 0 };
const V3_2: CK_VERSION = CK_VERSION { major: 3, minor: 2 };

rows! {
    v2_40 {
        C_Initialize => own;
        C_Finalize => own;
        C_GetInfo(info: *mut CK_INFO) => functions::info(V3_2, OutputValue::new(info)?);
        C_GetFunctionList => own;
        C_GetSlotList(present: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG) => functions::slot_list(present, Output::new(slots, count)?);
        C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) => functions::slot_info(slot, OutputValue::new(info)?);
        C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) => functions::token_info(slot, OutputValue::new(info)?);
        C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG) => functions::mechanism_list(slot, Output::new(list, count)?);
        C_GetMechanismInfo(slot: CK_SLOT_ID, ckm: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO) => functions::mechanism_info(slot, ckm, OutputValue::new(info)?);
        C_InitToken => NOT_SUPPORTED;
        C_InitPIN => NOT_SUPPORTED;
        C_SetPIN => NOT_SUPPORTED;
        C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, _application: *mut c_void, _notify: CK_NOTIFY, session: *mut CK_SESSION_HANDLE) => functions::open_session(slot, flags, OutputValue::new(session)?);
        C_CloseSession(session: CK_SESSION_HANDLE) => functions::close_session(session);
        C_CloseAllSessions(slot: CK_SLOT_ID) => functions::close_all_sessions(slot);
        C_GetSessionInfo(session: CK_SESSION_HANDLE, info: *mut CK_SESSION_INFO) => functions::session_info(session, OutputValue::new(info)?);
        C_GetOperationState(session: CK_SESSION_HANDLE, _state: *mut CK_BYTE, _length: *mut CK_ULONG) => functions::operation_state(session);
        C_SetOperationState(session: CK_SESSION_HANDLE, _state: *mut CK_BYTE, _length: CK_ULONG, _encryption: CK_OBJECT_HANDLE, _authentication: CK_OBJECT_HANDLE) => functions::set_operation_state(session);
        C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, pin_len: CK_ULONG) => functions::login(session, user, Input::new(pin, pin_len)?);
        C_Logout(session: CK_SESSION_HANDLE) => functions::logout(session);
        C_CreateObject(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE) => keys::create_object(session, Template::new(template, count)?, OutputValue::new(object)?);
        C_CopyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, _template: *mut CK_ATTRIBUTE, _count: CK_ULONG, _copy: *mut CK_OBJECT_HANDLE) => keys::copy_object(session, object);
        C_DestroyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) => keys::destroy_object(session, object);
        C_GetObjectSize(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, size: *mut CK_ULONG) => functions::object_size(session, object, OutputValue::new(size)?);
        C_GetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) => functions::attribute_value(session, object, Template::new(template, count)?);
        C_SetAttributeValue(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) => keys::set_attribute_value(session, object, Template::new(template, count)?);
        C_FindObjectsInit(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG) => functions::find_objects_init(session, Template::new(template, count)?);
        C_FindObjects(session: CK_SESSION_HANDLE, objects: *mut CK_OBJECT_HANDLE, most: CK_ULONG, count: *mut CK_ULONG) => functions::find_objects(session, HandleBuffer::new(objects, most, count)?);
        C_FindObjectsFinal(session: CK_SESSION_HANDLE) => functions::find_objects_final(session);
        C_EncryptInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) => cipher::encrypt_init(session, mechanism(request)?, key);
        C_Encrypt(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, encrypted: *mut CK_BYTE, encrypted_len: *mut CK_ULONG) => cipher::encrypt(session, Input::new(data, data_len)?, Output::new(encrypted, encrypted_len)?);
        C_EncryptUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG, encrypted: *mut CK_BYTE, encrypted_len: *mut CK_ULONG) => cipher::encrypt_update(session, Input::new(part, part_len)?, Output::new(encrypted, encrypted_len)?);
        C_EncryptFinal(session: CK_SESSION_HANDLE, encrypted: *mut CK_BYTE, encrypted_len: *mut CK_ULONG) => cipher::encrypt_last(session, Output::new(encrypted, encrypted_len)?);
        C_DecryptInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) => cipher::decrypt_init(session, mechanism(request)?, key);
        C_Decrypt(session: CK_SESSION_HANDLE, encrypted: *mut CK_BYTE, encrypted_len: CK_ULONG, data: *mut CK_BYTE, data_len: *mut CK_ULONG) => cipher::decrypt(session, Input::new(encrypted, encrypted_len)?, Output::new(data, data_len)?);
        C_DecryptUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG, data: *mut CK_BYTE, data_len: *mut CK_ULONG) => cipher::decrypt_update(session, Input::new(part, part_len)?, Output::new(data, data_len)?);
        C_DecryptFinal(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: *mut CK_ULONG) => cipher::decrypt_last(session, Output::new(data, data_len)?);
        C_DigestInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM) => digest::init(session, mechanism(request)?);
        C_Digest(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, digest: *mut CK_BYTE, digest_len: *mut CK_ULONG) => digest::whole(session, Input::new(data, data_len)?, Output::new(digest, digest_len)?);
        C_DigestUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) => digest::update(session, Input::new(part, part_len)?);
        C_DigestKey => NOT_SUPPORTED;
        C_DigestFinal(session: CK_SESSION_HANDLE, digest: *mut CK_BYTE, digest_len: *mut CK_ULONG) => digest::last(session, Output::new(digest, digest_len)?);
        C_SignInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) => sign::init(session, mechanism(request)?, key);
        C_Sign(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) => sign::single_part(session, Input::new(data, data_len)?, Output::new(signature, signature_len)?);
        C_SignUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) => sign::update(session, Input::new(part, part_len)?);
        C_SignFinal(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) => sign::finalize(session, Output::new(signature, signature_len)?);
        C_SignRecoverInit => NOT_SUPPORTED;
        C_SignRecover => NOT_SUPPORTED;
        C_VerifyInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) => verify::init(session, mechanism(request)?, key);
        C_Verify(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: CK_ULONG) => verify::whole(session, Input::new(data, data_len)?, Input::new(signature, signature_len)?);
        C_VerifyUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) => verify::update(session, Input::new(part, part_len)?);
        C_VerifyFinal(session: CK_SESSION_HANDLE, signature: *mut CK_BYTE, signature_len: CK_ULONG) => verify::last(session, Input::new(signature, signature_len)?);
        C_VerifyRecoverInit => NOT_SUPPORTED;
        C_VerifyRecover => NOT_SUPPORTED;
        C_DigestEncryptUpdate => NOT_SUPPORTED;
        C_DecryptDigestUpdate => NOT_SUPPORTED;
        C_SignEncryptUpdate => NOT_SUPPORTED;
        C_DecryptVerifyUpdate => NOT_SUPPORTED;
        C_GenerateKey(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE) => keys::generate(session, mechanism(request)?, Template::new(template, count)?, OutputValue::new(key)?);
        C_GenerateKeyPair(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, public: *mut CK_ATTRIBUTE, public_count: CK_ULONG, private: *mut CK_ATTRIBUTE, private_count: CK_ULONG, public_key: *mut CK_OBJECT_HANDLE, private_key: *mut CK_OBJECT_HANDLE) => keys::generate_pair(session, mechanism(request)?, Template::new(public, public_count)?, Template::new(private, private_count)?, OutputValue::new(public_key)?, OutputValue::new(private_key)?);
        C_WrapKey(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, wrapping: CK_OBJECT_HANDLE, key: CK_OBJECT_HANDLE, wrapped: *mut CK_BYTE, wrapped_len: *mut CK_ULONG) => keys::wrap(session, mechanism(request)?, wrapping, key, Output::new(wrapped, wrapped_len)?);
        C_UnwrapKey(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, unwrapping: CK_OBJECT_HANDLE, wrapped: *mut CK_BYTE, wrapped_len: CK_ULONG, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE) => keys::unwrap(session, mechanism(request)?, unwrapping, Input::new(wrapped, wrapped_len)?, Template::new(template, count)?, OutputValue::new(key)?);
        C_DeriveKey(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, base: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut CK_OBJECT_HANDLE) => keys::derive(session, mechanism(request)?, base, Template::new(template, count)?, OutputValue::new(key)?);
        C_SeedRandom(session: CK_SESSION_HANDLE, _seed: *mut CK_BYTE, _length: CK_ULONG) => functions::seed_random(session);
        C_GenerateRandom(session: CK_SESSION_HANDLE, random: *mut CK_BYTE, length: CK_ULONG) => functions::generate_random(session, FixedOutput::new(random, length)?);
        C_GetFunctionStatus => NOT_PARALLEL;
        C_CancelFunction => NOT_PARALLEL;
        C_WaitForSlotEvent(flags: CK_FLAGS, _slot: *mut CK_SLOT_ID, _reserved: *mut c_void) => functions::wait_for_slot_event(flags);
    }
    v3_0 {
        C_GetInterfaceList => own;
        C_GetInterface => own;
        C_LoginUser(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, pin_len: CK_ULONG, name: *mut CK_UTF8CHAR, name_len: CK_ULONG) => functions::login_user(session, user, Input::new(pin, pin_len)?, Input::new(name, name_len)?);
        C_SessionCancel(session: CK_SESSION_HANDLE, flags: CK_FLAGS) => functions::session_cancel(session, flags);
        C_MessageEncryptInit => NOT_SUPPORTED;
        C_EncryptMessage => NOT_SUPPORTED;
        C_EncryptMessageBegin => NOT_SUPPORTED;
        C_EncryptMessageNext => NOT_SUPPORTED;
        C_MessageEncryptFinal => NOT_SUPPORTED;
        C_MessageDecryptInit => NOT_SUPPORTED;
        C_DecryptMessage => NOT_SUPPORTED;
        C_DecryptMessageBegin => NOT_SUPPORTED;
        C_DecryptMessageNext => NOT_SUPPORTED;
        C_MessageDecryptFinal => NOT_SUPPORTED;
        C_MessageSignInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) => messages::sign_init(session, mechanism(request)?, key);
        C_SignMessage(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) => messages::sign(session, Input::new(parameter.cast(), parameter_len)?, Input::new(data, data_len)?, Output::new(signature, signature_len)?);
        C_SignMessageBegin(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG) => messages::sign_begin(session, Input::new(parameter.cast(), parameter_len)?);
        C_SignMessageNext(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, part: *mut CK_BYTE, part_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: *mut CK_ULONG) => messages::sign_next(session, Input::new(parameter.cast(), parameter_len)?, Input::new(part, part_len)?, Output::optional(signature, signature_len)?);
        C_MessageSignFinal(session: CK_SESSION_HANDLE) => messages::sign_final(session);
        C_MessageVerifyInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE) => messages::verify_init(session, mechanism(request)?, key);
        C_VerifyMessage(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, data: *mut CK_BYTE, data_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: CK_ULONG) => messages::verify(session, Input::new(parameter.cast(), parameter_len)?, Input::new(data, data_len)?, Input::new(signature, signature_len)?);
        C_VerifyMessageBegin(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG) => messages::verify_begin(session, Input::new(parameter.cast(), parameter_len)?);
        C_VerifyMessageNext(session: CK_SESSION_HANDLE, parameter: *mut c_void, parameter_len: CK_ULONG, part: *mut CK_BYTE, part_len: CK_ULONG, signature: *mut CK_BYTE, signature_len: CK_ULONG) => messages::verify_next(session, Input::new(parameter.cast(), parameter_len)?, Input::new(part, part_len)?, Input::new(signature, signature_len)?);
        C_MessageVerifyFinal(session: CK_SESSION_HANDLE) => messages::verify_final(session);
    }
    v3_2 {
        C_EncapsulateKey => NOT_SUPPORTED;
        C_DecapsulateKey => NOT_SUPPORTED;
        C_VerifySignatureInit(session: CK_SESSION_HANDLE, request: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE, signature: *mut CK_BYTE, signature_len: CK_ULONG) => verify::signature_init(session, mechanism(request)?, key, Input::new(signature, signature_len)?);
        C_VerifySignature(session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_len: CK_ULONG) => verify::signature_whole(session, Input::new(data, data_len)?);
        C_VerifySignatureUpdate(session: CK_SESSION_HANDLE, part: *mut CK_BYTE, part_len: CK_ULONG) => verify::signature_update(session, Input::new(part, part_len)?);
        C_VerifySignatureFinal(session: CK_SESSION_HANDLE) => verify::signature_last(session);
        C_GetSessionValidationFlags(session: CK_SESSION_HANDLE, kind: CK_ULONG, flags: *mut CK_FLAGS) => functions::session_validation_flags(session, kind, OutputValue::new(flags)?);
        C_AsyncComplete(session: CK_SESSION_HANDLE, _function: *mut CK_UTF8CHAR, _result: *mut CK_ASYNC_DATA) => functions::async_not_supported(session);
        C_AsyncGetID(session: CK_SESSION_HANDLE, _function: *mut CK_UTF8CHAR, _id: *mut CK_ULONG) => functions::async_not_supported(session);
        C_AsyncJoin(session: CK_SESSION_HANDLE, _function: *mut CK_UTF8CHAR, _id: CK_ULONG, _data: *mut CK_BYTE, _length: CK_ULONG) => functions::async_not_supported(session);
        C_WrapKeyAuthenticated => NOT_SUPPORTED;
        C_UnwrapKeyAuthenticated => NOT_SUPPORTED;
    }
}

// C_GetInfo returns the version of the function list through which it was called.
macro_rules! get_info {
    ($name:ident $version:ident) => {
        unsafe extern "C" fn $name(info: *mut CK_INFO) -> CK_RV {
            guard::call("C_GetInfo", |provider| {
                // SAFETY: by the contract of `pointers`, which the caller of this C function promises to keep.
                functions::info(provider, $version, unsafe { OutputValue::new(info) }?)
            })
        }
    };
}

get_info!(get_info_2_40 V2_40);
get_info!(get_info_3_0 V3_0);
