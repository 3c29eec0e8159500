//! The access keys that are known.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What an access key stands for.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) secret: String,
    /// The session token that must come with it.
    pub(crate) token: Option<String>,
    /// When it expires, on the server's clock.
    pub(crate) expires: Option<i64>,
    /// Who it is.
    pub(crate) arn: String,
}

/// The access keys that are known.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    known: Mutex<BTreeMap<String, Credential>>,
}

impl Credentials {
    pub(crate) fn allow(&self, id: &str, credential: Credential) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), credential);
    }

    pub(crate) fn forget(&self, id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<Credential> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .values()
            .flat_map(|credential| [Some(credential.secret.clone()), credential.token.clone()])
            .flatten()
            .collect()
    }
}
