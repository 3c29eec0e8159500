//! The readers of configuration files with arbitrary bytes.
//!
//! Compiled into tests and fuzzers only.

#![allow(clippy::panic, reason = "for tests and fuzzers only")]

use super::input::ByteSource;
use crate::config::Config;
use crate::config::environment::Environment;
use crate::config::file::{legacy, libkmsp11, strict};
use crate::config::json;
use crate::config::json::{Data, Dialect, Fault, Member, Value};
use crate::config::notes::PendingMessages;
use crate::config::options::Cloud;
use crate::error::Error;
use crate::provider::Provider;
use serde_json::Value as Json;
use std::ffi::OsString;
use std::path::Path;

/// Reads the bytes as a file of this module. serde_json must agree on whether the bytes are JSON. An error must
/// name a line that exists in the file.
pub fn strict(data: &[u8]) -> Option<Config> {
    let variable = |name: &str| (name == "HOME").then(|| OsString::from("/home/me"));
    let environment = Environment { variable: &variable, root: Path::new("/"), clouds: &Cloud::ALL };
    let path = Path::new("/etc/config.json");
    check_json(data);
    strict::parse(data, path, &environment, None, &mut PendingMessages::new())
        .map_err(|error| check_line(data, &error))
        .ok()
}

/// Checks that an error names a line of the file.
fn check_line(data: &[u8], error: &Error) {
    let line = error.message.strip_prefix("/etc/config.json:").and_then(|rest| rest.split_once(": "));
    let line: usize = line.and_then(|(line, _)| line.parse().ok()).unwrap_or_else(|| panic!("{error}"));
    assert!((1..=1 + data.iter().filter(|byte| **byte == b'\n').count()).contains(&line), "{error}");
}

/// Reads the bytes as a file of one of the modules that this one replaces. Parts that cannot be used are left out.
/// The first byte selects the module and the environment variables that are set. A mistake in the file of libkmsp11 is an
/// error, which must name a line that exists in the file.
pub fn legacy(data: &[u8]) -> Config {
    let mut source = ByteSource(data);
    let choice = source.byte();
    if choice == LIBKMSP11 {
        let (data, path) = (source.rest(), Path::new("/etc/config.json"));
        let environment = Environment { variable: &|_| None, root: Path::new("/nowhere"), clouds: &Cloud::ALL };
        let config = libkmsp11::parse(data, path, &environment, &mut PendingMessages::new());
        return config.map_err(|error| check_line(data, &error)).unwrap_or_default();
    }
    let variable = |name: &str| {
        let (bit, value) = match name {
            "AZURE_KEYVAULT_URL" => (2, "https://v.vault.azure.net/"),
            "AWS_REGION" => (4, "eu-west-1"),
            "AWS_DEFAULT_REGION" => (8, "eu-west-2"),
            "HOME" => (0, "/home/me"),
            _ => return None,
        };
        (choice & bit == bit).then(|| value.into())
    };
    let environment = Environment { variable: &variable, root: Path::new("/nowhere"), clouds: &Cloud::ALL };
    let cloud = if choice & 1 == 1 { Cloud::Azure } else { Cloud::Aws };
    legacy::read_text(source.rest(), Path::new("/etc/config.json"), cloud, &environment, &mut PendingMessages::new())
}

/// The first byte that selects libkmsp11.
const LIBKMSP11: u8 = b'Y';

/// Compares both dialects with serde_json, an independent reader.
fn check_json(data: &[u8]) {
    let text = |dialect| json::decode(data, dialect).ok();
    let (strict, lenient) = (text(Dialect::Strict), text(Dialect::Lenient).unwrap_or_default());
    let Some(strict) = strict else { return assert!(std::str::from_utf8(data).is_err()) };
    check_reading_in_parts(&strict);
    let (strict, lenient) = (json::parse(&strict, Dialect::Strict), json::parse(&lenient, Dialect::Lenient));
    let bytes = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    match (strict, serde_json::from_slice::<Json>(bytes)) {
        (Ok(document), Ok(json)) => {
            assert!(equals(&document.value.data, &json), "{json}");
            assert!(lenient.is_ok_and(|lenient| lenient.trailing.is_none() && equals(&lenient.value.data, &json)));
        }
        (Ok(_), Err(error)) => panic!("serde_json: {error}"),
        // serde_json also accepts duplicate names, and any depth below its own limit.
        (Err(fault), Ok(_)) => {
            assert!(
                fault.message.ends_with("occurs twice in the same object; remove one of the two")
                    || fault.message.contains("levels")
            )
        }
        (Err(_), Err(_)) => {}
    }
}

/// Checks that a text has the same value, or the same first fault, if it is read as a whole and if it is read
/// without some arrays whose items are then read one by one.
fn check_reading_in_parts(text: &str) {
    let whole = json::parse(text, Dialect::Strict).map(|document| document.value);
    let parts = json::parse_deferring(text, &["slots", "keys"]).and_then(|document| read_later(document.value));
    assert!(whole == parts);
}

fn read_later<'a>(value: Value<'a>) -> Result<Value<'a>, Fault> {
    let data = match value.data {
        Data::Unparsed(items) => {
            Data::Array(json::Items::from(&items).map(|item| read_later(item?)).collect::<Result<_, _>>()?)
        }
        Data::Array(items) => Data::Array(items.into_iter().map(read_later).collect::<Result<_, _>>()?),
        Data::Object(members) => {
            let member = |member: Member<'a>| Ok(Member { value: read_later(member.value)?, ..member });
            Data::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
        other => other,
    };
    Ok(Value { line: value.line, data })
}

fn equals(own: &Data<'_>, other: &Json) -> bool {
    match (own, other) {
        (Data::Null, Json::Null) => true,
        (Data::Bool(own), Json::Bool(other)) => own == other,
        (Data::Number(own), Json::Number(other)) => {
            own.parse().ok().zip(other.as_f64()).is_some_and(|(a, b)| almost_equal(a, b))
        }
        (Data::String(own), Json::String(other)) => **own == *other,
        (Data::Array(own), Json::Array(other)) => {
            own.len() == other.len() && own.iter().zip(other).all(|(own, other)| equals(&own.data, other))
        }
        (Data::Object(own), Json::Object(other)) => {
            own.len() == other.len()
                && own
                    .iter()
                    .all(|member| other.get(&*member.name).is_some_and(|other| equals(&member.value.data, other)))
        }
        _ => false,
    }
}

/// Returns whether two numbers are almost equal. The fast way in which serde_json reads a number is wrong in the
/// last bits.
fn almost_equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= a.abs() * 1e-12
}

/// The target for our own files: a configuration that is read makes a provider with its tokens.
pub fn config_strict(data: &[u8]) {
    strict(data).into_iter().for_each(check_provider);
}

/// The target for files of the modules that this one replaces.
pub fn config_legacy(data: &[u8]) {
    check_provider(legacy(data));
}

/// The slots can be listed unless that requires a request to a service, and each has a token.
fn check_provider(config: Config) {
    let (slots, listed) = (config.slots.len(), config.legacy_services.len());
    let provider = Provider::new(config);
    if listed == 0 {
        assert_eq!(provider.list_slots().len(), slots);
    }
    for slot in 0..slots {
        assert!(provider.token(slot as u64).is_ok());
    }
}
