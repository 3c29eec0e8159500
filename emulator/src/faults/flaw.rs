//! What is wrong with a certificate.

use serde::{Deserialize, Serialize};

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// It is an authority's, and the server's own.
    Authority,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    Future,
    /// It is for `other.example`.
    OtherName,
    /// It has no subjectAltName.
    NoName,
    /// Its own key has signed it.
    SelfSigned,
    /// An authority that nobody knows has signed it.
    Stranger,
    /// It is for clients only.
    Client,
}
