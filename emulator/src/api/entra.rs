//! The directory of Entra, for Rust tests: its clients and their tokens.

use crate::azure::entra::{IDENTITY_HEADER, issue};
use crate::state::State;
use crate::state::azure::{CLIENT, SECRET, TENANT};

/// The clients of the token endpoint.
#[derive(Clone, Copy)]
pub struct EntraClients<'a> {
    pub(crate) state: &'a State,
}

impl EntraClients<'_> {
    /// The tenant that is always there.
    pub const TENANT: &'static str = TENANT;
    /// The client that is always registered in it.
    pub const CLIENT: &'static str = CLIENT;
    /// Its secret.
    pub const SECRET: &'static str = SECRET;

    /// What App Service puts into `IDENTITY_HEADER`.
    pub const IDENTITY_HEADER: &'static str = IDENTITY_HEADER;

    /// Registers a client, or changes its secret.
    pub fn register(&self, tenant: &str, client: &str, secret: Option<&str>) {
        self.state.entra.register(tenant, client, secret);
    }

    /// Registers a certificate (DER) of a registered client.
    pub fn register_certificate(&self, tenant: &str, client: &str, certificate: &[u8]) {
        self.state.entra.register_certificate(tenant, client, certificate);
    }

    /// Accepts this federated token (workload identity) from any client.
    pub fn allow_federated_token(&self, token: &str) {
        self.state.entra.allow_federated(token);
    }

    /// How long tokens are good that are issued from now on.
    pub fn set_token_lifetime(&self, seconds: i64) {
        self.state.entra.set_lifetime(seconds);
    }

    /// A bearer token without asking for it: `https://vault.azure.net` or `https://managedhsm.azure.net`.
    pub fn issue_token(&self, audience: &str) -> String {
        issue(self.state, CLIENT, audience, false).0
    }
}
