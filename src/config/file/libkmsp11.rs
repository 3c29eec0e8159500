//! The reader of the configuration of libkmsp11, Google's module for Cloud KMS, which this module replaces.
//!
//! `KMS_PKCS11_CONFIG` names a YAML file. Its options are those of libkmsp11's `config.proto`. As in libkmsp11, a mistake
//! is an error; unlike there, an option that this reader does not know is a warning. docs/migration.md describes the
//! options to users.

use super::quirks::HIDDEN_WHEN_DISCOVERED;
use super::section::{file_error, json_error};
use super::service::google::of_environment;
use crate::certificate::Certificate;
use crate::cloud::google::{Credentials, KEY_RING_FORM, Settings, is_key_ring, relative_name};
use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::json;
use crate::config::json::{Data, Dialect, Value};
use crate::config::management::Management;
use crate::config::model::{Keys, Service, Slot};
use crate::config::notes::PendingMessages;
use crate::config::options::Cloud;
use crate::config::quirks::{Quirks, SlotIdentity};
use crate::config::spelling::closest;
use crate::config::yaml;
use crate::error::{Error, Result};
use crate::host::logging::Level;
use crate::host::permissions::FileWithMetadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The variable that names the file.
pub const VARIABLE: &str = "KMS_PKCS11_CONFIG";

/// libkmsp11's default of `rpc_timeout_secs`.
const RPC_TIMEOUT: Duration = Duration::from_secs(30);

/// libkmsp11's default of `kms_endpoint`, with and without the port.
const DEFAULT_ENDPOINTS: [&str; 2] = ["cloudkms.googleapis.com:443", "cloudkms.googleapis.com"];

/// Reads the file at `path`. Returns no slots, and logs an error, if the module does not support Google Cloud KMS.
///
/// # Errors
/// CKR_GENERAL_ERROR if the file can't be read, is writable by other users or contains a mistake.
pub fn read(path: &Path, environment: &Environment, notes: &mut PendingMessages) -> Result<Config> {
    if let Some(message) = environment.unsupported_message(&[Cloud::Google], "the file") {
        notes.push((Level::Error, format!("{}: ignored: {message}", path.display())));
        return Ok(Config::default());
    }
    let file = FileWithMetadata::read(path).map_err(|error| {
        file_error(path, format_args!(" can't be read: {error}; it must be a file that this user can read"))
    })?;
    if let Some(what) = file.writable_by_others() {
        return Err(file_error(path, format_args!(" refused, because it decides what the module trusts: {what}")));
    }
    notes.extend(file.replaceable_by_others().map(|what| (Level::Warn, format!("{}: {what}", path.display()))));
    let config = parse(&file.bytes, path, environment, notes)?;
    notes.push((Level::Info, format!("{}: loaded the tokens of libkmsp11's file", path.display())));
    Ok(config)
}

/// Parses the contents of the file at `path`.
///
/// # Errors
/// CKR_GENERAL_ERROR for the first mistake.
pub fn parse(bytes: &[u8], path: &Path, environment: &Environment, notes: &mut PendingMessages) -> Result<Config> {
    let text = json::decode(bytes, Dialect::Strict).map_err(|fault| json_error(path, &fault))?;
    let document = yaml::parse(&text).map_err(|fault| json_error(path, &fault))?;
    let top = Map { path, place: String::new(), value: &document };
    top.check(OPTIONS, notes)?;
    if top.flag("require_fips_mode")? {
        let text = "is true, but the cryptography of this module is not in FIPS mode; remove the option, if you do not \
                    need it";
        return Err(top.error("require_fips_mode", text));
    }
    let settings = settings(&top, environment)?;
    let quirks = Quirks {
        random_from_service: true,
        identity: SlotIdentity::Libkmsp11,
        generate_certificate: top.flag("generate_certs")?,
        ..Quirks::default()
    };
    let tokens = top.items("tokens")?;
    if tokens.is_empty() {
        return Err(top.error("", "missing option \"tokens\"; add a list with an item \"key_ring\" for each token"));
    }
    let slots = tokens.iter().map(|token| slot(token, &settings, quirks, notes)).collect::<Result<Vec<_>>>()?;
    let log_file = log_file(&top)?;
    let log_level = log_file.as_ref().map(|_| Level::Info);
    Ok(Config { slots: slots.into_iter().collect(), log_level, log_file, ..Config::default() })
}

