//! Our own configuration file: the first thing that is wrong in it is an error with file, line and option.
//!
//! Names and kinds of values have been checked by [`Section`]; here is what depends on more than one option.

use super::arn::{self, Arn};
use super::dialect::{self, Data, Dialect, Member};
use super::environment::Environment;
use super::login::{self, Login};
use super::options::{Cloud, Place};
use super::section::{File, Section, error_in, unread};
use super::{CertificateSource, Config, Key, Keys, Notes, Service, Slot, Slots, management, manner};
use crate::backend::azure::Credential;
use crate::backend::{KeyName, Network, aws, azure, is_open_endpoint, shown_url};
use crate::certificate::Certificate;
use crate::error::Result;
use crate::logging::Level;
use crate::permissions::Contents;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Reads the file at `path`.
pub fn read(path: &Path, environment: &Environment, notes: &mut Notes) -> Result<Config> {
    let file = Contents::read(path).map_err(|error| error_in(path, format_args!(" {error}")))?;
    if let Some(what) = file.writable_by_others() {
        return Err(error_in(
            path,
            format_args!(" refused, since it says where requests go and what is trusted: {what}"),
        ));
    }
    let config = parse(&file.bytes, path, environment, notes)?;
    let secret = || file.readable_by_others().filter(|_| config.slots.services().any(|service| service.holds_secret()));
    for what in [file.changeable_by_others(), secret().map(|what| format!("it holds a secret, and {what}"))] {
        notes.extend(what.map(|what| (Level::Warn, format!("{}: {what}", path.display()))));
    }
    notes.push((Level::Info, format!("{}: {} slots", path.display(), config.slots.len())));
    Ok(config)
}

/// Reads the contents of a file that lies at `path`.
pub fn parse(bytes: &[u8], path: &Path, environment: &Environment, notes: &mut Notes) -> Result<Config> {
    let text = dialect::decode(bytes, Dialect::Strict).map_err(|fault| unread(path, &fault))?;
    let document = dialect::parse_without(&text, &[SLOTS, KEYS]).map_err(|fault| unread(path, &fault))?;
    let file = File { path, environment, auth_files: environment.auth_files() };
    let top = Section::top(&file, &document.value)?;
    let destination = top.text("log_destination");
    if destination.as_deref() == Some("file") && top.own("log_file").is_none() {
        return Err(top.fault("log_destination", "is \"file\", and there is no \"log_file\""));
    }
    let (mut slots, mut services) = (Slots::default(), Services(None));
    top.each(SLOTS, Place::Slot, |section| add_slot(&mut slots, section, &mut services, notes))?;
    let config = Config {
        slots,
        listed: Vec::new(),
        log_level: top.text("log_level").and_then(|name| Level::from_name(&name)),
        log_file: top.path("log_file")?.filter(|_| destination.as_deref() != Some("stderr")),
        log_to_syslog: destination.as_deref() == Some("syslog"),
        cache: cache(&top)?,
    };
    note_labels(&config.slots, path, notes);
    Ok(config)
}

/// The cache's folder, unless it is switched off.
fn cache(top: &Section) -> Result<Option<PathBuf>> {
    match (top.flag("cache"), top.path("cache_folder")?) {
        (Some(false), Some(_)) => Err(top.fault("cache_folder", "can't stand beside \"cache\": false")),
        (Some(false), None) => Ok(None),
        (_, Some(folder)) => Ok(Some(folder)),
        (_, None) => Ok(top.file.environment.cache_folder()),
    }
}

fn add_slot(slots: &mut Slots, section: &Section, services: &mut Services, notes: &mut Notes) -> Result<()> {
    let choice = selector(section, &["kms_key_id", "kms_key_arn", "key_name", "keys", "discover"])?;
    if [KEYS, "discover"].contains(&choice) || section.has_any(NOT_PLAIN) {
        let slot = slot(section, choice, services, notes)?;
        slots.push(slot);
        return Ok(());
    }
    let id = id(section, choice)?;
    let label = section.str("label").unwrap_or(id);
    note_length(section, label, notes);
    let service = services.of(section, choice, None, notes)?;
    slots.push_plain(id, label, service, manner::of(section));
    Ok(())
}

fn slot(section: &Section, choice: &'static str, services: &mut Services, notes: &mut Notes) -> Result<Slot> {
    let (told, keys) = match choice {
        "discover" => (None, Keys::Discover),
        KEYS => {
            let (told, keys) = listed_keys(section)?;
            (Some(told), Keys::Named(keys))
        }
        _ => (None, Keys::Named(vec![key(section, choice)?])),
    };
    let label = match &keys {
        Keys::Named(keys) if choice != KEYS => keys.iter().map(|key| key.label.clone()).collect(),
        _ => label_of_many(section, choice)?,
    };
    note_length(section, &label, notes);
    Ok(Slot {
        management: management::read(section, &label, choice == "discover")?,
        label,
        service: services.of(section, choice, told, notes)?,
        keys,
        hide_keys: manner::hidden(section, choice == "discover"),
        manner: manner::of(section),
    })
}

