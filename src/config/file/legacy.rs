//! The reader of the configuration of aws-kms-pkcs11 and azure-keyvault-pkcs11, which this module replaces.
//!
//! Their files and variables are read as those modules read them. Contents that can't be used are logged and left
//! out. An error occurs only if `AWS_KMS_PKCS11_CONFIG` names a file that does not exist or can't be accessed, or if the
//! file of libkmsp11 contains a mistake: that file is read by `libkmsp11`.
//! docs/configuration.md describes the rules to users.

use super::arn;
use super::arn::Arn;
use super::legacy_file::find;
use super::{libkmsp11, locations};
use crate::certificate::Certificate;
use crate::cloud::aws::{CertificateService, is_certificate_arn};
use crate::cloud::{CertificateName, KeyName, aws, azure};
use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::json;
use crate::config::json::{Data, Dialect, Value};
use crate::config::model::{CertificateSource, Key, Keys, Service, Slot};
use crate::config::notes::PendingMessages;
use crate::config::options::{Cloud, is_key_name};
use crate::config::quirks::{Quirks, SlotIdentity};
use crate::error::Result;
use crate::host::logging::Level;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads the files and variables that exist. If there are none, returns a configuration without slots.
///
/// # Errors
/// CKR_GENERAL_ERROR if `AWS_KMS_PKCS11_CONFIG` or `KMS_PKCS11_CONFIG` names a file that does not exist or can't be
/// accessed, or if the latter contains a mistake.
pub fn read(environment: &Environment, notes: &mut PendingMessages) -> Result<Config> {
    let aws_file = find(environment.file_from_variable("AWS_KMS_PKCS11_CONFIG")?, "aws-kms-pkcs11", environment, notes);
    let azure_file = find(None, "azure-keyvault-pkcs11", environment, notes);
    let google_file = environment.file_from_variable(libkmsp11::VARIABLE)?;
    let has_file = aws_file.is_some() || azure_file.is_some() || google_file.is_some();
    let mut config = Config { log_level: debug_level(environment), ..Config::default() };
    // Many machines set AWS_REGION for other reasons. It adds no slots beside a file of another module.
    let uses_aws = azure_file.is_none()
        && google_file.is_none()
        && AWS_VARIABLES.iter().any(|name| environment.text(name).is_some());
    for (cloud, file, meant, load) in [
        (Cloud::Aws, aws_file, uses_aws, aws_slots as fn(&LegacyFile, &mut PendingMessages) -> LegacySlots),
        (Cloud::Azure, azure_file, environment.text("AZURE_KEYVAULT_URL").is_some(), azure_slots),
    ] {
        if file.is_none() && !meant {
            continue;
        }
        if let Some(note) = unsupported(cloud, file.as_ref().map(|(path, _)| path.as_path()), environment) {
            notes.push(note);
            continue;
        }
        // Parsed a second time, after the check in `load`, because the values borrow the text.
        let value = |text| json::parse(text, Dialect::Lenient).ok().map(|document| document.value);
        let file = file.as_ref().and_then(|(path, text)| Some((path.as_path(), value(text)?)));
        let loaded = load(&LegacyFile { file, environment }, notes);
        match loaded.slots.is_empty() {
            true => config.legacy_services.extend(loaded.listed),
            false => config.slots.extend(loaded.slots),
        }
    }
    if let Some(path) = google_file {
        let google = libkmsp11::read(&path, environment, notes)?;
        config.slots.extend(google.slots.iter());
        (config.log_file, config.log_level) = (google.log_file, config.log_level.or(google.log_level));
    }
    if !has_file {
        locations::log_no_file_found(&config, environment, notes);
    }
    Ok(config)
}

/// Returns the message that this build has no support for the cloud of a file, or of the variables if there is none.
fn unsupported(cloud: Cloud, file: Option<&Path>, environment: &Environment) -> Option<(Level, String)> {
    // The variables may be set for other programs.
    let (level, object, place) = match file {
        Some(path) => (Level::Error, "the file", path.display().to_string()),
        None => (Level::Info, "the variables", format!("the environment variables for {}", cloud.name())),
    };
    let message = environment.unsupported_message(&[cloud], object)?;
    Some((level, format!("{place}: ignored: {message}")))
}

