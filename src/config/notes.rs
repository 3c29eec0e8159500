//! What reading the configuration has to say, before the log is there.

use crate::host::logging::Level;

/// Lines for the log, kept until its level and file are known.
pub(crate) type Notes = Vec<(Level, String)>;