fn note_length(section: &Section, label: &str, notes: &mut Notes) {
    if label.len() > LABEL_LENGTH {
        let text = section.sentence("label", format!("{label:?} is longer than 32 bytes: tokens show it cut"));
        notes.push((Level::Warn, text));
    }
}

/// Which one of `names` the section has.
fn selector(section: &Section, names: &[&'static str]) -> Result<&'static str> {
    let off = |member: &Member| matches!(member.value.data, Data::Bool(false));
    let has = |name: &&'static str| section.own(name).is_some_and(|member| !off(member));
    let mut given = names.iter().copied().filter(has);
    match (given.next(), given.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(section.fault("", format!("missing the key: one of {}", quoted(names)))),
        (Some(first), Some(second)) => Err(section.fault(second, format!("can't stand beside \"{first}\""))),
    }
}

fn label_of_many(section: &Section, choice: &str) -> Result<String> {
    for stray in ["certificate", "certificate_path", "key_version"] {
        if section.own(stray).is_some() {
            return Err(section.fault(stray, format!("belongs to one key, and this slot has \"{choice}\"")));
        }
    }
    section.text("label").ok_or_else(|| section.fault("", format!("missing \"label\", which \"{choice}\" needs")))
}

/// The keys of a list, and what they tell of the service.
fn listed_keys(section: &Section) -> Result<(Told, Vec<Key>)> {
    let (mut told, mut keys) = (Told::by(section)?, Vec::new());
    section.each(KEYS, Place::Key, |section| {
        let choice = selector(section, &["kms_key_id", "key_name"])?;
        keys.push(key(section, choice)?);
        told.cloud(section)?;
        told.region(section)
    })?;
    Ok((told, keys))
}

/// The key that a section names by the option `choice`.
fn key(section: &Section, choice: &str) -> Result<Key> {
    let id = id(section, choice)?;
    Ok(Key {
        label: section.str("label").unwrap_or(id).to_owned(),
        name: KeyName { id: id.to_owned(), version: section.text("key_version") },
        certificate: certificate(section)?,
    })
}

/// The key's id, as the service takes it.
fn id<'a>(section: &'a Section, choice: &str) -> Result<&'a str> {
    let id = section.str(choice).unwrap_or_default();
    if choice == "kms_key_arn" {
        return match Arn::parse(id) {
            Some(arn) if arn.resource.starts_with("key/") => Ok(arn::after_slash(arn.resource)),
            _ => Err(section.fault(choice, "is no ARN of a KMS key; other names of keys go into \"kms_key_id\"")),
        };
    }
    if choice == "kms_key_id" && id.starts_with("arn:") && Arn::parse(id).is_none() {
        return Err(section.fault(choice, "is no ARN of a KMS key or alias"));
    }
    Ok(id)
}

fn certificate(section: &Section) -> Result<CertificateSource> {
    section.not_both("certificate", "certificate_path")?;
    if let Some(text) = section.text("certificate") {
        let found = Certificate::all_in(text.as_bytes());
        let (chain, _) = found.map_err(|error| section.fault("certificate", error.0))?;
        return Ok(CertificateSource::Inline(chain));
    }
    Ok(section.path("certificate_path")?.map_or(CertificateSource::Service, CertificateSource::File))
}

