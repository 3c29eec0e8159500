//! Credentials that the check of a login obtained.

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The credentials that the check of a login obtained. They are used once, because the SDK caches them after that.
#[derive(Clone, Default)]
pub(crate) struct LoginCredentials(Arc<Mutex<Option<Credentials>>>);

impl LoginCredentials {
    /// Stores the credentials for their first use.
    pub(crate) fn store(&self, credentials: Credentials) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }

    /// Returns a provider that returns these credentials once, and then those of `then`.
    pub(crate) fn followed_by(&self, then: SharedCredentialsProvider) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(LoginThenProvider { first: self.clone(), then })
    }
}

struct LoginThenProvider {
    first: LoginCredentials,
    then: SharedCredentialsProvider,
}

impl ProvideCredentials for LoginThenProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let first = self.first.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(credentials) => future::ProvideCredentials::ready(Ok(credentials)),
            None => self.then.provide_credentials(),
        }
    }
}

impl fmt::Debug for LoginThenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("After")
    }
}
