//! Connections that are opened ahead, while the credentials for their first request are still being fetched.
//!
//! The HTTP client opens a connection only for a request. So a connection is opened ahead by a request that is never
//! sent: the layer below gets the connection, keeps it for the first real request, and fails the request.

use crate::metrics;
use futures_util::future::BoxFuture;
use reqwest::Url;
use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tower_layer::Layer;
use tower_service::Service;

/// A connection of the HTTP client, whose type has no name, or the reason why there is none.
type Connection = Result<Box<dyn Any + Send>, BoxError>;

type BoxError = Box<dyn Error + Send + Sync>;

/// The longest time that a connection waits for its first request. Servers close idle connections later than that.
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
    /// Returns the sender of a connection to that origin, for [`open`]. Returns None after the first time: the request
    /// could be sent on a connection that is already open.
    pub(crate) fn register(&self, origin: String) -> Option<oneshot::Sender<Connection>> {
        let (sender, receiver) = oneshot::channel();
        match self.origins().entry(origin) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(first) => first.insert(Some((Instant::now(), receiver))),
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Some(sender)
    }

    /// Returns the connection that was opened ahead for requests to that URL, if there is one.
    pub(crate) fn take(&self, url: &Url) -> AheadConnection {
        AheadConnection(self.receiver(url))
    }

    fn receiver(&self, url: &Url) -> Option<oneshot::Receiver<Connection>> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut origins = self.origins();
        // A connection is never used if there are no credentials for its request.
        for ahead in origins.values_mut() {
            if ahead.take_if(|(since, _)| since.elapsed() >= LONGEST_WAIT).is_some() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let (_, receiver) = origins.get_mut(&url.origin().ascii_serialization())?.take()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(receiver)
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<String, Option<Ahead>>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection for one request, if there is one.
pub(crate) struct AheadConnection(Option<oneshot::Receiver<Connection>>);

impl AheadConnection {
    /// Runs a request, which uses the connection if it needs one.
    pub(crate) async fn run<T>(self, request: impl Future<Output = T>) -> T {
        match self.0 {
            Some(receiver) => PURPOSE.scope(Mutex::new(Some(Purpose::Use(receiver))), request).await,
            None => request.await,
        }
    }
}

/// Opens a connection by `request`, which is never sent.
pub(crate) async fn open(to: oneshot::Sender<Connection>, request: impl Future) {
    PURPOSE.scope(Mutex::new(Some(Purpose::Open(to))), request).await;
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
    S: Service<R, Error = BoxError> + Clone + Send + 'static,
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
                    let connection = connector.call(destination).await.inspect(|_| metrics::count_connection());
                    // Without a receiver, nobody needs the connection any more.
                    let _ = sender.send(connection.map(|connection| Box::new(connection) as _));
                    Err("the connection was opened ahead of its first request".into())
                }
                Some(Purpose::Use(receiver)) => match connection_of(receiver).await {
                    Some(Ok(connection)) => Ok(*connection),
                    Some(Err(error)) => Err(error),
                    None => connector.call(destination).await.inspect(|_| metrics::count_connection()),
                },
                None => connector.call(destination).await.inspect(|_| metrics::count_connection()),
            }
        })
    }
}

/// Returns the connection, or the failure of an attempt that was running when the request came. An earlier failure
/// may have passed, so it counts for nothing.
async fn connection_of<C: 'static>(mut receiver: oneshot::Receiver<Connection>) -> Option<Result<Box<C>, BoxError>> {
    let connection = match receiver.try_recv() {
        Ok(earlier) => earlier.ok()?,
        Err(TryRecvError::Closed) => return None,
        Err(TryRecvError::Empty) => match receiver.await.ok()? {
            Ok(connection) => connection,
            Err(error) => return Some(Err(error)),
        },
    };
    connection.downcast().ok().map(Ok)
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

    async fn open_ahead(ahead: &ConnectionsAhead, client: &reqwest::Client, url: &Url) {
        if let Some(to) = ahead.register(url.origin().ascii_serialization()) {
            open(to, client.get(url.clone()).send()).await;
        }
    }

    #[test]
    fn the_first_request_uses_the_connection_that_was_opened_ahead() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/asked", listener.local_addr().unwrap())).unwrap();
        let (ahead, client) = (ConnectionsAhead::default(), client());
        runtime().block_on(async {
            open_ahead(&ahead, &client, &url).await;
            // The only connection that this server accepts.
            let server = std::thread::spawn(move || reply(listener.accept().unwrap().0));
            let answer = ahead.take(&url).run(client.get(url.clone()).send()).await.unwrap();
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
            open_ahead(&ahead, &client, &url).await;
            let listener = TcpListener::bind(place).unwrap();
            let server = std::thread::spawn(move || reply(listener.accept().unwrap().0));
            assert_eq!(ahead.take(&url).run(client.get(url.clone()).send()).await.unwrap().status(), 200);
            server.join().unwrap();
        });
    }

    #[test]
    fn a_connection_is_opened_ahead_only_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/asked", listener.local_addr().unwrap())).unwrap();
        let (ahead, client) = (ConnectionsAhead::default(), client());
        runtime().block_on(async {
            open_ahead(&ahead, &client, &url).await;
            open_ahead(&ahead, &client, &url).await;
        });
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_ok());
        assert!(listener.accept().is_err(), "a second connection was opened");
    }
}
