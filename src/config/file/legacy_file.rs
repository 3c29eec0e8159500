//! The JSON files of the replaced modules: where they are, and their text.

use super::locations;
use crate::config::environment::Environment;
use crate::config::json;
use crate::config::json::{Data, Dialect, Fault, Value};
use crate::config::notes::PendingMessages;
use crate::host::logging::Level;
use crate::host::permissions::FileWithMetadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Returns the first file of the module `name` that can be opened and parsed, starting with `named`.
pub(super) fn find(
    named: Option<PathBuf>,
    name: &str,
    environment: &Environment,
    notes: &mut PendingMessages,
) -> Option<(PathBuf, String)> {
    let mut places = named.into_iter().chain(environment.candidate_paths(name, "config.json"));
    let (path, text) = places.find_map(|path| load(&path, notes).map(|text| (path, text)))?;
    locations::log_ignored_files(&path, places, notes);
    Some((path, text))
}

fn load(path: &Path, notes: &mut PendingMessages) -> Option<String> {
    let file = match FileWithMetadata::read(path) {
        Ok(file) if file.bytes.is_empty() => return None,
        Ok(file) => file,
        Err(error) => {
            if ![ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) {
                notes.push((Level::Warn, format!("{}: can't be read: {error}; the file is ignored", path.display())));
            }
            return None;
        }
    };
    let text = json::decode(&file.bytes, Dialect::Lenient).ok()?.into_owned();
    parse_logged(path, &text, notes)?;
    // Only a warning: the module that this file belongs to would read it.
    for what in [file.writable_by_others(), file.replaceable_by_others()].into_iter().flatten() {
        notes.push((Level::Warn, format!("{}: {what}", path.display())));
    }
    Some(text)
}

/// Parses the text, and logs that it is read or why it is not.
pub(super) fn parse_logged<'a>(path: &Path, text: &'a str, notes: &mut PendingMessages) -> Option<Value<'a>> {
    let parsed = json::parse(text, Dialect::Lenient).and_then(|document| match document.value.data {
        // json-c can't distinguish null from a failure, so the replaced modules continued with the next file.
        Data::Null => Err(Fault { line: document.value.line, message: "expected an object, found null".into() }),
        _ => Ok(document),
    });
    match parsed {
        Ok(document) => {
            notes.push((Level::Info, format!("reading {}", path.display())));
            if let Some(line) = document.trailing {
                let text = "the text from here on is ignored; remove it, or correct the brackets before it";
                notes.push((Level::Warn, format!("{}:{line}: {text}", path.display())));
            }
            Some(document.value)
        }
        Err(fault) => {
            let text = format!("{}:{}: {}; the file is ignored", path.display(), fault.line, fault.message);
            notes.push((Level::Error, text));
            None
        }
    }
}
