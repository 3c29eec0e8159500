//! Making and deleting keys: what is asked of every service alike, and what is never asked twice.

use super::failure::refused::{Refused, Remedy};
use super::failure::{Cause, Failure};
use super::key::{KeyFacts, KeyName};
use crate::key::{Kind, Purpose};

/// A key that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// What kind of key.
    pub kind: Kind,
    /// What it is for: at least one purpose, each one once.
    pub purposes: Vec<Purpose>,
    /// CKA_LABEL, which becomes its name in the service.
    pub label: Option<String>,
    /// CKA_ID, which is kept as a tag.
    pub id: Option<Vec<u8>>,
}

/// A key that was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeKey {
    /// Its name, as a listing gives it.
    pub name: KeyName,
    /// Another name by which a configuration may name it: an alias.
    pub alias: Option<String>,
    /// Its label, as a listing gives it.
    pub label: Option<String>,
    /// What is known of it.
    pub facts: KeyFacts,
    /// The options by which a configuration names it, for the log: `"kms_key_id": "alias/x"`.
    pub option: String,
}

impl NewKey {
    /// The tags of the new key.
    pub(crate) fn tags(&self) -> Vec<(&'static str, String)> {
        let id = self.id.as_ref().map(|id| ("pkcs11-id", id.iter().map(|byte| format!("{byte:02x}")).collect()));
        std::iter::once(("created-by", "cloud-kms-pkcs11".to_owned())).chain(id).collect()
    }
}

/// What may have happened, whatever came back.
fn is_uncertain(cause: Cause) -> bool {
    // A proxy may have handed the request on before it answered itself.
    let on_the_way = matches!(cause, Cause::Unreachable | Cause::Proxy | Cause::TimedOut | Cause::Interrupted);
    on_the_way || matches!(cause, Cause::Internal | Cause::Malformed | Cause::Memory | Cause::Defect)
}

/// A request that is not to be made twice: after an accident nobody knows whether it was heeded.
pub(crate) fn once(refused: Refused) -> Refused {
    match is_uncertain(refused.failure.cause) {
        true => Refused { remedy: Remedy::Nothing, ..refused },
        false => refused,
    }
}

/// A failure of such a request, with what to do where it may have been heeded all the same.
pub(crate) fn told(failure: Failure, advice: &str) -> Failure {
    match is_uncertain(failure.cause) {
        true => Failure { message: format!("{}; {advice}", failure.message), ..failure },
        false => failure,
    }
}

/// Something that was made a moment ago: parts of the service may not have heard of it yet.
pub(crate) fn patient(refused: Refused) -> Refused {
    match refused.failure.cause {
        Cause::Missing => Refused { remedy: Remedy::Later, ..refused },
        _ => refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_heeded_is_not_asked_again() {
        let refused = |cause| once(Failure::new(cause, "CreateKey", "oh").into());
        for cause in
            [Cause::Unreachable, Cause::Proxy, Cause::TimedOut, Cause::Internal, Cause::Malformed, Cause::Defect]
        {
            assert_eq!(refused(cause).remedy, Remedy::Nothing, "{cause:?}");
            assert_eq!(told(refused(cause).failure, "look for it").message, "oh; look for it");
        }
        assert_eq!(refused(Cause::Throttled).remedy, Remedy::Later);
        assert_eq!(refused(Cause::Unresolved).remedy, Remedy::Again);
        assert_eq!(told(refused(Cause::Denied).failure, "look for it").message, "oh");
    }

    #[test]
    fn a_key_is_tagged() {
        let new = NewKey { kind: Kind::Ed25519, purposes: vec![Purpose::Sign], label: None, id: Some(vec![1, 0xab]) };
        assert_eq!(new.tags(), [("created-by", "cloud-kms-pkcs11".to_owned()), ("pkcs11-id", "01ab".to_owned())]);
    }
}
