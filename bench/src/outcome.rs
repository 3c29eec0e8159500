//! The result of a measurement, and how a process reports it.

/// A value, or an error message for a person.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Prints one line for the process that started this one.
pub fn say(line: &str) {
    println!("{line}");
}
