//! The operations of the Transit engine and of tokens that the module calls, and the capabilities that they need.
//!
//! "Transit secrets engine (API)" and "Token auth method (API)" of Vault's documentation.

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
    CREATE_KEY "CreateKey" "update";
    DELETE_KEY "DeleteKey" "delete";
    SET_CERTIFICATE "SetCertificate" "update";
    LOOKUP_TOKEN "LookupToken" "read";
    RENEW_TOKEN "RenewToken" "update";
}
