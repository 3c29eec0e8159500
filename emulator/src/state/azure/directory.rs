//! The directory of Microsoft Entra: its clients, and the tokens that were issued.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tenant that is always there.
pub(crate) const TENANT: &str = "00000000-0000-0000-0000-000000000001";
/// The client that is always registered in it.
pub(crate) const CLIENT: &str = "emulator-client";
/// Its secret.
pub(crate) const SECRET: &str = "emulator-client-secret";

pub(crate) struct Directory {
    entries: Mutex<Entries>,
}

struct Entries {
    clients: Vec<Client>,
    federated: Vec<String>,
    tokens: HashMap<String, Token>,
    lifetime: i64,
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) tenant: String,
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    /// Certificates in DER.
    pub(crate) certificates: Vec<Vec<u8>>,
}

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) audience: String,
    pub(crate) expires: i64,
    /// Asked for with `claims`.
    pub(crate) claims: bool,
}

impl Default for Directory {
    fn default() -> Self {
        let entries = Entries { clients: Vec::new(), federated: Vec::new(), tokens: HashMap::new(), lifetime: 3599 };
        let directory = Self { entries: Mutex::new(entries) };
        directory.register(TENANT, CLIENT, Some(SECRET));
        directory
    }
}

/// Why Key Vault does not take a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    Unknown,
    Expired,
    Audience(String),
    NeedsClaims,
}

impl Directory {
    pub(crate) fn register(&self, tenant: &str, id: &str, secret: Option<&str>) {
        let mut entries = self.entries();
        let known = entries.clients.iter_mut().find(|client| client.tenant == tenant && client.id == id);
        if let Some(client) = known {
            client.secret = secret.map(str::to_owned);
            return;
        }
        let (tenant, id, secret) = (tenant.to_owned(), id.to_owned(), secret.map(str::to_owned));
        entries.clients.push(Client { tenant, id, secret, certificates: Vec::new() });
    }

    pub(crate) fn register_certificate(&self, tenant: &str, id: &str, certificate: &[u8]) {
        let mut entries = self.entries();
        for client in entries.clients.iter_mut().filter(|client| client.tenant == tenant && client.id == id) {
            client.certificates.push(certificate.to_vec());
        }
    }

    pub(crate) fn allow_federated(&self, token: &str) {
        self.entries().federated.push(token.to_owned());
    }

    pub(crate) fn accepts_federated(&self, token: &str) -> bool {
        self.entries().federated.iter().any(|known| known == token)
    }

    pub(crate) fn clients(&self) -> Vec<Client> {
        self.entries().clients.clone()
    }

    pub(crate) fn set_lifetime(&self, seconds: i64) {
        self.entries().lifetime = seconds;
    }

    /// How long tokens are good, in seconds.
    pub(crate) fn lifetime(&self) -> i64 {
        self.entries().lifetime
    }

    /// Registers a token that is issued.
    pub(crate) fn insert(&self, text: &str, token: Token) {
        self.entries().tokens.insert(text.to_owned(), token);
    }

    /// Whether that token was issued, for whichever audience, and has not expired.
    pub(crate) fn is_valid(&self, token: &str, now: i64) -> bool {
        self.entries().tokens.get(token).is_some_and(|token| token.expires > now)
    }

    pub(crate) fn check(&self, token: &str, audience: &str, needs_claims: bool, now: i64) -> Result<(), BadToken> {
        let known = self.entries().tokens.get(token).cloned().ok_or(BadToken::Unknown)?;
        if known.audience != audience {
            return Err(BadToken::Audience(known.audience));
        }
        if known.expires <= now {
            return Err(BadToken::Expired);
        }
        if needs_claims && !known.claims {
            return Err(BadToken::NeedsClaims);
        }
        Ok(())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
