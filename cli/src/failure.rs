//! Why a command failed.

use std::fmt;

/// Why a command failed, and what to do about it. The tool shows it on stderr and exits with 1.
#[derive(Debug)]
pub struct Failure {
    /// What happened, to what: `token "web": C_Sign failed with CKR_DEVICE_ERROR`.
    pub message: String,
    /// What to do about it: an order to the user.
    pub fix: Option<String>,
}

/// The result of a step of a command.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Returns a failure without advice, for those whose message says enough.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), fix: None }
    }

    /// Adds what to do about the failure.
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// Puts what the failure is about before its message.
    pub fn of(self, subject: impl fmt::Display) -> Self {
        Self { message: format!("{subject}: {}", self.message), ..self }
    }
}

impl From<cryptoki::error::Error> for Failure {
    /// The module's log has a line with the reason for each call that failed.
    fn from(error: cryptoki::error::Error) -> Self {
        use cryptoki::error::Error;
        match error {
            Error::Pkcs11(code, function) => {
                Self::new(format!("C_{function:?} failed with {}", code_name(&format!("{code:?}")))).fix(
                    "read the module's line about it: on stderr, unless the configuration names a log_file or the system's log",
                )
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Returns the standard's name of a return value from the wrapper's: CKR_DATA_LEN_RANGE from DataLenRange.
fn code_name(variant: &str) -> String {
    let words = variant.chars().flat_map(|char| char.is_uppercase().then_some('_').into_iter().chain([char]));
    format!("CKR{}", words.collect::<String>().to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;
    use cryptoki::error::{Error, RvError};

    #[test]
    fn a_failed_call_has_the_names_of_the_standard() {
        let failure = Failure::from(Error::Pkcs11(RvError::DataLenRange, Function::SignUpdate)).of("file");
        assert_eq!(failure.message, "file: C_SignUpdate failed with CKR_DATA_LEN_RANGE");
    }
}
