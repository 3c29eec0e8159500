//! One HTTP exchange as plain values, so that the services can be read and tested without hyper.
//!
//! It knows headers, query strings and base64, and nothing of any service.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use hyper::{HeaderMap, Method};
use serde::Serialize;
use serde_json::Value;

/// A request, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path as sent, without the query.
    pub(crate) path: String,
    /// The query as sent, without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The `Host` header: a name with or without a port.
    pub(crate) host: String,
    pub(crate) origin: Origin,
}

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

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The host without its port, in lower case.
    pub(crate) fn hostname(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
            _ => host,
        }
    }

    /// `https://host` as the client wrote it, without a default port.
    pub(crate) fn base_url(&self) -> String {
        let (scheme, default_port) = if self.origin.handshake.is_some() { ("https", ":443") } else { ("http", ":80") };
        let host = self.host.strip_suffix(default_port).unwrap_or(&self.host);
        format!("{scheme}://{host}")
    }

    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        form_value(&self.query, name)
    }

    /// The parts of the path between slashes, decoded; an empty part stays.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.trim_start_matches('/').split('/').map(percent_decode).collect()
    }

    /// A member of the JSON body that is base64, in either alphabet.
    pub(crate) fn bytes(&self, member: &str) -> Option<Vec<u8>> {
        let text = self.json()?.get(member)?.as_str()?.to_owned();
        base64_decode(&text).or_else(|| base64url_decode(&text))
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// A reply, complete.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body }
    }

    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", value.to_string().into_bytes())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }
}

/// The value of `name` in `a=1&b=2`, decoded.
pub(crate) fn form_value(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode(key) == name).then(|| percent_decode(&value.replace('+', " ")))
    })
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

pub(crate) fn base64url_decode(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).ok()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_escapes_are_decoded() {
        assert_eq!(
            form_value("a=1&scope=https%3A%2F%2Fx%2F.default+y", "scope").as_deref(),
            Some("https://x/.default y")
        );
        assert_eq!(form_value("a=1", "b"), None);
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
    }

    #[test]
    fn base64url_takes_padding_or_none() {
        assert_eq!(base64url_decode("_-A").as_deref(), base64url_decode("_-A=").as_deref());
        assert_eq!(base64url_decode("+/A="), None);
    }
}
