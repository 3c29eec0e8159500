//! The port: connections, TLS and tunnels, the way of each request to its service, and the way back of the reply.

mod call;
mod connection;
mod delivery;
mod forgery;
mod listener;
mod router;
mod stream;

pub(crate) use listener::run;
