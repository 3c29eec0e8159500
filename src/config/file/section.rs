//! An object of our own file whose names and kinds of values are good, and errors that say where something stands.
//!
//! Knows the table of options, and no option by its name.

use crate::config::environment::Environment;
use crate::config::json;
use crate::config::json::{Data, Fault, Member, Value};
use crate::config::options;
use crate::config::options::{Cloud, Place, Row};
use crate::error::{Error, Result};
use cryptoki_sys::CKR_GENERAL_ERROR;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What messages and relative paths need to know of the file.
pub struct File<'a> {
    pub path: &'a Path,
    pub environment: &'a Environment<'a>,
    /// Where `azureauth.json` may lie.
    pub auth_files: Vec<PathBuf>,
}

/// An object of the file whose names and kinds of values have been checked, and the one that has its defaults.
pub struct Section<'a> {
    pub file: &'a File<'a>,
    /// The section that it is in, the list there, and its position in it; nothing at top level.
    within: Option<(&'a Section<'a>, &'a str, usize)>,
    value: &'a Value<'a>,
    place: Place,
    shape: Rc<Shape>,
    pub defaults: Option<&'a Section<'a>>,
    before: Option<&'a Before<'a>>,
}

/// The section that stands before another in a list.
struct Before<'a> {
    value: Value<'a>,
    shape: Rc<Shape>,
}

/// What the names of a section's members mean. One of thousands of slots has the same as the one before.
#[derive(Default)]
struct Shape {
    rows: Vec<&'static Row>,
    /// A few bits of each name: most options are absent from most sections, and this tells it at once.
    bits: u64,
    /// Which of the members tell of the service, and whether by their values; else by their names alone.
    service: Vec<(usize, bool)>,
}

impl Shape {
    fn of(rows: Vec<&'static Row>) -> Self {
        Self {
            bits: rows.iter().fold(0, |bits, row| bits | bit(row.name)),
            service: rows.iter().enumerate().filter_map(|(index, row)| Some((index, tells_service(row)?))).collect(),
            rows,
        }
    }

    /// Whether these members have its names, in its order.
    fn fits(&self, members: &[Member]) -> bool {
        self.rows.len() == members.len() && self.rows.iter().zip(members).all(|(row, member)| row.name == member.name)
    }
}

