//! The operations of Cloud KMS that the module calls, and what they need: a permission of IAM, and the least predefined role
//! that has it.
//!
//! "Permissions and roles" and "REST Resource: v1.projects.locations.keyRings.cryptoKeys" of Google's documentation.

use crate::cloud::failure::{Cause, Failure};

/// An operation, the permission that it needs, and a role with this permission.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) permission: &'static str,
    pub(crate) role: &'static str,
}

impl Operation {
    pub(crate) fn failure(&self, cause: Cause, message: impl Into<String>) -> Failure {
        Failure::new(cause, self.name, message)
    }
}

macro_rules! operations {
    ($($constant:ident $name:literal $permission:literal $role:literal;)*) => {
        $(pub(crate) const $constant: Operation = Operation { name: $name, permission: $permission, role: $role };)*
    };
}

operations! {
    GET_PUBLIC_KEY  "GetPublicKey"            "cloudkms.cryptoKeyVersions.viewPublicKey" "roles/cloudkms.publicKeyViewer";
    GET_VERSION     "GetCryptoKeyVersion"     "cloudkms.cryptoKeyVersions.get"           "roles/cloudkms.viewer";
    LIST_VERSIONS   "ListCryptoKeyVersions"   "cloudkms.cryptoKeyVersions.list"          "roles/cloudkms.viewer";
    LIST_KEYS       "ListCryptoKeys"          "cloudkms.cryptoKeys.list"                 "roles/cloudkms.viewer";
    GET_KEY         "GetCryptoKey"            "cloudkms.cryptoKeys.get"                  "roles/cloudkms.viewer";
    SIGN            "AsymmetricSign"          "cloudkms.cryptoKeyVersions.useToSign"     "roles/cloudkms.signer";
    MAC_SIGN        "MacSign"                 "cloudkms.cryptoKeyVersions.useToSign"     "roles/cloudkms.signer";
    MAC_VERIFY      "MacVerify"               "cloudkms.cryptoKeyVersions.useToVerify"   "roles/cloudkms.verifier";
    DECRYPT         "AsymmetricDecrypt"       "cloudkms.cryptoKeyVersions.useToDecrypt"  "roles/cloudkms.cryptoKeyDecrypter";
    RANDOM          "GenerateRandomBytes"     "cloudkms.locations.generateRandomBytes"   "roles/cloudkms.cryptoOperator";
    CREATE_KEY      "CreateCryptoKey"         "cloudkms.cryptoKeys.create"               "roles/cloudkms.admin";
    UPDATE_KEY      "UpdateCryptoKey"         "cloudkms.cryptoKeys.update"               "roles/cloudkms.admin";
    DESTROY_VERSION "DestroyCryptoKeyVersion" "cloudkms.cryptoKeyVersions.destroy"       "roles/cloudkms.admin";
}
