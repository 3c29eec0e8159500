//! Tests of the configuration, with an example for each rule.
//!
//! A [`TestEnvironment`] is a directory with files, a set of environment variables, and the clouds of the build: usually
//! all of them, whatever the features of the test are.

use crate::audit::AuditTrail;
use crate::cloud::{CertificateName, KeyName, aws, azure};
use crate::config::*;
use crate::metrics::MetricsFile;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

mod clouds;
mod documents;
mod json;
mod legacy;
mod libkmsp11;
mod locations;
mod login;
mod management;
mod mistakes;
mod monitoring;
mod strict;
mod tool;

const OWN: &str = "etc/cloud-kms-pkcs11/config.json";
const AWS: &str = "etc/aws-kms-pkcs11/config.json";
const AZURE: &str = "etc/azure-keyvault-pkcs11/config.json";
const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const VAULT: &str = r#""vault_url": "https://v.vault.azure.net""#;
const UUID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// A loaded configuration, with every [`Slot`] built.
#[derive(Clone, Debug, Default, PartialEq)]
struct Config {
    slots: Vec<Slot>,
    listed: Vec<Service>,
    log_level: Option<Level>,
    log_file: Option<PathBuf>,
    log_to_syslog: bool,
    cache: Option<PathBuf>,
    metrics_file: Option<MetricsFile>,
    audit: Option<AuditTrail>,
}

impl From<super::configuration::Config> for Config {
    fn from(config: super::configuration::Config) -> Self {
        let super::configuration::Config {
            slots,
            legacy_services: listed,
            log_level,
            log_file,
            log_to_syslog,
            cache_directory: cache,
            metrics_file,
            audit,
        } = config;
        Self { slots: slots.iter().collect(), listed, log_level, log_file, log_to_syslog, cache, metrics_file, audit }
    }
}

struct TestEnvironment {
    root: tempfile::TempDir,
    variables: HashMap<String, OsString>,
    notes: PendingMessages,
    clouds: Vec<Cloud>,
}

impl TestEnvironment {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            variables: HashMap::new(),
            notes: PendingMessages::new(),
            clouds: Cloud::ALL.to_vec(),
        }
    }

    fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Sets the permissions of a file or directory.
    fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Sets an environment variable. ROOT in `value` is replaced by the path of the directory.
    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.replace("ROOT", self.root.path().to_str().unwrap()).into());
        self
    }

    /// Calls `task` with the environment.
    fn with<T>(&self, task: impl FnOnce(&Environment) -> T) -> T {
        let variable = |name: &str| self.variables.get(name).cloned();
        task(&Environment { variable: &variable, root: self.root.path(), clouds: &self.clouds })
    }

    fn read(&mut self) -> Result<Config, String> {
        let variable = |name: &str| self.variables.get(name).cloned();
        let environment = Environment { variable: &variable, root: self.root.path(), clouds: &self.clouds };
        self.notes.clear();
        read(&environment, &mut self.notes).map(Into::into).map_err(|error| {
            assert_eq!(error.rv, cryptoki_sys::CKR_GENERAL_ERROR);
            self.hide_root(&error.message)
        })
    }

    fn config(&mut self) -> Config {
        self.read().unwrap()
    }

    fn notes(&self, level: Level) -> String {
        let notes: Vec<_> =
            self.notes.iter().filter(|note| note.0 == level).map(|note| self.hide_root(&note.1)).collect();
        notes.join("\n")
    }

    fn hide_root(&self, text: &str) -> String {
        text.replace(self.root.path().to_str().unwrap(), "")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

fn own(text: &str) -> TestEnvironment {
    TestEnvironment::new().file(OWN, text)
}

/// Creates the module's own file with a single slot that has these members.
fn slot(members: &str) -> TestEnvironment {
    own(&format!("{{\"slots\": [{{{members}}}]}}"))
}

fn error_of(mut world: TestEnvironment) -> String {
    let error = world.read().unwrap_err();
    error.strip_prefix("/etc/cloud-kms-pkcs11/config.json:").unwrap_or(&error).to_owned()
}

fn labels(config: &Config) -> Vec<&str> {
    config.slots.iter().map(|slot| slot.label.as_str()).collect()
}

fn only_key(config: &Config) -> &Key {
    match &config.slots[0].keys {
        Keys::Named(keys) if keys.len() == 1 => &keys[0],
        other => panic!("{other:?}"),
    }
}

fn aws_of(slot: &Slot) -> &aws::Settings {
    match &*slot.service {
        Service::Aws(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn azure_of(slot: &Slot) -> &azure::Settings {
    match &*slot.service {
        Service::Azure(settings) => settings,
        other => panic!("{other:?}"),
    }
}

/// Returns a certificate as base64 of its DER, and as PEM.
fn certificates() -> (String, String) {
    let example: serde_json::Value = serde_json::from_str(include_str!("../../../config.example.json")).unwrap();
    let base64 = example["slots"][1]["certificate"].as_str().unwrap().to_owned();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    (base64, pem)
}
