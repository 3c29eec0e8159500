//! The configuration: what the rest of the module sees of it, and where it is looked for.
//!
//! Our own file is read by `strict`, which says what is wrong and where; only where there is none, `legacy` reads the
//! files of the two modules that this one replaces, and forgives as they did. Both are functions of an `Environment`,
//! so that tests need not touch that of the process.

mod arn;
mod dialect;
mod environment;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod legacy;
mod login;
mod management;
mod manner;
mod options;
mod search;
mod section;
mod serial;
mod slots;
mod strict;
#[cfg(test)]
mod tests;

use crate::backend::{KeyName, ListedKey, Secret, aws, azure};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::logging::{self, Level};
use crate::process;
use environment::Environment;
pub use management::{Management, Right};
pub use manner::Manner;
pub use slots::Slots;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// One slot with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The token's label in full; CK_TOKEN_INFO cuts it to 32 bytes.
    pub label: String,
    /// Where its keys live: slots that follow each other share it.
    pub service: Arc<Service>,
    /// Its keys.
    pub keys: Keys,
    /// Names of key kinds that the token does not show: "secp256k1", "rsa2048", ... as [`crate::key::Kind::name`] gives them.
    pub hide_keys: Vec<String>,
    /// What it does otherwise than others.
    pub manner: Manner,
    /// What programs may change in the service; None where that is nothing.
    pub management: Option<Arc<Management>>,
}

impl Slot {
    /// CK_TOKEN_INFO.serialNumber.
    pub fn serial(&self) -> String {
        serial::of(self)
    }
}

/// The keys of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those that the configuration names.
    Named(Vec<Key>),
    /// Every usable key that the service lists.
    Discover,
    /// Some that the service has listed (legacy mode only).
    Listed(Vec<ListedKey>),
}

/// A configured key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name for the service; the id's bytes are CKA_ID.
    pub name: KeyName,
    /// CKA_LABEL of its objects.
    pub label: String,
    /// Where its certificate comes from.
    pub certificate: CertificateSource,
}

impl Key {
    /// A key that a service has listed: its name is its label, too.
    pub fn listed(name: KeyName) -> Self {
        Self { label: name.id.clone(), name, certificate: CertificateSource::Service }
    }
}

/// Where a key's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// The service, where it keeps certificates (Key Vault does, KMS does not); else there is none.
    Service,
    /// It stands in the configuration; its chain follows it.
    Inline(Vec<Certificate>),
    /// A PEM file, read when the certificate is first needed.
    File(PathBuf),
}

/// A cloud and its settings. Equal ones share one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// AWS KMS.
    Aws(aws::Settings),
    /// Azure Key Vault or Managed HSM.
    Azure(azure::Settings),
}

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

/// Lines for the log, kept until its level and file are known.
type Notes = Vec<(Level, String)>;

fn read(environment: &Environment, notes: &mut Notes) -> Result<Config, Error> {
    let mut config = match environment.own_file()? {
        Some(file) => {
            search::note_others(&file, search::all_places(environment), notes);
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

impl Service {
    /// How to reach it.
    pub fn network(&self) -> &crate::backend::Network {
        match self {
            Service::Aws(settings) => &settings.network,
            Service::Azure(settings) => &settings.network,
        }
    }

    /// Whether there is a secret among its settings: an application's, or a proxy's password.
    fn holds_secret(&self) -> bool {
        let has_password = |proxy: &Secret| proxy.expose().contains('@');
        let secret = match self {
            Service::Aws(_) => None,
            Service::Azure(settings) => settings.client_secret.as_ref(),
        };
        secret.is_some() || self.network().proxy.as_ref().is_some_and(has_password)
    }

    /// Whether its credential comes by C_Login, which is each token's own matter.
    pub fn wants_login(&self) -> bool {
        match self {
            Service::Aws(settings) => settings.login.is_some(),
            Service::Azure(settings) => settings.credential == azure::Credential::Login,
        }
    }

    /// The backend for these settings: no request, no file read.
    pub fn open(&self) -> crate::backend::SharedBackend {
        match self {
            Service::Aws(settings) => aws::open(settings.clone()),
            Service::Azure(settings) => azure::open(settings.clone()),
        }
    }
}
