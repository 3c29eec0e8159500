//! The fuzz target for files of the public-key cache, whoever has written them.
//!
//! A file yields facts from which the objects of a key can be made, or nothing.

use super::fake::Fake;
use crate::cloud::{KeyName, SharedBackend};
use crate::key::PointForm;
use crate::object::{Names, Object};
use crate::store::public_keys::facts_in;
use std::sync::Arc;

/// Runs the target. The bytes are the contents of the file.
pub fn run(data: &[u8]) {
    let backend: SharedBackend = Arc::new(Fake::default());
    let key = KeyName { id: "p256".into(), version: None };
    let Some(facts) = facts_in(data, &backend, &key) else { return };
    assert!(facts.immutable_id.is_some() && facts.refusal.is_none());
    let all = backend.schemes(facts.kind);
    assert!(!facts.schemes.is_empty() && facts.schemes.iter().all(|scheme| all.contains(scheme)));
    let names = Names { label: "", id: b"", subject: b"" };
    let public_key = facts.public_key.as_ref().unwrap_or_else(|| panic!("{facts:?}"));
    let private = Object::private_key(names, &facts, PointForm::Raw);
    let public = Object::public_key(names, public_key, &facts.schemes, PointForm::Raw);
    assert!(private.attributes.size() > 0 && public.attributes.size() > 0);
}
