//! The HTTPS client of all clouds, as azure_core's [`HttpClient`].

use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::http::{LARGEST_REPLY, REPLY_TOO_LARGE, ServiceClient};
use crate::cloud::runtime::request_id;
use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, response::AsyncResponseBody};
use futures_util::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

#[async_trait::async_trait]
impl HttpClient for ServiceClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url().as_str();
        let reply = match self.connection_ahead(request.url()).run(self.current().execute_request(request)).await {
            Ok(reply) => reply,
            Err(error) => return Err(obstacle_or_error(self.obstacle(url, &error).await, error)),
        };
        let (status, headers, body) = reply.deconstruct();
        let field = |name| headers.get_optional_str(&HeaderName::from_static(name));
        request_id::remember_field(field);
        if let Some(own) = self.proxy_reply(url, status.into(), field) {
            return Err(own.into());
        }
        Ok(AsyncRawResponse::new(status, headers, Box::pin(LimitedBody { body, left: LARGEST_REPLY })))
    }
}

/// Returns the obstacle, if there is one, and otherwise the error of the client.
fn obstacle_or_error(obstacle: Option<Obstacle>, error: azure_core::Error) -> azure_core::Error {
    obstacle.map_or(error, azure_core::Error::from)
}

impl From<Obstacle> for azure_core::Error {
    /// The SDK retries errors of kind `Connection`, but not errors of kind `Other`.
    fn from(obstacle: Obstacle) -> Self {
        let kind = if obstacle.is_transient { ErrorKind::Connection } else { ErrorKind::Other };
        Self::new(kind, obstacle)
    }
}

/// The body of a reply, limited to [`LARGEST_REPLY`].
struct LimitedBody {
    body: AsyncResponseBody,
    left: usize,
}

impl Stream for LimitedBody {
    type Item = <AsyncResponseBody as Stream>::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            match self.left.checked_sub(bytes.len()) {
                Some(left) => self.left = left,
                None => {
                    let error = azure_core::Error::with_message(ErrorKind::DataConversion, REPLY_TOO_LARGE);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        next
    }
}
