//! How a reply reaches the client, or fails to: cut short, drop by drop, with a reset.

use crate::faults::Action;
use crate::http::Reply;
use crate::state::Fate;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::{Response, StatusCode};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// The connection ends without a reply, or within one.
#[derive(Debug)]
pub(super) struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a fault ends the connection")
    }
}

impl std::error::Error for Aborted {}

/// A reply's body on its way.
pub(super) struct ReplyBody {
    rest: Bytes,
    /// White space that follows.
    filler: u64,
    /// What the head announces.
    announced: u64,
    drip: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    end: End,
    fate: Arc<Fate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// As announced.
    Complete,
    /// As announced, then the connection is closed.
    Close,
    /// Too early.
    Abort,
}

/// Long enough that what was written before has left for loopback.
const FLUSH: Duration = Duration::from_millis(20);
const FILLER: &[u8] = &[b' '; 16 * 1024];

/// Makes the response, with the faults that concern its way.
pub(super) fn response(mut reply: Reply, actions: &[Action], fate: Arc<Fate>) -> Result<Response<ReplyBody>, Aborted> {
    if actions.contains(&Action::EmptyBody) {
        (reply.status, reply.body) = (200, Vec::new());
    }
    if actions.contains(&Action::GarbageBody) {
        (reply.status, reply.body) = (200, b"\x00\xff<html>\xfe{\"not\": json".to_vec());
    }
    let mut body = ReplyBody {
        announced: 0,
        rest: Bytes::from(reply.body),
        filler: 0,
        drip: None,
        sleep: None,
        end: End::Complete,
        fate,
    };
    for action in actions {
        match action {
            Action::OversizedBody { bytes } => body.filler = *bytes,
            Action::Drip { ms } => body.drip = Some(Duration::from_millis(*ms)),
            Action::CloseAfterReply => body.end = End::Close,
            Action::TruncatedBody | Action::ResetMidReply => body.end = End::Abort,
            _ => {}
        }
    }
    if actions.contains(&Action::ResetMidReply) {
        body.fate.reset.store(true, Ordering::SeqCst);
    }
    body.announced = u64::try_from(body.rest.len()).unwrap_or(u64::MAX).saturating_add(body.filler);
    if body.end == End::Abort {
        body.rest.truncate(body.rest.len() / 2);
    }
    if body.end == End::Close && body.announced == 0 {
        body.fate.close.notify_one();
    }
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).map_err(|_| Aborted)?);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    // RFC 9110 section 8.6: a 204 has no Content-Length.
    if reply.status != 204 {
        response = response.header("content-length", body.announced);
    }
    response.body(body).map_err(|_| Aborted)
}

impl ReplyBody {
    fn next_chunk(&mut self) -> Option<Bytes> {
        if !self.rest.is_empty() {
            let length = if self.drip.is_some() { 1 } else { self.rest.len() };
            return Some(self.rest.split_to(length));
        }
        let length = self.filler.min(if self.drip.is_some() { 1 } else { FILLER.len() as u64 });
        self.filler -= length;
        let chunk = FILLER.get(..usize::try_from(length).ok()?)?;
        (!chunk.is_empty()).then(|| Bytes::from_static(chunk))
    }

    fn is_sent(&self) -> bool {
        self.rest.is_empty() && self.filler == 0
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = self.get_mut();
        let pause = if this.is_sent() { (this.end == End::Abort).then_some(FLUSH) } else { this.drip };
        if let Some(pause) = pause {
            let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            ready!(sleep.as_mut().poll(context));
            this.sleep = None;
        }
        if let Some(chunk) = this.next_chunk() {
            if this.is_sent() && this.end == End::Close {
                this.fate.close.notify_one();
            }
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        Poll::Ready((this.end == End::Abort).then_some(Err(Aborted)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_sent() && self.end != End::Abort
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
