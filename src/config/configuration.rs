//! The loaded configuration.

use super::environment::Environment;
use super::model::Service;
use super::notes::PendingMessages;
use super::slots::Slots;
use crate::audit::AuditTrail;
use crate::host::logging::Level;
use crate::metrics::MetricsFile;
use std::path::PathBuf;

/// The configuration of the module: its slots, log, public-key cache, metrics and audit trail.
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
    /// The file of the metrics; `None` for no metrics.
    pub metrics_file: Option<MetricsFile>,
    /// The audit trail; `None` for none.
    pub audit: Option<AuditTrail>,
}

impl Config {
    /// Applies the environment variables for the log, which take precedence over the options of the file.
    pub(crate) fn apply_log_variables(&mut self, environment: &Environment, notes: &mut PendingMessages) {
        if let Some(name) = environment.text("CLOUD_KMS_PKCS11_LOG") {
            match Level::from_name(&name) {
                Some(level) => self.log_level = Some(level),
                // Only logged: a typing error in this variable must not make the keys unavailable.
                None => notes.push((
                    Level::Error,
                    format!(
                        "CLOUD_KMS_PKCS11_LOG: unknown log level {name:?}; set it to one of {}",
                        Level::names().join(", ")
                    ),
                )),
            }
        }
        if let Some(file) = environment.path("CLOUD_KMS_PKCS11_LOG_FILE") {
            (self.log_file, self.log_to_syslog) = (Some(file), false);
        }
        match environment.text("CLOUD_KMS_PKCS11_LOG_DESTINATION").as_deref() {
            None => {}
            Some("syslog") => self.log_to_syslog = true,
            Some("stderr") => (self.log_file, self.log_to_syslog) = (None, false),
            Some(name) => notes.push((
                Level::Error,
                format!(
                    "CLOUD_KMS_PKCS11_LOG_DESTINATION: unknown log destination {name:?}; set it to stderr or syslog, or \
                     name a file in CLOUD_KMS_PKCS11_LOG_FILE"
                ),
            )),
        }
    }
}
