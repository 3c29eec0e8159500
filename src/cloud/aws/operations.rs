//! The operations of KMS and of the certificate services that the module calls, and the permissions that they need.
//!
//! API reference: "AWS KMS permissions" of the AWS KMS Developer Guide; the Service Authorization Reference.

use crate::cloud::failure::{Cause, Failure};

/// An operation, and the permission that it needs.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) permission: &'static str,
}

impl Operation {
    pub(crate) fn failure(&self, cause: Cause, message: impl Into<String>) -> Failure {
        Failure::new(cause, self.name, message)
    }
}

macro_rules! operations {
    ($($constant:ident $name:literal $permission:literal;)*) => {
        $(pub(crate) const $constant: Operation = Operation { name: $name, permission: $permission };)*
    };
}

operations! {
    GET_PUBLIC_KEY "GetPublicKey" "kms:GetPublicKey";
    SIGN "Sign" "kms:Sign";
    DESCRIBE_KEY "DescribeKey" "kms:DescribeKey";
    GET_CALLER_IDENTITY "GetCallerIdentity" "sts:GetCallerIdentity";
    LIST_KEYS "ListKeys" "kms:ListKeys";
    LIST_ALIASES "ListAliases" "kms:ListAliases";
    GENERATE_MAC "GenerateMac" "kms:GenerateMac";
    VERIFY_MAC "VerifyMac" "kms:VerifyMac";
    DECRYPT "Decrypt" "kms:Decrypt";
    DERIVE "DeriveSharedSecret" "kms:DeriveSharedSecret";
    RANDOM "GenerateRandom" "kms:GenerateRandom";
    CREATE_KEY "CreateKey" "kms:CreateKey and kms:TagResource";
    CREATE_ALIAS "CreateAlias" "kms:CreateAlias, on the alias and on the key";
    UPDATE_ALIAS "UpdateAlias" "kms:UpdateAlias, on the alias and on the key";
    GET_ACM_CERTIFICATE "GetCertificate" "acm:GetCertificate";
    GET_PCA_CERTIFICATE "GetCertificate" "acm-pca:GetCertificate";
    SCHEDULE_DELETION "ScheduleKeyDeletion" "kms:ScheduleKeyDeletion";
}
