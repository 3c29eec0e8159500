//! The only raw dereferences: what C callers hand in and where they want the answer. PKCS#11 3.1 sections 5.1 and 5.2.
//!
//! Each constructor is `unsafe` with one contract: the caller of the C function promises that its pointers are null or
//! point to as much as the lengths beside them say, as long as the call lasts. All that can be checked is checked.

mod arguments;
mod mechanism;
mod template;
#[cfg(test)]
mod tests;

pub use arguments::*;
pub use mechanism::mechanism;
#[cfg(any(test, fuzzing))]
pub use template::LONGEST_VALUE;
pub use template::Template;
