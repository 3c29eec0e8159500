//! The port: connections, TLS and tunnels, the service of each request, and the delivery of its reply.

mod call;
mod connection;
mod delivery;
mod forgery;
mod listener;
mod router;
mod stream;

pub(crate) use listener::run;
