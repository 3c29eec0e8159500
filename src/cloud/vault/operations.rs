//! The operations of the Transit engine that the module calls, and the capabilities that they need.
//!
//! "Transit secrets engine (API)" of Vault's documentation.

use crate::cloud::failure::{Cause, Failure};

/// An operation, and the capability that a policy must give for its path.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) capability: &'static str,
}

impl Operation {
    pub(crate) fn failure(&self, cause: Cause, message: impl Into<String>) -> Failure {
        Failure::new(cause, self.name, message)
    }
}

macro_rules! operations {
    ($($constant:ident $name:literal $capability:literal;)*) => {
        $(pub(crate) const $constant: Operation = Operation { name: $name, capability: $capability };)*
    };
}

operations! {
    READ_KEY "ReadKey" "read";
    LIST_KEYS "ListKeys" "list";
    SIGN "Sign" "update";
    HMAC "GenerateHMAC" "update";
    VERIFY "Verify" "update";
    DECRYPT "Decrypt" "update";
    RANDOM "GenerateRandomBytes" "update";
}
