//! What a command reads: a file or stdin, of any size.

use crate::failure::{Failure, Outcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much is read at once. What a service signs unchanged is not much larger, so that too much of it is noticed soon.
const PART_LEN: usize = 64 * 1024;

/// From this size on, reading takes long enough for a progress bar.
const LARGE: u64 = 16 * 1024 * 1024;

/// A file or stdin, opened.
pub struct Message {
    reader: Box<dyn Read>,
    name: String,
    /// The size, where it is known and large.
    large: Option<u64>,
}

impl Message {
    /// Opens a file, or stdin for `-` and for no name.
    ///
    /// # Errors
    /// If the file can't be opened.
    pub fn open(path: Option<&Path>) -> Outcome<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self { reader: Box::new(std::io::stdin()), name: "stdin".to_owned(), large: None });
        };
        let name = path.display().to_string();
        let open = || {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        let (file, size) = open().map_err(|error: std::io::Error| Failure::from(error).of(&name))?;
        Ok(Self { reader: Box::new(file), name, large: Some(size).filter(|size| *size >= LARGE) })
    }

    /// The name of the file, or `stdin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads everything, and hands it over in parts. Shows the progress of a large file on a terminal.
    ///
    /// # Errors
    /// If the file can't be read, and the failures of `take`.
    pub fn for_each_part(&mut self, mut take: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        let bar = self.large.map(progress_bar);
        let mut part = vec![0; PART_LEN];
        let result = loop {
            match self.reader.read(&mut part) {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    if let Err(failure) = take(&part[..length]) {
                        break Err(failure);
                    }
                    if let Some(bar) = &bar {
                        bar.inc(length as u64);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(Failure::from(error).of(&self.name)),
            }
        };
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        result
    }

    /// Reads everything, which has to be small. `what` says what is read.
    ///
    /// # Errors
    /// If the file can't be read, or has more than `most` bytes.
    pub fn read_small(mut self, most: usize, what: &str) -> Outcome<Vec<u8>> {
        let mut content = Vec::new();
        let mut reader = self.reader.by_ref().take(most as u64 + 1);
        reader.read_to_end(&mut content).map_err(|error| Failure::from(error).of(&self.name))?;
        if content.len() > most {
            return Err(Failure::new(format!("{}: {what} has {most} bytes at most, but this is longer", self.name)));
        }
        Ok(content)
    }
}

/// Returns a bar on stderr. It stays hidden if stderr is no terminal.
fn progress_bar(size: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bytes} of {total_bytes} {wide_bar} {eta}");
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
