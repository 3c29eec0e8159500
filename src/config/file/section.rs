//! Objects of the module's own file, with checked names and kinds of values, and errors that state the place.
//!
//! This file uses the table of options, but no option by its name.

use super::inspection::{Inspection, keep_mistake};
use crate::config::environment::Environment;
use crate::config::json;
use crate::config::json::{Data, Fault, Member, Value};
use crate::config::options;
use crate::config::options::{Cloud, OptionRow, Scope};
use crate::error::{Error, Result};
use cryptoki_sys::CKR_GENERAL_ERROR;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The data of the file that messages, relative paths and defaults need.
pub struct File<'a> {
    /// The path of the file.
    pub path: &'a Path,
    /// The environment variables and directories.
    pub environment: &'a Environment<'a>,
    /// The possible paths of `azureauth.json`.
    pub auth_files: Vec<PathBuf>,
    /// Where the tool collects mistakes and used values; `None` in the module.
    pub inspection: Option<&'a Inspection>,
}

/// An object of the file whose names and kinds of values have been checked, with the object that contains its
/// defaults.
pub struct Section<'a> {
    /// The file that contains the section.
    pub file: &'a File<'a>,
    /// The enclosing section, the name of the array in it, and the position in the array; `None` at top level.
    parent: Option<(&'a Section<'a>, &'a str, usize)>,
    value: &'a Value<'a>,
    place: Scope,
    shape: Rc<Shape>,
    /// The top level of the file, if its options are the defaults of this section.
    pub defaults: Option<&'a Section<'a>>,
    previous: Option<&'a PreviousSection<'a>>,
}

/// The previous section in an array.
struct PreviousSection<'a> {
    value: Value<'a>,
    shape: Rc<Shape>,
}

/// The options that the names of a section's members select. Among thousands of slots, a slot usually has the same
/// names as the previous one and shares its shape.
#[derive(Default)]
struct Shape {
    rows: Vec<&'static OptionRow>,
    /// A bit for each name. Most options are absent from most sections; a bit that is not set shows this without a
    /// search.
    name_bits: u64,
    /// The positions of the members that determine the service, and whether their values do so (`true`) or their
    /// names alone (`false`).
    service_members: Vec<(usize, bool)>,
}

impl Shape {
    fn of(rows: Vec<&'static OptionRow>) -> Self {
        Self {
            name_bits: rows.iter().fold(0, |bits, row| bits | bit(row.name)),
            service_members: rows
                .iter()
                .enumerate()
                .filter_map(|(index, row)| Some((index, service_relevance(row)?)))
                .collect(),
            rows,
        }
    }

    /// Returns whether the members have the same names as this shape, in the same order.
    fn fits(&self, members: &[Member]) -> bool {
        self.rows.len() == members.len() && self.rows.iter().zip(members).all(|(row, member)| row.name == member.name)
    }
}

/// Returns the bit of a name. Inlined so that the bit of a literal name is a constant.
#[inline(always)]
fn bit(name: &str) -> u64 {
    let letters = name.as_bytes();
    let (first, last) = (letters.first().copied().unwrap_or(0), letters.last().copied().unwrap_or(0));
    1 << ((letters.len() * 7 + usize::from(first) * 3 + usize::from(last)) % 64)
}

impl<'a> Section<'a> {
    /// Returns the section of the whole file.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if `value` is not an object, or if a member is unknown or has an invalid value.
    pub fn top(file: &'a File<'a>, value: &'a Value<'a>) -> Result<Self> {
        Self::new(file, None, value, Scope::Top, None, None)
    }

