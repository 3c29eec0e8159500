//! The C boundary: the three exported symbols, C_Initialize and C_Finalize. PKCS#11 3.2 sections 5.4 and 6.
//!
//! Raw pointers exist in this folder only. The module `pointers` checks and dereferences them, except for two arguments
//! of C_GetInterface.

#![allow(unsafe_code, reason = "this is the C boundary")]
#![allow(non_snake_case, reason = "C_ names are the standard's")]

pub(crate) mod functions;
pub(crate) mod guard;
pub(crate) mod pointers;
pub(crate) mod table;
#[cfg(test)]
pub use table::ROWS;

#[cfg(not(any(test, fuzzing)))]
use crate::cloud::runtime::blocking::is_thread_start_panic;
use crate::error::{Error, Result};
use crate::host::descriptors;
use crate::metrics;
use crate::provider::Provider;
use cryptoki_sys::*;
use pointers::{Output, OutputValue};
use std::ffi::CStr;
use std::os::raw::{c_char, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

/// The maximum time that C_Finalize waits for the runtime's threads.
const FINALIZE_TIMEOUT: Duration = Duration::from_secs(2);

/// C_GetFunctionList, section 5.4.4: returns the function list of PKCS#11 2.40.
///
/// # Errors
/// CKR_ARGUMENTS_BAD if `list` is null.
///
/// # Safety
/// `list` is null or valid for writing a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    guard::without_provider("C_GetFunctionList", || {
        // SAFETY: null or valid by this function's contract.
        unsafe { OutputValue::new(list) }?.write((&raw const table::LIST_2_40).cast_mut());
        Ok(())
    })
}

/// C_GetInterfaceList, section 5.4.5: returns the interfaces "PKCS 11" 3.0, 3.2 and 2.40.
///
/// # Errors
/// CKR_ARGUMENTS_BAD if `count` is null; CKR_BUFFER_TOO_SMALL if the list does not fit.
///
/// # Safety
/// `count` is null or valid. `interfaces` is null or has room for `*count` interfaces.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterfaceList(interfaces: *mut CK_INTERFACE, count: *mut CK_ULONG) -> CK_RV {
    guard::without_provider("C_GetInterfaceList", || {
        // SAFETY: valid by this function's contract.
        unsafe { Output::new(interfaces, count) }?.write(&INTERFACES.each_ref().map(Interface::value))
    })
}

/// C_GetInterface, section 5.4.6: returns the interface with this name, version and flags. A caller that names no
/// version receives 3.0.
///
/// # Errors
/// CKR_ARGUMENTS_BAD if `interface` is null, or if there is no such interface.
///
/// # Safety
/// `name` is null or a C string. `version` is null or valid. `interface` is null or valid for writing a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterface(
    name: *mut CK_UTF8CHAR,
    version: *mut CK_VERSION,
    interface: *mut *mut CK_INTERFACE,
    flags: CK_FLAGS,
) -> CK_RV {
    guard::without_provider("C_GetInterface", || {
        // SAFETY: a C string by this function's contract.
        let name = if name.is_null() { INTERFACE_NAME } else { unsafe { CStr::from_ptr(name.cast()) } };
        // SAFETY: null or valid by this function's contract.
        let version = unsafe { version.as_ref() };
        // SAFETY: null or valid by this function's contract.
        let place = unsafe { OutputValue::new(interface) }?;
        let found = INTERFACES.iter().find(|own| {
            let same = |version: &CK_VERSION| (version.major, version.minor) == own.version;
            name == INTERFACE_NAME && version.is_none_or(same) && CKF_INTERFACE_FORK_SAFE & flags == flags
        });
        let none = || {
            Error::expected(
                CKR_ARGUMENTS_BAD,
                "the interface does not exist; use \"PKCS 11\" with version 2.40, 3.0 or 3.2",
            )
        };
        place.write(found.ok_or_else(none)?.pointer());
        Ok(())
    })
}

/// C_Initialize, section 5.4.1: reads the configuration and makes no request.
unsafe extern "C" fn C_Initialize(args: *mut c_void) -> CK_RV {
    guard::without_provider("C_Initialize", || {
        // SAFETY: null or valid by the contract of `pointers`, which the caller of C_Initialize promises to keep.
        unsafe { pointers::initialize_args(args) }?;
        match guard::provider() {
            Some(provider) => provider.initialize_after_fork(),
            None => initialize(),
        }
    })
}

/// C_Finalize, section 5.4.2: ends the running calls and leaves no thread behind.
unsafe extern "C" fn C_Finalize(reserved: *mut c_void) -> CK_RV {
    guard::without_provider("C_Finalize", || {
        if !reserved.is_null() {
            return Err(Error::new(CKR_ARGUMENTS_BAD, "pReserved must be null"));
        }
        guard::remove()?.join(FINALIZE_TIMEOUT);
        metrics::write();
        Ok(())
    })
}

fn initialize() -> Result<()> {
    descriptors::fill_standard_descriptors();
    guard::install(provider()?)
}

