//! The guard around every call: finds the provider, contains panics, and logs the error once.

use crate::cloud::runtime;
use crate::cloud::runtime::Shutdown;
use crate::error::{Error, Result, rv_label, rv_name, rv_of};
use crate::host::fork;
use crate::host::logging;
use crate::host::logging::Level;
use crate::metrics;
use crate::provider::Provider;
use cryptoki_sys::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// The provider that C_Initialize created. The C boundary keeps no other state.
static PROVIDER: RwLock<Option<Arc<Provider>>> = RwLock::new(None);

/// Runs the body of a C function with the provider, and returns its CK_RV. C_Finalize cannot free the provider during
/// the call.
///
/// Returns CKR_CRYPTOKI_NOT_INITIALIZED if there is no provider, otherwise what [`without_provider`] returns.
pub fn call(function: &'static str, body: impl FnOnce(&Provider) -> Result<()>) -> CK_RV {
    without_provider(function, || body(&*provider().ok_or_else(not_initialized)?))
}

/// Runs the body of a C function that needs no provider, and returns its CK_RV. The body runs in [`fork::inside_gate`].
///
/// Returns CKR_GENERAL_ERROR if the body panics.
pub fn without_provider(function: &'static str, body: impl FnOnce() -> Result<()>) -> CK_RV {
    let start = Instant::now();
    let outcome = fork::inside_gate(|| {
        let outcome = catch_unwind(AssertUnwindSafe(body));
        if metrics::is_enabled() {
            count(function, outcome.as_ref().map_or(CKR_GENERAL_ERROR, rv_of));
        }
        outcome
    });
    let outcome = outcome.unwrap_or_else(|_| Err(Error::new(CKR_GENERAL_ERROR, "a defect of the module (a panic)")));
    let (rv, level) = match &outcome {
        Ok(()) => (CKR_OK, Level::Debug),
        Err(error) if error.is_expected_in_normal_use() => (error.rv, Level::Debug),
        Err(error) => (error.rv, Level::Error),
    };
    if logging::enabled(level) {
        let message = outcome.err().map_or_else(|| rv_name(rv).into_owned(), |error| error.to_string());
        logging::line(level, format_args!("{function}: {message} ({} ms)", start.elapsed().as_millis()));
    }
    rv
}

/// Counts a call. Not inlined, because [`without_provider`] is compiled for each function.
#[cold]
fn count(function: &'static str, rv: CK_RV) {
    metrics::count_function_call(function, rv_label(rv));
}

/// Returns the provider between C_Initialize and C_Finalize, and None at other times.
pub fn provider() -> Option<Arc<Provider>> {
    PROVIDER.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Installs the provider and opens the runtime.
///
/// # Errors
/// CKR_CRYPTOKI_ALREADY_INITIALIZED if another thread has installed a provider.
pub fn install(provider: Provider) -> Result<()> {
    let mut own = PROVIDER.write().unwrap_or_else(PoisonError::into_inner);
    if own.is_some() {
        return Err(Error::new(
            CKR_CRYPTOKI_ALREADY_INITIALIZED,
            "the module is already initialized; call C_Finalize first",
        ));
    }
    *own = Some(Arc::new(provider));
    runtime::open();
    Ok(())
}

/// Removes the provider and closes the runtime. Running calls keep the provider alive until they return.
///
/// # Errors
/// CKR_CRYPTOKI_NOT_INITIALIZED if there is no provider.
pub fn remove() -> Result<Shutdown> {
    let mut own = PROVIDER.write().unwrap_or_else(PoisonError::into_inner);
    let provider = own.take().ok_or_else(not_initialized)?;
    provider.finalize();
    let ending = runtime::close();
    drop(own);
    drop(provider);
    Ok(ending)
}

fn not_initialized() -> Error {
    Error::new(CKR_CRYPTOKI_NOT_INITIALIZED, "the module is not initialized; call C_Initialize first")
}
