//! The reader of the module's own configuration file.
//!
//! The first mistake in the file is an error with the file, the line and the option.
//!
//! [`Section`] checks names and kinds of values. This file checks what depends on more than one option, together
//! with `service`, `login` and `management`.

use super::arn;
use super::arn::Arn;
use super::inspection::Inspection;
use super::section::{File, Section, contradiction, file_error, json_error};
use super::service::{ServiceHints, service, warn_of_endpoints};
use super::{management, quirks};
use crate::audit::AuditTrail;
use crate::certificate::Certificate;
use crate::cloud::aws::{CertificateService, is_certificate_arn};
use crate::cloud::{CertificateName, KeyName, google};
use crate::config::configuration::Config;
use crate::config::environment::Environment;
use crate::config::json;
use crate::config::json::{Data, Dialect, Member};
use crate::config::model::{CertificateSource, Key, Keys, Service, Slot};
use crate::config::notes::PendingMessages;
use crate::config::options::Scope;
use crate::config::slots::Slots;
use crate::error::Result;
use crate::host::logging::Level;
use crate::host::permissions::FileWithMetadata;
use crate::metrics::MetricsFile;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads the file at `path`. If there is an inspection, it collects the mistakes of slots.
///
/// # Errors
/// CKR_GENERAL_ERROR if the file can't be read, is writable by other users, or contains a mistake.
pub fn read(
    path: &Path,
    environment: &Environment,
    inspection: Option<&Inspection>,
    notes: &mut PendingMessages,
) -> Result<Config> {
    let file = FileWithMetadata::read(path).map_err(|error| {
        file_error(path, format_args!(" can't be read: {error}; it must be a file that this user can read"))
    })?;
    if let Some(what) = file.writable_by_others() {
        return Err(file_error(path, format_args!(" refused, because it decides what the module trusts: {what}")));
    }
    let config = parse(&file.bytes, path, environment, inspection, notes)?;
    let secret =
        || file.readable_by_others().filter(|_| config.slots.services().any(|service| service.contains_secret()));
    for what in [file.replaceable_by_others(), secret().map(|what| format!("the file contains a secret, and {what}"))] {
        notes.extend(what.map(|what| (Level::Warn, format!("{}: {what}", path.display()))));
    }
    let noun = if config.slots.len() == 1 { "slot" } else { "slots" };
    notes.push((Level::Info, format!("{}: loaded {} {noun}", path.display(), config.slots.len())));
    Ok(config)
}

/// Parses the contents of the file at `path`. If there is an inspection, it collects the mistakes of slots.
///
/// # Errors
/// CKR_GENERAL_ERROR for the first mistake.
pub fn parse(
    bytes: &[u8],
    path: &Path,
    environment: &Environment,
    inspection: Option<&Inspection>,
    notes: &mut PendingMessages,
) -> Result<Config> {
    let text = json::decode(bytes, Dialect::Strict).map_err(|fault| json_error(path, &fault))?;
    let document = json::parse_deferring(&text, &[SLOTS, KEYS]).map_err(|fault| json_error(path, &fault))?;
    let file = File { path, environment, auth_files: environment.auth_file_candidates(), inspection };
    let top = Section::top(&file, &document.value)?;
    let destination = top.text("log_destination");
    if destination.as_deref() == Some("file") && top.own_member("log_file").is_none() {
        return Err(top.error("log_destination", "is \"file\", but there is no \"log_file\"; add it"));
    }
    let (mut slots, mut services) = (Slots::default(), ServiceCache(None));
    top.for_each(SLOTS, Scope::Slot, |section| add_slot(&mut slots, section, &mut services, notes))?;
    let config = Config {
        slots,
        legacy_services: Vec::new(),
        log_level: top.text("log_level").and_then(|name| Level::from_name(&name)),
        log_file: if destination.as_deref() == Some("stderr") { None } else { top.path("log_file")? },
        log_to_syslog: destination.as_deref() == Some("syslog"),
        cache_directory: cache(&top)?,
        metrics_file: top.path("metrics_file")?.map(|file| MetricsFile::new(&file)),
        audit: audit(&top)?,
    };
    // Slots with a mistake are left out, so the positions of the others are not those of the file.
    if inspection.is_none_or(|inspection| !inspection.has_mistakes()) {
        note_labels(&config.slots, path, notes);
    }
    Ok(config)
}