    fn new(
        file: &'a File<'a>,
        within: Option<(&'a Section<'a>, &'a str, usize)>,
        value: &'a Value<'a>,
        place: Scope,
        defaults: Option<&'a Section<'a>>,
        before: Option<&Rc<Shape>>,
    ) -> Result<Self> {
        let mut section = Self { file, parent: within, value, place, shape: Rc::default(), defaults, previous: None };
        let Data::Object(members) = &value.data else {
            return Err(section.error("", format!("expected an object, found {}", value.description(true))));
        };
        let known = before.filter(|shape| shape.fits(members));
        let mut rows = Vec::new();
        for (index, member) in members.iter().enumerate() {
            match section.checked_row(member, known.map(|shape| shape.rows[index])) {
                Ok(row) => rows.extend(known.is_none().then_some(row)),
                Err(mistake) => return Err(section.last_mistake(&members[index + 1..], mistake)?),
            }
        }
        section.shape = known.cloned().unwrap_or_else(|| Rc::new(Shape::of(rows)));
        Ok(section)
    }

    /// Returns the option of a member. `known` is this option if the members of the previous object have the same names.
    fn checked_row(&self, member: &Member, known: Option<&'static OptionRow>) -> Result<&'static OptionRow> {
        let row = known.map_or_else(|| self.row(member), Ok)?;
        self.check(member, row)?;
        Ok(row)
    }

    /// Collects the mistakes of the members after one with a mistake, if there is an inspection. Returns the last mistake,
    /// which is the caller's.
    #[cold]
    fn last_mistake(&self, others: &[Member], mistake: Error) -> Result<Error> {
        let mut last = mistake;
        let others = if self.file.inspection.is_some() { others } else { &[] };
        for mistake in others.iter().filter_map(|member| self.checked_row(member, None).err()) {
            keep_mistake(self.file.inspection, std::mem::replace(&mut last, mistake))?;
        }
        Ok(last)
    }

    /// Returns the option of a member, if it is for a cloud that the module supports.
    fn row(&self, member: &Member) -> Result<&'static OptionRow> {
        let unknown = || self.error_at(member.line, "", options::unknown_option_message(&member.name, self.place));
        let row = options::find(&member.name, self.place).ok_or_else(unknown)?;
        match self.file.environment.unsupported_message(row.clouds, "the option") {
            None => Ok(row),
            Some(message) => Err(self.error_at(member.line, row.name, message)),
        }
    }

    fn check(&self, member: &Member, row: &OptionRow) -> Result<()> {
        let located = |(line, item, message)| self.error_at(line, &format!("{}{item}", row.name), message);
        row.kind.check(&member.value).map_err(located)
    }

    /// Visits the objects in the array of that name. Each object is parsed when its turn comes, because there may
    /// be thousands.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the array is missing, if a list of keys is empty, or if an item is not valid JSON or
    /// not a valid section; and the errors of `visit`.
    pub fn for_each(&self, name: &str, place: Scope, mut visit: impl FnMut(&Section) -> Result<()>) -> Result<()> {
        let Some(Data::Unparsed(items)) = self.own_member(name).map(|member| &member.value.data) else {
            return Err(self.error("", format!("missing option \"{name}\"; add an array with an object for each slot")));
        };
        let defaults = (place == Scope::Slot).then_some(self);
        let mut before: Option<PreviousSection> = None;
        let mut count = 0;
        for (index, value) in json::Items::from(items).enumerate() {
            let value = value.map_err(|fault| json_error(self.file.path, &fault))?;
            let known = before.as_ref().map(|before| &before.shape);
            let mut visit_item = || {
                let mut section = Section::new(self.file, Some((self, name, index)), &value, place, defaults, known)?;
                section.previous = before.as_ref();
                visit(&section)?;
                Ok(section.shape.clone())
            };
            match visit_item() {
                Ok(shape) => before = Some(PreviousSection { value, shape }),
                Err(mistake) => keep_mistake(self.file.inspection, mistake)?,
            }
            count += 1;
        }
        match count {
            0 if place == Scope::Key => Err(self.error(name, "must contain at least one key")),
            _ => Ok(()),
        }
    }

    /// Returns the section's own member of that name, without regard to defaults.
    #[inline]
    pub fn own_member(&self, name: &str) -> Option<&Member<'a>> {
        if self.shape.name_bits & bit(name) == 0 {
            return None;
        }
        self.value.member(name)
    }

