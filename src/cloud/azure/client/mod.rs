//! Clients of one vault or Managed HSM.

pub(crate) mod connector;

use super::credentials;
use super::credentials::Chain;
use super::environment::{AuthorityClient, Challenge, VaultClient};
use super::operations::Operation;
use super::settings::{CLOUD, Credential, Settings};
use crate::cloud::failure::error_chain::message_of;
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http;
use crate::cloud::http::ClientPool;
use crate::cloud::http::network::Network;
use crate::cloud::login::not_logged_in;
use crate::cloud::retry::Call;
use crate::key::PublicKey;
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_core::time::Duration;
use azure_security_keyvault_certificates::{CertificateClient, CertificateClientOptions};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{OnceCell, Semaphore};

/// The clients of one process for one set of settings. They are used on the runtime only.
pub(crate) struct Clients {
    pub(crate) settings: Settings,
    http: Arc<ClientPool>,
    /// The creation time of the clients, and the clients.
    vault: Mutex<(Instant, Arc<OnceCell<Vault>>)>,
    /// The public keys that the service has reported, by key identifier with version.
    pub(crate) public_keys: Mutex<HashMap<String, PublicKey>>,
    /// Limits how many requests that load keys and certificates run at the same time.
    pub(crate) load_permits: Semaphore,
}

/// The two clients, with the source of their tokens. The clients share a connection pool.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) keys: Arc<KeyClient>,
    pub(crate) certificates: Arc<CertificateClient>,
    pub(crate) tokens: Arc<dyn TokenCredential>,
    /// The same, if the tokens are the module's own and not those of a test.
    pub(crate) chain: Option<Arc<Chain>>,
}

impl Clients {
    /// Creates the clients without a request. The SDK's clients are created at their first use.
    pub(crate) fn new(settings: Settings) -> Self {
        let vault = Mutex::new((Instant::now(), Arc::default()));
        Self {
            settings,
            http: ClientPool::shared(),
            vault,
            public_keys: Mutex::default(),
            load_permits: Semaphore::new(64),
        }
    }

    /// Returns the clients. They are created at the first call.
    ///
    /// # Errors
    /// Fails with [`Cause::Credentials`] before the login that the settings require, and with the obstacle that
    /// prevents the creation of the clients.
    pub(crate) async fn vault(&self, operation: &'static str) -> Result<Vault, Failure> {
        if self.settings.credential == Credential::Login && self.settings.client_secret.is_none() {
            return Err(not_logged_in(operation));
        }
        let cell = self.vault.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        let vault = cell.get_or_try_init(async || self.create_vault()).await;
        vault.cloned().map_err(|obstacle| obstacle.failure(operation))
    }

    /// Discards what an attempt that began at `since` has shown to be unusable, so that the next attempt creates
    /// it again.
    pub(crate) fn discard_stale(&self, refused: &FailedAttempt, since: Instant) {
        match (refused.remedy, refused.failure.cause) {
            // The service rejected the token.
            (RetryPolicy::OnceWithNewCredentials, _) => {
                let mut vault = self.vault.lock().unwrap_or_else(PoisonError::into_inner);
                if vault.0 <= since {
                    *vault = (Instant::now(), Arc::default());
                }
            }
            (_, Cause::TimedOut) => self.http.renew(&self.settings.network, since),
            _ => {}
        }
    }

    fn create_vault(&self) -> Result<Vault, Obstacle> {
        let Settings { vault_url, network, .. } = &self.settings;
        // The SDK reports this as well, but only at the first request, and without the name of the setting.
        if !vault_url.starts_with("https://") {
            return Err(format!("the vault's URL {vault_url:?} must begin with https://").into());
        }
        let connections = self.http.get(network)?;
        let options = token_request_options(network, Transport::new(Arc::new(AuthorityClient(connections.clone()))));
        let challenge = Challenge::default();
        let credential = credentials::chain(&self.settings, options.clone(), http::link_local()?, challenge.clone());
        let vault = Transport::new(Arc::new(VaultClient {
            connections,
            challenge,
            skip_challenge_check: self.settings.skip_challenge_check,
        }));
        // The retries in `token_request_options` are for requests for tokens. `Call` retries the requests to the vault.
        let options = ClientOptions { retry: RetryOptions::none(), transport: Some(vault), ..options };
        Ok(Vault { chain: Some(credential.clone()), ..Vault::new(&self.settings, credential, options)? })
    }
}

