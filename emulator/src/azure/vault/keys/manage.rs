//! The operations that read, list, make and change keys (Key Vault REST API, "Keys").

use super::new_key::VaultKey;
use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use crate::azure::vault::tags::tags;
use serde_json::Value;

impl Call<'_> {
    pub(crate) fn get_key(&self, name: &str, version: &str) -> Result<Value, VaultError> {
        Ok(self.bundle(name, &self.find(name, version)?))
    }

    pub(crate) fn list_keys(&self) -> Result<Value, VaultError> {
        let current = self.state.vaults.current_versions(&self.vault);
        let items = current.into_iter().map(|(name, key)| {
            let item = self.item(&name, "", &key);
            (name, item)
        });
        self.page(items.collect())
    }

    pub(crate) fn list_versions(&self, name: &str) -> Result<Value, VaultError> {
        self.find(name, "")?;
        let mut versions = self.state.vaults.versions(&self.vault, name);
        versions.sort_by(|one, other| one.version.cmp(&other.version));
        let items = versions.iter().map(|key| (key.version.clone(), self.item(name, &key.version, key)));
        self.page(items.collect())
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
