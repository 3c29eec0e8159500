//! Versions of crypto keys.

use super::call::{Answer, Call};
use crate::clock;
use crate::google::status::Status;
use crate::state::State;
use crate::state::google::{CryptoKey, Version, VersionState, crypto_key_of};
use serde_json::{Value, json};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let key = call.crypto_key(call.parent())?;
    let items = key.versions.iter().map(|version| of(&format!("{}/{}", call.name, version.number), version)).collect();
    call.page("cryptoKeyVersions", items)
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    Ok(of(&call.name, &call.version()?))
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let key = call.crypto_key(call.parent())?;
    if key.import_only {
        return Err(Status::failed_precondition("This key may contain imported versions only."));
    }
    let version = generate(call.state, &key, call.now)?;
    let answer = of(&format!("{}/{}", call.name, version.number), &version);
    call.state.google.keys.change_key(call.parent(), |key| key.versions.push(version));
    Ok(answer)
}

/// A new version as the key's template says. An asymmetric one is still being generated when the reply goes out.
pub(super) fn generate(state: &State, key: &CryptoKey, now: f64) -> Result<Version, Status> {
    let wait = f64::from(state.switches().google_generation_ms) / 1000.0;
    let asymmetric = key.algorithm.is_asymmetric();
    Ok(Version {
        number: key.versions.last().map_or(1, |last| last.number + 1),
        algorithm: key.algorithm,
        protection_level: key.protection_level,
        material: state.materials.fresh(key.algorithm.family)?,
        state: if asymmetric { VersionState::PendingGeneration } else { VersionState::Enabled },
        created: now,
        generated: if asymmetric { now + wait } else { now },
        destroyed: None,
    })
}

/// UpdateCryptoKeyVersion: ENABLED and DISABLED only.
pub(super) fn patch(call: &Call<'_>) -> Answer {
    let version = call.version()?;
    if call.mask()?.iter().any(|path| path != "state") {
        return Err(Status::invalid("Only the field 'state' may be updated."));
    }
    let text = call.input.text("state").unwrap_or_default();
    let wanted = VersionState::named(&text).or_else(|| VersionState::of_number(text.parse().ok()?));
    let Some(wanted @ (VersionState::Enabled | VersionState::Disabled)) = wanted else {
        return Err(Status::invalid(format!("state must be ENABLED or DISABLED, found '{text}'.")));
    };
    check_state(&call.name, &version, &[VersionState::Enabled, VersionState::Disabled])?;
    change(call, |version| version.state = wanted)
}

pub(super) fn destroy(call: &Call<'_>) -> Answer {
    let key = call.crypto_key(crypto_key_of(&call.name).0)?;
    check_state(&call.name, &call.version()?, &[VersionState::Enabled, VersionState::Disabled])?;
    #[allow(clippy::cast_precision_loss, reason = "some days")]
    let time = call.now + key.destroy_scheduled as f64;
    change(call, |version| (version.state, version.destroyed) = (VersionState::DestroyScheduled, Some(time)))
}

pub(super) fn restore(call: &Call<'_>) -> Answer {
    check_state(&call.name, &call.version()?, &[VersionState::DestroyScheduled])?;
    change(call, |version| (version.state, version.destroyed) = (VersionState::Disabled, None))
}

fn change(call: &Call<'_>, change: impl FnOnce(&mut Version)) -> Answer {
    call.state.google.keys.change_version(&call.name, change);
    get(call)
}

/// What may be done with a version depends on its state.
fn check_state(name: &str, version: &Version, allowed: &[VersionState]) -> Result<(), Status> {
    if allowed.contains(&version.state) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.iter().map(|state| state.name()).collect();
    let state = version.state.name();
    let text = format!("{name} must be {}, current state is: {state}.", allowed.join(" or "));
    let violation = json!({ "type": format!("KEY_{state}"), "subject": name, "description": text });
    Err(Status::failed_precondition(text).with("PreconditionFailure", json!({ "violations": [violation] })))
}

pub(super) fn of(name: &str, version: &Version) -> Value {
    let mut json = json!({
        "name": name,
        "state": version.state.name(),
        "createTime": clock::timestamp(version.created),
        "protectionLevel": version.protection_level,
        "algorithm": version.algorithm.name,
    });
    match (version.state, version.destroyed) {
        (VersionState::DestroyScheduled, Some(time)) => json["destroyTime"] = json!(clock::timestamp(time)),
        (VersionState::Destroyed, Some(time)) => json["destroyEventTime"] = json!(clock::timestamp(time)),
        (VersionState::ImportFailed, _) => json["importFailureReason"] = json!("The key material was malformed."),
        (VersionState::GenerationFailed, _) => json["generationFailureReason"] = json!("The HSM is not available."),
        _ => {}
    }
    let generated = [VersionState::PendingGeneration, VersionState::PendingImport, VersionState::ImportFailed];
    if !generated.contains(&version.state) && version.state != VersionState::GenerationFailed {
        json["generateTime"] = json!(clock::timestamp(version.generated));
    }
    json
}
