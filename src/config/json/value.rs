//! JSON values with line numbers.

use std::borrow::Cow;
use std::ops::Deref;
use zeroize::Zeroize;

/// The texts that the parser accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 8259. A name may occur only once in an object.
    Strict,
    /// The default of json-c: comments, trailing commas, single quotes, and any text after the value. The last of
    /// equal names takes precedence.
    Lenient,
}

/// A value and the line where it starts. Strings without escapes borrow the text of the file.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone)]
pub struct Value<'a> {
    /// The line, counted from 1.
    pub line: usize,
    /// The kind and the contents of the value.
    pub data: Data<'a>,
}

/// The kind of a value, and its contents.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq)]
pub enum Data<'a> {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// A number, as written in the text.
    Number(&'a str),
    /// A string, without quotes and with its escapes resolved.
    String(Text<'a>),
    /// An array, with its items.
    Array(Vec<Value<'a>>),
    /// An object, with its members in the order of the text.
    Object(Vec<Member<'a>>),
    /// An array whose items have not been parsed yet.
    Unparsed(UnparsedArray<'a>),
}

/// The contents of a string. If they are a copy, they are overwritten when they are dropped.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq)]
pub struct Text<'a>(pub(super) Cow<'a, str>);

impl<'a> From<Cow<'a, str>> for Data<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Data::String(Text(text))
    }
}

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
#[derive(Clone)]
pub struct Member<'a> {
    /// The name of the member.
    pub name: Cow<'a, str>,
    /// The line of the name, counted from 1.
    pub line: usize,
    /// The value of the member.
    pub value: Value<'a>,
}

/// A parsed text.
#[cfg_attr(test, derive(Debug))]
pub struct Document<'a> {
    /// The first value of the text.
    pub value: Value<'a>,
    /// The line of the text that follows the value, if there is such text (lenient dialect only).
    pub trailing: Option<usize>,
}

/// The reason why a text can't be parsed.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// The description of the fault.
    pub message: String,
}

/// Compares the data only: equal values may be in different lines.
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
    /// Returns the last member of that name, if the value is an object that has one.
    pub fn member(&self, name: &str) -> Option<&Member<'a>> {
        match &self.data {
            Data::Object(members) => members.iter().rev().find(|member| member.name == name),
            _ => None,
        }
    }

    /// Returns the string, if the value is one.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a description for a message. With `quote`, it contains the value of a number or boolean.
    pub fn description(&self, quote: bool) -> String {
        match &self.data {
            Data::Null => "null".into(),
            Data::Bool(value) if quote => value.to_string(),
            Data::Bool(_) => "true or false".into(),
            Data::Number(number) if quote => format!("the number {number}"),
            Data::Number(_) => "a number".into(),
            Data::String(_) => "a string".into(),
            Data::Array(_) | Data::Unparsed(_) => "an array".into(),
            Data::Object(_) => "an object".into(),
        }
    }
}

/// An array that was skipped. [`super::Items`] parses its items.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq)]
pub struct UnparsedArray<'a> {
    /// The whole text.
    pub(super) text: &'a str,
    /// The text from the opening bracket of the array on.
    pub(super) rest: &'a str,
    /// The line of the opening bracket.
    pub(super) line: usize,
    /// The depth of the items.
    pub(super) depth: usize,
    /// The names of the members that are skipped.
    pub(super) deferred: &'static [&'static str],
}