/// Returns the files of the old modules that exist, each with the cloud of its module, in the order of their slots.
///
/// # Errors
/// As [`read`].
pub fn files(environment: &Environment, notes: &mut PendingMessages) -> Result<Vec<(Cloud, PathBuf)>> {
    let aws_file = find(environment.file_from_variable("AWS_KMS_PKCS11_CONFIG")?, "aws-kms-pkcs11", environment, notes);
    let azure_file = find(None, "azure-keyvault-pkcs11", environment, notes);
    let google_file = environment.file_from_variable(libkmsp11::VARIABLE)?;
    let files = [
        (Cloud::Aws, aws_file.map(|(path, _)| path)),
        (Cloud::Azure, azure_file.map(|(path, _)| path)),
        (Cloud::Google, google_file),
    ];
    Ok(files.into_iter().filter_map(|(cloud, path)| Some((cloud, path?))).collect())
}

/// Reads `bytes`, the contents of `path`, as the file of azure-keyvault-pkcs11 or aws-kms-pkcs11, without looking for other
/// files.
pub fn read_text(
    bytes: &[u8],
    path: &Path,
    cloud: Cloud,
    environment: &Environment,
    notes: &mut PendingMessages,
) -> Config {
    let text = json::decode(bytes, Dialect::Lenient).unwrap_or_default();
    let file = super::legacy_file::parse_logged(path, &text, notes).map(|value| (path, value));
    let load = if cloud == Cloud::Azure { azure_slots } else { aws_slots };
    let loaded = load(&LegacyFile { file, environment }, notes);
    let listed = loaded.listed.into_iter().filter(|_| loaded.slots.is_empty()).collect();
    Config { slots: loaded.slots.into_iter().collect(), legacy_services: listed, ..Config::default() }
}

/// The contents of the file of one of the two modules: its slots, and the service whose keys are listed if there
/// are none.
struct LegacySlots {
    slots: Vec<Slot>,
    listed: Option<Service>,
}

/// The file of one of the two modules, if there is one, and the environment.
struct LegacyFile<'a> {
    file: Option<(&'a Path, Value<'a>)>,
    environment: &'a Environment<'a>,
}

fn aws_slots(reader: &LegacyFile, notes: &mut PendingMessages) -> LegacySlots {
    let default = reader.top().and_then(|top| text(top, "aws_region"));
    let slot =
        |item: &SlotObject, notes: &mut PendingMessages| aws_slot(item, default.as_deref(), reader.environment, notes);
    let slots = reader.slots(notes, slot);
    let listed = slots.is_empty().then(|| {
        let region = default.clone().or_else(|| region_from_environment(reader.environment, notes));
        Service::Aws(aws::Settings { region, ..aws::Settings::default() })
    });
    LegacySlots { slots, listed }
}

fn aws_slot(item: &SlotObject, region: Option<&str>, environment: &Environment, notes: &mut PendingMessages) -> Slot {
    let mut id = item.text("kms_key_id").unwrap_or_default();
    let mut label = item.text("label").unwrap_or_else(|| id.clone());
    let mut region = item.text("aws_region").or(region.map(str::to_owned));
    let of_arn = Arn::parse(&id).map(|arn| arn.region.to_owned());
    if let (Some(given), Some(own)) = (&region, &of_arn)
        && given != own
    {
        notes.push(item.warning(format!(
            "aws_region is {given}, but the key's ARN names the region {own}; correct one of the two"
        )));
    }
    region = region.or(of_arn);
    if let Some(arn) = item.text("kms_key_arn") {
        id = arn::after_slash(&arn).to_owned();
        label = id.clone();
        region = arn.split(':').nth(3).filter(|field| !field.is_empty()).map(str::to_owned).or(region);
    }
    let region = region.or_else(|| region_from_environment(environment, notes));
    let service = Service::Aws(aws::Settings { region, ..aws::Settings::default() });
    item.slot("kms_key_id", id, label, service, notes)
}