/// The bit of a name. Inlined, so that it is a number where the name is one of the program's.
#[inline(always)]
fn bit(name: &str) -> u64 {
    let letters = name.as_bytes();
    let (first, last) = (letters.first().copied().unwrap_or(0), letters.last().copied().unwrap_or(0));
    1 << ((letters.len() * 7 + usize::from(first) * 3 + usize::from(last)) % 64)
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn top(file: &'a File<'a>, value: &'a Value<'a>) -> Result<Self> {
        Self::new(file, None, value, Place::Top, None, None)
    }

    fn new(
        file: &'a File<'a>,
        within: Option<(&'a Section<'a>, &'a str, usize)>,
        value: &'a Value<'a>,
        place: Place,
        defaults: Option<&'a Section<'a>>,
        before: Option<&Rc<Shape>>,
    ) -> Result<Self> {
        let mut section = Self { file, within, value, place, shape: Rc::default(), defaults, before: None };
        let Data::Object(members) = &value.data else {
            return Err(section.fault("", format!("expected an object, found {}", value.description(true))));
        };
        let known = before.filter(|shape| shape.fits(members));
        let mut rows = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let row = match known {
                Some(shape) => shape.rows[index],
                None => section.row(member)?,
            };
            section.check(member, row)?;
            rows.extend(known.is_none().then_some(row));
        }
        section.shape = known.cloned().unwrap_or_else(|| Rc::new(Shape::of(rows)));
        Ok(section)
    }

    /// The option that a member is.
    fn row(&self, member: &Member) -> Result<&'static Row> {
        let unknown = || self.fault_at(member.line, "", options::unknown(&member.name, self.place));
        options::row(&member.name, self.place).ok_or_else(unknown)
    }

    fn check(&self, member: &Member, row: &Row) -> Result<()> {
        let located = |(line, item, message)| self.fault_at(line, &format!("{}{item}", row.name), message);
        row.check(&member.value).map_err(located)
    }

    /// Visits the objects in the array of that name, each of which is read only then: there may be thousands.
    pub fn each(&self, name: &str, place: Place, mut visit: impl FnMut(&Section) -> Result<()>) -> Result<()> {
        let Some(Data::Later(items)) = self.own(name).map(|member| &member.value.data) else {
            return Err(self.fault("", format!("missing \"{name}\"")));
        };
        let defaults = (place == Place::Slot).then_some(self);
        let mut before: Option<Before> = None;
        for (index, value) in json::Items::from(items).enumerate() {
            let value = value.map_err(|fault| unread(self.file.path, &fault))?;
            let known = before.as_ref().map(|before| &before.shape);
            let mut section = Section::new(self.file, Some((self, name, index)), &value, place, defaults, known)?;
            section.before = before.as_ref();
            visit(&section)?;
            let shape = section.shape.clone();
            before = Some(Before { value, shape });
        }
        match before {
            None if place == Place::Key => Err(self.fault(name, "must not be empty")),
            _ => Ok(()),
        }
    }

    #[inline]
    pub fn own(&self, name: &str) -> Option<&Member<'a>> {
        if self.shape.bits & bit(name) == 0 {
            return None;
        }
        self.value.member(name)
    }

    /// Its own option of that name, else the default.
    fn option(&self, name: &str) -> Option<&Member<'a>> {
        self.own(name).or_else(|| self.defaults.and_then(|top| top.own(name)))
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.str(name).map(str::to_owned)
    }

    /// A text that is part of the file.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.option(name)?.value.text()
    }

    /// Whether one of these is given, here or as a default.
    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.option(name).is_some())
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.option(name)?.value.data {
            Data::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub fn number(&self, name: &str) -> Option<u32> {
        match &self.option(name)?.value.data {
            Data::Number(number) => number.parse().ok(),
            _ => None,
        }
    }

    pub fn names(&self, name: &str) -> Vec<String> {
        match self.option(name).map(|member| &member.value.data) {
            Some(Data::Array(items)) => items.iter().filter_map(Value::text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// A path: from `~/` it starts in the home folder, else where the file lies.
    pub fn path(&self, name: &str) -> Result<Option<PathBuf>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let path = match text.strip_prefix("~/") {
            Some(rest) => self.file.environment.path("HOME").map(|home| home.join(rest)),
            None => Some(self.file.path.parent().unwrap_or(Path::new("")).join(&text)),
        };
        path.map(Some).ok_or_else(|| self.fault(name, "starts with ~/, but HOME is not set"))
    }

    /// Its own options that are about one cloud.
    pub fn clouds(&self) -> impl Iterator<Item = (&str, Cloud)> {
        let rows = members(self.value).iter().zip(&self.shape.rows);
        rows.filter_map(|(member, row)| Some((&*member.name, row.cloud?)))
    }

    /// Whether its own options that are about the service are the same as those of the section before it, and so are
    /// the names of those that are about a key but tell the cloud. If they are, both live in the same service, unless a
    /// key's name tells of it.
    pub fn has_service_of_before(&self) -> bool {
        self.before.is_some_and(|before| {
            let own = service_options(self.value, &self.shape);
            own.eq(service_options(&before.value, &before.shape))
        })
    }

    pub fn not_both(&self, one: &str, other: &str) -> Result<()> {
        for section in [Some(self), self.defaults].into_iter().flatten() {
            if section.own(one).is_some() && section.own(other).is_some() {
                return Err(section.fault(other, format!("can't stand beside \"{one}\"")));
            }
        }
        Ok(())
    }

    /// An error of the option `name`, or of the whole section.
    pub fn fault(&self, name: &str, message: impl std::fmt::Display) -> Error {
        Error::new(CKR_GENERAL_ERROR, self.sentence(name, message))
    }

    fn fault_at(&self, line: usize, name: &str, message: impl std::fmt::Display) -> Error {
        Error::new(CKR_GENERAL_ERROR, self.sentence_at(line, name, message))
    }

    /// `FILE:LINE: slots[2].name: message`, with the line where the option stands, be it a default.
    pub fn sentence(&self, name: &str, message: impl std::fmt::Display) -> String {
        match (self.own(name), self.defaults.map(|top| (top, top.own(name)))) {
            (Some(member), _) => self.sentence_at(member.line, name, message),
            (None, Some((top, Some(member)))) => top.sentence_at(member.line, name, message),
            _ => self.sentence_at(self.value.line, name, message),
        }
    }

    fn sentence_at(&self, line: usize, name: &str, message: impl std::fmt::Display) -> String {
        let (file, place) = (self.file.path.display(), self.inner(name));
        let colon = if place.is_empty() { "" } else { ": " };
        format!("{file}:{line}: {place}{colon}{message}")
    }

    /// The path of what is in it.
    fn inner(&self, name: &str) -> String {
        let own = match self.within {
            Some((section, list, index)) => section.inner(&format!("{list}[{index}]")),
            None => String::new(),
        };
        let dot = if own.is_empty() || name.is_empty() { "" } else { "." };
        format!("{own}{dot}{name}")
    }
}

/// Whether an option tells of the service by its value (true), or is about a key and tells the cloud (false).
fn tells_service(row: &Row) -> Option<bool> {
    let is_slots_own = row.cloud.is_none() && !row.places.contains(&Place::Key);
    match (is_slots_own || row.places.contains(&Place::Top), row.cloud) {
        (true, _) => Some(true),
        (false, Some(_)) => Some(false),
        (false, None) => None,
    }
}

fn service_options<'b>(
    value: &'b Value<'b>,
    shape: &'b Shape,
) -> impl Iterator<Item = (&'b str, Option<&'b Data<'b>>)> {
    let members = members(value);
    let told = shape.service.iter().filter_map(|(index, by_value)| Some((members.get(*index)?, *by_value)));
    told.map(|(member, by_value)| (&*member.name, by_value.then_some(&member.value.data)))
}

fn members<'b>(value: &'b Value<'b>) -> &'b [Member<'b>] {
    match &value.data {
        Data::Object(members) => members,
        _ => &[],
    }
}

/// A text that is no JSON.
pub fn unread(path: &Path, Fault { line, message }: &Fault) -> Error {
    error_in(path, format_args!("{line}: {message}"))
}

/// An error of the whole file; `message` starts with the line, if there is one.
pub fn error_in(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::new(CKR_GENERAL_ERROR, format!("{}:{message}", path.display()))
}
