//! How the clients of clouds without an SDK reach their servers.

use super::ClientPool;
use super::exchange::Reply;
use super::network::Network;
use crate::cloud::failure::Cause;
use crate::cloud::failure::refused::FailedAttempt;
use bytes::Bytes;
use reqwest::{Request, Url};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// The HTTP clients of this process. In tests, a function replies in place of all servers.
#[derive(Clone)]
pub(crate) struct Transport {
    pool: Arc<ClientPool>,
    #[cfg(any(test, fuzzing))]
    server: Option<Arc<Server>>,
}

/// What replies in place of all servers.
#[cfg(any(test, fuzzing))]
pub(crate) type Server = dyn Fn(&Request) -> Result<Reply, FailedAttempt> + Send + Sync;

#[cfg(any(test, fuzzing))]
impl Transport {
    /// Returns a transport whose requests go to a function, and not over the network.
    pub(crate) fn to(server: impl Fn(&Request) -> Result<Reply, FailedAttempt> + Send + Sync + 'static) -> Self {
        Self { pool: Arc::default(), server: Some(Arc::new(server)) }
    }
}

impl Transport {
    /// Returns the transport of this process. Must be called on the host's threads only.
    pub(crate) fn shared() -> Self {
        Self {
            pool: ClientPool::shared(),
            #[cfg(any(test, fuzzing))]
            server: None,
        }
    }

    /// Sends a request once, and reads the whole reply.
    ///
    /// # Errors
    /// What kept the request from the server, or the reply from this module.
    pub(crate) async fn exchange(
        &self,
        operation: &'static str,
        network: &Network,
        request: Request,
    ) -> Result<Reply, FailedAttempt> {
        if let Some(reply) = self.reply_in_memory(&request).await {
            return reply;
        }
        let client = self.pool.get(network).map_err(|obstacle| obstacle.refused(operation))?;
        client.exchange(operation, request).await
    }

    /// Returns the reply of the function that replaces all servers, if there is one.
    pub(crate) async fn reply_in_memory(&self, _request: &Request) -> Option<Result<Reply, FailedAttempt>> {
        #[cfg(any(test, fuzzing))]
        if let Some(server) = &self.server {
            let reply = server(_request);
            // Other tasks run while a request is under way.
            tokio::task::yield_now().await;
            return Some(reply);
        }
        None
    }

    /// Opens a connection for the next request to `url`. Returns at once.
    ///
    /// # Errors
    /// What is wrong with the settings for connections.
    pub(crate) fn connect_ahead(
        &self,
        operation: &'static str,
        network: &Network,
        url: Url,
    ) -> Result<(), FailedAttempt> {
        #[cfg(any(test, fuzzing))]
        if self.server.is_some() {
            return Ok(());
        }
        self.pool.get(network).map_err(|obstacle| obstacle.refused(operation))?.connect_ahead(url);
        Ok(())
    }

    /// Gives up the connections that existed at `since`, if the attempt failed because no reply has come on one of them.
    pub(crate) fn discard_stale(&self, network: &Network, refused: &FailedAttempt, since: Instant) {
        if refused.failure.cause == Cause::TimedOut {
            self.pool.renew(network, since);
        }
    }
}

/// Returns the JSON of a request's body. It is overwritten after the request.
pub(crate) fn json_body(fields: &impl Serialize) -> Bytes {
    // Structures of texts and numbers can always be written.
    Bytes::from_owner(Zeroizing::new(serde_json::to_vec(fields).unwrap_or_default()))
}
