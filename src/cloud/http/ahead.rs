//! Connections that are opened ahead, while the credentials for their first request are still being fetched.
//!
//! The HTTP client opens a connection only for a request. So a connection is opened ahead by a request that is never
//! sent: the layer below gets the connection, keeps it for the first real request, and fails the request.

use azure_core::http::Url;
use futures_util::future::BoxFuture;
use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;

/// A connection of the HTTP client, whose type has no name.
type Connection = Box<dyn Any + Send>;

/// The longest time that a connection waits for its first request. Servers close idle connections, but not as early
/// as this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The connections that are opened ahead.
#[derive(Default)]
pub(crate) struct ConnectionsAhead {
    /// Each origin to which a connection was ever opened ahead, with the connection until its first request.
    origins: Mutex<HashMap<String, Option<Ahead>>>,
    /// The number of connections that wait for their first request. Almost always 0.
    waiting: AtomicUsize,
}

/// The start of an attempt, and its connection.
type Ahead = (Instant, oneshot::Receiver<Connection>);

/// What the layer does for a request that needs a connection.
enum Purpose {
    /// Hands the connection over, and fails the request.
    Open(oneshot::Sender<Connection>),
    /// Takes the connection that has been opened ahead.
    Use(oneshot::Receiver<Connection>),
}

tokio::task_local! {
    static PURPOSE: Mutex<Option<Purpose>>;
}

impl ConnectionsAhead {
    /// Opens a connection by `request`, which is for that origin and is never sent. Does nothing after the first time:
    /// the request could be sent on a connection that is already open.
    pub(crate) async fn open(&self, origin: String, request: impl Future) {
        let (sender, receiver) = oneshot::channel();
        match self.origins().entry(origin) {
            Entry::Occupied(_) => return,
            Entry::Vacant(first) => first.insert(Some((Instant::now(), receiver))),
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        PURPOSE.scope(Mutex::new(Some(Purpose::Open(sender))), request).await;
    }

    /// Runs `request`, which is for that URL. If the request needs a connection, it uses the one that has been opened
    /// ahead.
    pub(crate) async fn run<T>(&self, url: &Url, request: impl Future<Output = T>) -> T {
        match self.take(url) {
            Some(receiver) => PURPOSE.scope(Mutex::new(Some(Purpose::Use(receiver))), request).await,
            None => request.await,
        }
    }

    fn take(&self, url: &Url) -> Option<oneshot::Receiver<Connection>> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let (since, receiver) = self.origins().get_mut(&url.origin().ascii_serialization())?.take()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        (since.elapsed() < LONGEST_WAIT).then_some(receiver)
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<String, Option<Ahead>>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The layer around the connector of the HTTP client.
#[derive(Clone)]
pub(crate) struct AheadLayer;

impl<S> Layer<S> for AheadLayer {
    type Service = AheadConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        AheadConnector(connector)
    }
}

/// The connector with the layer.
#[derive(Clone)]
pub(crate) struct AheadConnector<S>(S);

impl<S, R> Service<R> for AheadConnector<S>
where
    S: Service<R, Error = Box<dyn Error + Send + Sync>> + Clone + Send + 'static,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        // The service that `poll_ready` has prepared is the one to call; its clone is for the next request.
        let next = self.0.clone();
        let mut connector = std::mem::replace(&mut self.0, next);
        Box::pin(async move {
            let purpose = PURPOSE.try_with(|purpose| purpose.lock().unwrap_or_else(PoisonError::into_inner).take());
            match purpose.ok().flatten() {
                Some(Purpose::Open(sender)) => {
                    let connection = connector.call(destination).await?;
                    // Without a receiver, nobody needs the connection any more.
                    let _ = sender.send(Box::new(connection));
                    Err("the connection was opened ahead of its first request".into())
                }
                Some(Purpose::Use(receiver)) => {
                    let connection = receiver.await.ok().and_then(|connection| connection.downcast().ok());
                    match connection {
                        Some(connection) => Ok(*connection),
                        // The attempt has failed. Another attempt finds out whether it still fails, and why.
                        None => connector.call(destination).await,
                    }
                }
                None => connector.call(destination).await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn client() -> reqwest::Client {
        reqwest::Client::builder().no_proxy().connector_layer(AheadLayer).build().unwrap()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn reply(mut connection: TcpStream) {
        let mut request = [0; 1000];
        let read = connection.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /asked "), "the request that opened the connection was not sent");
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }

    async fn open(ahead: &ConnectionsAhead, client: &reqwest::Client, url: &Url) {
        ahead.open(url.origin().ascii_serialization(), client.get(url.clone()).send()).await;
    }

    #[test]
    fn the_first_request_uses_the_connection_that_was_opened_ahead() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/asked", listener.local_addr().unwrap())).unwrap();
        let (ahead, client) = (ConnectionsAhead::default(), client());
        runtime().block_on(async {
            open(&ahead, &client, &url).await;
            // The only connection that this server accepts.
            let server = std::thread::spawn(move || reply(listener.accept().unwrap().0));
            let answer = ahead.run(&url, client.get(url.clone()).send()).await.unwrap();
            assert_eq!(answer.status(), 200);
            server.join().unwrap();
        });
        assert_eq!(ahead.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_first_request_connects_itself_if_no_connection_could_be_opened_ahead() {
        let place = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = Url::parse(&format!("http://{place}/asked")).unwrap();
        let (ahead, client) = (ConnectionsAhead::default(), client());
        runtime().block_on(async {
            open(&ahead, &client, &url).await;
            let listener = TcpListener::bind(place).unwrap();
            let server = std::thread::spawn(move || reply(listener.accept().unwrap().0));
            assert_eq!(ahead.run(&url, client.get(url.clone()).send()).await.unwrap().status(), 200);
            server.join().unwrap();
        });
    }

    #[test]
    fn a_connection_is_opened_ahead_only_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/asked", listener.local_addr().unwrap())).unwrap();
        let (ahead, client) = (ConnectionsAhead::default(), client());
        runtime().block_on(async {
            open(&ahead, &client, &url).await;
            open(&ahead, &client, &url).await;
        });
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_ok());
        assert!(listener.accept().is_err(), "a second connection was opened");
    }
}
