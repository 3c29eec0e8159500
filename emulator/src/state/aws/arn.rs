//! The account, its user, its default region, and the ARNs of its resources.

/// The account that every key belongs to.
pub(crate) const ACCOUNT: &str = "111122223333";

/// Who the registered access keys belong to.
pub(crate) const USER_ARN: &str = "arn:aws:iam::111122223333:user/emulator";
/// The region of keys and machines that name none.
pub(crate) const REGION: &str = "eu-central-1";

pub(crate) fn arn(region: &str, resource: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:{resource}")
}
