//! The fuzz target for files of the public-key cache, whoever has written them.
//!
//! A file yields facts from which the objects of a key can be made, or nothing.

use super::fake::FakeBackend;
use crate::cloud::{KeyName, SharedBackend};
use crate::key::PointEncoding;
use crate::object::{Names, Object};
use crate::store::public_keys::parse_entry;
use std::sync::Arc;

/// Runs the target. The bytes are the contents of the file.
pub fn run(data: &[u8]) {
    let backend: SharedBackend = Arc::new(FakeBackend::default());
    let key = KeyName { id: "p256".into(), version: None };
    let Some(facts) = parse_entry(data, &backend, &key) else { return };
    assert!(facts.immutable_id.is_some() && facts.unusable_reason.is_none());
    let all = backend.schemes(facts.kind);
    assert!(!facts.schemes.is_empty() && facts.schemes.iter().all(|scheme| all.contains(scheme)));
    let names = Names { label: "", id: b"", subject: b"" };
    let public_key = facts.public_key.as_ref().unwrap_or_else(|| panic!("{facts:?}"));
    let private = Object::private_key(names, &facts, PointEncoding::Raw);
    let public = Object::public_key(names, public_key, &facts.schemes, PointEncoding::Raw);
    assert!(private.attributes.size() > 0 && public.attributes.size() > 0);
}
