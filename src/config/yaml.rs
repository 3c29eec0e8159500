//! YAML as a tree of JSON values with line numbers.
//!
//! A scalar is a string, whatever it looks like: the reader of an option knows the type of its value. Only a scalar that
//! is null without quotes is null.

use super::json::{Data, Fault, Member, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};
use std::collections::HashMap;

/// The largest depth of nested values. Without a limit, a file could overflow the stack of the host's thread.
const DEPTH: usize = 32;

/// The largest number of values. Without a limit, a few aliases of aliases could fill the memory.
const MOST_VALUES: usize = 10_000;

/// Parses the only document of a text.
///
/// # Errors
/// The first fault in the text.
pub fn parse(text: &str) -> Result<Value<'_>, Fault> {
    let last_line = text.lines().count().max(1);
    let mut reader = Reader { events: Parser::new_from_str(text), last_line, anchors: HashMap::new(), values: 0 };
    let mut document = Value { line: 1, data: Data::Null };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::DocumentEnd, _) => break,
            (Event::StreamEnd, _) => return Ok(document),
            event => document = reader.value(event, 0)?,
        }
    }
    match reader.next()? {
        (Event::StreamEnd, _) => Ok(document),
        (_, line) => {
            Err(fault(line, "a second document starts here, but the file has one document; remove the second"))
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// The last line of the text. The parser counts the end of the text as a line, and empty values can be there.
    last_line: usize,
    /// The values with an anchor, by the number of the anchor.
    anchors: HashMap<usize, Value<'a>>,
    /// The number of values so far, also in copies.
    values: usize,
}

/// An event, and its line.
type LineEvent<'a> = (Event<'a>, usize);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<LineEvent<'a>, Fault> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line().min(self.last_line))),
            Some(Err(error)) => Err(not_yaml(&error, self.last_line)),
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn value(&mut self, (event, line): LineEvent<'a>, depth: usize) -> Result<Value<'a>, Fault> {
        if depth > DEPTH {
            return Err(fault(line, "values are nested more than 32 levels deep; remove levels"));
        }
        let (data, anchor) = match event {
            Event::Scalar(text, ScalarStyle::Plain, anchor, _) if NULLS.contains(&&*text) => (Data::Null, anchor),
            Event::Scalar(text, _, anchor, _) => (Data::from(text), anchor),
            Event::SequenceStart(anchor, _) => (Data::Array(self.items(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Data::Object(self.members(depth)?), anchor),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(value) => {
                    self.values += count(&value.data);
                    (value.data.clone(), 0)
                }
                None => {
                    return Err(fault(line, "an alias (*NAME) refers to the value that contains it; write a value"));
                }
            },
            _ => return Err(fault(line, "expected a value")),
        };
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(fault(line, "there are more than 10000 values; remove aliases (*NAME) of large values"));
        }
        let value = Value { line, data };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Value<'a>>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Member<'a>>, Fault> {
        let mut members: Vec<Member> = Vec::new();
        loop {
            let (name, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(members),
                (Event::Scalar(name, ..), line) => (name, line),
                (_, line) => return Err(fault(line, "expected a name before the colon")),
            };
            if members.iter().any(|member| member.name == name) {
                return Err(fault(line, format!("{name:?} occurs twice; remove one of the two")));
            }
            let event = self.next()?;
            members.push(Member { name, line, value: self.value(event, depth + 1)? });
        }
    }
}

/// Plain scalars that mean null (YAML 1.2.2, section 10.3.2).
const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];

/// Returns the number of values in a value, with itself.
fn count(data: &Data) -> usize {
    match data {
        Data::Array(items) => 1 + items.iter().map(|item| count(&item.data)).sum::<usize>(),
        Data::Object(members) => 1 + members.iter().map(|member| count(&member.value.data)).sum::<usize>(),
        _ => 1,
    }
}

fn fault(line: usize, message: impl Into<String>) -> Fault {
    Fault { line, message: message.into() }
}

/// Returns the fault for a text that is not YAML, in the words of the parser.
fn not_yaml(error: &ScanError, last_line: usize) -> Fault {
    let line = error.marker().line().min(last_line);
    fault(line, format!("this is not valid YAML: {}; correct the line, or the one before", error.info()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn text(text: &str) -> Data<'_> {
        Data::from(Cow::Borrowed(text))
    }

    fn error(text: &str) -> (usize, String) {
        let Fault { line, message } = parse(text).unwrap_err();
        (line, message)
    }

    #[test]
    fn every_scalar_is_a_string() {
        let document =
            parse("---\n# comment\na: 1\nb: [yes, 'two', \"3\\n\"]\nc:\n  - d: |\n      x\n      y\ne: ~\nf: '~'\n")
                .unwrap();
        let value = |name: &str| &document.member(name).unwrap().value;
        assert_eq!((value("a").data.clone(), document.member("a").unwrap().line), (text("1"), 3));
        let items = ["yes", "two", "3\n"].map(|item| Value { line: 4, data: text(item) });
        assert_eq!(value("b").data, Data::Array(items.into()));
        let Data::Array(items) = &value("c").data else { panic!() };
        assert_eq!((items[0].member("d").unwrap().value.text(), items[0].line), (Some("x\ny\n"), 6));
        assert_eq!((&value("e").data, &value("f").data), (&Data::Null, &text("~")));
    }

    #[test]
    fn an_alias_is_a_copy() {
        let document = parse("a: &x [1, 2]\nb: *x\n").unwrap();
        assert_eq!(document.member("a").unwrap().value, document.member("b").unwrap().value);
        assert_eq!(error("a: &x [*x]").1, "an alias (*NAME) refers to the value that contains it; write a value");
        let levels =
            (0..9).map(|level| format!("a{}: &b{} [{}]\n", level + 1, level + 1, format!("*b{level},").repeat(9)));
        let bomb = format!("a0: &b0 x\n{}", levels.collect::<String>());
        assert!(error(&bomb).1.starts_with("there are more than 10000 values"));
    }

    #[test]
    fn an_empty_text_is_null() {
        for empty in ["", "---\n", "# nothing\n"] {
            assert_eq!(parse(empty).unwrap().data, Data::Null, "{empty:?}");
        }
    }

    #[test]
    fn every_value_is_on_a_line_of_the_text() {
        fn check(value: &Value, last_line: usize) {
            assert!((1..=last_line).contains(&value.line), "{value:?}");
            match &value.data {
                Data::Array(items) => items.iter().for_each(|item| check(item, last_line)),
                Data::Object(members) => members.iter().for_each(|member| check(&member.value, last_line)),
                _ => {}
            }
        }
        for text in ["---", "---\n", "a:", "a:\n", "- \n-", "a:\n  - b:\n", "? a", "{a: , b}\n", "a: &x\nb: *x\n"] {
            check(&parse(text).unwrap(), text.lines().count());
        }
    }

    #[test]
    fn faults_have_a_line() {
        assert_eq!(error("a: 1\na: 2\n"), (2, "\"a\" occurs twice; remove one of the two".into()));
        assert_eq!(error("a: 1\n? [b]\n: 2\n"), (2, "expected a name before the colon".into()));
        let (line, message) = error("a: 1\nb: [1, 2\nc: 3\n");
        assert!((2..=4).contains(&line) && message.starts_with("this is not valid YAML: "), "{line} {message}");
        assert_eq!(error("a: 1\n---\nb: 2\n").0, 2);
        assert_eq!(error(&"[".repeat(40)).1, "values are nested more than 32 levels deep; remove levels");
    }
}
