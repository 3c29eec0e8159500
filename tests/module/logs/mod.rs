//! What the log says, and what it never says.

mod log_readers;
mod reports;
mod secrets;
