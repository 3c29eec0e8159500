//! The log: one line per event, to standard error, a file or the system's log.
//!
//! A line is written by one write(2), or by one datagram to the system's log. Nothing is ever written to standard
//! output. There is no lock and no buffer: any thread may write a line at any time, also while the process forks.
//! The callers choose what is logged: names, causes and request ids, but never tokens, PINs or data.

mod destination;
mod level;
mod syslog;

pub use destination::set_file;
pub use level::Level;

use super::descriptors;
use std::fmt::Arguments;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

static LEVEL: AtomicU8 = AtomicU8::new(Level::Error as u8);
static TO_SYSLOG: AtomicBool = AtomicBool::new(false);

/// Sets the level from now on, and stores the identity of standard error.
pub fn set_level(level: Level) {
    destination::remember_standard_error();
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Sends lines to the system's log from now on, or, if `on` is false, to the file or standard error again.
///
/// # Errors
/// Returns the operating system's error if the socket for the system's log cannot be created.
pub fn set_syslog(on: bool) -> io::Result<()> {
    if on {
        syslog::open()?;
    }
    TO_SYSLOG.store(on, Ordering::Relaxed);
    Ok(())
}

/// Returns whether a line of this level would be written. Callers use it to avoid composing a line in vain.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Writes one line. Characters that are not visible, such as line breaks in a service's message or terminal
/// control sequences in a label, are escaped. An event therefore stays on one line, and no event moves the cursor
/// of a terminal.
pub fn line(level: Level, text: Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let name = level.name();
    let to_syslog = TO_SYSLOG.load(Ordering::Relaxed);
    let colon = if to_syslog { ":" } else { "" };
    let mut line = escape_invisible(format!("cloud-kms-pkcs11[{}]{colon} {name}: {text}", std::process::id()));
    if to_syslog {
        return syslog::write(level, &line);
    }
    line.push('\n');
    write(line);
}

/// The number of lines that could not be written since the last line that was written.
static LOST_LINES: AtomicU64 = AtomicU64::new(0);

/// How long a write waits for a slow reader before the line is lost. After a lost line, the next write does not
/// wait.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

fn write(mut line: String) {
    let lost = LOST_LINES.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let note =
            format!("cloud-kms-pkcs11[{}] warn: {lost} lines of the log could not be written\n", std::process::id());
        line.insert_str(0, &note);
    }
    let patience = if lost > 0 { Duration::ZERO } else { WRITE_TIMEOUT };
    let is_written = destination::descriptor().is_some_and(|own| descriptors::write(own, line.as_bytes(), patience));
    if !is_written {
        LOST_LINES.fetch_add(lost + 1, Ordering::Relaxed);
    }
}

/// Returns the text with every character escaped that a terminal or a reader does not treat as a visible
/// character.
fn escape_invisible(text: String) -> String {
    if !text.contains(is_invisible) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len() + 16), |mut line, sign| {
        match sign {
            sign if is_invisible(sign) => line.extend(sign.escape_default()),
            sign => line.push(sign),
        }
        line
    })
}

/// Returns whether the character is a control character (C0, DEL, C1), a line or paragraph separator, a character
/// that changes the direction of writing (Unicode Standard Annex 9), or an invisible character.
fn is_invisible(sign: char) -> bool {
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
    fn invisible_characters_are_escaped() {
        let plain = "token \"Schl\u{fc}ssel \u{1f511} \u{65e5}\u{672c}\", key \"a\\b\"";
        assert_eq!(escape_invisible(plain.into()), plain);
        for (text, shown) in [
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{0}\u{8}\u{7f}", "\\u{0}\\u{8}\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{85}\u{2028}\u{2029}", "\\u{85}\\u{2028}\\u{2029}"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}"),
            ("\u{feff}\u{200b}", "\\u{feff}\\u{200b}"),
        ] {
            assert_eq!(escape_invisible(text.into()), shown);
        }
    }
}
