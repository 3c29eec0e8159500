//! The kinds of values that options have, and the checks of a value.

use crate::cloud::google::KEY_RING_FORM;
use crate::cloud::{google, vault};
use crate::config::json::{Data, Value};
use crate::config::management::Right;
use crate::config::spelling::closest;
use crate::host::logging::Level;

/// The kind of an option's value. A string must not be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any string.
    Text,
    /// A string that no message shows.
    Secret,
    /// The path of a file or directory.
    Path,
    /// An https URL with only a scheme, a host and a port.
    Https,
    /// An http or https URL. No message shows it, since it may contain a password.
    Url,
    /// A whole number of milliseconds from 1 to 4294967295.
    Milliseconds,
    /// A whole number from 0 to 4294967295.
    Count,
    /// A boolean.
    Flag,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// The name of a log level.
    LogLevel,
    /// An array of names of key kinds.
    KeyKinds,
    /// An array of names of rights.
    Rights,
    /// An array of names of AWS regions.
    Regions,
    /// A string that Key Vault accepts as the name of a key.
    KeyName,
    /// A string that Transit accepts as the name of a key.
    TransitName,
    /// The name of a key of Google Cloud KMS, with or without a version.
    GoogleKey,
    /// The name of a key ring of Google Cloud KMS.
    GoogleKeyRing,
    /// The email address of a service account.
    ServiceAccount,
    /// The name of a domain.
    Domain,
    /// The version of a key: ASCII letters and digits.
    KeyVersion,
    /// An array of objects.
    Objects,
}

/// The reason why a value is invalid: the line, the item of an array (`[1]`, or empty), and the message.
pub type InvalidValue = (usize, String, String);

impl ValueKind {
    /// Checks that `value` is of this kind.
    ///
    /// # Errors
    /// The line, the item and a message. The message does not show a secret.
    pub fn check(self, value: &Value) -> Result<(), InvalidValue> {
        let fault = |message: String| (value.line, String::new(), message);
        match (self, &value.data) {
            (ValueKind::Flag, Data::Bool(_)) | (ValueKind::Objects, Data::Array(_) | Data::Unparsed(_)) => Ok(()),
            (ValueKind::Milliseconds, Data::Number(number)) if is_integer_from(number, 1) => Ok(()),
            (ValueKind::Count, Data::Number(number)) if is_integer_from(number, 0) => Ok(()),
            (ValueKind::KeyKinds, Data::Array(items)) => {
                items.iter().enumerate().try_for_each(|item| check_item(item, KEY_KINDS))
            }
            (ValueKind::Rights, Data::Array(items)) => {
                items.iter().enumerate().try_for_each(|item| check_item(item, &Right::NAMES))
            }
            (ValueKind::Regions, Data::Array(items)) => items.iter().enumerate().try_for_each(check_region),
            (kind, Data::String(text)) if kind.is_text() => self.check_text(text).map_err(fault),
            (kind, data) => {
                let found = value.description(kind.is_public());
                Err(fault(format!("expected {}, found {found}{}", kind.expected(), kind.correction(data))))
            }
        }
    }

