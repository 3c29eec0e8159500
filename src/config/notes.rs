//! Log messages from the time before the log is started.

use crate::host::logging::Level;

/// Messages about the configuration, collected until the level and the file of the log are known.
pub(crate) type PendingMessages = Vec<(Level, String)>;