/// Returns the directory of the public-key cache, or `None` if the cache is disabled or there is no directory for
/// it.
fn cache(top: &Section) -> Result<Option<PathBuf>> {
    match (top.flag("cache"), top.path("cache_folder")?) {
        (Some(false), Some(_)) => {
            Err(top.error("cache_folder", "can't be combined with \"cache\": false; remove one of the two"))
        }
        (Some(false), None) => Ok(None),
        (_, Some(folder)) => Ok(Some(folder)),
        (_, None) => Ok(top.file.environment.cache_directory()),
    }
}

fn audit(top: &Section) -> Result<Option<AuditTrail>> {
    let is_required = top.flag("audit_required") == Some(true);
    match top.path("audit_file")? {
        None if is_required => Err(top.error("audit_required", "needs an \"audit_file\"; add it")),
        file => Ok(file.map(|file| AuditTrail { file, is_required })),
    }
}

fn add_slot(
    slots: &mut Slots,
    section: &Section,
    services: &mut ServiceCache,
    notes: &mut PendingMessages,
) -> Result<()> {
    let choice = key_option(section, &KEY_OPTIONS)?;
    if [KEYS, "discover"].contains(&choice) || section.has_any(FULL_SLOT_OPTIONS) {
        let slot = slot(section, choice, services, notes)?;
        slots.push(slot);
        return Ok(());
    }
    let id = id(section, choice)?;
    let label = section.str_option("label").unwrap_or_else(|| default_label(id, choice));
    note_length(section, label, notes);
    let service = services.of(section, choice, None, notes)?;
    slots.push_compact(id, label, service, quirks::of(section));
    Ok(())
}

fn slot(
    section: &Section,
    choice: &'static str,
    services: &mut ServiceCache,
    notes: &mut PendingMessages,
) -> Result<Slot> {
    let (hints, keys) = match choice {
        "discover" => (None, Keys::Discovered),
        KEYS => {
            let (hints, keys) = listed_keys(section)?;
            (Some(hints), Keys::Named(keys))
        }
        _ => (None, Keys::Named(vec![key(section, choice)?])),
    };
    let label = match &keys {
        Keys::Named(keys) if choice != KEYS => keys.iter().map(|key| key.label.clone()).collect(),
        _ => multi_key_label(section, choice)?,
    };
    note_length(section, &label, notes);
    Ok(Slot {
        management: management::read(section, &label, choice == "discover")?,
        label,
        service: services.of(section, choice, hints, notes)?,
        keys,
        hide_keys: quirks::hidden_key_kinds(section, choice == "discover"),
        quirks: quirks::of(section),
    })
}

fn note_length(section: &Section, label: &str, notes: &mut PendingMessages) {
    if label.len() > LABEL_LENGTH {
        let text =
            format!("{label:?} is longer than 32 bytes, so programs see only its beginning; set a shorter \"label\"");
        notes.push((Level::Warn, section.located_message("label", text)));
    }
}

