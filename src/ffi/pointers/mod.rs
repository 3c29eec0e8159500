//! Raw pointers from C callers: the arguments and the places for the results. PKCS#11 3.1 sections 5.1 and 5.2.
//!
//! This module has the only raw dereferences, except for two arguments of C_GetInterface. All constructors are `unsafe`
//! and have the same contract: the caller of the C function promises that each pointer is null or valid for the length
//! that is passed with it, for the duration of the call. The constructors check everything that can be checked.

mod arguments;
mod mechanism;
mod template;
#[cfg(test)]
mod tests;

pub use arguments::*;
pub use mechanism::mechanism;
#[cfg(any(test, fuzzing))]
pub use template::MAX_VALUE_LEN;
pub use template::Template;
