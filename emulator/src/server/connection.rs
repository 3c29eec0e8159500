//! One connection: plain HTTP, TLS or a CONNECT tunnel, told apart by the first byte.

use super::delivery::{Aborted, ReplyBody, response};
use super::forgery::page;
use super::router;
use super::stream::{Rewound, Stream};
use crate::faults::{Action, CONNECT};
use crate::http::{Handshake, Origin, Reply, Request};
use crate::state::{Fate, State};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{HandshakeKind, ServerConnection};

/// A connection, before it is known what it speaks.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) state: Arc<State>,
    pub(super) acceptor: TlsAcceptor,
    /// What a ClientHello is answered with, if not in TLS.
    pub(super) retort: Option<Vec<u8>>,
    pub(super) fate: Arc<Fate>,
    pub(super) number: u64,
}

const TLS_HANDSHAKE: u8 = 0x16;
const BODY_LIMIT: usize = 4 * 1024 * 1024;

impl Connection {
    /// With the faults of this connection.
    pub(super) fn flawed(mut self, faults: &[Action]) -> Self {
        for action in faults {
            match action {
                Action::Certificate(flaw) => {
                    if let Ok(acceptor) = self.state.authority.flawed_acceptor(*flaw) {
                        self.acceptor = acceptor;
                    }
                }
                // RFC 8446 section 5.1: type alert, TLS 1.2, two bytes: fatal, and which.
                Action::TlsAlert { code } => self.retort = Some(vec![21, 3, 3, 0, 2, 2, *code]),
                Action::NoTls => self.retort = Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
                _ => {}
            }
        }
        self
    }

    /// Finds out what the client speaks. Boxed, since a tunnel inside is greeted in the same way.
    pub(super) fn greet(self, mut stream: Box<dyn Stream>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let Ok(first) = stream.read_u8().await else { return };
            let mut stream = Rewound { first: Some(first), stream };
            if first != TLS_HANDSHAKE {
                return self.serve(Box::new(stream), None).await;
            }
            if let Some(retort) = &self.retort {
                let _ = stream.write_all(retort).await;
                let _ = stream.shutdown().await;
                return swallow(Box::new(stream)).await;
            }
            // A session that begins here tells, when it is resumed, where it began.
            let number = self.number.to_be_bytes();
            let accepted = self.acceptor.accept_with(stream, |tls| tls.set_resumption_data(&number)).await;
            let Ok(stream) = accepted else { return };
            self.state.traffic.count("tls_handshakes");
            let handshake = handshake_of(stream.get_ref().1);
            self.serve(Box::new(stream), Some(handshake)).await;
        })
    }

    /// Speaks HTTP/1.1 until either side has enough.
    async fn serve(self, stream: Box<dyn Stream>, handshake: Option<Handshake>) {
        let fate = self.fate.clone();
        let origin = Origin { connection: self.number, handshake };
        let service = service_fn(move |request| self.clone().handle(request, origin));
        let mut http = http1::Builder::new();
        let connection = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => {}
            () = fate.close.notified() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn handle(self, request: hyper::Request<Incoming>, origin: Origin) -> Result<Response<ReplyBody>, Aborted> {
        if request.method() == Method::CONNECT {
            return self.tunnel(request);
        }
        match read(request, origin).await {
            Some(request) => router::answer(self.state, self.fate, request).await,
            None => response(Reply::empty(413), &[], self.fate),
        }
    }

    /// Answers CONNECT. The tunnel leads back to this server.
    fn tunnel(self, mut request: hyper::Request<Incoming>) -> Result<Response<ReplyBody>, Aborted> {
        self.state.traffic.count(CONNECT);
        let actions = self.state.faults.take(CONNECT, &[], None);
        if let Some(page) = actions.iter().find_map(page) {
            return response(page, &[], self.fate);
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let fate = self.fate.clone();
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                self.greet(Box::new(TokioIo::new(upgraded))).await;
            }
        });
        // RFC 9110 section 9.3.6: a 2xx to CONNECT has no Content-Length.
        let mut response = response(Reply::empty(200), &[], fate)?;
        response.headers_mut().remove("content-length");
        Ok(response)
    }
}

/// Reads a request whole; `None` if its body is too long.
async fn read(request: hyper::Request<Incoming>, origin: Origin) -> Option<Request> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.ok()?.to_bytes().to_vec();
    let named = head.headers.get("host").and_then(|value| value.to_str().ok());
    let host = head.uri.authority().map(|authority| authority.as_str()).or(named).unwrap_or_default().to_owned();
    Some(Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        host,
        origin,
    })
}

fn handshake_of(tls: &ServerConnection) -> Handshake {
    match tls.handshake_kind() {
        Some(HandshakeKind::Resumed) => {
            let earlier = tls.received_resumption_data().and_then(|data| data.try_into().ok());
            Handshake::Resumed(earlier.map_or(0, u64::from_be_bytes))
        }
        _ => Handshake::Full,
    }
}

/// Reads and never writes.
pub(super) async fn swallow(mut wire: Box<dyn Stream>) {
    let mut buffer = [0; 4096];
    while wire.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}
