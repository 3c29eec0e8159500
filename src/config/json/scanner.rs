//! The parser: a single pass over the text, with a function for each production of RFC 8259.

use super::value::{Data, Dialect, Document, Fault, Member, Text, Value};
use std::borrow::Cow;

/// Returns the tree of a text.
///
/// Arrays that are members named in `later` are skipped, and [`super::Items`] parses their items. The first name
/// is that of a member of the whole document, the next that of a member of an item of such an array, and so on.
///
/// # Errors
/// The first fault in the whole text, if there is one outside the skipped arrays.
pub(super) fn document<'a>(
    text: &'a str,
    dialect: Dialect,
    later: &'static [&'static str],
) -> Result<Document<'a>, Fault> {
    let mut scanner = Parser { text, rest: text, line: 1, dialect, later };
    let document = scanner.document();
    document.map_err(|fault| scanner.first_fault(fault))
}

/// The largest depth of nested values. Without a limit, a file could overflow the stack of the host's thread.
const DEPTH: usize = 128;

#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq)]
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) rest: &'a str,
    pub(super) line: usize,
    pub(super) dialect: Dialect,
    pub(super) later: &'static [&'static str],
}

pub(super) type ParseResult<T> = Result<T, Fault>;

impl<'a> Parser<'a> {
    fn document(&mut self) -> ParseResult<Document<'a>> {
        self.blanks()?;
        let value = self.value(0)?;
        Ok(Document { value, trailing: self.end()? })
    }

    /// Returns the first fault in the text after `fault` was found: a skipped array may contain an earlier one.
    pub(super) fn first_fault(&self, fault: Fault) -> Fault {
        let whole = (!self.later.is_empty()).then(|| document(self.text, self.dialect, &[]));
        whole.and_then(Result::err).unwrap_or(fault)
    }

    pub(super) fn value(&mut self, depth: usize) -> ParseResult<Value<'a>> {
        if depth > DEPTH {
            return Err(self.fault(format!("brackets are nested more than {DEPTH} levels deep; remove levels")));
        }
        let line = self.line;
        let data = match self.peek() {
            Some(b'{') => Data::Object(self.object(depth)?),
            Some(b'[') => Data::Array(self.list(b']', |scanner| scanner.value(depth + 1))?),
            Some(b'"' | b'\'') => Data::String(Text(self.string()?)),
            Some(c) if c == b'-' || c.is_ascii_alphanumeric() => self.literal_or_number()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Value { line, data })
    }

    fn object(&mut self, depth: usize) -> ParseResult<Vec<Member<'a>>> {
        let members = self.list(b'}', |scanner| scanner.member(depth))?;
        match duplicate(&members).filter(|_| self.dialect == Dialect::Strict) {
            Some(member) => {
                let message = format!("\"{}\" occurs twice in the same object; remove one of the two", member.name);
                Err(Fault { line: member.line, message })
            }
            None => Ok(members),
        }
    }

    fn member(&mut self, depth: usize) -> ParseResult<Member<'a>> {
        let line = self.line;
        if !matches!(self.peek(), Some(b'"' | b'\'')) {
            return Err(self.unexpected("a name in double quotes"));
        }
        let name = self.string()?;
        self.blanks()?;
        if !self.consume(b':') {
            return Err(self.unexpected("':' after the name"));
        }
        self.blanks()?;
        let value = match self.peek() == Some(b'[') && self.is_later(&name, depth) {
            true => self.pass_array(depth + 1)?,
            false => self.value(depth + 1)?,
        };
        Ok(Member { name, line, value })
    }

    /// Returns whether to skip the array of that name in an object of that depth.
    fn is_later(&self, name: &str, depth: usize) -> bool {
        // The array is one level below the object, and its items are two levels below.
        depth.is_multiple_of(2) && self.later.get(depth / 2).is_some_and(|later| *later == name)
    }

    /// Parses from the opening bracket to the closing one.
    fn list<T>(&mut self, bracket: u8, mut item: impl FnMut(&mut Self) -> ParseResult<T>) -> ParseResult<Vec<T>> {
        let mut items = Vec::new();
        let mut more = self.open(bracket)?;
        while more {
            items.push(item(self)?);
            more = self.more(bracket)?;
        }
        Ok(items)
    }

    /// Consumes the opening bracket and returns whether there is an item.
    pub(super) fn open(&mut self, bracket: u8) -> ParseResult<bool> {
        self.advance(1);
        self.blanks()?;
        Ok(!self.consume(bracket))
    }

    /// Called after an item; returns whether there is another.
    pub(super) fn more(&mut self, bracket: u8) -> ParseResult<bool> {
        self.blanks()?;
        if self.consume(bracket) {
            return Ok(false);
        }
        if !self.consume(b',') {
            let Fault { line, message } = self.unexpected(&format!("',' or '{}'", char::from(bracket)));
            let fix = match self.peek() {
                Some(next) if next.is_ascii_alphanumeric() || b"\"'-[{".contains(&next) => "; add a comma before it",
                Some(_) => "",
                None => "; add the closing bracket",
            };
            return Err(Fault { line, message: message + fix });
        }
        self.blanks()?;
        if self.dialect == Dialect::Strict && self.peek() == Some(bracket) {
            return Err(self.fault(format!("unexpected comma before '{}'; remove the comma", char::from(bracket))));
        }
        Ok(!self.consume(bracket))
    }

    fn string(&mut self) -> ParseResult<Cow<'a, str>> {
        let quote = self.peek().unwrap_or(b'"');
        if quote != b'"' && self.dialect == Dialect::Strict {
            return Err(self.unexpected("double quotes"));
        }
        let start = self.line;
        self.advance(1);
        let plain = self.plain(quote);
        if self.consume(quote) {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = Cow::Borrowed(plain);
        loop {
            match self.peek() {
                None => return Err(Fault { line: start, message: "the string has no closing quote; add one".into() }),
                Some(c) if c == quote => break,
                Some(b'\\') => text.to_mut().push(self.escape()?),
                // RFC 8259 section 7: control characters must be escaped.
                Some(_) if self.dialect == Dialect::Strict => {
                    let text = "control character in a string, such as a line break or a tab; add the missing quote, or \
                                write \\n or \\t";
                    return Err(self.fault(text.into()));
                }
                Some(control) => {
                    text.to_mut().push(char::from(control));
                    self.advance_lines(1);
                }
            }
            match self.plain(quote) {
                "" => {}
                plain => text.to_mut().push_str(plain),
            }
        }
        self.advance(1);
        Ok(text)
    }

    /// Consumes and returns the characters before the next quote, escape or control character.
    fn plain(&mut self, quote: u8) -> &'a str {
        // All three are ASCII, so no byte of another character is equal to them.
        let special = if quote == b'"' { &SPECIAL } else { &SPECIAL_SINGLE };
        let end = self.rest.as_bytes().iter().position(|byte| special[usize::from(*byte)]);
        let (plain, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        plain
    }

    fn escape(&mut self) -> ParseResult<char> {
        self.advance(1);
        let letter = char::from(self.peek().unwrap_or(0));
        if letter == 'u' {
            self.advance(1);
            return self.unicode();
        }
        let lenient = (letter == '\'' && self.dialect == Dialect::Lenient).then_some('\'');
        let meant = ESCAPES.iter().find(|row| row.0 == letter).map(|row| row.1).or(lenient);
        let meant = meant
            .ok_or_else(|| self.fault("unknown escape after '\\' in a string; write \\\\ for a backslash".into()))?;
        self.advance(1);
        Ok(meant)
    }

    /// Parses what follows `\u`: four digits, or two such escapes for a character outside the Basic Multilingual
    /// Plane (RFC 8259 section 7).
    fn unicode(&mut self) -> ParseResult<char> {
        let high = self.hex()?;
        let before = self.rest;
        let low = match (0xd800..0xdc00).contains(&high) && self.rest.starts_with("\\u") {
            true => {
                self.advance(2);
                Some(self.hex()?).filter(|low| (0xdc00..0xe000).contains(low))
            }
            false => None,
        };
        if low.is_none() {
            self.rest = before;
        }
        let code = low.map_or(high, |low| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        match (char::from_u32(code), self.dialect) {
            (Some(c), _) => Ok(c),
            (None, Dialect::Lenient) => Ok(char::REPLACEMENT_CHARACTER),
            (None, Dialect::Strict) => {
                Err(self.fault("half of a surrogate pair after '\\u' in a string; write both halves".into()))
            }
        }
    }

    fn hex(&mut self) -> ParseResult<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.fault("expected four hexadecimal digits after '\\u' in a string".into()))?;
        self.advance(4);
        Ok(code)
    }

    /// Parses true, false, null or a number.
    fn literal_or_number(&mut self) -> ParseResult<Data<'a>> {
        let of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let end = self.rest.bytes().position(|byte| !of_word(byte));
        let word = &self.rest[..end.unwrap_or(self.rest.len())];
        let known = match self.dialect {
            Dialect::Strict => Cow::Borrowed(word),
            Dialect::Lenient => Cow::Owned(word.to_ascii_lowercase()),
        };
        let data = match &*known {
            "null" => Data::Null,
            "true" => Data::Bool(true),
            "false" => Data::Bool(false),
            number if self.is_number(number) => Data::Number(word),
            _ => {
                return Err(self.fault(
                    "expected a value; write strings in double quotes, and true, false and null in lower case".into(),
                ));
            }
        };
        self.advance(word.len());
        Ok(data)
    }

    fn is_number(&self, word: &str) -> bool {
        let digits = word.strip_prefix('-').unwrap_or(word);
        if self.dialect == Dialect::Lenient {
            return digits.starts_with(|c: char| c.is_ascii_digit()) || ["nan", "infinity"].contains(&digits);
        }
        // RFC 8259 section 6: a digit before and after the point, and no leading zeros. Rust's parser does not
        // require this.
        let (mantissa, _) = digits.split_once(['e', 'E']).unwrap_or((digits, ""));
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain(integer)
            && plain(fraction)
            && (integer == "0" || !integer.starts_with('0'))
            && word.parse().is_ok_and(f64::is_finite)
    }

    /// Skips white space, and comments in the lenient dialect.
    #[inline]
    fn blanks(&mut self) -> ParseResult<()> {
        // Files with thousands of slots usually contain no white space between the values.
        match self.peek() {
            Some(byte) if byte > b' ' && byte != b'/' => Ok(()),
            _ => self.some_blanks(),
        }
    }

    fn some_blanks(&mut self) -> ParseResult<()> {
        loop {
            let mut blank = 0;
            for byte in self.rest.bytes() {
                match byte {
                    b' ' | b'\t' | b'\r' => {}
                    b'\n' => self.line += 1,
                    _ => break,
                }
                blank += 1;
            }
            self.advance(blank);
            let (start, end) = match self.rest {
                rest if rest.starts_with("//") => (2, "\n"),
                rest if rest.starts_with("/*") => (2, "*/"),
                _ => return Ok(()),
            };
            if self.dialect == Dialect::Strict {
                return Err(self.fault("comments are not allowed in this file; remove the comment".into()));
            }
            match (self.rest[start..].find(end), end) {
                (Some(length), _) => self.advance_lines(start + length + end.len()),
                (None, "\n") => self.advance_lines(self.rest.len()),
                (None, _) => return Err(self.fault("the comment has no end; add */".into())),
            }
        }
    }

    /// Called after the value; returns the line of further text, which is a fault in the strict dialect.
    fn end(&mut self) -> ParseResult<Option<usize>> {
        let blanks = self.blanks();
        match self.dialect {
            Dialect::Lenient => Ok((blanks.is_err() || !self.rest.is_empty()).then_some(self.line)),
            Dialect::Strict if self.rest.is_empty() => Ok(None),
            Dialect::Strict => Err(blanks.err().unwrap_or_else(|| self.unexpected("the end of the file"))),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    fn consume(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.advance(1);
        }
        found
    }

    /// Skips text without line breaks.
    pub(super) fn advance(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    /// Skips text that may contain line breaks.
    fn advance_lines(&mut self, length: usize) {
        self.line += self.rest.bytes().take(length).filter(|byte| *byte == b'\n').count();
        self.advance(length);
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        match self.rest.chars().next() {
            Some(found) => self.fault(format!("expected {wanted}, found {found:?}")),
            None => self.fault(format!("expected {wanted}, found the end of the file")),
        }
    }

    pub(super) fn fault(&self, message: String) -> Fault {
        Fault { line: self.line, message }
    }
}

/// Returns the second of two members with the same name, if there are any.
fn duplicate<'a, 'b>(members: &'b [Member<'a>]) -> Option<&'b Member<'a>> {
    let is_first = |(index, member): (usize, &Member)| members[..index].iter().all(|other| other.name != member.name);
    if members.len() < 16 && members.iter().enumerate().all(is_first) {
        return None;
    }
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted.windows(2).find(|pair| pair[0].name == pair[1].name).map(|pair| pair[1])
}

/// The bytes that end the plain part of a string in double quotes.
static SPECIAL: [bool; 256] = special(b'"');

/// The bytes that end the plain part of a string in single quotes.
static SPECIAL_SINGLE: [bool; 256] = special(b'\'');

const fn special(quote: u8) -> [bool; 256] {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < b' ' as usize {
        special[byte] = true;
        byte += 1;
    }
    special[quote as usize] = true;
    special[b'\\' as usize] = true;
    special
}

/// The letters after a backslash and the characters that they stand for (RFC 8259 section 7).
const ESCAPES: &[(char, char)] =
    &[('"', '"'), ('\\', '\\'), ('/', '/'), ('b', '\u{8}'), ('f', '\u{c}'), ('n', '\n'), ('r', '\r'), ('t', '\t')];
