//! The port: plain HTTP, TLS and CONNECT tunnels on one listener, told apart by their first byte.

use super::delivery::{Aborted, ReplyBody, response};
use super::router;
use super::router::page;
use crate::faults::{Action, CONNECT, CONNECTION};
use crate::http::{Handshake, Origin, Reply, Request};
use crate::state::Fate;
use crate::state::State;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{HandshakeKind, ServerConnection};

/// Accepts until the runtime ends.
pub(crate) async fn run(state: Arc<State>, listener: TcpListener, acceptor: TlsAcceptor) {
    let mut connection = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connection += 1;
        state.traffic.count("connections");
        let _ = stream.set_nodelay(true);
        let fate = Arc::new(Fate::default());
        state.connections.add(&fate);
        let wire: Box<dyn Stream> = Box::new(Wire { stream, fate: fate.clone() });
        let faults = state.faults.take(CONNECTION, &[]);
        let port = Port { state: state.clone(), acceptor: acceptor.clone(), retort: None, fate, connection };
        if faults.contains(&Action::BlackHole) {
            tokio::spawn(hold(wire));
        } else if faults.contains(&Action::TlsStall) {
            tokio::spawn(swallow(wire));
        } else {
            tokio::spawn(port.flawed(&faults).greet(wire));
        }
    }
}

/// Neither reads nor writes.
async fn hold(wire: Box<dyn Stream>) {
    std::future::pending::<()>().await;
    drop(wire);
}

/// Reads and never writes.
async fn swallow(mut wire: Box<dyn Stream>) {
    let mut buffer = [0; 4096];
    while wire.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, before it is known what it speaks.
#[derive(Clone)]
struct Port {
    state: Arc<State>,
    acceptor: TlsAcceptor,
    /// What a ClientHello is answered with, if not in TLS.
    retort: Option<Vec<u8>>,
    fate: Arc<Fate>,
    connection: u64,
}

const TLS_HANDSHAKE: u8 = 0x16;
const BODY_LIMIT: usize = 4 * 1024 * 1024;

impl Port {
    /// With the faults of this connection.
    fn flawed(mut self, faults: &[Action]) -> Self {
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
    fn greet(self, mut stream: Box<dyn Stream>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
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
            let number = self.connection.to_be_bytes();
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
        let origin = Origin { connection: self.connection, handshake };
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

    async fn handle(
        self,
        mut request: hyper::Request<Incoming>,
        origin: Origin,
    ) -> Result<Response<ReplyBody>, Aborted> {
        if request.method() == Method::CONNECT {
            self.state.traffic.count(CONNECT);
            let actions = self.state.faults.take(CONNECT, &[]);
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
            return Ok(response);
        }
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            Err(_) => return response(Reply::empty(413), &[], self.fate),
        };
        let named = head.headers.get("host").and_then(|value| value.to_str().ok());
        let host = head.uri.authority().map(|authority| authority.as_str()).or(named).unwrap_or_default().to_owned();
        let request = Request {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
            host,
            origin,
        };
        router::answer(self.state, self.fate, request).await
    }
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

/// The socket, which ends with RST if that is its fate.
struct Wire {
    stream: TcpStream,
    fate: Arc<Fate>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.fate.reset.load(Ordering::SeqCst) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.fate.reset.load(Ordering::SeqCst) {
            // A FIN first would let the client take it for a proper end.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A stream whose first byte was looked at.
struct Rewound {
    first: Option<u8>,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