impl Vault {
    fn new(settings: &Settings, credential: Arc<dyn TokenCredential>, options: ClientOptions) -> Result<Self, String> {
        let Settings { vault_url, skip_challenge_check, .. } = settings;
        let keys = KeyClientOptions {
            client_options: options.clone(),
            verify_challenge_resource: Some(!skip_challenge_check),
            ..Default::default()
        };
        let certificates = CertificateClientOptions {
            client_options: options,
            verify_challenge_resource: Some(!skip_challenge_check),
            ..Default::default()
        };
        let keys = KeyClient::new(vault_url, credential.clone(), Some(keys)).map_err(|e| message_of(&e))?;
        let certificates =
            CertificateClient::new(vault_url, credential.clone(), Some(certificates)).map_err(|e| message_of(&e))?;
        Ok(Self { keys: Arc::new(keys), certificates: Arc::new(certificates), tokens: credential, chain: None })
    }
}

#[cfg(any(test, fuzzing))]
const NEVER_REPLACED: std::time::Duration = std::time::Duration::from_secs(1_000_000_000);

#[cfg(any(test, fuzzing))]
impl Clients {
    /// Creates clients with tokens and a transport from elsewhere. These are never replaced by the module's own.
    pub(crate) fn with_credential(
        settings: Settings,
        credential: Arc<dyn TokenCredential>,
        options: ClientOptions,
    ) -> Result<Self, String> {
        let vault = Vault::new(&settings, credential, options)?;
        let made = (Instant::now() + NEVER_REPLACED, Arc::new(OnceCell::new_with(Some(vault))));
        Ok(Self { vault: Mutex::new(made), ..Self::new(settings) })
    }
}

/// Returns the options of requests for tokens. The SDK's default of eight retries within a minute takes longer
/// than a caller of C_Sign wants to wait.
fn token_request_options(network: &Network, transport: Transport) -> ClientOptions {
    let retry = ExponentialRetryOptions {
        // The SDK doubles this delay before the first retry, and adds up to a quarter of a second.
        initial_delay: Duration::milliseconds(75),
        max_retries: network.retries,
        max_total_elapsed: duration(network.call_timeout),
        ..Default::default()
    };
    ClientOptions { retry: RetryOptions::exponential(retry), transport: Some(transport), ..Default::default() }
}

fn duration(std: std::time::Duration) -> Duration {
    Duration::try_from(std).unwrap_or(Duration::MAX)
}

/// Calls the service, with retries. Requests that load keys and certificates wait for their turn; all others, such
/// as signatures, start at once.
pub(crate) async fn call<T, F>(
    clients: &Arc<Clients>,
    operation: &'static Operation,
    key: &str,
    request: impl Fn(Vault) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, FailedAttempt>>,
{
    let asked = CallDescription { operation: operation.name, key, vault_url: &clients.settings.vault_url };
    let turns = operation.loads.then_some(&clients.load_permits);
    let call = Call { concurrency_limit: turns, ..Call::new(CLOUD, operation.name, &asked, &clients.settings.network) };
    let attempt = async || {
        let answer = request(clients.vault(operation.name).await?).await;
        answer.map_err(|refused| clients.mask_pin(refused))
    };
    call.run(attempt, |refused, since| clients.discard_stale(refused, since)).await
}

/// The operation, the key and the endpoint of a call, for the log.
struct CallDescription<'a> {
    operation: &'static str,
    key: &'a str,
    vault_url: &'a str,
}

impl fmt::Display for CallDescription<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.operation, self.key, self.vault_url)
    }
}
