//! JSON as a tree that knows its lines.

use std::borrow::Cow;
use std::ops::Deref;
use zeroize::Zeroize;

/// Which texts are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 8259; a name may stand only once in an object.
    Strict,
    /// json-c's default: comments, trailing commas, single quotes, anything after the value; the last of equal names wins.
    Lenient,
}

/// A value and the line where it starts. Texts without escapes are those of the file.
#[cfg_attr(test, derive(Debug))]
pub struct Value<'a> {
    /// Counted from 1.
    pub line: usize,
    /// What it is.
    pub data: Data<'a>,
}

/// The kinds of values.
#[cfg_attr(test, derive(Debug))]
#[derive(PartialEq)]
pub enum Data<'a> {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// A number as it is written.
    Number(&'a str),
    /// A string without its quotes and escapes.
    String(Text<'a>),
    /// Its items.
    Array(Vec<Value<'a>>),
    /// Its members, as they stand in the text.
    Object(Vec<Member<'a>>),
    /// An array whose items have not been read yet.
    Later(Unread<'a>),
}

/// What a string means.
#[cfg_attr(test, derive(Debug))]
#[derive(PartialEq)]
pub struct Text<'a>(pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Text<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(own) = &mut self.0 {
            own.zeroize();
        }
    }
}

/// A member of an object.
#[cfg_attr(test, derive(Debug))]
pub struct Member<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// The line of its name.
    pub line: usize,
    /// Its value.
    pub value: Value<'a>,
}

/// What a text holds.
#[cfg_attr(test, derive(Debug))]
pub struct Document<'a> {
    /// Its first value.
    pub value: Value<'a>,
    /// The line of what follows the value, where something does (lenient only).
    pub trailing: Option<usize>,
}

/// Why a text can't be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Equal values may stand in different lines.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl PartialEq for Member<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl<'a> Value<'a> {
    /// The last member of that name, if this is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Member<'a>> {
        match &self.data {
            Data::Object(members) => members.iter().rev().find(|member| member.name == name),
            _ => None,
        }
    }

    /// Its text, if it is a string.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for a message; `quote` also tells the value of a number or bool.
    pub fn description(&self, quote: bool) -> String {
        match &self.data {
            Data::Null => "null".into(),
            Data::Bool(value) if quote => value.to_string(),
            Data::Bool(_) => "true or false".into(),
            Data::Number(number) if quote => format!("the number {number}"),
            Data::Number(_) => "a number".into(),
            Data::String(_) => "a string".into(),
            Data::Array(_) | Data::Later(_) => "an array".into(),
            Data::Object(_) => "an object".into(),
        }
    }
}

/// An array that was passed over: [`super::Items`] reads it.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq)]
pub struct Unread<'a> {
    /// The whole text.
    pub(super) text: &'a str,
    /// The text from the array's bracket on.
    pub(super) rest: &'a str,
    /// The line of its bracket.
    pub(super) line: usize,
    /// How deep its items are.
    pub(super) depth: usize,
    /// The members that are passed over.
    pub(super) later: &'static [&'static str],
}
