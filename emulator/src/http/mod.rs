//! One HTTP exchange as plain values. The services can be read and tested without hyper.

mod origin;
mod reply;
mod request;

pub use origin::Handshake;
pub(crate) use origin::Origin;
pub(crate) use reply::Reply;
pub(crate) use request::Request;
