//! The service accounts and the credentials of one emulator, and the tokens that were issued.

use super::names::PROJECT;
use crate::crypto::Family;
use crate::crypto::{Material, MaterialPool, Unable};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The service account that has a key, and that machines run as.
pub(crate) const SERVICE_ACCOUNT: &str = "emulator@emulator-project.iam.gserviceaccount.com";
/// The service account that is there to be impersonated.
pub(crate) const OTHER_ACCOUNT: &str = "signer@emulator-project.iam.gserviceaccount.com";
/// The client of gcloud's user credentials.
pub(crate) const CLIENT_ID: &str = "emulator-client.apps.googleusercontent.com";
pub(crate) const CLIENT_SECRET: &str = "emulator-client-secret";
pub(crate) const REFRESH_TOKEN: &str = "1//emulator-refresh-token";
/// What the identity provider of the workload identity pool has issued.
pub(crate) const SUBJECT_TOKEN: &str = "emulator-subject-token";

pub(crate) struct Identities {
    key: OnceLock<Arc<Material>>,
    entries: Mutex<Entries>,
}

struct Entries {
    tokens: HashMap<String, Token>,
    subject_tokens: Vec<String>,
    refresh_tokens: Vec<String>,
    lifetime: i64,
}

#[derive(Clone)]
struct Token {
    expires: i64,
    /// Separated by spaces or commas.
    scopes: String,
}

/// Why an access token is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    Unknown,
    Expired,
}

impl Default for Identities {
    fn default() -> Self {
        let entries = Entries {
            tokens: HashMap::new(),
            subject_tokens: vec![SUBJECT_TOKEN.to_owned()],
            refresh_tokens: vec![REFRESH_TOKEN.to_owned()],
            lifetime: 3599,
        };
        Self { key: OnceLock::new(), entries: Mutex::new(entries) }
    }
}

impl Identities {
    /// The key of the service account, made when it is first used.
    pub(crate) fn key(&self, materials: &MaterialPool) -> Result<Arc<Material>, Unable> {
        if let Some(key) = self.key.get() {
            return Ok(key.clone());
        }
        let made = materials.fresh(Family::Rsa(2048))?;
        Ok(self.key.get_or_init(|| made).clone())
    }

    /// Whether there is a service account of that name.
    pub(crate) fn knows(&self, account: &str) -> bool {
        let (name, domain) = account.split_once('@').unwrap_or((account, ""));
        !name.is_empty() && domain == format!("{PROJECT}.iam.gserviceaccount.com")
    }

    pub(crate) fn insert(&self, token: &str, expires: i64, scopes: &str) {
        self.entries().tokens.insert(token.to_owned(), Token { expires, scopes: scopes.to_owned() });
    }

    /// The scopes of a token.
    pub(crate) fn check(&self, token: &str, now: i64) -> Result<String, BadToken> {
        let known = self.entries().tokens.get(token).cloned().ok_or(BadToken::Unknown)?;
        if known.expires <= now {
            return Err(BadToken::Expired);
        }
        Ok(known.scopes)
    }

    /// All tokens that were issued are unknown from now on.
    pub(crate) fn forget_tokens(&self) {
        self.entries().tokens.clear();
    }

    pub(crate) fn tokens(&self) -> Vec<String> {
        self.entries().tokens.keys().cloned().collect()
    }

    pub(crate) fn allow_subject(&self, token: &str) {
        self.entries().subject_tokens.push(token.to_owned());
    }

    pub(crate) fn accepts_subject(&self, token: &str) -> bool {
        self.entries().subject_tokens.iter().any(|known| known == token)
    }

    pub(crate) fn accepts_refresh(&self, token: &str) -> bool {
        self.entries().refresh_tokens.iter().any(|known| known == token)
    }

    /// The user has signed out.
    pub(crate) fn revoke_refresh(&self) {
        self.entries().refresh_tokens.clear();
    }

    pub(crate) fn set_lifetime(&self, seconds: i64) {
        self.entries().lifetime = seconds;
    }

    /// How long tokens are good that are issued from now on, in seconds.
    pub(crate) fn lifetime(&self) -> i64 {
        self.entries().lifetime
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
