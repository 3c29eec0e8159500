//! Errors of the module: the CK_RV that the caller receives and the message that is logged.
//!
//! An error is created where its meaning is known, and logged in one place, the guard of `ffi`. PKCS#11 3.1
//! section 5.1.6.

use cryptoki_sys::*;
use std::borrow::Cow;
use std::fmt;

/// The result of a fallible function of the core.
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why a call failed: a CK_RV of the standard and a message for the reader of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The value that the C function returns.
    pub rv: CK_RV,
    /// What was wrong, where, and what to do. Never contains a secret.
    pub message: Cow<'static, str>,
    /// The number of the service's failure (docs/errors.md), or 0 if the service did not fail. C_GetSessionInfo reports
    /// this number as CK_SESSION_INFO.ulDeviceError.
    pub device_error: CK_ULONG,
    /// Whether the error is a negative answer to a question of the caller, for example whether an object has an
    /// attribute or whether a signature is valid. Such an error is not a fault.
    pub is_expected: bool,
}

impl Error {
    /// Creates an error with a message. The service did not fail.
    pub fn new(rv: CK_RV, message: impl Into<Cow<'static, str>>) -> Self {
        Self { rv, message: message.into(), device_error: 0, is_expected: false }
    }

    /// Creates an error that is a negative answer to a question of the caller.
    pub fn expected(rv: CK_RV, message: impl Into<Cow<'static, str>>) -> Self {
        Self { is_expected: true, ..Self::new(rv, message) }
    }

    /// Returns the error for a signature or MAC that is not valid.
    pub fn invalid_signature() -> Self {
        Self::expected(CKR_SIGNATURE_INVALID, "the signature was not made from this data with this key")
    }

    /// Returns the same error with `thing`, which the error is about, in front of the message.
    pub fn with_context(self, thing: impl fmt::Display) -> Self {
        Self { message: format!("{thing}: {}", self.message).into(), ..self }
    }

    /// Returns whether a correct caller can meet this error in normal use, for example with a buffer that is too small
    /// or in a session without an operation. Such an error is not logged at level `error`.
    pub fn is_expected_in_normal_use(&self) -> bool {
        self.is_expected
            || self.device_error == 0
                && matches!(
                    self.rv,
                    CKR_BUFFER_TOO_SMALL
                        | CKR_CRYPTOKI_ALREADY_INITIALIZED
                        | CKR_CRYPTOKI_NOT_INITIALIZED
                        | CKR_USER_ALREADY_LOGGED_IN
                        | CKR_USER_NOT_LOGGED_IN
                        | CKR_FUNCTION_NOT_SUPPORTED
                        | CKR_FUNCTION_NOT_PARALLEL
                        | CKR_OPERATION_NOT_INITIALIZED
                        | CKR_NO_EVENT
                        | CKR_RANDOM_SEED_NOT_SUPPORTED
                        | CKR_STATE_UNSAVEABLE
                )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", rv_name(self.rv), self.message)
    }
}

impl std::error::Error for Error {}

/// Returns the standard's name of a CK_RV for the log, or its value in hexadecimal if this module never returns it.
pub fn rv_name(rv: CK_RV) -> Cow<'static, str> {
    match RV_NAMES.iter().find(|(value, _)| *value == rv) {
        Some((_, name)) => Cow::Borrowed(name),
        None => Cow::Owned(format!("CK_RV 0x{rv:x}")),
    }
}

/// Returns the CK_RV of a result.
pub fn rv_of<T>(result: &Result<T>) -> CK_RV {
    result.as_ref().map_or_else(|error| error.rv, |_| CKR_OK)
}

/// Returns the standard's name of a CK_RV for a metric, or `other` if this module never returns it.
pub fn rv_label(rv: CK_RV) -> &'static str {
    RV_NAMES.iter().find(|(value, _)| *value == rv).map_or("other", |(_, name)| name)
}

macro_rules! names {
    ($($name:ident),* $(,)?) => { &[$(($name, stringify!($name))),*] };
}

