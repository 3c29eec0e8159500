//! JSON as a tree that knows its lines, in two dialects: RFC 8259 and what json-c takes.
//!
//! Knows no option. Its messages quote one character at most, since any text may be part of a secret. Strings are parts of
//! the text, which is its owner's to overwrite; those with escapes are overwritten when they are dropped.

mod items;
mod scanner;
mod value;

pub use items::Items;
use std::borrow::Cow;
pub use value::{Data, Dialect, Document, Fault, Member, Value};
/// The text in these bytes; a byte-order mark in front of it is passed over.
pub fn decode(bytes: &[u8], dialect: Dialect) -> Result<Cow<'_, str>, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match (std::str::from_utf8(bytes), dialect) {
        (Ok(text), _) => Ok(Cow::Borrowed(text)),
        (Err(_), Dialect::Lenient) => Ok(String::from_utf8_lossy(bytes)),
        (Err(error), Dialect::Strict) => {
            let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
            Err(Fault { line, message: "this is not UTF-8".into() })
        }
    }
}

/// Reads a text.
pub fn parse(text: &str, dialect: Dialect) -> Result<Document<'_>, Fault> {
    scanner::document(text, dialect, &[])
}

/// Reads a strict text but for the arrays that are members named `later`, of which the first is one of the whole, the next
/// one of such an array's items: so that there need not be a tree of everything.
pub fn parse_without<'a>(text: &'a str, later: &'static [&'static str]) -> Result<Document<'a>, Fault> {
    scanner::document(text, Dialect::Strict, later)
}
