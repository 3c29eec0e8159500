//! What a certificate or a request states, from the command line and a file.

use super::name::{AlternativeName, Subject};
use super::usage::{ExtendedUsage, Usage};
use super::validity::{Moment, Serial, ValidityArguments};
use crate::failure::{Failure, Outcome};
use clap::Args;
use der::flagset::FlagSet;
use serde::de::{Deserialize, Deserializer, Error};
use std::path::PathBuf;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;

/// What a certificate states. A request and a file state a part of it.
#[derive(Args, Clone, Debug, Default, serde::Deserialize)]
#[command(next_help_heading = "Contents")]
#[serde(default, deny_unknown_fields)]
pub struct Template {
    /// The name of the subject, as RFC 4514 writes it: CN=web,O=Acme
    #[arg(long, value_name = "NAME")]
    pub subject: Option<Subject>,
    /// An alternative name: dns:web.example, ip:192.0.2.1, email:me@web.example or uri:urn:web. Can be repeated
    #[arg(long, value_name = "KIND:NAME")]
    pub san: Vec<AlternativeName>,
    /// What the key is for: digitalSignature, keyEncipherment, keyAgreement, keyCertSign, cRLSign, ... Can be repeated
    #[arg(long, value_name = "USAGE", value_delimiter = ',')]
    pub key_usage: Vec<Usage>,
    /// What the certificate is for: serverAuth, clientAuth, codeSigning, ..., or object identifiers. Can be repeated
    #[arg(long, value_name = "USAGE", value_delimiter = ',')]
    pub extended_key_usage: Vec<ExtendedUsage>,
    /// The subject is a certification authority
    #[arg(long)]
    pub ca: bool,
    /// How many authorities may follow below this one
    #[arg(long, value_name = "NUMBER")]
    pub path_length: Option<u8>,
    #[arg(skip)]
    days: Option<u32>,
    #[arg(skip)]
    not_before: Option<Moment>,
    #[arg(skip)]
    serial: Option<Serial>,
}

macro_rules! read_from_text {
    ($($kind:ty),*) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

read_from_text!(Subject, AlternativeName, Usage, ExtendedUsage, Moment, Serial);

/// The template, and the file that completes it.
#[derive(Args)]
pub struct TemplateArguments {
    #[command(flatten)]
    template: Template,
    /// A JSON file with these options; those of the command line take precedence
    #[arg(long, value_name = "FILE", help_heading = "Contents")]
    template_file: Option<PathBuf>,
}

impl TemplateArguments {
    /// Returns what the command line and the file state.
    ///
    /// # Errors
    /// If the file can't be read, or has a mistake.
    pub fn read(&self) -> Outcome<Template> {
        let Some(path) = &self.template_file else { return Ok(self.template.clone()) };
        let failed = |failure: Failure| failure.of(path.display());
        let text = std::fs::read(path).map_err(|error| failed(error.into()))?;
        let file: Template = serde_json::from_slice(&text).map_err(|error| failed(Failure::new(error.to_string())))?;
        Ok(self.template.clone().or(file))
    }
}

impl Template {
    /// Returns this template, completed from `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            subject: self.subject.or(other.subject),
            san: first(self.san, other.san),
            key_usage: first(self.key_usage, other.key_usage),
            extended_key_usage: first(self.extended_key_usage, other.extended_key_usage),
            ca: self.ca || other.ca,
            path_length: self.path_length.or(other.path_length),
            days: self.days.or(other.days),
            not_before: self.not_before.or(other.not_before),
            serial: self.serial.or(other.serial),
        }
    }

    /// Returns the validity and the serial number that the file states.
    pub fn validity(&self) -> ValidityArguments {
        ValidityArguments { days: self.days, not_before: self.not_before, serial: self.serial.clone() }
    }

    /// Returns the name of the subject. It is empty if alternative names name the subject.
    pub fn name(&self) -> Name {
        self.subject.clone().map(|subject| subject.0).unwrap_or_default()
    }

    /// Checks that the template names a subject, and that only authorities issue certificates.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn check(&self) -> Outcome<()> {
        let signs_certificates = self.key_usage.contains(&Usage(KeyUsages::KeyCertSign));
        match self {
            Self { subject: None, san, .. } if san.is_empty() => {
                Err(Failure::new("the subject has no name").fix("add --subject \"CN=web\" or --san dns:web.example"))
            }
            Self { subject: None, ca: true, .. } => {
                Err(Failure::new("an authority needs a name: certificates refer to it")
                    .fix("add --subject \"CN=My root\""))
            }
            Self { ca: false, path_length: Some(_), .. } => {
                Err(Failure::new("only an authority has a path length").fix("add --ca, or remove --path-length"))
            }
            Self { ca: false, .. } if signs_certificates => {
                Err(Failure::new("only an authority may have the key usage keyCertSign")
                    .fix("add --ca, or choose other key usages by --key-usage"))
            }
            Self { ca: true, key_usage, .. } if !key_usage.is_empty() && !signs_certificates => {
                Err(Failure::new("an authority needs the key usage keyCertSign").fix("add --key-usage keyCertSign"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the template with key usages: by default a signature's, or those of an authority.
    pub fn with_default_usages(mut self) -> Self {
        if self.key_usage.is_empty() {
            self.key_usage = match self.ca {
                true => vec![Usage(KeyUsages::KeyCertSign), Usage(KeyUsages::CRLSign)],
                false => vec![Usage(KeyUsages::DigitalSignature)],
            };
        }
        self
    }

    /// Returns the extensions of a certificate or a request. Only a certificate says that its subject is no authority.
    ///
    /// # Errors
    /// If DER can't be written.
    pub fn extensions(&self, is_request: bool) -> der::Result<Vec<Extension>> {
        let (name, mut all) = (self.name(), Vec::new());
        if self.ca || !is_request {
            let constraints = BasicConstraints { ca: self.ca, path_len_constraint: self.path_length };
            all.push((true, &constraints).to_extension(&name, &[])?);
        }
        let usages = self.key_usage.iter().fold(FlagSet::default(), |all: FlagSet<KeyUsages>, own| all | own.0);
        if !usages.is_empty() {
            all.push((&KeyUsage(usages)).to_extension(&name, &[])?);
        }
        let extended: Vec<_> = self.extended_key_usage.iter().map(|own| own.0).collect();
        if !extended.is_empty() {
            all.push((false, &ExtendedKeyUsage(extended)).to_extension(&name, &[])?);
        }
        let names: Vec<_> = self.san.iter().map(|own| own.0.clone()).collect();
        if !names.is_empty() {
            all.push((&SubjectAltName(names)).to_extension(&name, &[])?);
        }
        Ok(all)
    }
}

fn first<T>(own: Vec<T>, other: Vec<T>) -> Vec<T> {
    if own.is_empty() { other } else { own }
}
