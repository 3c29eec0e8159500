//! One request and its whole reply, for services without an SDK of their own.

use super::{LARGEST_REPLY, REPLY_TOO_LARGE, ServiceClient};
use crate::cloud::failure::error_chain::{is_timeout, message_of};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use http::HeaderMap;
use zeroize::Zeroizing;

/// A reply. The body may contain a secret, so it is overwritten when dropped.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Reply {
    /// Returns a field of the header, if it is a text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl ServiceClient {
    /// Sends a request once. Returns the reply whatever its status is.
    ///
    /// # Errors
    /// What kept the request from the service, or the reply from this module.
    pub(crate) async fn exchange(
        &self,
        operation: &'static str,
        request: reqwest::Request,
    ) -> Result<Reply, FailedAttempt> {
        let url = request.url().clone();
        let ahead = self.connection_ahead(&url);
        let mut reply = match ahead.run(self.current().execute(request)).await {
            Ok(reply) => reply,
            Err(error) => {
                let obstacle = self.obstacle(url.as_str(), &error).await;
                return Err(obstacle.map_or_else(|| broken(operation, &error), |obstacle| obstacle.refused(operation)));
            }
        };
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        let field = |name: &'static str| headers.get(name)?.to_str().ok();
        if let Some(obstacle) = self.proxy_reply(url.as_str(), status, field) {
            return Err(obstacle.refused(operation));
        }
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = reply.chunk().await.map_err(|error| broken(operation, &error))? {
            if body.len() + chunk.len() > LARGEST_REPLY {
                return Err(Failure::new(Cause::Malformed, operation, REPLY_TOO_LARGE).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body })
    }
}

fn broken(operation: &'static str, error: &reqwest::Error) -> FailedAttempt {
    let cause = if is_timeout(error) { Cause::TimedOut } else { Cause::Unreachable };
    Failure::new(cause, operation, message_of(error)).into()
}