    /// Returns the section's own member of that name, or else the default, for the use of its value.
    fn member_or_default(&self, name: &str) -> Option<&Member<'a>> {
        let own = self.own_member(name).map(|member| (member, self));
        let (member, holder) =
            own.or_else(|| self.defaults.and_then(|top| top.own_member(name).map(|member| (member, top))))?;
        if self.file.inspection.is_some() {
            self.note_use(member, holder);
        }
        Some(member)
    }

    /// Notes that the section's own option is used, where no other function returns its value.
    pub fn note_own(&self, name: &str) {
        if self.file.inspection.is_some()
            && let Some(member) = self.own_member(name)
        {
            self.note_use(member, self);
        }
    }

    fn note_use(&self, member: &Member, holder: &Section) {
        if let (Some(inspection), Some(row)) = (self.file.inspection, options::find(&member.name, holder.place)) {
            inspection.add_used(self.member_path(""), holder.member_path(""), member, row.kind);
        }
    }

    /// Returns a copy of a string option, or else of its default.
    pub fn text(&self, name: &str) -> Option<String> {
        self.str_option(name).map(str::to_owned)
    }

    /// Returns a string option, or else its default, as a part of the file.
    pub fn str_option(&self, name: &str) -> Option<&str> {
        self.member_or_default(name)?.value.text()
    }

    /// Returns whether one of these options is present, in the section or as a default.
    pub fn has_any(&self, names: &[&str]) -> bool {
        let is_in = |section: &Section| names.iter().any(|name| section.own_member(name).is_some());
        is_in(self) || self.defaults.is_some_and(is_in)
    }

    /// Returns a boolean option, or else its default.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.member_or_default(name)?.value.data {
            Data::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Returns a numeric option, or else its default.
    pub fn number(&self, name: &str) -> Option<u32> {
        match &self.member_or_default(name)?.value.data {
            Data::Number(number) => number.parse().ok(),
            _ => None,
        }
    }

    /// Returns the strings of an array option, or else of its default. Returns an empty vector if both are absent.
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.member_or_default(name).map(|member| &member.value.data) {
            Some(Data::Array(items)) => items.iter().filter_map(Value::text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns a path option, or else its default. A path that starts with `~/` is relative to the home directory,
    /// and any other relative path to the directory of the file.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the path starts with `~/` and HOME is not set.
    pub fn path(&self, name: &str) -> Result<Option<PathBuf>> {
        let Some(text) = self.str_option(name) else { return Ok(None) };
        let path = resolve_path(text, self.file.path, self.file.environment);
        let message = "starts with ~/, but the variable HOME is not set; set it, or write an absolute path";
        path.map(Some).ok_or_else(|| self.error(name, message))
    }

    /// Iterates over the section's own options that are not for every cloud, with their clouds. Those for a single cloud
    /// come first.
    pub fn cloud_options(&self) -> impl Iterator<Item = (&str, &'static [Cloud])> {
        let rows = || members(self.value).iter().zip(&self.shape.rows).map(|(member, row)| (&*member.name, row.clouds));
        rows().filter(|(_, clouds)| clouds.len() == 1).chain(rows().filter(|(_, clouds)| clouds.len() > 1))
    }

    /// Returns whether the previous section has the same options for the service, and the same names of options
    /// that are for a key and imply the cloud. Only the sections' own options are compared. If the result is true,
    /// both sections have the same service, unless the name of a key determines it.
    pub fn has_same_service_options(&self) -> bool {
        self.previous.is_some_and(|before| {
            let own = service_options(self.value, &self.shape);
            own.eq(service_options(&before.value, &before.shape))
        })
    }

    /// Checks that two options are not both in the section, nor both among the defaults.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR at the option `other`.
    pub fn check_exclusive(&self, one: &str, other: &str) -> Result<()> {
        for section in [Some(self), self.defaults].into_iter().flatten() {
            if section.own_member(one).is_some() && section.own_member(other).is_some() {
                return Err(section.error(other, contradiction(one)));
            }
        }
        Ok(())
    }

    /// Returns an error, CKR_GENERAL_ERROR, for the option `name`, or for the whole section if `name` is empty.
    pub fn error(&self, name: &str, message: impl std::fmt::Display) -> Error {
        Error::new(CKR_GENERAL_ERROR, self.located_message(name, message))
    }

    fn error_at(&self, line: usize, name: &str, message: impl std::fmt::Display) -> Error {
        Error::new(CKR_GENERAL_ERROR, self.located_message_at(line, name, message))
    }

    /// Returns `FILE:LINE: slots[2].name: message`, with the line of the option, or else of its default.
    pub fn located_message(&self, name: &str, message: impl std::fmt::Display) -> String {
        match (self.own_member(name), self.defaults.map(|top| (top, top.own_member(name)))) {
            (Some(member), _) => self.located_message_at(member.line, name, message),
            (None, Some((top, Some(member)))) => top.located_message_at(member.line, name, message),
            _ => self.located_message_at(self.value.line, name, message),
        }
    }

    fn located_message_at(&self, line: usize, name: &str, message: impl std::fmt::Display) -> String {
        let (file, place) = (self.file.path.display(), self.member_path(name));
        let colon = if place.is_empty() { "" } else { ": " };
        format!("{file}:{line}: {place}{colon}{message}")
    }

    /// Returns the path of the member `name`, such as `slots[2].name`.
    fn member_path(&self, name: &str) -> String {
        let own = match self.parent {
            Some((section, list, index)) => section.member_path(&format!("{list}[{index}]")),
            None => String::new(),
        };
        let dot = if own.is_empty() || name.is_empty() { "" } else { "." };
        format!("{own}{dot}{name}")
    }
}

/// Returns a path that the file at `file` contains. A path that starts with `~/` is relative to the home directory, and
/// any other relative path to the directory of the file. Returns `None` if there is no home directory.
pub fn resolve_path(text: &str, file: &Path, environment: &Environment) -> Option<PathBuf> {
    match text.strip_prefix("~/") {
        Some(rest) => environment.path("HOME").map(|home| home.join(rest)),
        None => Some(file.parent().unwrap_or(Path::new("")).join(text)),
    }
}

/// Returns `true` if the value of an option determines the service, `false` if the option is for a key and its
/// name implies the cloud, and `None` otherwise.
fn service_relevance(row: &OptionRow) -> Option<bool> {
    let is_for_all = row.clouds.is_empty();
    let is_slots_own = is_for_all && !row.scopes.contains(&Scope::Key);
    match is_slots_own || row.scopes.contains(&Scope::Top) {
        true => Some(true),
        false => (!is_for_all).then_some(false),
    }
}

fn service_options<'b>(
    value: &'b Value<'b>,
    shape: &'b Shape,
) -> impl Iterator<Item = (&'b str, Option<&'b Data<'b>>)> {
    let members = members(value);
    let relevant = shape.service_members.iter().filter_map(|(index, by_value)| Some((members.get(*index)?, *by_value)));
    relevant.map(|(member, by_value)| (&*member.name, by_value.then_some(&member.value.data)))
}

fn members<'b>(value: &'b Value<'b>) -> &'b [Member<'b>] {
    match &value.data {
        Data::Object(members) => members,
        _ => &[],
    }
}

/// Returns the message for an option that contradicts the option `other`.
pub fn contradiction(other: &str) -> String {
    format!("can't be combined with \"{other}\"; remove one of the two")
}

/// Returns the error for a text that is not valid JSON.
pub fn json_error(path: &Path, Fault { line, message }: &Fault) -> Error {
    file_error(path, format_args!("{line}: {message}"))
}

/// Returns an error for the whole file. `message` starts with the line, if there is one.
pub fn file_error(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::new(CKR_GENERAL_ERROR, format!("{}:{message}", path.display()))
}
