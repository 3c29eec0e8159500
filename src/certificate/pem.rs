//! PEM (RFC 7468).
//!
//! Finds the blocks of a text. Any other text may stand before, between and after the blocks.

use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

/// A block: `-----BEGIN NAME-----`, base64, `-----END NAME-----`.
pub(crate) struct Block<'a> {
    /// The line at which the block begins, counted from 1.
    pub(crate) line: usize,
    pub(crate) name: &'a str,
    base64: &'a str,
}

impl Block<'_> {
    /// Returns the bytes of the block, or None if its contents are not base64.
    pub(crate) fn content(&self) -> Option<Zeroizing<Vec<u8>>> {
        base64(self.base64)
    }
}

/// Returns the PEM blocks of a text. For an incomplete block, the message names its line and its name.
pub(crate) fn blocks(text: &str) -> Vec<Result<Block<'_>, String>> {
    let (mut blocks, mut at) = (Vec::new(), 0);
    while let Some(begin) = text[at..].find(BEGIN).map(|found| at + found) {
        let line = 1 + line_breaks(&text[..begin]);
        at = begin + BEGIN.len();
        let Some(length) = text[at..].find("-----").filter(|length| *length < 64) else { continue };
        let name = &text[at..at + length];
        let start = at + length + 5;
        let end = format!("-----END {name}-----");
        let Some(stop) = text[start..].find(&end).map(|found| start + found) else {
            blocks.push(Err(format!("line {line}: {name} has no END line")));
            continue;
        };
        at = stop + end.len();
        blocks.push(Ok(Block { line, name, base64: &text[start..stop] }));
    }
    blocks
}

const BEGIN: &str = "-----BEGIN ";

/// Counts the line breaks of Unix, Windows and old Macintoshes.
fn line_breaks(text: &str) -> usize {
    text.bytes()
        .zip(text.bytes().skip(1).chain([0]))
        .filter(|pair| pair.0 == b'\n' || pair.0 == b'\r' && pair.1 != b'\n')
        .count()
}

/// Decodes base64 with or without line breaks and padding (RFC 4648 section 4). The result may be a private key,
/// so it is overwritten when dropped.
pub(crate) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    letters.extend(text.chars().filter(|c| !c.is_ascii_whitespace() && !"=\u{feff}".contains(*c)));
    Base64Unpadded::decode_vec(&letters).ok().filter(|bytes| !bytes.is_empty()).map(Zeroizing::new)
}