fn azure_slots(reader: &LegacyFile, notes: &mut PendingMessages) -> LegacySlots {
    let vault = reader.environment.text("AZURE_KEYVAULT_URL");
    let auth_files = reader.environment.auth_file_candidates();
    let slot = |item: &SlotObject, notes: &mut PendingMessages| azure_slot(item, vault.as_deref(), &auth_files, notes);
    let slots = reader.slots(notes, slot);
    let listed = vault.as_deref().map(|vault| azure_service(vault, &auth_files));
    if let (true, Some(vault)) = (slots.is_empty(), vault.as_deref().filter(|vault| !vault.starts_with(HTTPS))) {
        notes.push((
            Level::Error,
            format!("AZURE_KEYVAULT_URL is {vault:?}, but must start with {HTTPS}; {VAULT_EXAMPLE}"),
        ));
    }
    if let (true, None, Some((path, _))) = (slots.is_empty(), &listed, &reader.file) {
        let text = format!(
            "{}: there are no keys: the file has no slots, and AZURE_KEYVAULT_URL is not set; add slots, or set it",
            path.display()
        );
        notes.push((Level::Warn, text));
    }
    LegacySlots { slots, listed }
}

fn azure_slot(item: &SlotObject, vault: Option<&str>, auth_files: &[PathBuf], notes: &mut PendingMessages) -> Slot {
    let name = item.text("key_name").unwrap_or_default();
    let label = item.text("label").unwrap_or_else(|| name.clone());
    let vault = item.text("vault_url").or(vault.map(str::to_owned)).unwrap_or_default();
    if !vault.starts_with(HTTPS) {
        let what = match vault.is_empty() {
            true => "vault_url is missing".to_owned(),
            false => format!("vault_url is {vault:?}, but must start with {HTTPS}"),
        };
        notes.push(item.error(format!("{what}; {VAULT_EXAMPLE}")));
    }
    if !name.is_empty() && !is_key_name(&name) {
        let rule = "it has 1 to 127 ASCII letters, digits and hyphens";
        notes.push(item.warning(format!("key_name {name:?} is not a valid Key Vault key name: {rule}")));
    }
    item.slot("key_name", name, label, azure_service(&vault, auth_files), notes)
}

fn azure_service(vault: &str, auth_files: &[PathBuf]) -> Service {
    Service::Azure(azure::Settings {
        vault_url: vault.trim_end_matches('/').to_owned(),
        auth_files: auth_files.to_vec(),
        ..azure::Settings::default()
    })
}

/// Returns AWS_DEFAULT_REGION. The C++ SDK read it before AWS_REGION; the Rust SDK does not.
fn region_from_environment(environment: &Environment, notes: &mut PendingMessages) -> Option<String> {
    let first = environment.text("AWS_DEFAULT_REGION")?;
    let second = environment.text("AWS_REGION").filter(|second| *second != first);
    let note = second.map(|second| {
        let text = format!(
            "AWS_DEFAULT_REGION is {first}, but AWS_REGION is {second}; the module uses AWS_DEFAULT_REGION; unset one of the two"
        );
        (Level::Warn, text)
    });
    if let Some(note) = note
        && !notes.contains(&note)
    {
        notes.push(note);
    }
    Some(first)
}

/// Returns the level that the debug variables of the replaced modules set.
fn debug_level(environment: &Environment) -> Option<Level> {
    let names = ["AWS_KMS_PKCS11_DEBUG", "AZURE_KEYVAULT_PKCS11_DEBUG"];
    names.iter().any(|name| environment.text(name).is_some()).then_some(Level::Debug)
}

/// Returns the member of that name if it is a string that is not empty. Any other value counts as absent.
fn text(value: &Value, name: &str) -> Option<String> {
    value.member(name)?.value.text().filter(|text| !text.is_empty()).map(str::to_owned)
}

impl LegacyFile<'_> {
    fn top(&self) -> Option<&Value<'_>> {
        self.file.as_ref().map(|(_, top)| top)
    }

    /// Returns a slot for each object in the array `slots`. Other items of the array get no slot id.
    fn slots(
        &self,
        notes: &mut PendingMessages,
        slot: impl Fn(&SlotObject, &mut PendingMessages) -> Slot,
    ) -> Vec<Slot> {
        let Some((path, top)) = &self.file else { return Vec::new() };
        let items: &[Value] = match top.member("slots").map(|member| &member.value.data) {
            Some(Data::Array(items)) => items,
            _ => &[],
        };
        let objects = items.iter().enumerate().filter(|(_, item)| matches!(item.data, Data::Object(_)));
        objects.map(|(index, value)| slot(&SlotObject { path, index, value }, notes)).collect()
    }
}

