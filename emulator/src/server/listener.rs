//! The port: one listener for plain HTTP, TLS and CONNECT tunnels.

use super::connection::{Connection, swallow};
use super::stream::{Stream, Wire};
use crate::faults::{Action, CONNECTION};
use crate::state::{Fate, State};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Accepts until the runtime ends.
pub(crate) async fn run(state: Arc<State>, listener: TcpListener, acceptor: TlsAcceptor) {
    let mut number = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        number += 1;
        state.traffic.count("connections");
        let _ = stream.set_nodelay(true);
        let fate = Arc::new(Fate::default());
        state.connections.add(&fate);
        let wire: Box<dyn Stream> = Box::new(Wire { stream, fate: fate.clone() });
        let faults = state.faults.take(CONNECTION, &[], None);
        let connection = Connection { state: state.clone(), acceptor: acceptor.clone(), retort: None, fate, number };
        if faults.contains(&Action::BlackHole) {
            tokio::spawn(hold(wire));
        } else if faults.contains(&Action::TlsStall) {
            tokio::spawn(swallow(wire));
        } else {
            tokio::spawn(connection.flawed(&faults).greet(wire));
        }
    }
}

/// Neither reads nor writes.
async fn hold(wire: Box<dyn Stream>) {
    std::future::pending::<()>().await;
    drop(wire);
}
