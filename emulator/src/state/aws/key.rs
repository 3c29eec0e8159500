//! A KMS key and an alias of it.

use super::key_spec::Spec;
use crate::crypto::Material;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
}

#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) spec: &'static Spec,
    pub(crate) usage: String,
    pub(crate) state: KeyState,
    pub(crate) created: i64,
    pub(crate) deletion: Option<i64>,
    pub(crate) description: String,
    pub(crate) tags: Tags,
    pub(crate) multi_region: bool,
    pub(crate) material: Arc<Material>,
}

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) key: String,
    pub(crate) created: f64,
    pub(crate) updated: f64,
}
