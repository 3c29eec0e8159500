//! A small proxy in front of an HTTP server. It passes each request on, unless a test has put a reply in its place, and records
//! what it has seen. Also requests of the tests themselves.

use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The proxy. It ends with the test program.
pub struct Front {
    pub url: String,
    state: Arc<State>,
}

struct State {
    /// HOST:PORT of the server.
    server: String,
    replies: Mutex<VecDeque<(String, String)>>,
    seen: Mutex<Vec<Seen>>,
    /// How much later each reply comes.
    delay: Mutex<Duration>,
}

/// A request that has passed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method and the path.
    pub line: String,
    /// The header X-Vault-Token.
    pub token: Option<String>,
}

struct Request {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Front {
    /// Starts a proxy in front of the server at `http://HOST:PORT`.
    pub fn of(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let state =
            Arc::new(State { server, replies: Mutex::default(), seen: Mutex::default(), delay: Mutex::default() });
        let serving = state.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = serving.clone();
                std::thread::spawn(move || state.serve(connection));
            }
        });
        Self { url, state }
    }

    /// Puts a reply in the place of the server's, for the next request whose line or body contains
    /// `words`. `head` is the status,
    /// followed by header lines.
    pub fn reply(&self, words: &str, head: &str, body: &str) {
        let reply = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        self.reply_bytes(words, reply);
    }

    /// Puts these bytes in the place of the server's reply. Without any, the connection ends without a reply.
    pub fn reply_bytes(&self, words: &str, reply: String) {
        self.state.replies.lock().unwrap().push_back((words.to_owned(), reply));
    }

    /// Delays each reply, like a server that has too much to do.
    pub fn delay(&self, by: Duration) {
        *self.state.delay.lock().unwrap() = by;
    }

    /// Returns the requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }

    /// Returns the lines of the requests since the last call.
    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

impl State {
    fn serve(&self, connection: TcpStream) {
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let Some(request) = Request::read(&mut reader) else { return };
        let is_token = |line: &&String| line.to_lowercase().starts_with("x-vault-token:");
        let token = request.headers.iter().find(is_token).map(|line| line.split_once(':').unwrap().1.trim().to_owned());
        self.seen.lock().unwrap().push(Seen { line: request.line.clone(), token });
        let own = {
            let mut replies = self.replies.lock().unwrap();
            let text = format!("{}\n{}", request.line, String::from_utf8_lossy(&request.body));
            let place = replies.iter().position(|(words, _)| text.contains(words));
            place.and_then(|place| replies.remove(place))
        };
        let reply = match own {
            Some((_, reply)) => reply.into_bytes(),
            None => request.exchange(&self.server),
        };
        let delay = *self.delay.lock().unwrap();
        std::thread::sleep(delay);
        let _ = (&connection).write_all(&reply);
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let length =
            lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let first = lines.remove(0);
        Some(Self { line: first.trim_end_matches(" HTTP/1.1").to_owned(), headers: lines, body })
    }

    /// Sends the request on a new connection, and returns the whole reply.
    fn exchange(&self, server: &str) -> Vec<u8> {
        let headers = self.headers.iter().filter(|line| !line.to_lowercase().starts_with("connection:"));
        let headers: String = headers.map(|line| format!("{line}\r\n")).collect();
        let mut connection = TcpStream::connect(server).unwrap();
        let head = format!("{} HTTP/1.1\r\n{headers}connection: close\r\n\r\n", self.line);
        connection.write_all(&[head.as_bytes(), &self.body].concat()).unwrap();
        let mut reply = Vec::new();
        let _ = connection.read_to_end(&mut reply);
        reply
    }
}

/// Makes a request of the test itself to the server at `http://HOST:PORT`. Returns the status and the JSON of the reply, or null.
pub fn ask(server: &str, token: &str, line: &str, fields: Value) -> (u16, Value) {
    let server = server.strip_prefix("http://").unwrap();
    let body = fields.to_string().into_bytes();
    let headers =
        vec![format!("host: {server}"), format!("x-vault-token: {token}"), format!("content-length: {}", body.len())];
    let reply = Request { line: line.to_owned(), headers, body }.exchange(server);
    let reply = String::from_utf8(reply).unwrap();
    let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
    // A reply in several chunks is not needed here.
    let json = reply.find("\r\n\r\n").and_then(|end| reply[end..].find('{').map(|at| &reply[end + at..]));
    let json = json.map(|text| text.split("\r\n").next().unwrap());
    (status, json.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_default()))
}