/// Returns what the settings of all tokens have in common.
fn settings(top: &Map, environment: &Environment) -> Result<Settings> {
    let mut settings = of_environment(environment);
    let is_insecure = top.flag("use_insecure_grpc_channel_credentials")?;
    if top.flag("use_google_compute_engine_credentials")? {
        settings.credentials = Credentials::Metadata;
    } else if is_insecure {
        settings.credentials = Credentials::None;
    }
    let scheme = if is_insecure { "http" } else { "https" };
    let endpoint = top.text("kms_endpoint")?.filter(|address| !DEFAULT_ENDPOINTS.contains(address));
    settings.endpoint_url = endpoint.map(|address| match address.contains("://") {
        true => address.trim_end_matches('/').to_owned(),
        false => format!("{scheme}://{address}"),
    });
    settings.quota_project = top.text("user_project_override")?.map(str::to_owned).or(settings.quota_project);
    settings.hides_software_keys = !top.flag("allow_software_keys")?;
    let seconds = top.number("rpc_timeout_secs")?.filter(|seconds| *seconds > 0);
    settings.network.call_timeout = seconds.map_or(RPC_TIMEOUT, |seconds| Duration::from_secs(seconds.into()));
    settings.network.connect_timeout = settings.network.connect_timeout.min(settings.network.call_timeout);
    Ok(settings)
}

fn slot(token: &Map, settings: &Settings, quirks: Quirks, notes: &mut PendingMessages) -> Result<Slot> {
    token.check(TOKEN_OPTIONS, notes)?;
    let missing = || token.error("", format!("missing option \"key_ring\"; add key_ring: {KEY_RING_FORM}"));
    let key_ring = relative_name(token.text("key_ring")?.ok_or_else(missing)?);
    if !is_key_ring(key_ring) {
        let text = format!("{key_ring:?} is not the name of a key ring in Google Cloud KMS; write {KEY_RING_FORM}");
        return Err(token.error("key_ring", text));
    }
    let certificates = token.certificates()?;
    let management = Management { certificates, ..Management::default() };
    Ok(Slot {
        label: token.text("label")?.unwrap_or_default().to_owned(),
        service: Arc::new(Service::Google(Settings { key_ring: Some(key_ring.to_owned()), ..settings.clone() })),
        keys: Keys::Discovered,
        hide_keys: HIDDEN_WHEN_DISCOVERED.map(str::to_owned).into(),
        quirks,
        management: (!management.certificates.is_empty()).then(|| Arc::new(management)),
    })
}

/// Returns the file of the log. libkmsp11 writes a file for each process, whose name starts with this file's.
fn log_file(top: &Map) -> Result<Option<PathBuf>> {
    let Some(directory) = top.text("log_directory")? else { return Ok(None) };
    let suffix = top.text("log_filename_suffix")?.map(|suffix| format!("-{suffix}")).unwrap_or_default();
    Ok(Some(Path::new(directory).join(format!("libkmsp11.log{suffix}"))))
}

/// A mapping of the file.
struct Map<'a> {
    path: &'a Path,
    /// Where the mapping is: `tokens[1]`, or empty at top level.
    place: String,
    value: &'a Value<'a>,
}

impl<'a> Map<'a> {
    /// Notes the options of the mapping that have no effect, or that are unknown.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the value is not a mapping.
    fn check(&self, options: &[OptionRow], notes: &mut PendingMessages) -> Result<()> {
        let members = match &self.value.data {
            Data::Object(members) => members.as_slice(),
            Data::Null => &[],
            _ => return Err(self.error("", "expected options (NAME: VALUE)")),
        };
        for member in members {
            let note = match options.iter().find(|row| member.name == row.name || member.name == row.earlier_name) {
                None => {
                    let meant = closest(&member.name, options.iter().map(|row| row.name));
                    let meant = meant.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default();
                    Some((Level::Warn, format!("is unknown, so it is ignored{meant}")))
                }
                Some(row) => {
                    let is_set = !UNSET.contains(&member.value.text().unwrap_or_default());
                    row.ignored.filter(|_| is_set).map(|(level, why)| (level, format!("is ignored: {why}")))
                }
            };
            notes.extend(note.map(|(level, text)| (level, self.located(&member.name, member.line, text))));
        }
        Ok(())
    }

    /// Returns the value of an option. An option without a value counts as absent.
    fn value(&self, name: &str) -> Option<&'a Value<'a>> {
        let earlier = OPTIONS.iter().chain(TOKEN_OPTIONS).find(|row| row.name == name).map(|row| row.earlier_name);
        let member = self.value.member(name).or_else(|| self.value.member(earlier?))?;
        Some(&member.value).filter(|value| value.data != Data::Null)
    }

