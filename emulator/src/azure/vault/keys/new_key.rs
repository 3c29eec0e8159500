//! A key that is to be made.

use super::curve::CURVES;
use crate::azure::vault::error::VaultError;
use crate::crypto::{Family, Material};
use crate::state::State;
use crate::state::azure::{Tags, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A key of a vault that is to be made. As JSON: `{"kty": "EC", "curve": "P-256", "exp": 1700000000}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultKey {
    /// `RSA`, `RSA-HSM`, `EC` or `EC-HSM`.
    pub kty: String,
    /// Bits of an RSA modulus: 2048, unless said.
    #[serde(default)]
    pub size: Option<u16>,
    /// `P-256` (unless said), `P-384`, `P-521` or `P-256K`.
    #[serde(default)]
    pub curve: Option<String>,
    /// Whether it may be used.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Not to be used before, in seconds since 1970.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// Not to be used after, in seconds since 1970.
    #[serde(default)]
    pub exp: Option<i64>,
    /// What it may be used for: everything its type can do, unless said.
    #[serde(default)]
    pub key_ops: Option<Vec<String>>,
    /// Share the material of all keys made this way.
    #[serde(default)]
    pub reuse: bool,
    /// An elliptic curve key whose x or y starts with a zero byte.
    #[serde(default)]
    pub short_coordinate: bool,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
}

fn yes() -> bool {
    true
}

impl VaultKey {
    /// An RSA key of so many bits.
    pub fn rsa(size: u16) -> Self {
        Self { size: Some(size), ..Self::of_type("RSA") }
    }

    /// An elliptic curve key: `P-256`, `P-384`, `P-521` or `P-256K`.
    pub fn ec(curve: &str) -> Self {
        Self { curve: Some(curve.to_owned()), ..Self::of_type("EC") }
    }

    /// `RSA-2048`, `P-256` and so on.
    pub fn named(name: &str) -> Option<Self> {
        let rsa = name
            .strip_prefix("RSA-")
            .and_then(|size| size.parse().ok())
            .filter(|size| [2048, 3072, 4096].contains(size));
        rsa.map(Self::rsa).or_else(|| CURVES.iter().find(|row| row.0 == name).map(|row| Self::ec(row.0)))
    }

    pub(crate) fn of_type(kty: &str) -> Self {
        Self {
            kty: kty.to_owned(),
            size: None,
            curve: None,
            enabled: true,
            nbf: None,
            exp: None,
            key_ops: None,
            reuse: false,
            short_coordinate: false,
            tags: Tags::new(),
        }
    }

    /// In an HSM: `RSA-HSM` or `EC-HSM`.
    #[must_use]
    pub fn hsm(mut self) -> Self {
        if !self.kty.ends_with("-HSM") {
            self.kty.push_str("-HSM");
        }
        self
    }

    /// Not enabled.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Not to be used before, in seconds since 1970.
    #[must_use]
    pub fn not_before(mut self, seconds: i64) -> Self {
        self.nbf = Some(seconds);
        self
    }

    /// Not to be used after, in seconds since 1970.
    #[must_use]
    pub fn expires(mut self, seconds: i64) -> Self {
        self.exp = Some(seconds);
        self
    }

    /// Only for these operations.
    #[must_use]
    pub fn key_ops(mut self, operations: &[&str]) -> Self {
        self.key_ops = Some(operations.iter().map(|operation| (*operation).to_owned()).collect());
        self
    }

    /// With a tag.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With the material of all keys made this way: quick, for thousands of keys.
    #[must_use]
    pub fn reuse(mut self) -> Self {
        self.reuse = true;
        self
    }

    /// With a coordinate that starts with a zero byte.
    #[must_use]
    pub fn short_coordinate(mut self) -> Self {
        self.short_coordinate = true;
        self
    }

    fn family(&self) -> Result<Family, VaultError> {
        match self.kty.as_str() {
            "RSA" | "RSA-HSM" => {
                let size = self.size.unwrap_or(2048);
                if [2048, 3072, 4096].contains(&size) {
                    return Ok(Family::Rsa(size));
                }
                Err(VaultError::bad_parameter(format!("The specified RSA key size of {size} is not supported.")))
            }
            "EC" | "EC-HSM" => {
                let curve = self.curve.as_deref().unwrap_or("P-256");
                let row = CURVES.iter().find(|row| row.0 == curve);
                row.map(|row| Family::Ec(row.1)).ok_or_else(|| {
                    VaultError::bad_parameter(format!("The specified curve '{curve}' is not supported."))
                })
            }
            other => Err(VaultError::bad_parameter(format!("The specified key type '{other}' is not supported."))),
        }
    }

    /// Makes a version of a key.
    pub(crate) fn make(&self, state: &State) -> Result<Version, VaultError> {
        let family = self.family()?;
        let material = match (self.reuse, self.short_coordinate) {
            (_, true) => state.materials.short_coordinate(family)?,
            (true, _) => state.materials.shared(family)?,
            _ => state.materials.fresh(family)?,
        };
        self.of_material(state, material)
    }

    /// Makes a version of a key of this type that is there already.
    pub(crate) fn of_material(&self, state: &State, material: Arc<Material>) -> Result<Version, VaultError> {
        let family = material.family;
        let all: &[&str] = match family {
            Family::Rsa(_) => &["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
            _ => &["sign", "verify"],
        };
        let now = state.clock.now();
        Ok(Version {
            version: state.ids.hex(),
            kty: self.kty.clone(),
            material,
            enabled: self.enabled,
            not_before: self.nbf,
            expires: self.exp,
            created: now,
            updated: now,
            operations: self.key_ops.clone().unwrap_or_else(|| all.iter().map(|name| (*name).to_owned()).collect()),
            tags: self.tags.clone(),
            certificate: None,
        })
    }
}
