//! A fake of all services that uses little CPU, so that the measurements show the client. It runs as its own process.
//!
//! The fake accepts every credential, resolves every key name to one of two keys, and creates valid signatures,
//! because the module verifies them. It signs each digest only once. Replies can be delayed by a configured time.
//! The emulator is the implementation that is faithful to the services.

mod google;
mod quota;
mod replies;
mod state;
mod vault;

use crate::outcome::{Outcome, say};
use crate::tls;
use crate::wire::Message;
pub use google::KEY_RING;
pub use replies::VERSION;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
pub use state::CONNECTIONS;
use state::Service;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn speak(service: &Service, stream: impl Read + Write) -> Outcome<()> {
    let mut stream = BufReader::new(stream);
    let mut counted = false;
    while let Some(request) = Message::read(&mut stream)? {
        let control = request.request_line().1.starts_with("/_bench/");
        if !control && !std::mem::replace(&mut counted, true) {
            service.count(CONNECTIONS);
        }
        let reply = if control { replies::control(service, &request) } else { reply(service, &request) };
        stream.get_mut().write_all(&reply?)?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

fn reply(service: &Service, request: &Message) -> Outcome<Vec<u8>> {
    let under_way = service.under_way.fetch_add(1, Ordering::Relaxed) + 1;
    service.most_under_way.fetch_max(under_way, Ordering::Relaxed);
    let reply = match request.header("x-amz-target") {
        Some(target) => replies::kms(service, request, target),
        None if google::is_request(request) => google::reply(service, request),
        None if vault::is_request(request) => vault::reply(service, request),
        None => replies::key_vault(service, request),
    };
    if !service.delay().is_zero() {
        std::thread::sleep(service.delay());
    }
    service.under_way.fetch_sub(1, Ordering::Relaxed);
    reply
}

fn greet(service: &Service, stream: TcpStream, config: Arc<ServerConfig>) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first)?;
    if first[0] != TLS_HANDSHAKE {
        return speak(service, stream);
    }
    speak(service, StreamOwned::new(ServerConnection::new(config)?, stream))
}

const TLS_HANDSHAKE: u8 = 22;

/// Serves until the process ends. Prints the port as one line on standard output, and writes the CA certificate to
/// `ca_file`.
pub fn run(ca_file: &str) -> Outcome<()> {
    let (config, ca) = tls::server()?;
    std::fs::write(ca_file, ca)?;
    let service = Arc::new(Service::new()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    say(&listener.local_addr()?.port().to_string());
    for stream in listener.incoming() {
        let (service, config, stream) = (service.clone(), config.clone(), stream?);
        // The result of a connection does not matter to the service.
        std::thread::Builder::new().stack_size(256 << 10).spawn(move || drop(greet(&service, stream, config)))?;
    }
    Ok(())
}
