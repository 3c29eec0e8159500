//! The configuration: its types, and how it is found and loaded.
//!
//! `strict` reads the module's own file and reports the first mistake with its place. If there is no such file,
//! `legacy` reads the files of the modules that this one replaces, and is as lenient as they were. Both take
//! an `Environment` as an argument, so tests do not change the environment of the process.

pub(crate) mod configuration;
pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod json;
pub(crate) mod management;
pub(crate) mod model;
pub(crate) mod notes;
pub(crate) mod options;
pub(crate) mod quirks;
pub(crate) mod serial;
pub(crate) mod slots;
mod spelling;
#[cfg(test)]
mod tests;
mod yaml;

use crate::error::Error;
use crate::host::logging;
use crate::host::logging::Level;
use crate::host::process;

pub use configuration::Config;
use environment::Environment;
use file::{legacy, locations, strict};
pub use management::{Management, Right};
pub use model::{CertificateSource, Key, Keys, Service, Slot};
use notes::PendingMessages;
use options::{Cloud, names_of};
pub use quirks::{Quirks, SlotIdentity};
pub use serial::serial_number;
pub use slots::Slots;
use std::path::Path;

impl Config {
    /// Loads the configuration from the file that the environment variables or the platform's conventions
    /// determine.
    ///
    /// Also starts the log, with the level and the destination that the configuration gives, and writes the
    /// messages about the configuration to it. If the configuration can't be loaded, only the environment
    /// variables determine the level and the destination.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the module's own file can't be read, is writable by other users or has a mistake, or
    /// if an environment variable names a configuration file that does not exist or can't be accessed.
    pub fn load() -> Result<Config, Error> {
        // The variables of a setuid program are set by its caller, who has fewer rights than the program.
        let variable = |name: &str| std::env::var_os(name).filter(|_| !process::is_privileged());
        let clouds = Cloud::of_this_build();
        let environment = Environment { variable: &variable, root: Path::new("/"), clouds: &clouds };
        let mut notes = PendingMessages::new();
        notes.push((Level::Info, format!("this build of the module supports {}", names_of(&clouds, ", "))));
        if process::is_privileged() {
            let text = "this program runs with more rights than its caller (setuid), so the module ignores environment \
                        variables; only the files in /etc are read";
            notes.push((Level::Info, text.to_owned()));
        }
        let config = read(&environment, &mut notes);
        let mut log = Config::default();
        log_from_environment(&mut log, &environment, &mut PendingMessages::new());
        start_log(config.as_ref().unwrap_or(&log));
        for (level, text) in notes {
            logging::line(level, format_args!("{text}"));
        }
        config
    }
}

fn read(environment: &Environment, notes: &mut PendingMessages) -> Result<Config, Error> {
    let mut config = match environment.own_file()? {
        Some(file) => {
            let others = locations::all_places(environment).into_iter();
            locations::log_ignored_files(&file, others.chain(locations::files_of_old_variables(environment)), notes);
            strict::read(&file, environment, notes)?
        }
        None => Config { cache_directory: environment.cache_directory(), ..legacy::read(environment, notes)? },
    };
    log_from_environment(&mut config, environment, notes);
    Ok(config)
}

/// Applies the environment variables for the log, which take precedence over the options of the file.
fn log_from_environment(config: &mut Config, environment: &Environment, notes: &mut PendingMessages) {
    if let Some(name) = environment.text("CLOUD_KMS_PKCS11_LOG") {
        match Level::from_name(&name) {
            Some(level) => config.log_level = Some(level),
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
        (config.log_file, config.log_to_syslog) = (Some(file), false);
    }
    match environment.text("CLOUD_KMS_PKCS11_LOG_DESTINATION").as_deref() {
        None => {}
        Some("syslog") => config.log_to_syslog = true,
        Some("stderr") => (config.log_file, config.log_to_syslog) = (None, false),
        Some(name) => notes.push((
            Level::Error,
            format!(
                "CLOUD_KMS_PKCS11_LOG_DESTINATION: unknown log destination {name:?}; set it to stderr or syslog, or \
                 name a file in CLOUD_KMS_PKCS11_LOG_FILE"
            ),
        )),
    }
}

fn start_log(config: &Config) {
    logging::set_level(config.log_level.unwrap_or(Level::Error));
    if let Err(error) = logging::set_syslog(config.log_to_syslog) {
        crate::log_error!(
            "can't open a socket for the system's log (syslog): {error}; choose another \"log_destination\""
        );
    }
    if let Some(file) = &config.log_file
        && let Err(error) = logging::set_file(file)
    {
        crate::log_error!(
            "can't open the log file {}: {error}; create its directory, or let this user write to the file",
            file.display()
        );
    }
}
