//! The options of the module's own file for a slot that was read from a file of an old module.

use crate::certificate::Certificate;
use crate::cloud::aws::{CertificateService, is_certificate_arn};
use crate::cloud::google::Credentials;
use crate::cloud::{Network, aws, google};
use crate::config::environment::Environment;
use crate::config::file::arn::{Arn, after_slash, certificate_name};
use crate::config::file::quirks::HIDDEN_WHEN_DISCOVERED;
use crate::config::file::service::google::of_environment;
use crate::config::model::{CertificateSource, Key, Keys, Service, Slot};
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::path::Path;

/// Options and their values.
pub type Options = Vec<(&'static str, Value)>;

/// Returns the options, and what they can't express, in words.
pub fn of(slot: &Slot, environment: &Environment) -> (Options, Vec<String>) {
    let mut writer = Writer { options: Options::new(), lost: Vec::new() };
    writer.keys(slot);
    match &*slot.service {
        Service::Aws(settings) => writer.aws(settings, slot),
        Service::Azure(settings) => writer.add("vault_url", json!(settings.vault_url)),
        Service::Google(settings) => writer.google(settings, environment),
        Service::Vault(_) => {}
    }
    writer.quirks(slot);
    (writer.options, writer.lost)
}

struct Writer {
    options: Options,
    lost: Vec<String>,
}

impl Writer {
    fn add(&mut self, name: &'static str, value: Value) {
        self.options.push((name, value));
    }

    fn lose(&mut self, what: impl Into<String>) {
        self.lost.push(what.into());
    }

    fn keys(&mut self, slot: &Slot) {
        let label = self.label(slot);
        if !label.is_empty() {
            self.add("label", json!(label));
        }
        match &slot.keys {
            Keys::Named(keys) => keys.iter().for_each(|key| self.key(key, &slot.service)),
            Keys::Discovered | Keys::Listed(_) => self.add("discover", json!(true)),
        }
    }

    /// Returns the label of the token, which may not be empty in this module's own file.
    fn label(&mut self, slot: &Slot) -> String {
        match (&slot.keys, &*slot.service) {
            (Keys::Discovered, Service::Google(settings)) if slot.label.is_empty() => {
                let ring = after_slash(settings.key_ring.as_deref().unwrap_or_default()).to_owned();
                self.lose(format!("the token has no label, but needs one in this module's file: it is now {ring:?}"));
                ring
            }
            _ => slot.label.clone(),
        }
    }

    fn key(&mut self, key: &Key, service: &Service) {
        let name = if matches!(service, Service::Azure(_)) { "key_name" } else { "kms_key_id" };
        self.add(name, json!(key.name.id));
        match &key.certificate {
            CertificateSource::Service => {}
            CertificateSource::Inline(chain) => self.add("certificate", json!(certificate_text(chain))),
            CertificateSource::File(path) => self.certificate_path(path),
            CertificateSource::Named(name) if is_certificate_arn(&name.id, CertificateService::Acm) => {
                self.add("acm_certificate_arn", json!(name.id));
            }
            CertificateSource::Named(name) => {
                self.add("acm_pca_certificate_arn", json!(name.id));
                if *name != certificate_name(name.id.clone(), None) {
                    self.lose(
                        "ca_arn has no counterpart: the ARN of the authority is the start of the certificate's ARN",
                    );
                }
            }
        }
    }

    /// In the old files, a relative path starts at the working directory of the process.
    fn certificate_path(&mut self, path: &Path) {
        let absolute = std::env::current_dir().map_or_else(|_| path.to_owned(), |folder| folder.join(path));
        if absolute != path {
            let (path, absolute) = (path.display(), absolute.display());
            self.lose(format!(
                "certificate_path {path} started at the working directory of each program; it is now {absolute}, as if the \
                 programs ran in this directory"
            ));
        }
        self.add("certificate_path", json!(absolute.to_string_lossy()));
    }

    fn aws(&mut self, settings: &aws::Settings, slot: &Slot) {
        let Some(region) = &settings.region else { return };
        let key = if let Keys::Named(keys) = &slot.keys { keys.first() } else { None };
        match key.and_then(|key| Arn::parse(&key.name.id)) {
            Some(arn) if arn.region != region => self.lose(format!(
                "aws_region {region} is left out, because the key's ARN names the region {}, which is used now",
                arn.region
            )),
            _ => self.add("aws_region", json!(region)),
        }
    }

    fn google(&mut self, settings: &google::Settings, environment: &Environment) {
        let defaults = of_environment(environment);
        self.add("google_key_ring", json!(settings.key_ring));
        if let Some(url) = &settings.endpoint_url {
            self.add("google_endpoint_url", json!(url));
        }
        if let Some(project) =
            settings.quota_project.as_ref().filter(|_| settings.quota_project != defaults.quota_project)
        {
            self.add("google_quota_project", json!(project));
        }
        if settings.network.call_timeout != Network::default().call_timeout {
            self.add("call_timeout_ms", json!(settings.network.call_timeout.as_millis()));
        }
        if settings.hides_software_keys {
            self.lose("keys with the protection level SOFTWARE are now shown, as with allow_software_keys: true");
        }
        match &settings.credentials {
            credentials if *credentials == defaults.credentials => {}
            Credentials::None => {
                self.lose("use_insecure_grpc_channel_credentials has no counterpart: requests now have credentials");
            }
            _ => self.lose(
                "use_google_compute_engine_credentials has no counterpart: the metadata server is used if \
                 GOOGLE_APPLICATION_CREDENTIALS and gcloud name no other credentials",
            ),
        }
    }

    fn quirks(&mut self, slot: &Slot) {
        for (name, is_set, value) in [
            ("accept_bare_digest", slot.quirks.accept_bare_digest, json!(true)),
            ("generate_certificate", slot.quirks.generate_certificate, json!(true)),
            ("random", slot.quirks.random_from_service, json!("service")),
        ] {
            if is_set {
                self.add(name, value);
            }
        }
        let is_discovered = slot.keys == Keys::Discovered;
        let hidden_by_default: &[&str] = if is_discovered { &HIDDEN_WHEN_DISCOVERED } else { &[] };
        if slot.hide_keys != hidden_by_default {
            self.add("hide_keys", json!(slot.hide_keys));
        }
        let certificates = slot.management.as_ref().map_or(0, |management| management.certificates.len());
        if certificates > 0 {
            self.lose(format!(
                "\"certs\" are left out (certificates: {certificates}): write each into \"certificate\" of a slot that names its \
                 key by google_key"
            ));
        }
    }
}

fn certificate_text(chain: &[Certificate]) -> String {
    match chain {
        [only] => Base64::encode_string(&only.der),
        chain => chain.iter().map(Certificate::to_pem).collect(),
    }
}