    /// Returns a scalar. An empty one counts as absent.
    fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let text =
            self.value(name).map(|value| value.text().ok_or_else(|| self.error(name, "expected a single value")));
        Ok(text.transpose()?.filter(|text| !text.is_empty()))
    }

    fn number(&self, name: &str) -> Result<Option<u32>> {
        let parse =
            |text: &str| text.parse().map_err(|_| self.error(name, format!("expected a whole number, found {text:?}")));
        self.text(name)?.map(parse).transpose()
    }

    fn flag(&self, name: &str) -> Result<bool> {
        let Some(text) = self.text(name)? else { return Ok(false) };
        let is_one_of = |words: &[&str]| words.contains(&text.to_ascii_lowercase().as_str());
        match (is_one_of(&TRUE), is_one_of(&FALSE)) {
            (false, false) => Err(self.error(name, format!("expected true or false, found {text:?}"))),
            (is_true, _) => Ok(is_true),
        }
    }

    /// Returns the items of a list as mappings.
    fn items(&self, name: &str) -> Result<Vec<Map<'a>>> {
        let map = |(index, value)| Map { path: self.path, place: format!("{name}[{index}]"), value };
        Ok(self.list(name)?.iter().enumerate().map(map).collect())
    }

    fn list(&self, name: &str) -> Result<&'a [Value<'a>]> {
        match self.value(name).map(|value| &value.data) {
            None => Ok(&[]),
            Some(Data::Array(items)) => Ok(items),
            Some(_) => Err(self.error(name, "expected a list: lines that start with \"- \"")),
        }
    }

    fn certificates(&self) -> Result<Vec<Certificate>> {
        let mut found = Vec::new();
        for item in self.list("certs")? {
            let text = item.text().unwrap_or_default();
            match Certificate::parse_all(text.as_bytes()) {
                Ok((certificates, _)) => found.extend(certificates),
                Err(why) => {
                    let text = format!("{}; write the PEM text of a certificate after \"- |\"", why.0);
                    return Err(self.error_at("certs", item.line, text));
                }
            }
        }
        Ok(found)
    }

    /// Returns an error at an option, or at the whole mapping if `name` is empty.
    fn error(&self, name: &str, message: impl std::fmt::Display) -> Error {
        self.error_at(name, self.value(name).map_or(self.value.line, |value| value.line), message)
    }

    fn error_at(&self, name: &str, line: usize, message: impl std::fmt::Display) -> Error {
        Error::new(cryptoki_sys::CKR_GENERAL_ERROR, self.located(name, line, message))
    }

    fn located(&self, name: &str, line: usize, message: impl std::fmt::Display) -> String {
        let dot = if self.place.is_empty() || name.is_empty() { "" } else { "." };
        let colon = if self.place.is_empty() && name.is_empty() { "" } else { ": " };
        format!("{}:{line}: {}{dot}{name}{colon}{message}", self.path.display(), self.place)
    }
}

/// An option of libkmsp11.
struct OptionRow {
    name: &'static str,
    /// The name in earlier releases of libkmsp11, or empty.
    earlier_name: &'static str,
    /// Why the option has no effect here, and the level of the log line about it.
    ignored: Option<(Level, &'static str)>,
}

const fn used(name: &'static str, earlier_name: &'static str) -> OptionRow {
    OptionRow { name, earlier_name, ignored: None }
}

const fn ignored(name: &'static str, level: Level, why: &'static str) -> OptionRow {
    OptionRow { name, earlier_name: "", ignored: Some((level, why)) }
}

/// The options at top level.
#[rustfmt::skip]
const OPTIONS: &[OptionRow] = &[
    used("tokens", ""),
    used("rpc_timeout_secs", ""),
    used("kms_endpoint", ""),
    used("user_project_override", ""),
    used("use_insecure_grpc_channel_credentials", ""),
    used("use_google_compute_engine_credentials", ""),
    used("generate_certs", "experimental_generate_certs"),
    used("log_directory", ""),
    used("log_filename_suffix", ""),
    used("require_fips_mode", "experimental_require_fips_mode"),
    used("allow_software_keys", ""),
    ignored("refresh_interval_secs", Level::Warn, "a process lists the keys of a key ring once; call C_Finalize and C_Initialize, or start the program again, to see new keys and versions"),
    ignored("skip_fork_handlers", Level::Info, "a forked process can always use the module"),
    ignored("experimental_create_multiple_versions", Level::Info, "with this file, programs create no keys; see docs/migration.md"),
    ignored("experimental_rpc_feature_flags", Level::Info, "it is for tests of Google's only"),
    ignored("experimental_allow_mac_keys", Level::Info, "keys for MACs are always used"),
    ignored("experimental_allow_raw_encryption_keys", Level::Info, "keys for AES are not used"),
];

/// The options of a token.
const TOKEN_OPTIONS: &[OptionRow] = &[used("key_ring", ""), used("label", ""), used("certs", "experimental_certs")];

/// Values that mean the same as no value.
const UNSET: [&str; 3] = ["", "0", "false"];

/// The words for booleans, in any case, as in Abseil's SimpleAtob.
const TRUE: [&str; 5] = ["true", "t", "yes", "y", "1"];
const FALSE: [&str; 5] = ["false", "f", "no", "n", "0"];