/// The function that creates the provider in tests and fuzzers.
#[cfg(any(test, fuzzing))]
pub(crate) static PROVIDER_FACTORY: std::sync::OnceLock<fn() -> Result<Provider>> = std::sync::OnceLock::new();

#[cfg(any(test, fuzzing))]
fn provider() -> Result<Provider> {
    PROVIDER_FACTORY.get().ok_or_else(|| Error::new(CKR_GENERAL_ERROR, "no provider was set"))?()
}

#[cfg(not(any(test, fuzzing)))]
fn provider() -> Result<Provider> {
    contain_panics();
    let config = crate::config::Config::load()?;
    metrics::start(config.metrics_file.clone());
    crate::audit::start(config.audit.clone());
    Ok(Provider::new(config))
}

/// Installs a panic hook that writes a log line, instead of the default report on standard error. The guard turns the
/// panic into an error code.
///
/// The standard library is linked into the module. A host that is itself a Rust program therefore keeps its own hook.
#[cfg(not(any(test, fuzzing)))]
fn contain_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if !panic.payload_as_str().is_some_and(is_thread_start_panic) {
            let place = panic.location().map(|at| panic_location(at.file(), at.line())).unwrap_or_default();
            crate::log_error!("a defect of the module: panic at {place}");
        }
    }));
}

/// Formats the location of a panic as `tokio-1.54.1/src/runtime/builder.rs:7`, without the folders of the machine that
/// built the module.
#[cfg(any(test, not(fuzzing)))]
fn panic_location(file: &str, line: u32) -> String {
    let crate_of = |(folders, rest): (&str, &str)| {
        let name = folders.rsplit('/').next().unwrap_or_default();
        format!("{name}/src/{rest}")
    };
    let file = match file.starts_with('/') {
        true => file.rsplit_once("/src/").map_or_else(|| "an unknown file".to_owned(), crate_of),
        false => file.to_owned(),
    };
    format!("{file}:{line}")
}

const INTERFACE_NAME: &CStr = c"PKCS 11";

/// The interfaces of C_GetInterfaceList, the default first. The standard lets a module choose the default. The default
/// is not 3.2 because OpenSC's pkcs11-spy does not know that version: pkcs11-spy 0.23 records nothing of it, and
/// pkcs11-spy 0.26 crashes.
static INTERFACES: [Interface; 3] = [
    Interface::new((3, 0), (&raw const table::LIST_3_0).cast()),
    Interface::new((3, 2), (&raw const table::LIST_3_2).cast()),
    Interface::new((2, 40), (&raw const table::LIST_2_40).cast()),
];

/// An interface: the structure that a caller receives a pointer to, and the version and function list that it stands
/// for.
struct Interface {
    lent: InterfaceStruct,
    version: (CK_BYTE, CK_BYTE),
    list: *const c_void,
}

/// CK_INTERFACE in writable memory: OpenSC's pkcs11-spy before 0.27 stores its own function list in the structure
/// (OpenSC/OpenSC#3275).
#[repr(C)]
struct InterfaceStruct {
    name: *const c_char,
    list: AtomicPtr<c_void>,
    flags: CK_FLAGS,
}

// SAFETY: the pointers point to immutable statics, and the one field that callers may change is atomic.
unsafe impl Sync for Interface {}

impl Interface {
    const fn new(version: (CK_BYTE, CK_BYTE), list: *const c_void) -> Self {
        // Section 5.4.5: after a fork, the child can continue where its parent was.
        let lent = InterfaceStruct {
            name: INTERFACE_NAME.as_ptr(),
            list: AtomicPtr::new(list.cast_mut()),
            flags: CKF_INTERFACE_FORK_SAFE,
        };
        Self { lent, version, list }
    }

    /// Returns a pointer to the structure. First restores the module's own function list, which a caller may have
    /// overwritten.
    fn pointer(&self) -> *mut CK_INTERFACE {
        self.lent.list.store(self.list.cast_mut(), Ordering::Relaxed);
        (&raw const self.lent).cast::<CK_INTERFACE>().cast_mut()
    }

    fn value(&self) -> CK_INTERFACE {
        CK_INTERFACE {
            pInterfaceName: INTERFACE_NAME.as_ptr().cast::<CK_UTF8CHAR>().cast_mut(),
            pFunctionList: self.list.cast_mut(),
            flags: CKF_INTERFACE_FORK_SAFE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::panic_location;

    #[test]
    fn panic_location_has_no_build_machine_folders() {
        for (file, told) in [
            ("src/token.rs", "src/token.rs:7"),
            (
                "/home/me/.cargo/registry/src/index.crates.io-1/tokio-1.54.1/src/runtime/mod.rs",
                "tokio-1.54.1/src/runtime/mod.rs:7",
            ),
            ("/rustc/0123/library/core/src/option.rs", "core/src/option.rs:7"),
            ("/home/me/checkout/src/ffi/guard.rs", "checkout/src/ffi/guard.rs:7"),
            ("/odd.rs", "an unknown file:7"),
        ] {
            assert_eq!(panic_location(file, 7), told);
        }
    }
}
