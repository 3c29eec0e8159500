//! What a measurement comes to, and how a program says it.

/// A value, or words for a person.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One line for the process that has started this one.
pub fn say(line: &str) {
    println!("{line}");
}
