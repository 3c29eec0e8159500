//! Creation and deletion of keys: what applies to all services, and which requests must not be repeated.

use super::failure::refused::{FailedAttempt, RetryPolicy};
use super::failure::{Cause, Failure};
use super::key::{KeyDescription, KeyName};
use crate::key::{Kind, Purpose};

/// The key to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The kind of the key.
    pub kind: Kind,
    /// The purposes of the key: at least one, and none of them twice.
    pub purposes: Vec<Purpose>,
    /// CKA_LABEL, which becomes the name of the key in the service.
    pub label: Option<String>,
    /// CKA_ID, which is stored as a tag.
    pub id: Option<Vec<u8>>,
}

/// A key that was just created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedKey {
    /// The name of the key, as a listing reports it.
    pub name: KeyName,
    /// Another name that a configuration can use for the key: an alias.
    pub alias: Option<String>,
    /// The label of the key, as a listing reports it.
    pub label: Option<String>,
    /// The properties of the key.
    pub facts: KeyDescription,
    /// The options by which a configuration names the key, for the log, for example `"kms_key_id": "alias/x"`.
    pub config_option: String,
}

impl NewKey {
    /// Returns the tags of the new key.
    pub(crate) fn tags(&self) -> Vec<(&'static str, String)> {
        let id = self.id.as_ref().map(|id| ("pkcs11-id", id.iter().map(|byte| format!("{byte:02x}")).collect()));
        std::iter::once(("created-by", "cloud-kms-pkcs11".to_owned())).chain(id).collect()
    }
}

/// Returns whether a request may have taken effect although it failed with this cause.
fn may_have_taken_effect(cause: Cause) -> bool {
    // A proxy may have forwarded the request before it sent a reply of its own.
    let on_the_way = matches!(cause, Cause::Unreachable | Cause::Proxy | Cause::TimedOut | Cause::Interrupted);
    on_the_way || matches!(cause, Cause::Internal | Cause::Malformed | Cause::Memory | Cause::Panic)
}

/// Prevents retries if the request may have taken effect. Used for requests that must not be made twice.
pub(crate) fn without_retry(refused: FailedAttempt) -> FailedAttempt {
    match may_have_taken_effect(refused.failure.cause) {
        true => FailedAttempt { remedy: RetryPolicy::Never, ..refused },
        false => refused,
    }
}

/// Appends `advice` to the failure of a request that must not be made twice, if the request may have taken effect.
pub(crate) fn with_advice(failure: Failure, advice: &str) -> Failure {
    match may_have_taken_effect(failure.cause) {
        true => Failure { message: format!("{}; {advice}", failure.message), ..failure },
        false => failure,
    }
}

/// Allows retries while the service does not find the object of a request. Used for objects that were just
/// created, which parts of the service may not know yet.
pub(crate) fn retry_if_missing(refused: FailedAttempt) -> FailedAttempt {
    match refused.failure.cause {
        Cause::NotFound => FailedAttempt { remedy: RetryPolicy::UntilDeadline, ..refused },
        _ => refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_may_have_taken_effect_are_not_retried() {
        let refused = |cause| without_retry(Failure::new(cause, "CreateKey", "oh").into());
        for cause in
            [Cause::Unreachable, Cause::Proxy, Cause::TimedOut, Cause::Internal, Cause::Malformed, Cause::Panic]
        {
            assert_eq!(refused(cause).remedy, RetryPolicy::Never, "{cause:?}");
            assert_eq!(with_advice(refused(cause).failure, "look for it").message, "oh; look for it");
        }
        assert_eq!(refused(Cause::Throttled).remedy, RetryPolicy::UntilDeadline);
        assert_eq!(refused(Cause::Unresolved).remedy, RetryPolicy::Limited);
        assert_eq!(with_advice(refused(Cause::Denied).failure, "look for it").message, "oh");
    }

    #[test]
    fn a_key_is_tagged() {
        let new = NewKey { kind: Kind::Ed25519, purposes: vec![Purpose::Sign], label: None, id: Some(vec![1, 0xab]) };
        assert_eq!(new.tags(), [("created-by", "cloud-kms-pkcs11".to_owned()), ("pkcs11-id", "01ab".to_owned())]);
    }
}
