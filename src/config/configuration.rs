//! All that was configured.

use super::model::Service;
use super::slots::Slots;
use crate::host::logging::Level;
use std::path::PathBuf;

/// All that was configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The slots, in their order; a slot's id is its position.
    pub slots: Slots,
    /// Services that are to be listed at the first C_GetSlotList, one slot per key, after `slots` (legacy mode only).
    pub listed: Vec<Service>,
    /// The level of the log; None means the default.
    pub log_level: Option<Level>,
    /// A file that the log is appended to instead of standard error.
    pub log_file: Option<PathBuf>,
    /// The log goes to the system's instead.
    pub log_to_syslog: bool,
    /// The folder of the cache of public halves; None for no cache.
    pub cache: Option<PathBuf>,
}
