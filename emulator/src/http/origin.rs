//! The connection that a request came by.

use serde::Serialize;

/// The connection that a request came by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) connection: u64,
    /// None for plain HTTP.
    pub(crate) handshake: Option<Handshake>,
}

/// How TLS began on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// With all keys made anew.
    Full,
    /// With a session that the client got on that earlier connection; 0 with TLS 1.2, which does not tell.
    Resumed(u64),
}
