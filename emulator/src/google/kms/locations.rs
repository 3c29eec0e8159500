//! Locations (`google.cloud.location.Locations`).

use super::call::{Answer, Call};
use crate::google::status::Status;
use serde_json::{Value, json};

/// Some of Google's; keys may be in any location all the same.
const LOCATIONS: [&str; 6] = ["europe", "europe-west1", "europe-west3", "global", "us", "us-central1"];

pub(super) fn list(call: &Call<'_>) -> Answer {
    let locations: Vec<Value> = LOCATIONS.iter().map(|id| of(call.parent(), id)).collect();
    Ok(json!({ "locations": locations }))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let (parent, id) = call.name.rsplit_once("/locations/").unwrap_or_default();
    if !LOCATIONS.contains(&id) {
        return Err(Status::not_found(format!("Location {} not found.", call.name)));
    }
    Ok(of(parent, id))
}

fn of(project: &str, id: &str) -> Value {
    json!({
        "name": format!("{project}/locations/{id}"),
        "locationId": id,
        "labels": { "cloud.googleapis.com/region": id },
        "metadata": {
            "@type": "type.googleapis.com/google.cloud.kms.v1.LocationMetadata",
            "hsmAvailable": true,
            "ekmAvailable": true,
        },
    })
}