/// Every CK_RV that this module can return, with its name.
const RV_NAMES: &[(CK_RV, &str)] = names![
    CKR_OK,
    CKR_CANCEL,
    CKR_HOST_MEMORY,
    CKR_SLOT_ID_INVALID,
    CKR_GENERAL_ERROR,
    CKR_FUNCTION_FAILED,
    CKR_ARGUMENTS_BAD,
    CKR_NO_EVENT,
    CKR_NEED_TO_CREATE_THREADS,
    CKR_CANT_LOCK,
    CKR_ATTRIBUTE_READ_ONLY,
    CKR_ATTRIBUTE_SENSITIVE,
    CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_ATTRIBUTE_VALUE_INVALID,
    CKR_ACTION_PROHIBITED,
    CKR_DATA_INVALID,
    CKR_DATA_LEN_RANGE,
    CKR_CURVE_NOT_SUPPORTED,
    CKR_DEVICE_ERROR,
    CKR_DEVICE_MEMORY,
    CKR_DEVICE_REMOVED,
    CKR_DOMAIN_PARAMS_INVALID,
    CKR_ENCRYPTED_DATA_INVALID,
    CKR_ENCRYPTED_DATA_LEN_RANGE,
    CKR_FUNCTION_CANCELED,
    CKR_FUNCTION_NOT_PARALLEL,
    CKR_FUNCTION_NOT_SUPPORTED,
    CKR_KEY_HANDLE_INVALID,
    CKR_KEY_NOT_WRAPPABLE,
    CKR_KEY_UNEXTRACTABLE,
    CKR_KEY_SIZE_RANGE,
    CKR_KEY_TYPE_INCONSISTENT,
    CKR_KEY_FUNCTION_NOT_PERMITTED,
    CKR_MECHANISM_INVALID,
    CKR_MECHANISM_PARAM_INVALID,
    CKR_OBJECT_HANDLE_INVALID,
    CKR_OPERATION_ACTIVE,
    CKR_OPERATION_NOT_INITIALIZED,
    CKR_PIN_EXPIRED,
    CKR_PIN_INCORRECT,
    CKR_PIN_INVALID,
    CKR_PIN_LEN_RANGE,
    CKR_SESSION_CLOSED,
    CKR_SESSION_COUNT,
    CKR_SESSION_HANDLE_INVALID,
    CKR_SESSION_PARALLEL_NOT_SUPPORTED,
    CKR_SESSION_READ_ONLY,
    CKR_SESSION_EXISTS,
    CKR_SESSION_READ_ONLY_EXISTS,
    CKR_SESSION_READ_WRITE_SO_EXISTS,
    CKR_SIGNATURE_INVALID,
    CKR_SIGNATURE_LEN_RANGE,
    CKR_TEMPLATE_INCOMPLETE,
    CKR_TEMPLATE_INCONSISTENT,
    CKR_TOKEN_NOT_PRESENT,
    CKR_TOKEN_NOT_RECOGNIZED,
    CKR_TOKEN_WRITE_PROTECTED,
    CKR_UNWRAPPING_KEY_HANDLE_INVALID,
    CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
    CKR_WRAPPED_KEY_INVALID,
    CKR_WRAPPED_KEY_LEN_RANGE,
    CKR_WRAPPING_KEY_HANDLE_INVALID,
    CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
    CKR_USER_ALREADY_LOGGED_IN,
    CKR_USER_NOT_LOGGED_IN,
    CKR_USER_PIN_NOT_INITIALIZED,
    CKR_USER_TYPE_INVALID,
    CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    CKR_USER_TOO_MANY_TYPES,
    CKR_RANDOM_SEED_NOT_SUPPORTED,
    CKR_RANDOM_NO_RNG,
    CKR_BUFFER_TOO_SMALL,
    CKR_SAVED_STATE_INVALID,
    CKR_STATE_UNSAVEABLE,
    CKR_CRYPTOKI_NOT_INITIALIZED,
    CKR_CRYPTOKI_ALREADY_INITIALIZED,
    CKR_FUNCTION_REJECTED,
    CKR_OPERATION_CANCEL_FAILED,
    CKR_SESSION_ASYNC_NOT_SUPPORTED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_name_in_the_log() {
        assert_eq!(Error::new(CKR_DATA_INVALID, "no DigestInfo").to_string(), "CKR_DATA_INVALID: no DigestInfo");
        assert_eq!(rv_name(0x8000_1234), "CK_RV 0x80001234");
    }
}
