//! Crypto keys.

use super::call::{Answer, Call};
use super::page::is_id;
use super::versions;
use crate::clock;
use crate::google::status::Status;
use crate::state::google::{
    ALGORITHMS, Algorithm, CryptoKey, DESTROY_SCHEDULED_SECONDS, PROTECTION_LEVELS, PURPOSES, VERSIONS, named,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let ring = call.parent();
    call.key_ring(ring)?;
    let rings = call.state.google.keys.rings();
    let keys = rings.get(ring).into_iter().flat_map(|ring| &ring.keys);
    let items = keys.map(|(id, key)| of(&format!("{}/{id}", call.name), key)).collect();
    drop(rings);
    call.page("cryptoKeys", items)
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    Ok(of(&call.name, &call.crypto_key(&call.name)?))
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let ring = call.parent();
    call.key_ring(ring)?;
    let id = call.input.query("cryptoKeyId").unwrap_or_default();
    if !is_id(id) {
        return Err(Status::invalid(format!("crypto_key_id must match [a-zA-Z0-9_-]{{1,63}}, found '{id}'.")));
    }
    let name = format!("{}/{id}", call.name);
    if call.state.google.keys.key(&name).is_some() {
        return Err(Status::new(409, "ALREADY_EXISTS", format!("CryptoKey {name} already exists.")));
    }
    let mut key = new_key(call)?;
    let skip = call.input.query("skipInitialVersionCreation") == Some("true");
    if !skip && !key.import_only {
        let version = versions::generate(call.state, &key, call.now)?;
        key.versions.push(version);
    }
    let answer = of(&name, &key);
    call.state.google.keys.insert(ring, id, key);
    Ok(answer)
}

fn new_key(call: &Call<'_>) -> Result<CryptoKey, Status> {
    let purpose = call.input.text("purpose").and_then(|purpose| named(&PURPOSES, &purpose));
    let purpose = purpose.ok_or_else(|| Status::invalid("purpose must be specified."))?;
    let algorithm = match call.input.text("versionTemplate.algorithm") {
        Some(text) => algorithm(&text)?,
        None if purpose == "ENCRYPT_DECRYPT" => algorithm("GOOGLE_SYMMETRIC_ENCRYPTION")?,
        None => return Err(Status::invalid(format!("An algorithm must be specified for purpose {purpose}."))),
    };
    if algorithm.purpose() != purpose {
        let text = format!("Algorithm {} is not valid for purpose {purpose}.", algorithm.name);
        return Err(Status::invalid(text));
    }
    let labels = labels(call.input.value("labels"))?;
    let seconds = call.input.text("destroyScheduledDuration");
    let seconds = seconds.map(|text| text.trim_end_matches('s').parse::<i64>()).transpose();
    let seconds = seconds.map_err(|_| Status::invalid("destroy_scheduled_duration is no duration."))?;
    Ok(CryptoKey {
        algorithm,
        protection_level: protection_level(call.input.text("versionTemplate.protectionLevel"), algorithm)?,
        labels,
        created: call.now,
        destroy_scheduled: seconds.unwrap_or(DESTROY_SCHEDULED_SECONDS),
        import_only: call.input.value("importOnly").and_then(Value::as_bool) == Some(true),
        versions: Vec::new(),
    })
}

/// The members that may change: labels and the template's algorithm.
pub(super) fn patch(call: &Call<'_>) -> Answer {
    let mut key = call.crypto_key(&call.name)?;
    for path in call.mask()? {
        match path.as_str() {
            "labels" => key.labels = labels(call.input.value("labels"))?,
            "versionTemplate.algorithm" | "version_template.algorithm" | "versionTemplate" | "version_template" => {
                let algorithm = algorithm(&call.input.text("versionTemplate.algorithm").unwrap_or_default())?;
                if algorithm.purpose() != key.algorithm.purpose() {
                    return Err(Status::invalid(format!("Algorithm {} is not valid for this key.", algorithm.name)));
                }
                key.algorithm = algorithm;
            }
            other => return Err(Status::invalid(format!("Field '{other}' may not be updated."))),
        }
    }
    let answer = of(&call.name, &key);
    call.state.google.keys.change_key(&call.name, |known| {
        (known.labels, known.algorithm) = (key.labels, key.algorithm);
    });
    Ok(answer)
}

fn algorithm(text: &str) -> Result<&'static Algorithm, Status> {
    let found = ALGORITHMS.iter().find(|row| row.name == text || row.number.to_string() == text);
    found.ok_or_else(|| {
        Status::unknown_field(format!(
            "Invalid value at 'crypto_key.version_template.algorithm' (type.googleapis.com/google.cloud.kms.v1.CryptoKeyVersion.CryptoKeyVersionAlgorithm), \"{text}\""
        ))
    })
}

/// SOFTWARE unless said; not every algorithm has both.
fn protection_level(text: Option<String>, algorithm: &Algorithm) -> Result<&'static str, Status> {
    let level = match text {
        Some(text) => named(&PROTECTION_LEVELS, &text),
        None => Some("SOFTWARE"),
    };
    match level {
        Some("SOFTWARE") if algorithm.name == "EC_SIGN_SECP256K1_SHA256" => Err(Status::invalid(format!(
            "Algorithm {} is not supported for protection level SOFTWARE.",
            algorithm.name
        ))),
        Some(level @ ("SOFTWARE" | "HSM")) => Ok(level),
        _ => Err(Status::invalid("The emulator has the protection levels SOFTWARE and HSM only.")),
    }
}

/// "Requirements for labels": at most 64, and which letters they may have.
fn labels(value: Option<&Value>) -> Result<BTreeMap<String, String>, Status> {
    let mut labels = BTreeMap::new();
    for (name, value) in value.and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or("!");
        let starts = name.chars().next().is_some_and(|letter| letter.is_alphabetic());
        if !starts || !is_label(name) || !is_label(value) {
            return Err(Status::invalid(format!("Label '{name}' with value '{value}' is not valid.")));
        }
        labels.insert(name.clone(), value.to_owned());
    }
    if labels.len() > 64 {
        return Err(Status::invalid("A resource can have at most 64 labels."));
    }
    Ok(labels)
}

fn is_label(text: &str) -> bool {
    let letter = |letter: char| letter.is_alphanumeric() && !letter.is_uppercase() || letter == '_' || letter == '-';
    text.chars().count() <= 63 && text.chars().all(letter)
}

fn of(name: &str, key: &CryptoKey) -> Value {
    let mut json = json!({
        "name": name,
        "purpose": key.algorithm.purpose(),
        "createTime": clock::timestamp(key.created),
        "versionTemplate": { "protectionLevel": key.protection_level, "algorithm": key.algorithm.name },
        "destroyScheduledDuration": format!("{}s", key.destroy_scheduled),
    });
    if !key.labels.is_empty() {
        json["labels"] = json!(key.labels);
    }
    if key.import_only {
        json["importOnly"] = json!(true);
    }
    // Only a symmetric key has a primary version.
    if let Some(version) = key.versions.first().filter(|_| json["purpose"] == "ENCRYPT_DECRYPT") {
        json["primary"] = versions::of(&format!("{name}{VERSIONS}{}", version.number), version);
    }
    json
}
