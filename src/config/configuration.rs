//! The loaded configuration.

use super::model::Service;
use super::slots::Slots;
use crate::host::logging::Level;
use std::path::PathBuf;

/// The configuration of the module: its slots, log and public-key cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The slots, in the order of the configuration. The id of a slot is its position, from 0.
    pub slots: Slots,
    /// Services whose keys are listed at the first C_GetSlotList. Each key becomes a slot after `slots` (legacy
    /// mode only).
    pub legacy_services: Vec<Service>,
    /// The level of the log; `None` for the default, `error`.
    pub log_level: Option<Level>,
    /// A file that the log is appended to, instead of standard error.
    pub log_file: Option<PathBuf>,
    /// Whether the log goes to the system's log (syslog) instead of standard error.
    pub log_to_syslog: bool,
    /// The directory of the public-key cache; `None` for no cache.
    pub cache_directory: Option<PathBuf>,
}
