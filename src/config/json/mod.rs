//! JSON as a tree with line numbers, in two dialects: RFC 8259 and the one that json-c accepts.
//!
//! The parser does not know the options. Apart from the name of a duplicate member, its messages quote at most one
//! character, since any text may be part of a secret. Strings without escapes borrow the text, and the owner of
//! the text overwrites it. Other string values are copies, which are overwritten when they are dropped.

mod items;
mod scanner;
mod value;

pub use items::Items;
use std::borrow::Cow;
pub use value::{Data, Dialect, Document, Fault, Member, Value};
/// Returns the text in these bytes, without a byte-order mark at its start.
///
/// # Errors
/// The line of the first byte that is not UTF-8, in the strict dialect. The lenient dialect replaces invalid bytes
/// by U+FFFD.
pub fn decode(bytes: &[u8], dialect: Dialect) -> Result<Cow<'_, str>, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match (std::str::from_utf8(bytes), dialect) {
        (Ok(text), _) => Ok(Cow::Borrowed(text)),
        (Err(_), Dialect::Lenient) => Ok(String::from_utf8_lossy(bytes)),
        (Err(error), Dialect::Strict) => {
            let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
            Err(Fault { line, message: "the text is not UTF-8; save the file as UTF-8".into() })
        }
    }
}

/// Parses a text.
///
/// # Errors
/// The first fault in the text.
pub fn parse(text: &str, dialect: Dialect) -> Result<Document<'_>, Fault> {
    scanner::document(text, dialect, &[])
}

/// Parses a text in the strict dialect, and skips the arrays that are members named in `later`, so that no tree of
/// the whole text is needed. The first name is that of a member of the whole document, the next that of a member
/// of an item of such an array, and so on. [`Items`] parses the items of a skipped array.
///
/// # Errors
/// The first fault in the whole text, if there is one outside the skipped arrays. Otherwise, [`Items`] reports the
/// faults.
pub fn parse_deferring<'a>(text: &'a str, later: &'static [&'static str]) -> Result<Document<'a>, Fault> {
    scanner::document(text, Dialect::Strict, later)
}
