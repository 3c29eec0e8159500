//! One line per event, by one write(2), to standard error, a file or the system's log; never to standard output.
//!
//! No lock and no buffer: a line may be written by any thread at any moment, also while the process forks.
//! What is logged is chosen by the callers: names, causes, request ids; never tokens, PINs or data.

mod destination;
mod level;
mod syslog;

pub use destination::set_file;
use level::LEVELS;
pub use level::Level;

use super::descriptors;
use std::fmt::Arguments;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

static LEVEL: AtomicU8 = AtomicU8::new(Level::Error as u8);
static TO_SYSLOG: AtomicBool = AtomicBool::new(false);

/// Sets the level from now on.
pub fn set_level(level: Level) {
    destination::remember_standard_error();
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Hands lines to the system's log from now on, or again to the file or standard error.
pub fn set_syslog(on: bool) -> io::Result<()> {
    if on {
        syslog::open()?;
    }
    TO_SYSLOG.store(on, Ordering::Relaxed);
    Ok(())
}

/// Whether a line of this level would be written: to leave out the work of making it.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Writes one line. What is not to be seen in it (line breaks of a service's words, a terminal's commands in a label) is made
/// visible, so that one event stays one line and moves nobody's cursor.
pub fn line(level: Level, text: Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let name = LEVELS.iter().find(|(known, _)| *known == level).map_or("", |(_, name)| *name);
    let to_syslog = TO_SYSLOG.load(Ordering::Relaxed);
    let colon = if to_syslog { ":" } else { "" };
    let mut line = visible(format!("cloud-kms-pkcs11[{}]{colon} {name}: {text}", std::process::id()));
    if to_syslog {
        return syslog::write(level, &line);
    }
    line.push('\n');
    write(line);
}

/// How many lines nobody has taken, since the last one that somebody has.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How long a reader may take before a line is lost. While lines are lost none is waited for.
const PATIENCE: Duration = Duration::from_millis(100);

fn write(mut line: String) {
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let note =
            format!("cloud-kms-pkcs11[{}] warn: {lost} lines of the log could not be written\n", std::process::id());
        line.insert_str(0, &note);
    }
    let patience = if lost > 0 { Duration::ZERO } else { PATIENCE };
    let taken = destination::current().is_some_and(|own| descriptors::write(own, line.as_bytes(), patience));
    if !taken {
        LOST.fetch_add(lost + 1, Ordering::Relaxed);
    }
}

/// The text with every character escaped that a terminal or a reader takes for something else than a sign.
fn visible(text: String) -> String {
    if !text.contains(is_hidden) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len() + 16), |mut line, sign| {
        match sign {
            sign if is_hidden(sign) => line.extend(sign.escape_default()),
            sign => line.push(sign),
        }
        line
    })
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and those that turn the direction of writing
/// (Unicode Standard Annex 9) or can't be seen at all.
fn is_hidden(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(sign, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{61c}')
}

/// Logs at [`Level::Error`].
#[macro_export]
macro_rules! log_error { ($($arg:tt)*) => { $crate::host::logging::line($crate::host::logging::Level::Error, format_args!($($arg)*)) }; }
/// Logs at [`Level::Warn`].
#[macro_export]
macro_rules! log_warn { ($($arg:tt)*) => { $crate::host::logging::line($crate::host::logging::Level::Warn, format_args!($($arg)*)) }; }
/// Logs at [`Level::Info`].
#[macro_export]
macro_rules! log_info { ($($arg:tt)*) => { $crate::host::logging::line($crate::host::logging::Level::Info, format_args!($($arg)*)) }; }
/// Logs at [`Level::Debug`].
#[macro_export]
macro_rules! log_debug { ($($arg:tt)*) => { $crate::host::logging::line($crate::host::logging::Level::Debug, format_args!($($arg)*)) }; }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_to_be_seen_is_made_visible() {
        let plain = "token \"Schl\u{fc}ssel \u{1f511} \u{65e5}\u{672c}\", key \"a\\b\"";
        assert_eq!(visible(plain.into()), plain);
        for (text, shown) in [
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{0}\u{8}\u{7f}", "\\u{0}\\u{8}\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{85}\u{2028}\u{2029}", "\\u{85}\\u{2028}\\u{2029}"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}"),
            ("\u{feff}\u{200b}", "\\u{feff}\\u{200b}"),
        ] {
            assert_eq!(visible(text.into()), shown);
        }
    }
}
