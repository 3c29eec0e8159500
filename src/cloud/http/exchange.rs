//! One request and its reply, for requests that no SDK sends.

use super::{LARGEST_REPLY, REPLY_TOO_LARGE, ServiceClient};
use crate::cloud::failure::error_chain::{is_timeout, message_of};
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::runtime::request_id;
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

/// Why there is no reply of the service.
pub(crate) enum SendError {
    /// Something that a user can act on.
    Obstacle(Obstacle),
    /// Any other error of the HTTP client.
    Http(reqwest::Error),
}

impl ServiceClient {
    /// Sends a request once, on the connection that was opened ahead if there is one. Returns the reply whatever its
    /// status is. Its body is still to be read.
    ///
    /// # Errors
    /// What kept the request from the service, or the reply of a proxy in place of the service's.
    pub(crate) async fn send(&self, request: reqwest::Request) -> Result<reqwest::Response, SendError> {
        let url = request.url().clone();
        let reply = match self.connection_ahead(&url).run(self.current().execute(request)).await {
            Ok(reply) => reply,
            Err(error) => {
                let obstacle = self.obstacle(url.as_str(), &error).await;
                return Err(obstacle.map_or(SendError::Http(error), SendError::Obstacle));
            }
        };
        let field = |name| reply.headers().get(name)?.to_str().ok();
        request_id::remember_field(field);
        match self.proxy_reply(url.as_str(), reply.status().as_u16(), field) {
            Some(obstacle) => Err(SendError::Obstacle(obstacle)),
            None => Ok(reply),
        }
    }

    /// Sends a request once, and reads the whole reply.
    ///
    /// # Errors
    /// Those of [`Self::send`], and what kept the body from this module.
    pub(crate) async fn exchange(
        &self,
        operation: &'static str,
        request: reqwest::Request,
    ) -> Result<Reply, FailedAttempt> {
        read_reply(operation, self.request(operation, request).await?).await
    }

    /// Sends a request once, like [`Self::send`].
    ///
    /// # Errors
    /// Those of [`Self::send`], as the failure of an operation.
    pub(crate) async fn request(
        &self,
        operation: &'static str,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, FailedAttempt> {
        self.send(request).await.map_err(|error| match error {
            SendError::Obstacle(obstacle) => obstacle.refused(operation),
            SendError::Http(error) => broken(operation, &error),
        })
    }
}

/// Reads the whole reply.
///
/// # Errors
/// What kept the body from this module.
pub(crate) async fn read_reply(operation: &'static str, mut reply: reqwest::Response) -> Result<Reply, FailedAttempt> {
    let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = reply.chunk().await.map_err(|error| broken(operation, &error))? {
        if body.len() + chunk.len() > LARGEST_REPLY {
            return Err(Failure::new(Cause::Malformed, operation, REPLY_TOO_LARGE).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, headers, body })
}

fn broken(operation: &'static str, error: &reqwest::Error) -> FailedAttempt {
    let cause = if is_timeout(error) { Cause::TimedOut } else { Cause::Unreachable };
    Failure::new(cause, operation, message_of(error)).into()
}

/// Returns the seconds since 1970 of a date in a header. RFC 9110 section 5.6.7, IMF-fixdate.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.strip_suffix(" GMT")?.split([' ', ':']);
    let day = words.next()?.parse().ok()?;
    let month = words.next().and_then(|word| MONTHS.iter().position(|month| *month == word))?;
    let year = words.next()?.parse().ok()?;
    let mut number = || words.next()?.parse().ok();
    let time = der::DateTime::new(year, u8::try_from(month + 1).ok()?, day, number()?, number()?, number()?).ok()?;
    Some(time.unix_duration().as_secs())
}
