//! The operations of Key Vault that the module calls, and the permissions that they need: in an access policy, and
//! as a role.
//!
//! "Azure built-in roles for Key Vault data plane operations"; "Key Vault access policies".

use crate::cloud::failure::{Cause, Failure};
use crate::cloud::login::LOGIN;

/// An operation, and the permission that it needs: in an access policy, and as a role.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) permission: &'static str,
    pub(crate) role: &'static str,
    /// Whether the operation waits for its turn. Operations that load keys and certificates wait, and operations
    /// that use a key do not.
    pub(crate) loads: bool,
}

impl Operation {
    pub(crate) fn failure(&self, cause: Cause, message: impl Into<String>) -> Failure {
        Failure::new(cause, self.name, message)
    }
}

macro_rules! operations {
    ($($constant:ident $name:tt $permission:literal $role:literal $waits:literal;)*) => {
        $(pub(crate) const $constant: Operation =
            Operation { name: $name, permission: $permission, role: $role, loads: $waits };)*
    };
}

operations! {
    GET_KEY             "GetKey"                  "keys/get"            "Key Vault Crypto User"          true;
    GET_KEYS            "GetKeys"                 "keys/list"           "Key Vault Crypto User"          true;
    SIGN                "Sign"                    "keys/sign"           "Key Vault Crypto User"          false;
    DECRYPT             "Decrypt"                 "keys/decrypt"        "Key Vault Crypto User"          false;
    UNWRAP_KEY          "UnwrapKey"               "keys/unwrapKey"      "Key Vault Crypto User"          false;
    RANDOM              "GetRandomBytes"          "rng/read"            "Managed HSM Crypto User"        false;
    CREATE_KEY          "CreateKey"               "keys/create"         "Key Vault Crypto Officer"       false;
    UPDATE_KEY          "UpdateKey"               "keys/update"         "Key Vault Crypto Officer"       false;
    DELETE_KEY          "DeleteKey"               "keys/delete"         "Key Vault Crypto Officer"       false;
    GET_CERTIFICATE     "GetCertificate"          "certificates/get"    "Key Vault Certificate User"     true;
    PENDING_CERTIFICATE "GetCertificateOperation" "certificates/get"    "Key Vault Certificates Officer" false;
    MERGE_CERTIFICATE   "MergeCertificate"        "certificates/create" "Key Vault Certificates Officer" false;
    TOKEN               LOGIN                     ""                    ""                               false;
}