/// Returns the only one of `names` that the section has. An option with the value `false` counts as absent.
fn key_option(section: &Section, names: &[&'static str]) -> Result<&'static str> {
    let off = |member: &Member| matches!(member.value.data, Data::Bool(false));
    let has = |name: &&'static str| section.own_member(name).is_some_and(|member| !off(member));
    let mut given = names.iter().copied().filter(has);
    match (given.next(), given.next()) {
        (Some(one), None) => {
            section.note_own(one);
            Ok(one)
        }
        (None, _) => Err(section.error("", format!("no key is named; add one of {}", quoted(names)))),
        (Some(first), Some(second)) => Err(section.error(second, contradiction(first))),
    }
}

fn multi_key_label(section: &Section, choice: &str) -> Result<String> {
    for stray in [&CERTIFICATE_OPTIONS[..], &["key_version"]].concat() {
        if section.own_member(stray).is_some() {
            let text = format!("is an option for a slot with one key, but this slot has \"{choice}\"; remove it");
            return Err(section.error(stray, text));
        }
    }
    let missing = || format!("missing option \"label\", which \"{choice}\" needs; add a name for the token");
    section.text("label").ok_or_else(|| section.error("", missing()))
}

/// Returns the keys of a list, and what they determine about the service.
fn listed_keys(section: &Section) -> Result<(ServiceHints, Vec<Key>)> {
    let (mut hints, mut keys) = (ServiceHints::of_slot(section)?, Vec::new());
    section.for_each(KEYS, Scope::Key, |section| {
        let choice = key_option(section, &LISTED_KEY_OPTIONS)?;
        keys.push(key(section, choice)?);
        hints.add_cloud_options(section)?;
        hints.add_arn(section)
    })?;
    Ok((hints, keys))
}

/// Returns the key that the option `choice` of a section names.
fn key(section: &Section, choice: &str) -> Result<Key> {
    let id = id(section, choice)?;
    Ok(Key {
        label: section.str_option("label").unwrap_or_else(|| default_label(id, choice)).to_owned(),
        name: KeyName { id: id.to_owned(), version: version(section, choice)? },
        certificate: certificate(section)?,
    })
}

fn version(section: &Section, choice: &str) -> Result<Option<String>> {
    let version = section.text("key_version");
    let is_number = |version: &String| version.bytes().all(|byte| byte.is_ascii_digit());
    match choice {
        "transit_key" if !version.iter().all(is_number) => Err(section.error("key_version", NOT_A_TRANSIT_VERSION)),
        "google_key" if version.is_some() => Err(section.error("key_version", VERSION_IN_NAME)),
        _ => Ok(version),
    }
}

/// Returns the label of a key without the option `label`.
fn default_label<'a>(id: &'a str, choice: &str) -> &'a str {
    if choice == "google_key" { google::crypto_key_id(id) } else { id }
}

/// Returns the id of the key, as the service expects it.
fn id<'a>(section: &'a Section, choice: &str) -> Result<&'a str> {
    let id = section.str_option(choice).unwrap_or_default();
    if choice == "google_key" {
        return Ok(google::relative_name(id));
    }
    if choice == "kms_key_arn" {
        return match Arn::parse(id) {
            Some(arn) if arn.resource.starts_with("key/") => Ok(arn::after_slash(arn.resource)),
            _ => Err(section.error(choice, NOT_A_KEY_ARN)),
        };
    }
    if choice == "kms_key_id" && id.starts_with("arn:") && Arn::parse(id).is_none() {
        return Err(section.error(choice, NOT_A_KMS_ARN));
    }
    Ok(id)
}

fn certificate(section: &Section) -> Result<CertificateSource> {
    for (index, one) in CERTIFICATE_OPTIONS.iter().enumerate() {
        CERTIFICATE_OPTIONS[index + 1..].iter().try_for_each(|other| section.check_exclusive(one, other))?;
    }
    if let Some(text) = section.text("certificate") {
        let found = Certificate::parse_all(text.as_bytes());
        let (chain, _) = found.map_err(|error| section.error("certificate", error.0))?;
        return Ok(CertificateSource::Inline(chain));
    }
    if let Some(name) = certificate_name(section)? {
        return Ok(CertificateSource::Named(name));
    }
    Ok(section.path("certificate_path")?.map_or(CertificateSource::Service, CertificateSource::File))
}

/// Returns the certificate that an option names by its ARN.
fn certificate_name(section: &Section) -> Result<Option<CertificateName>> {
    for (option, service, expected) in [
        ("acm_certificate_arn", CertificateService::Acm, "arn:aws:acm:REGION:ACCOUNT:certificate/ID"),
        (
            "acm_pca_certificate_arn",
            CertificateService::PrivateCa,
            "arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID/certificate/ID",
        ),
    ] {
        let Some(id) = section.text(option) else { continue };
        if !is_certificate_arn(&id, service) {
            return Err(section.error(option, format!("is not the ARN of such a certificate; expected {expected}")));
        }
        return Ok(Some(arn::certificate_name(id, None)));
    }
    Ok(None)
}

