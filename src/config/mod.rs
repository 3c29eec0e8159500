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
pub mod tool;
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
use std::ffi::OsString;
use std::path::Path;

/// What reading the configuration has found.
pub struct Examination {
    /// The configuration, or the mistake for which the module refuses it.
    pub config: Result<Config, Error>,
    /// Lines of the log about the files: which were read, which were not, and what is wrong with them.
    pub notes: Vec<(Level, String)>,
}

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
        let Examination { config, notes } = Self::examine();
        // Without a configuration, the environment determines the level and the destination.
        let mut log = Config::default();
        log.apply_log_variables(&process_environment(&variable, &Cloud::of_this_build()), &mut PendingMessages::new());
        start_log(config.as_ref().unwrap_or(&log));
        for (level, text) in notes {
            logging::line(level, format_args!("{text}"));
        }
        config
    }

    /// Reads the same configuration and does not start the log. Returns also what the log would say.
    pub fn examine() -> Examination {
        let clouds = Cloud::of_this_build();
        let environment = process_environment(&variable, &clouds);
        let mut notes = PendingMessages::new();
        notes.push((Level::Info, format!("this build of the module supports {}", names_of(&clouds, ", "))));
        if process::is_privileged() {
            let text = "this program runs with more rights than its caller (setuid), so the module ignores environment \
                        variables; only the files in /etc are read";
            notes.push((Level::Info, text.to_owned()));
        }
        let config = read(&environment, &mut notes);
        Examination { config, notes }
    }
}

/// Returns an environment variable of the process. The variables of a setuid program are set by its caller, who has
/// fewer rights than the program.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|_| !process::is_privileged())
}

fn process_environment<'a>(variable: &'a dyn Fn(&str) -> Option<OsString>, clouds: &'a [Cloud]) -> Environment<'a> {
    Environment { variable, root: Path::new("/"), clouds }
}

fn read(environment: &Environment, notes: &mut PendingMessages) -> Result<Config, Error> {
    let mut config = match environment.own_file()? {
        Some(file) => {
            let others = locations::all_places(environment).into_iter();
            locations::log_ignored_files(&file, others.chain(locations::files_of_old_variables(environment)), notes);
            strict::read(&file, environment, None, notes)?
        }
        None => Config { cache_directory: environment.cache_directory(), ..legacy::read(environment, notes)? },
    };
    config.apply_log_variables(environment, notes);
    Ok(config)
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