/// An object in the array `slots`.
struct SlotObject<'a> {
    path: &'a Path,
    /// The position of the object in the array.
    index: usize,
    value: &'a Value<'a>,
}

impl SlotObject<'_> {
    fn text(&self, name: &str) -> Option<String> {
        text(self.value, name)
    }

    /// Returns a slot with a single key. If the name of the key is missing, returns a slot without keys rather
    /// than none, because slot ids are positions.
    fn slot(&self, option: &str, id: String, label: String, service: Service, notes: &mut PendingMessages) -> Slot {
        let keys = match id.is_empty() {
            true => {
                notes.push(self.error(format!("{option} is missing, so the token is empty; add the name of the key")));
                Vec::new()
            }
            false => vec![Key {
                name: KeyName { id, version: None },
                label: label.clone(),
                certificate: self.certificate(&service, notes),
            }],
        };
        Slot {
            label,
            service: Arc::new(service),
            keys: Keys::Named(keys),
            hide_keys: Vec::new(),
            quirks: Quirks { accept_bare_digest: true, identity: SlotIdentity::SerialZero, ..Quirks::default() },
            management: None,
        }
    }

    fn certificate(&self, service: &Service, notes: &mut PendingMessages) -> CertificateSource {
        if matches!(service, Service::Aws(_))
            && let Some(name) = self.certificate_name(notes)
        {
            return CertificateSource::Named(name);
        }
        if let Some(path) = self.text("certificate_path") {
            return CertificateSource::File(PathBuf::from(path));
        }
        match self.text("certificate").map(|text| Certificate::parse_all(text.as_bytes())) {
            None => CertificateSource::Service,
            Some(Ok((chain, _))) => CertificateSource::Inline(chain),
            Some(Err(error)) => {
                notes.push(self.error(format!("certificate is ignored: {}", error.0)));
                CertificateSource::Service
            }
        }
    }

    /// Returns the certificate of `certificate_arn`. The replaced module asked AWS Private CA only. This module asks
    /// AWS Certificate Manager if the ARN is one of that service.
    fn certificate_name(&self, notes: &mut PendingMessages) -> Option<CertificateName> {
        let (id, authority) = (self.text("certificate_arn"), self.text("ca_arn"));
        if id.is_none() && authority.is_some() {
            notes
                .push(self.warning("ca_arn is ignored, because there is no certificate_arn; add it, or remove ca_arn"));
        }
        let id = id?;
        let is_of = |service| is_certificate_arn(&id, service);
        if is_of(CertificateService::Acm) {
            return Some(arn::certificate_name(id, None));
        }
        if is_of(CertificateService::PrivateCa) {
            return Some(arn::certificate_name(id, authority));
        }
        let expected = "arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID/certificate/ID";
        notes.push(
            self.error(format!("certificate_arn is ignored: it is not the ARN of a certificate; expected {expected}")),
        );
        None
    }

    fn warning(&self, text: impl std::fmt::Display) -> (Level, String) {
        (Level::Warn, self.located_message(text))
    }

    fn error(&self, text: impl std::fmt::Display) -> (Level, String) {
        (Level::Error, self.located_message(text))
    }

    fn located_message(&self, text: impl std::fmt::Display) -> String {
        let label = self.text("label").map(|label| format!(" ({label:?})")).unwrap_or_default();
        format!("{}:{}: slots[{}]{label}: {text}", self.path.display(), self.value.line, self.index)
    }
}

/// The required start of a vault's URL: access tokens are sent to the vault.
const HTTPS: &str = "https://";
/// What to write where the URL of a vault is wrong.
const VAULT_EXAMPLE: &str = "write https://NAME.vault.azure.net";
/// Variables that each select AWS KMS if there is no file.
const AWS_VARIABLES: &[&str] = &["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"];