/// The service of the slot before: the next one has the same most of the time, and there may be thousands.
struct Services(Option<(&'static str, Arc<Service>)>);

impl Services {
    fn of(
        &mut self,
        section: &Section,
        choice: &'static str,
        told: Option<Told>,
        notes: &mut Notes,
    ) -> Result<Arc<Service>> {
        // What the names of keys tell of the service, as ARNs do, is not looked at here.
        let is_arn = |member: &Member| member.value.text().is_some_and(|text| text.starts_with("arn:"));
        let is_told = choice != KEYS && !section.own(choice).is_some_and(is_arn);
        if let Some((of_before, service)) = &self.0
            && is_told
            && *of_before == choice
            && section.has_service_of_before()
        {
            return Ok(service.clone());
        }
        let told = match told {
            Some(told) => told,
            None => Told::by_one(section)?,
        };
        let service = Arc::new(service(section, told)?);
        note_open_endpoint(section, notes);
        self.0 = is_told.then(|| (choice, service.clone()));
        Ok(service)
    }
}

fn service(section: &Section, told: Told) -> Result<Service> {
    Ok(match told.cloud_or_default(section)? {
        Cloud::Aws => Service::Aws(aws_settings(section, told.common_region())?),
        Cloud::Azure => Service::Azure(azure_settings(section)?),
    })
}

/// What a slot's own options, and its keys' names and ARNs, tell of its service.
struct Told {
    /// The cloud, and why.
    cloud: Option<(Cloud, String)>,
    /// `aws_region`, which no ARN may contradict.
    given: Option<String>,
    /// The regions of the keys, where it is not that of the key before.
    regions: Vec<Option<String>>,
}

impl Told {
    /// By the slot's own options.
    fn by(section: &Section) -> Result<Self> {
        let said =
            section.str("cloud").and_then(|name| [Cloud::Aws, Cloud::Azure].into_iter().find(|c| c.name() == name));
        let cloud = said.map(|cloud| (cloud, format!("\"cloud\" is \"{}\"", cloud.name())));
        let mut told = Self { cloud, given: section.text("aws_region"), regions: Vec::new() };
        told.cloud(section)?;
        Ok(told)
    }

    /// By those of a slot that is its own key.
    fn by_one(section: &Section) -> Result<Self> {
        let mut told = Self::by(section)?;
        told.region(section)?;
        Ok(told)
    }

    /// Heeds the options of a section that are about one cloud.
    fn cloud(&mut self, section: &Section) -> Result<()> {
        for (name, cloud) in section.clouds() {
            match &self.cloud {
                Some((other, why)) if *other != cloud => {
                    return Err(section.fault(name, format!("is an option for {}, but {why}", cloud.name())));
                }
                Some(_) => {}
                None => self.cloud = Some((cloud, format!("\"{name}\" is one for {}", cloud.name()))),
            }
        }
        Ok(())
    }

    /// Heeds the ARN of a key.
    fn region(&mut self, holder: &Section) -> Result<()> {
        let name = if holder.own("kms_key_arn").is_some() { "kms_key_arn" } else { "kms_key_id" };
        let region = Arn::parse(holder.str(name).unwrap_or_default()).map(|arn| arn.region);
        if let (Some(given), Some(region)) = (self.given.as_deref(), region)
            && given != region
        {
            return Err(holder.fault(name, format!("the ARN is of region {region:?}, but \"aws_region\" is {given:?}")));
        }
        if self.regions.last().is_none_or(|last| last.as_deref() != region) {
            self.regions.push(region.map(str::to_owned));
        }
        Ok(())
    }

    /// The cloud that was told, else the file's.
    fn cloud_or_default(&self, section: &Section) -> Result<Cloud> {
        let top: Vec<Cloud> =
            section.defaults.map(|top| top.clouds().map(|(_, cloud)| cloud).collect()).unwrap_or_default();
        match (&self.cloud, top.first()) {
            (Some((cloud, _)), _) => Ok(*cloud),
            (None, Some(cloud)) if top.iter().all(|other| other == cloud) => Ok(*cloud),
            _ => Err(section.fault("", "missing \"cloud\": nothing else tells whether this is \"aws\" or \"azure\"")),
        }
    }

    /// `aws_region`; without it, the one region that the ARNs of all keys name.
    fn common_region(mut self) -> Option<String> {
        let common = if self.regions.len() == 1 { self.regions.pop().flatten() } else { None };
        self.given.or(common)
    }
}

fn aws_settings(section: &Section, region: Option<String>) -> Result<aws::Settings> {
    let login = login::of(section, Cloud::Aws)?;
    Ok(aws::Settings {
        region,
        profile: section.text("aws_profile").filter(|_| login.is_none()),
        role_arn: section.text("aws_role_arn"),
        external_id: section.text("aws_external_id"),
        login: login.and_then(Login::aws),
        endpoint_url: section.text("aws_endpoint_url"),
        use_fips_endpoint: variant(section, "aws_use_fips_endpoint")?,
        use_dualstack_endpoint: variant(section, "aws_use_dualstack_endpoint")?,
        network: network(section)?,
    })
}

/// One of the region's other endpoints: not beside an endpoint that is named. What the slot says hides the file's.
fn variant(section: &Section, name: &str) -> Result<Option<bool>> {
    let wanted = section.flag(name);
    if wanted == Some(true) && section.text("aws_endpoint_url").is_some() {
        return Err(section.fault(name, "can't be true beside \"aws_endpoint_url\": name that endpoint there"));
    }
    Ok(wanted)
}

fn azure_settings(section: &Section) -> Result<azure::Settings> {
    let login = login::of(section, Cloud::Azure)?;
    section.not_both("azure_client_secret", "azure_client_secret_file")?;
    let vault = section.text("vault_url").ok_or_else(|| section.fault("", "missing \"vault_url\""))?;
    // The slot's credential hides those of the file, whichever option each of them uses.
    let own = APPLICATIONS.iter().any(|name| section.own(name).is_some());
    let is_hidden = |name: &str| own && section.own(name).is_none();
    let path = |name: &str| section.path(name).map(|path| path.filter(|_| !is_hidden(name)));
    let secret = section.text("azure_client_secret").filter(|_| !is_hidden("azure_client_secret"));
    let auth_file = path("azure_auth_file")?;
    let settings = azure::Settings {
        vault_url: vault.trim_end_matches('/').to_owned(),
        credential: credential(section),
        tenant_id: section.text("azure_tenant_id"),
        client_id: section.text("azure_client_id"),
        client_secret: secret.map(Into::into),
        client_secret_file: path("azure_client_secret_file")?,
        client_certificate_path: path("azure_client_certificate_path")?,
        client_certificate_password_file: section.path("azure_client_certificate_password_file")?,
        federated_token_file: path("azure_federated_token_file")?,
        // Whoever names one means no other.
        auth_files: if auth_file.is_some() { Vec::new() } else { section.file.auth_files.clone() },
        auth_file,
        authority_host: section.text("azure_authority_host"),
        rsnull: section.flag("rsnull").unwrap_or(false),
        skip_challenge_check: section.flag("verify_challenge_resource") == Some(false),
        network: network(section)?,
    };
    Ok(match login {
        Some(_) => login::alone(settings),
        None => settings,
    })
}

/// The options that tell how an application shows who it is.
const APPLICATIONS: [&str; 5] = [
    "azure_client_secret",
    "azure_client_secret_file",
    "azure_client_certificate_path",
    "azure_federated_token_file",
    "azure_auth_file",
];

fn credential(section: &Section) -> Credential {
    let name = section.text("azure_credential").unwrap_or_default();
    CREDENTIALS.iter().find(|row| row.0 == name).map_or(Credential::Default, |row| row.1)
}

fn network(section: &Section) -> Result<Network> {
    let default = Network::default();
    let milliseconds = |name: &str| section.number(name).map(|number| Duration::from_millis(number.into()));
    let call_timeout = milliseconds("call_timeout_ms").unwrap_or(default.call_timeout);
    let connect_timeout = milliseconds("connect_timeout_ms").unwrap_or(default.connect_timeout.min(call_timeout));
    if connect_timeout > call_timeout {
        let message =
            format!("is {}, more than \"call_timeout_ms\", {}", connect_timeout.as_millis(), call_timeout.as_millis());
        return Err(section.fault("connect_timeout_ms", message));
    }
    Ok(Network {
        ca_bundle: section.path("ca_bundle")?,
        proxy: section.text("proxy").map(Into::into),
        connect_timeout,
        call_timeout,
        retries: section.number("retries").unwrap_or(default.retries),
        ..default
    })
}

/// What goes to another machine without TLS can be read and changed on its way.
fn note_open_endpoint(section: &Section, notes: &mut Notes) {
    let Some(url) = section.str("aws_endpoint_url").filter(|url| is_open_endpoint(url)) else { return };
    let url = shown_url(url);
    let text = format!("{url}: requests go to another machine unencrypted, where others can read them: use https://");
    let note = (Level::Warn, section.sentence("aws_endpoint_url", text));
    if !notes.contains(&note) {
        notes.push(note);
    }
}

/// PKCS#11 URIs can't tell tokens of one label apart.
fn note_labels(slots: &Slots, path: &Path, notes: &mut Notes) {
    let mut first = HashMap::with_capacity(slots.len());
    for (id, label) in slots.labels().enumerate() {
        let earlier = *first.entry(label).or_insert(id);
        if earlier != id {
            let text = format!("{}: slots[{earlier}] and slots[{id}] both have the label {label:?}", path.display());
            notes.push((Level::Warn, text));
        }
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// What a slot must not have for its key to have nothing but its names.
const NOT_PLAIN: &[&str] = &[
    "key_version",
    "certificate",
    "certificate_path",
    "hide_keys",
    "allow",
    "confirm_destroy",
    "destroy_days",
    "certificate_store",
];

/// The lists, each item of which is read when its turn comes.
const SLOTS: &str = "slots";
const KEYS: &str = "keys";

/// As long as CK_TOKEN_INFO has it.
const LABEL_LENGTH: usize = 32;

#[rustfmt::skip]
const CREDENTIALS: &[(&str, Credential)] = &[
    ("default", Credential::Default),
    ("environment", Credential::Environment),
    ("workload_identity", Credential::WorkloadIdentity),
    ("auth_file", Credential::AuthFile),
    ("cli", Credential::Cli),
    ("managed_identity", Credential::ManagedIdentity),
];
