//! The floor: a minimal HTTP client that sends the same bytes as the module, over one connection per thread, and
//! reads the replies.

use crate::outcome::Outcome;
use crate::wire::Message;
use crate::{meter, tls};
use serde_json::Value;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A stream, with or without TLS.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Sends the request in `file` repeatedly for `time`, in `threads` threads. Returns the figures of [`meter::series`].
pub fn run(port: u16, ca_file: Option<&str>, file: &str, threads: usize, time: Duration) -> Outcome<Value> {
    let request = std::fs::read(file)?;
    meter::series(threads, time, || {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match ca_file {
            Some(ca) => Box::new(tls::connect(stream, ca)?),
            None => Box::new(stream),
        };
        let (mut stream, request) = (BufReader::new(stream), request.clone());
        Ok(move || {
            stream.get_mut().write_all(&request)?;
            stream.get_mut().flush()?;
            let reply = Message::read(&mut stream)?.ok_or("the service has closed the connection")?;
            if reply.status() == Some(200) { Ok(()) } else { Err(reply.head.into()) }
        })
    })
}