    fn check_text(self, text: &str) -> Result<(), String> {
        if text.is_empty() {
            return Err("must not be empty; write a value, or remove the option".into());
        }
        match self {
            ValueKind::Https => check_https_url(text),
            ValueKind::Url if !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) => {
                Err("must be a URL that starts with http:// or https://".into())
            }
            ValueKind::Choice(names) => check_choice(text, names),
            ValueKind::LogLevel if Level::from_name(text).is_none() => check_choice(text, &Level::names()),
            ValueKind::KeyName if !is_key_name(text) => Err(format!(
                "{text:?} is not a valid Key Vault key name: it has 1 to 127 ASCII letters, digits and hyphens; \
                 write a version in \"key_version\""
            )),
            ValueKind::TransitName if !vault::is_key_name(text) => Err(format!(
                "{text:?} is not a valid name of a Transit key: it has letters, digits, '_', '-' and '.', and a letter, a digit \
                 or '_' at both ends; write the path of the engine in \"transit_mount\""
            )),
            ValueKind::GoogleKey if !google::is_key(google::relative_name(text)) => Err(format!(
                "{text:?} is not the name of a key in Google Cloud KMS: write {KEY_RING_FORM}/cryptoKeys/KEY, with or without \
                 /cryptoKeyVersions/NUMBER; `gcloud kms keys list --location LOCATION --keyring RING` shows the names"
            )),
            ValueKind::GoogleKeyRing if !google::is_key_ring(google::relative_name(text)) => Err(format!(
                "{text:?} is not the name of a key ring in Google Cloud KMS: write {KEY_RING_FORM}; \
                 `gcloud kms keyrings list --location LOCATION` shows the names"
            )),
            ValueKind::ServiceAccount if !is_email_address(text) => Err(format!(
                "{text:?} is not the email address of a service account: write NAME@PROJECT.iam.gserviceaccount.com"
            )),
            ValueKind::Domain if !is_domain(text) => {
                Err(format!("{text:?} is not the name of a domain, such as googleapis.com; remove the rest of the URL"))
            }
            ValueKind::KeyVersion if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Err(format!(
                "{text:?} is not a valid key version: it has ASCII letters and digits only; \
                 `az keyvault key list-versions` or `vault read transit/keys/NAME` shows the versions"
            )),
            _ => Ok(()),
        }
    }

    fn is_text(self) -> bool {
        !matches!(
            self,
            ValueKind::Milliseconds
                | ValueKind::Count
                | ValueKind::Flag
                | ValueKind::KeyKinds
                | ValueKind::Rights
                | ValueKind::Regions
                | ValueKind::Objects
        )
    }

    fn is_public(self) -> bool {
        !matches!(self, ValueKind::Secret | ValueKind::Url)
    }

    fn expected(self) -> &'static str {
        match self {
            ValueKind::Flag => "true or false",
            ValueKind::Milliseconds => "a whole number of milliseconds from 1 to 4294967295",
            ValueKind::Count => "a whole number from 0 to 4294967295",
            ValueKind::KeyKinds | ValueKind::Rights | ValueKind::Regions => "an array of names",
            ValueKind::Objects => "an array of objects",
            _ => "a string",
        }
    }

    /// Returns how to correct a value of the wrong kind, or an empty string if that is not obvious.
    fn correction(self, found: &Data) -> &'static str {
        match (self, found) {
            (_, Data::Null) => "; write a value, or remove the option",
            (ValueKind::Flag | ValueKind::Milliseconds | ValueKind::Count, Data::String(_)) => "; remove the quotes",
            (ValueKind::KeyKinds | ValueKind::Rights | ValueKind::Regions, Data::String(_)) => {
                "; write it in brackets: [\"NAME\"]"
            }
            (ValueKind::Objects, Data::Object(_)) => "; write it in brackets: [{...}]",
            (kind, Data::Number(_) | Data::Bool(_)) if kind.is_text() => "; write it in double quotes",
            _ => "",
        }
    }
}

/// Returns whether Key Vault accepts `text` as the name of a key: `^[0-9A-Za-z-]{1,127}$`.
pub fn is_key_name(text: &str) -> bool {
    (1..=127).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_email_address(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c));
    text.split_once('@').is_some_and(|(name, domain)| is_name(name) && is_domain(domain))
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    text.contains('.') && text.split('.').all(is_label)
}

fn is_integer_from(number: &str, least: u32) -> bool {
    number.parse::<u32>().is_ok_and(|number| number >= least)
}

fn check_item((index, item): (usize, &Value), names: &[&'static str]) -> Result<(), InvalidValue> {
    let fault = |message: String| Err((item.line, format!("[{index}]"), message));
    match item.text().map(|name| check_choice(name, names)) {
        Some(Ok(())) => Ok(()),
        Some(Err(message)) => fault(message),
        None => fault(format!("expected a string, found {}", item.description(true))),
    }
}

fn check_region((index, item): (usize, &Value)) -> Result<(), InvalidValue> {
    let plain = |text: &str| text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    match item.text().filter(|text| !text.is_empty() && plain(text)) {
        Some(_) => Ok(()),
        None => {
            let message =
                format!("expected the name of a region, such as \"eu-west-1\", found {}", item.description(true));
            Err((item.line, format!("[{index}]"), message))
        }
    }
}

fn check_choice(text: &str, names: &[&'static str]) -> Result<(), String> {
    if names.contains(&text) {
        return Ok(());
    }
    let meant = closest(text, names.iter().copied()).map(|name| format!("; did you mean {name:?}?"));
    Err(format!("expected one of {}, found {text:?}{}", names.join(", "), meant.unwrap_or_default()))
}

fn check_https_url(text: &str) -> Result<(), String> {
    let Some(rest) = text.strip_prefix("https://") else {
        return Err("must start with https://, because credentials are sent to this server".into());
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]_".contains(c);
    match !host.is_empty() && host.chars().all(plain) {
        true => Ok(()),
        false => Err("must consist of https://, a host and optionally a port; remove the rest, such as a path".into()),
    }
}

/// The kinds of keys, by the names that [`crate::key::Kind::name`] returns.
pub const KEY_KINDS: &[&str] = &[
    "rsa2048",
    "rsa3072",
    "rsa4096",
    "P-256",
    "P-384",
    "P-521",
    "secp256k1",
    "Ed25519",
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "SLH-DSA-SHA2-128s",
    "HMAC-SHA-1",
    "HMAC-SHA-224",
    "HMAC-SHA-256",
    "HMAC-SHA-384",
    "HMAC-SHA-512",
];
