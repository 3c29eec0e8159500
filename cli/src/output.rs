//! What the tool writes: results on stdout, failures on stderr, colors on a terminal only (and not with NO_COLOR).

use crate::failure::{Failure, Outcome};
use anstyle::{AnsiColor, Style};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

/// For what needs attention.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// For what the user may want to look at.
pub const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// For what is in order.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// For names that head a paragraph.
pub const BOLD: Style = Style::new().bold();
/// For what is read last.
pub const DIMMED: Style = Style::new().dimmed();

/// Writes text to stdout. Styles in the text are removed where stdout is no terminal.
///
/// # Errors
/// If stdout can't be written.
pub fn write(text: &str) -> Outcome<()> {
    let mut out = anstream::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes bytes to stdout, unchanged. They may be a secret, so no buffer keeps a copy.
///
/// # Errors
/// If stdout can't be written.
pub fn write_bytes(bytes: &[u8]) -> Outcome<()> {
    let out = std::io::stdout().as_fd().try_clone_to_owned().map(File::from);
    written(out.and_then(|mut out| out.write_all(bytes)))
}

/// `| head` closes the pipe, which is no failure.
fn written(result: std::io::Result<()>) -> Outcome<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("stdout can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a JSON document to stdout, for `--json`.
///
/// # Errors
/// If stdout can't be written.
pub fn write_json(value: &Value) -> Outcome<()> {
    write(&format!("{value:#}\n"))
}

/// Writes a line to stderr that is no failure: what the tool is about to do, or what it has left out.
pub fn note(text: &str) {
    // Nothing can be done if stderr is closed.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes a failure to stderr.
pub fn report(failure: &Failure) {
    note(&format!("{RED}error:{RED:#} {}", failure.message));
    if let Some(fix) = &failure.fix {
        note(&format!("{BOLD}fix:{BOLD:#}   {fix}"));
    }
}

/// Returns `text` in a style.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
