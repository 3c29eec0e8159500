//! A KMS key that is to be made.

use crate::state::aws::REGION;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A KMS key that is to be made. As JSON: `{"spec": "RSA_2048", "alias": "alias/x"}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsKey {
    /// KeySpec, for example `RSA_2048` or `ECC_NIST_P256`.
    pub spec: String,
    /// KeyUsage: to sign, if the spec can, unless said.
    #[serde(default)]
    pub usage: Option<String>,
    /// An alias, with its prefix `alias/`.
    #[serde(default)]
    pub alias: Option<String>,
    /// The region: [`AwsKey::REGION`], unless said.
    #[serde(default)]
    pub region: Option<String>,
    /// A description: empty, unless said.
    #[serde(default)]
    pub description: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// An id that starts with `mrk-`.
    #[serde(default)]
    pub multi_region: bool,
    /// Share the material of all keys made this way.
    #[serde(default)]
    pub reuse: bool,
}

impl AwsKey {
    /// The region of keys that name none.
    pub const REGION: &'static str = REGION;

    /// A key of this KeySpec.
    pub fn new(spec: &str) -> Self {
        Self {
            spec: spec.to_owned(),
            usage: None,
            alias: None,
            region: None,
            description: None,
            tags: BTreeMap::new(),
            multi_region: false,
            reuse: false,
        }
    }

    /// With this KeyUsage.
    #[must_use]
    pub fn usage(mut self, usage: &str) -> Self {
        self.usage = Some(usage.to_owned());
        self
    }

    /// With this alias, `alias/...`.
    #[must_use]
    pub fn alias(mut self, alias: &str) -> Self {
        self.alias = Some(alias.to_owned());
        self
    }

    /// In this region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// With this description.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        self.description = Some(text.to_owned());
        self
    }

    /// With this tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A multi-Region primary key.
    #[must_use]
    pub fn multi_region(mut self) -> Self {
        self.multi_region = true;
        self
    }

    /// With the material of all keys made this way: quick, for thousands of keys.
    #[must_use]
    pub fn reuse(mut self) -> Self {
        self.reuse = true;
        self
    }
}
