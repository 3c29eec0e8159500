//! Keys of a vault as such: made, read, listed, changed, deleted (Key Vault REST API, "Keys").

use super::deleted::RECOVERABLE_DAYS;
use crate::azure::vault::{Call, VaultError};
use crate::crypto::{Family, Material};
use crate::encoding::base64url;
use crate::state::State;
use crate::state::azure::vaults::{CURVES, Tags, Version, curve_name};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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

impl Version {
    pub(crate) fn attributes(&self) -> Value {
        let mut attributes = json!({
            "enabled": self.enabled,
            "created": self.created,
            "updated": self.updated,
            "recoveryLevel": "CustomizedRecoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
            "exportable": false,
        });
        for (name, time) in [("nbf", self.not_before), ("exp", self.expires)] {
            if let Some(time) = time {
                attributes[name] = json!(time);
            }
        }
        attributes
    }
}

impl Call<'_> {
    pub(crate) fn find(&self, name: &str, version: &str) -> Result<Version, VaultError> {
        self.state.vaults.find(&self.vault, name, version).map_err(|error| {
            // Managed HSM has its own wording.
            if self.place.hsm { VaultError::new(404, "KeyNotFound", format!("Key not found: {name}")) } else { error }
        })
    }

    pub(crate) fn get_key(&self, name: &str, version: &str) -> Result<Value, VaultError> {
        Ok(self.bundle(name, &self.find(name, version)?))
    }

    pub(crate) fn bundle(&self, name: &str, key: &Version) -> Value {
        labelled(key, json!({ "key": self.jwk(name, key), "attributes": key.attributes() }))
    }

    fn jwk(&self, name: &str, key: &Version) -> Value {
        let switches = self.state.switches();
        let mut jwk = json!({ "kid": self.id("keys", name, &key.version), "kty": key.kty, "key_ops": key.operations });
        if let Some((mut n, e)) = key.material.rsa_public() {
            if switches.jwk_leading_zero {
                n.insert(0, 0);
            }
            (jwk["n"], jwk["e"]) = (json!(base64url(&n)), json!(base64url(&e)));
        }
        if let Some((x, y)) = key.material.point() {
            let coordinate = |number: &[u8]| {
                base64url(if switches.jwk_short_coordinates { crate::encoding::der::strip(number) } else { number })
            };
            jwk["crv"] = json!(curve_name(key.material.family));
            (jwk["x"], jwk["y"]) = (json!(coordinate(&x)), json!(coordinate(&y)));
        }
        jwk
    }

    pub(crate) fn list_keys(&self) -> Result<Value, VaultError> {
        let keys: Vec<(String, Version)> = {
            let vaults = self.state.vaults.vaults();
            let keys = vaults.get(&self.vault).map(|vault| vault.keys.iter());
            let keys = keys
                .into_iter()
                .flatten()
                .filter_map(|(name, versions)| Some((name.clone(), versions.last()?.clone())));
            keys.collect()
        };
        let items = keys.into_iter().map(|(name, key)| {
            let item = self.item(&name, "", &key);
            (name, item)
        });
        self.page(items.collect())
    }

    pub(crate) fn list_versions(&self, name: &str) -> Result<Value, VaultError> {
        self.find(name, "")?;
        let versions = {
            let vaults = self.state.vaults.vaults();
            vaults.get(&self.vault).and_then(|vault| vault.keys.get(&name.to_ascii_lowercase()).cloned())
        };
        let mut versions = versions.unwrap_or_default();
        versions.sort_by(|one, other| one.version.cmp(&other.version));
        let items = versions.iter().map(|key| (key.version.clone(), self.item(name, &key.version, key)));
        self.page(items.collect())
    }

    pub(crate) fn item(&self, name: &str, version: &str, key: &Version) -> Value {
        labelled(key, json!({ "kid": self.id("keys", name, version), "attributes": key.attributes() }))
    }

    pub(crate) fn create_key(&self, name: &str) -> Result<Value, VaultError> {
        let body = self.body()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let attribute = |name: &str| body.get("attributes").and_then(|attributes| attributes.get(name));
        let kty = text("kty").ok_or_else(|| VaultError::bad_parameter("Property 'kty' is required.\r\n"))?;
        if self.place.hsm && !kty.ends_with("-HSM") {
            return Err(VaultError::bad_parameter(format!("Key type {kty} is not supported")));
        }
        self.check_not_deleted("Key", name)?;
        let delay = i64::from(self.state.switches().not_yet_valid_seconds);
        let key = VaultKey {
            kty,
            size: body.get("key_size").and_then(Value::as_u64).and_then(|size| u16::try_from(size).ok()),
            curve: text("crv"),
            enabled: attribute("enabled").and_then(Value::as_bool) != Some(false),
            nbf: attribute("nbf").and_then(Value::as_i64).or_else(|| (delay > 0).then_some(self.now + delay)),
            exp: attribute("exp").and_then(Value::as_i64),
            key_ops: operations(&body)?,
            reuse: false,
            short_coordinate: false,
            tags: tags(&body).unwrap_or_default(),
        };
        let version = key.make(self.state)?;
        self.state.vaults.insert(&self.vault, name, version.clone());
        Ok(self.bundle(name, &version))
    }

    pub(crate) fn update_key(&self, name: &str, version: &str) -> Result<Value, VaultError> {
        let body = self.body()?;
        let attribute = |name: &str| body.get("attributes").and_then(|attributes| attributes.get(name));
        self.find(name, version)?;
        let changed = operations(&body)?;
        self.state.vaults.change(&self.vault, name, version, |key| {
            key.enabled = attribute("enabled").and_then(Value::as_bool).unwrap_or(key.enabled);
            key.not_before = attribute("nbf").and_then(Value::as_i64).or(key.not_before);
            key.expires = attribute("exp").and_then(Value::as_i64).or(key.expires);
            key.operations = changed.unwrap_or_else(|| key.operations.clone());
            key.tags = tags(&body).unwrap_or_else(|| key.tags.clone());
            key.updated = self.now;
        })?;
        self.get_key(name, version)
    }
}

/// A description of a key, with what only some keys have.
fn labelled(key: &Version, mut item: Value) -> Value {
    if key.certificate.is_some() {
        item["managed"] = json!(true);
    }
    if !key.tags.is_empty() {
        item["tags"] = json!(key.tags);
    }
    item
}

/// The operations of a JSON web key that Key Vault knows; `import` is for wrapping keys in transfer.
const OPERATIONS: [&str; 8] = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "import", "export"];

fn operations(body: &Value) -> Result<Option<Vec<String>>, VaultError> {
    let Some(list) = body.get("key_ops").and_then(Value::as_array).filter(|list| !list.is_empty()) else {
        return Ok(None);
    };
    let known = |name: &Value| name.as_str().filter(|name| OPERATIONS.contains(name)).map(str::to_owned);
    let names = list.iter().map(known).collect::<Option<Vec<String>>>();
    names.map(Some).ok_or_else(|| VaultError::bad_parameter("Property 'key_ops' has invalid value\r\n"))
}

/// The tags in a request; an empty object takes all away.
pub(crate) fn tags(body: &Value) -> Option<Tags> {
    let tags = body.get("tags")?.as_object()?;
    Some(tags.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect())
}
