//! One account at AWS: its keys, and who may use them.

use super::arn::USER_ARN;
use super::certificates::CertificateStore;
use super::credentials::{Credential, Credentials};
use super::key_store::KeyStore;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

pub(crate) const ACCESS_KEY: &str = "emulator-access-key";
pub(crate) const SECRET_KEY: &str = "emulator-secret-key";

pub(crate) struct Account {
    pub(crate) credentials: Credentials,
    pub(crate) keys: KeyStore,
    pub(crate) certificates: CertificateStore,
    /// Web identity tokens that STS accepts.
    identities: Mutex<Vec<String>>,
    /// Tokens of the instance metadata service, and when they expire.
    machine_tokens: Mutex<BTreeMap<String, i64>>,
}

impl Default for Account {
    fn default() -> Self {
        let account = Self {
            credentials: Credentials::default(),
            keys: KeyStore::default(),
            certificates: CertificateStore::default(),
            identities: Mutex::default(),
            machine_tokens: Mutex::default(),
        };
        account.allow(ACCESS_KEY, SECRET_KEY, None);
        account
    }
}

impl Account {
    pub(crate) fn allow(&self, id: &str, secret: &str, token: Option<&str>) {
        let (secret, token) = (secret.to_owned(), token.map(str::to_owned));
        self.credentials.allow(id, Credential { secret, token, expires: None, arn: USER_ARN.to_owned() });
    }

    pub(crate) fn allow_identity(&self, token: &str) {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner).push(token.to_owned());
    }

    pub(crate) fn knows_identity(&self, token: &str) -> bool {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == token)
    }

    pub(crate) fn allow_machine_token(&self, token: &str, until: i64) {
        self.machine_tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), until);
    }

    pub(crate) fn knows_machine_token(&self, token: &str, now: i64) -> bool {
        let known = self.machine_tokens.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(token).is_some_and(|until| now < *until)
    }
}