/// The service of the previous slot, and the option that names that slot's key. There may be thousands of slots,
/// and most have the same service as the previous one.
struct ServiceCache(Option<(&'static str, Arc<Service>)>);

impl ServiceCache {
    fn of(
        &mut self,
        section: &Section,
        choice: &'static str,
        hints: Option<ServiceHints>,
        notes: &mut PendingMessages,
    ) -> Result<Arc<Service>> {
        // The comparison with the previous slot ignores the names of keys, but an ARN determines the region. Slots
        // with an ARN or a list of keys are therefore excluded.
        let is_arn = |member: &Member| member.value.text().is_some_and(|text| text.starts_with("arn:"));
        // An inspection notes the values that each slot uses.
        let is_reusable =
            section.file.inspection.is_none() && choice != KEYS && !section.own_member(choice).is_some_and(is_arn);
        if let Some((of_before, service)) = &self.0
            && is_reusable
            && *of_before == choice
            && section.has_same_service_options()
        {
            return Ok(service.clone());
        }
        let hints = match hints {
            Some(hints) => hints,
            None => ServiceHints::of_single_key_slot(section)?,
        };
        let has_failover = hints.has_failover;
        let service = Arc::new(service(section, hints)?);
        // With replicas, the id of each key of KMS is checked.
        let is_reusable = is_reusable && !(has_failover && matches!(*service, Service::Aws(_)));
        warn_of_endpoints(section, &service, notes);
        self.0 = is_reusable.then(|| (choice, service.clone()));
        Ok(service)
    }
}

/// Warns about each slot that has the label of an earlier one: PKCS#11 URIs can't distinguish tokens with the same
/// label.
fn note_labels(slots: &Slots, path: &Path, notes: &mut PendingMessages) {
    let mut first = HashMap::with_capacity(slots.len());
    for (id, label) in slots.labels().enumerate() {
        let earlier = *first.entry(label).or_insert(id);
        if earlier != id {
            let path = path.display();
            let both = format!("{path}: slots[{earlier}] and slots[{id}] both have the label {label:?}");
            notes
                .push((Level::Warn, format!("{both}; programs can't tell them apart by it, so set another \"label\"")));
        }
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

const NOT_A_KEY_ARN: &str = "is not the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID); write a key id, an alias or \
                             an alias ARN in \"kms_key_id\"";
const NOT_A_KMS_ARN: &str = "is not the ARN of a KMS key or alias; expected arn:aws:kms:REGION:ACCOUNT:key/ID or \
                             arn:aws:kms:REGION:ACCOUNT:alias/NAME";

const NOT_A_TRANSIT_VERSION: &str =
    "is not a version of a Transit key, which is a number from 1; `vault read transit/keys/NAME` shows the versions";
const VERSION_IN_NAME: &str = "is not an option for keys of Google Cloud KMS; remove it, and add /cryptoKeyVersions/NUMBER to the name in \
                               \"google_key\"";

/// The options that name the keys of a slot.
pub const KEY_OPTIONS: [&str; 7] =
    ["kms_key_id", "kms_key_arn", "key_name", "transit_key", "google_key", "keys", "discover"];

/// The options that name a key of a list.
pub const LISTED_KEY_OPTIONS: [&str; 4] = ["kms_key_id", "key_name", "transit_key", "google_key"];

/// The options with the certificate of a key.
pub const CERTIFICATE_OPTIONS: [&str; 4] =
    ["certificate", "certificate_path", "acm_certificate_arn", "acm_pca_certificate_arn"];

/// Options that a plain slot does not have: its key has no settings except an id and a label.
const FULL_SLOT_OPTIONS: &[&str] = &[
    "key_version",
    "certificate",
    "certificate_path",
    "acm_certificate_arn",
    "acm_pca_certificate_arn",
    "hide_keys",
    "allow",
    "confirm_destroy",
    "destroy_days",
    "certificate_store",
];

/// The arrays whose items are parsed one by one.
const SLOTS: &str = "slots";
const KEYS: &str = "keys";

/// The length of the label in CK_TOKEN_INFO, in bytes.
const LABEL_LENGTH: usize = 32;
