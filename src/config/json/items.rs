//! Arrays that are skipped at first, and whose items are parsed one by one: there may be thousands of items.

use super::scanner::{ParseResult, Parser};
use super::value::{Data, Dialect, UnparsedArray, Value};
use memchr::memchr2;

/// An iterator over the items of a skipped array. Each item is parsed when it is requested. A fault ends the
/// iteration.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq)]
pub struct Items<'a> {
    scanner: Parser<'a>,
    depth: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Before,
    Among,
    Behind,
}

impl<'a> From<&UnparsedArray<'a>> for Items<'a> {
    fn from(array: &UnparsedArray<'a>) -> Self {
        let UnparsedArray { text, rest, line, depth, deferred: later } = *array;
        Self { scanner: Parser { text, rest, line, dialect: Dialect::Strict, later }, depth, state: State::Before }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = ParseResult<Value<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let more = match std::mem::replace(&mut self.state, State::Behind) {
            State::Before => self.scanner.open(b']'),
            State::Among => self.scanner.more(b']'),
            State::Behind => Ok(false),
        };
        let item = match more {
            Ok(true) => self.scanner.value(self.depth),
            Ok(false) => return None,
            Err(fault) => Err(fault),
        };
        if item.is_ok() {
            self.state = State::Among;
        }
        Some(item.map_err(|fault| self.scanner.first_fault(fault)))
    }
}

impl<'a> Parser<'a> {
    /// Skips an array without parsing its items. Only brackets outside strings are counted.
    pub(super) fn pass_array(&mut self, depth: usize) -> ParseResult<Value<'a>> {
        let line = self.line;
        let unread = UnparsedArray { text: self.text, rest: self.rest, line, depth: depth + 1, deferred: self.later };
        let mut bytes = self.rest.as_bytes().iter();
        let mut open = 0usize;
        while let Some(byte) = bytes.find(|byte| STRUCTURE[usize::from(**byte)]) {
            match byte {
                b'"' => bytes = after_string(bytes.as_slice()).iter(),
                b'\n' => self.line += 1,
                b'[' | b'{' => open += 1,
                _ => open -= 1,
            }
            if open == 0 {
                self.advance(self.rest.len() - bytes.len());
                return Ok(Value { line, data: Data::Unparsed(unread) });
            }
        }
        Err(self.fault("the array has no closing bracket; add ']'".into()))
    }
}

/// Returns what follows the rest of a string and the closing quote.
fn after_string(mut bytes: &[u8]) -> &[u8] {
    loop {
        bytes = match memchr2(b'"', b'\\', bytes) {
            Some(at) if bytes[at] == b'"' => return &bytes[at + 1..],
            // The byte after a backslash belongs to the string.
            Some(at) => bytes.get(at + 2..).unwrap_or_default(),
            None => return &[],
        };
    }
}

/// The bytes that are relevant when an array is skipped.
static STRUCTURE: [bool; 256] = {
    let mut structure = [false; 256];
    let mut bytes: &[u8] = b"[]{}\"\n";
    while let Some((byte, rest)) = bytes.split_first() {
        structure[*byte as usize] = true;
        bytes = rest;
    }
    structure
};
