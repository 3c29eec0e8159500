//! Key rings.

use super::call::{Answer, Call};
use super::page::is_id;
use crate::clock;
use crate::google::status::Status;
use crate::state::google::KeyRing;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let start = format!("{}/", call.name);
    let rings = call.state.google.keys.rings();
    let items = rings.iter().filter(|(name, _)| name.starts_with(&start)).map(|(name, ring)| of(name, ring)).collect();
    drop(rings);
    call.page("keyRings", items)
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    call.key_ring(&call.name)?;
    Ok(call.state.google.keys.rings().get(&call.name).map(|ring| of(&call.name, ring)).unwrap_or_default())
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let id = call.input.query("keyRingId").unwrap_or_default();
    if !is_id(id) {
        return Err(Status::invalid(format!("key_ring_id must match [a-zA-Z0-9_-]{{1,63}}, found '{id}'.")));
    }
    let name = format!("{}/{id}", call.name);
    let mut rings = call.state.google.keys.rings();
    if rings.contains_key(&name) {
        return Err(Status::new(409, "ALREADY_EXISTS", format!("KeyRing {name} already exists.")));
    }
    let ring = KeyRing { created: call.now, keys: BTreeMap::new() };
    let answer = of(&name, &ring);
    rings.insert(name, ring);
    Ok(answer)
}

fn of(name: &str, ring: &KeyRing) -> Value {
    json!({ "name": name, "createTime": clock::timestamp(ring.created) })
}
