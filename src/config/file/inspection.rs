//! What the tool learns while the module's own file is read: all mistakes, and which values were used.
//!
//! The module itself stops at the first mistake and notes nothing.

use crate::cloud::url_without_credentials;
use crate::config::json::{Data, Member, Value};
use crate::config::options::ValueKind;
use crate::error::{Error, Result};
use std::cell::RefCell;

/// A value of the file that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedValue {
    /// The section that uses the value: `slots[2].keys[0]`, or empty for the top level.
    pub user: String,
    /// The section that contains the value: that section, or the top level.
    pub holder: String,
    /// The option.
    pub name: String,
    /// The line of the option.
    pub line: usize,
    /// The kind of the value.
    pub kind: ValueKind,
    /// The value: the items of an array, or the only one. Secrets are replaced by [`HIDDEN`].
    pub values: Vec<String>,
}

/// What is shown instead of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Collects mistakes and used values.
#[derive(Default)]
pub struct Inspection {
    mistakes: RefCell<Vec<Error>>,
    used: RefCell<Vec<UsedValue>>,
}

impl Inspection {
    /// Returns the mistakes and the used values, in the order in which they were found.
    pub fn into_parts(self) -> (Vec<Error>, Vec<UsedValue>) {
        (self.mistakes.into_inner(), self.used.into_inner())
    }

    /// Returns whether there is a mistake.
    pub fn has_mistakes(&self) -> bool {
        !self.mistakes.borrow().is_empty()
    }

    /// Adds a used value. `user` and `holder` are the paths of sections.
    pub fn add_used(&self, user: String, holder: String, member: &Member, kind: ValueKind) {
        let (name, values) = (member.name.to_string(), texts(&member.value, kind));
        self.used.borrow_mut().push(UsedValue { user, holder, name, line: member.line, kind, values });
    }
}

/// Returns a value of an option or a variable as it may be shown.
pub fn shown(text: &str, kind: ValueKind) -> String {
    match kind {
        ValueKind::Secret => HIDDEN.to_owned(),
        ValueKind::Url => url_without_credentials(text),
        _ => text.to_owned(),
    }
}

/// Keeps a mistake and goes on, if there is an inspection.
///
/// # Errors
/// The mistake, if there is no inspection.
pub fn keep_mistake(inspection: Option<&Inspection>, mistake: Error) -> Result<()> {
    match inspection {
        Some(inspection) => {
            inspection.mistakes.borrow_mut().push(mistake);
            Ok(())
        }
        None => Err(mistake),
    }
}

fn texts(value: &Value, kind: ValueKind) -> Vec<String> {
    match &value.data {
        Data::Array(items) => items.iter().flat_map(|item| texts(item, kind)).collect(),
        Data::String(text) => vec![shown(text, kind)],
        Data::Number(number) => vec![(*number).to_owned()],
        Data::Bool(flag) => vec![flag.to_string()],
        Data::Null | Data::Object(_) | Data::Unparsed(_) => Vec::new(),
    }
}
