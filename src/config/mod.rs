//! The configuration: what the rest of the module sees of it, and where it is looked for.
//!
//! Our own file is read by `strict`, which says what is wrong and where; only where there is none, `legacy` reads the
//! files of the two modules that this one replaces, and forgives as they did. Both are functions of an `Environment`,
//! so that tests need not touch that of the process.

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
#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::host::logging;
use crate::host::logging::Level;
use crate::host::process;

pub use configuration::Config;
use environment::Environment;
use file::{legacy, locations, strict};
pub use management::{Management, Right};
pub use model::{CertificateSource, Key, Keys, Service, Slot};
use notes::Notes;
pub use quirks::Manner;
pub use serial::of as serial_of;
pub use slots::Slots;
use std::path::Path;

impl Config {
    /// Reads the configuration from where the environment and the platform's conventions put it.
    ///
    /// It also starts the log with the level and file that it finds, since what it has to say belongs there already.
    pub fn load() -> Result<Config, Error> {
        // A setuid program's variables are somebody else's.
        let variable = |name: &str| std::env::var_os(name).filter(|_| !process::is_privileged());
        let environment = Environment { variable: &variable, root: Path::new("/") };
        let mut notes = Notes::new();
        if process::is_privileged() {
            let text = "this program runs with more rights than its caller (setuid): no variable is heeded";
            notes.push((Level::Info, text.to_owned()));
        }
        let config = read(&environment, &mut notes);
        let mut log = Config::default();
        log_from_environment(&mut log, &environment, &mut Notes::new());
        start_log(config.as_ref().unwrap_or(&log));
        for (level, text) in notes {
            logging::line(level, format_args!("{text}"));
        }
        config
    }
}

fn read(environment: &Environment, notes: &mut Notes) -> Result<Config, Error> {
    let mut config = match environment.own_file()? {
        Some(file) => {
            locations::note_others(&file, locations::all_places(environment), notes);
            strict::read(&file, environment, notes)?
        }
        None => Config { cache: environment.cache_folder(), ..legacy::read(environment, notes)? },
    };
    log_from_environment(&mut config, environment, notes);
    Ok(config)
}

/// The variables that win over what a file says about the log.
fn log_from_environment(config: &mut Config, environment: &Environment, notes: &mut Notes) {
    if let Some(name) = environment.text("CLOUD_KMS_PKCS11_LOG") {
        match Level::from_name(&name) {
            Some(level) => config.log_level = Some(level),
            // A typing error here must not keep the program from its keys.
            None => notes.push((
                Level::Error,
                format!("CLOUD_KMS_PKCS11_LOG: unknown level {name:?}; known are {}", Level::names().join(", ")),
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
            format!("CLOUD_KMS_PKCS11_LOG_DESTINATION: unknown destination {name:?}; known are stderr, syslog"),
        )),
    }
}

fn start_log(config: &Config) {
    logging::set_level(config.log_level.unwrap_or(Level::Error));
    if let Err(error) = logging::set_syslog(config.log_to_syslog) {
        crate::log_error!("can't write to the system's log: {error}");
    }
    if let Some(file) = &config.log_file
        && let Err(error) = logging::set_file(file)
    {
        crate::log_error!("can't append the log to {}: {error}", file.display());
    }
}
