//! What the log says, and what it never says.

mod google_secrets;
mod log_readers;
mod reports;
mod secrets;
