//! The operations of KMS that list, describe, make and change keys and aliases.

use super::spec::{AGREE, ENCRYPT, MAC, SIGN, SPECS, Spec, algorithms};
use super::store::{Alias, Key, KeyState, Store, arn};
use super::{Call, KmsError};
use crate::state::State;
use crate::wire::{base64, base64_decode};
use serde_json::{Value, json};

/// A key that is to be made.
pub(crate) struct NewKey<'a> {
    pub(crate) spec: &'a str,
    pub(crate) usage: Option<&'a str>,
    pub(crate) description: &'a str,
    pub(crate) multi_region: bool,
    pub(crate) reuse: bool,
}

/// Makes a key in a region.
pub(crate) fn create(state: &State, region: &str, new: &NewKey<'_>) -> Result<Key, KmsError> {
    let spec = Spec::named(new.spec)
        .ok_or_else(|| KmsError::not_in("keySpec", new.spec, &SPECS.each_ref().map(|spec| spec.name)))?;
    let usages = [ENCRYPT, SIGN, MAC, AGREE];
    let usage = match new.usage {
        Some(usage) if !usages.contains(&usage) => {
            return Err(KmsError::not_in("keyUsage", usage, &usages));
        }
        Some(usage) => usage,
        None if spec.name == "SYMMETRIC_DEFAULT" => ENCRYPT,
        None => {
            let text = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.";
            return Err(KmsError::validation(text));
        }
    };
    if !spec.usages.contains(&usage) {
        return Err(KmsError::validation(format!("KeyUsage {usage} is not compatible with KeySpec {}", spec.name)));
    }
    let material = if new.reuse { state.materials.shared(spec.family)? } else { state.materials.fresh(spec.family)? };
    let id = if new.multi_region { format!("mrk-{}", state.ids.hex()) } else { state.ids.uuid() };
    let key = Key {
        arn: arn(region, &format!("key/{id}")),
        id,
        spec,
        usage: usage.to_owned(),
        state: KeyState::Enabled,
        created: state.clock.now(),
        deletion: None,
        description: new.description.to_owned(),
        multi_region: new.multi_region,
        material,
    };
    state.aws.insert(region, key.clone());
    Ok(key)
}

/// Gives a key an alias, or moves the alias to it.
pub(crate) fn set_alias(store: &Store, region: &str, name: &str, key: &str, now: i64) {
    let mut regions = store.regions();
    let aliases = &mut regions.entry(region.to_owned()).or_default().aliases;
    let created = aliases.get(name).map_or(now, |alias| alias.created);
    aliases.insert(name.to_owned(), Alias { key: key.to_owned(), created, updated: now });
}

impl Call<'_> {
    pub(super) fn list_keys(&self) -> Result<Value, KmsError> {
        let limit = self.input.number("Limit", 1, 1000)?.unwrap_or(100);
        let keys = {
            let regions = self.state.aws.regions();
            let keys = regions.get(&self.caller.region).map(|region| region.keys.values());
            keys.into_iter()
                .flatten()
                .map(|key| (key.id.clone(), json!({ "KeyId": key.id, "KeyArn": key.arn })))
                .collect()
        };
        self.page("Keys", keys, limit)
    }

    pub(super) fn list_aliases(&self) -> Result<Value, KmsError> {
        let limit = self.input.number("Limit", 1, 100)?.unwrap_or(50);
        let target = self.input.optional("KeyId").map(|_| self.key()).transpose()?;
        let region = &self.caller.region;
        let aliases = {
            let regions = self.state.aws.regions();
            let aliases = regions.get(region).map(|region| region.aliases.iter());
            let aliases = aliases.into_iter().flatten();
            let aliases = aliases.filter(|(_, alias)| target.as_ref().is_none_or(|key| key.id == alias.key));
            aliases
                .map(|(name, alias)| {
                    (
                        name.clone(),
                        json!({
                            "AliasName": name,
                            "AliasArn": arn(region, name),
                            "TargetKeyId": alias.key,
                            "CreationDate": alias.created,
                            "LastUpdatedDate": alias.updated,
                        }),
                    )
                })
                .collect()
        };
        self.page("Aliases", aliases, limit)
    }

    /// One page of a list that is sorted by id, after the id in `Marker`.
    fn page(&self, list: &str, items: Vec<(String, Value)>, limit: i64) -> Result<Value, KmsError> {
        let marker = self.input.optional("Marker").map(|marker| {
            let after = base64_decode(marker).and_then(|bytes| String::from_utf8(bytes).ok());
            after.ok_or_else(|| KmsError::new("InvalidMarkerException", "Could not deserialize marker"))
        });
        let after = marker.transpose()?;
        if after.is_none() && self.state.switches().kms_empty_page {
            // Less than any id, and not empty: clients take an empty marker for none.
            return Ok(json!({ list: [], "Truncated": true, "NextMarker": base64(b"!") }));
        }
        let after = after.unwrap_or_default();
        let mut rest = items.into_iter().filter(|(id, _)| *id > after);
        let page: Vec<(String, Value)> = rest.by_ref().take(usize::try_from(limit).unwrap_or(1)).collect();
        let last = page.last().map(|(id, _)| base64(id.as_bytes()));
        let values: Vec<Value> = page.into_iter().map(|(_, value)| value).collect();
        let mut reply = json!({ list: values, "Truncated": false });
        if rest.next().is_some() {
            reply["Truncated"] = json!(true);
            reply["NextMarker"] = json!(last);
        }
        Ok(reply)
    }

    pub(super) fn describe_key(&self) -> Result<Value, KmsError> {
        Ok(json!({ "KeyMetadata": self.metadata(&self.key()?) }))
    }

    pub(super) fn create_key(&self) -> Result<Value, KmsError> {
        let spec = self.input.optional("KeySpec").or_else(|| self.input.optional("CustomerMasterKeySpec"));
        let new = NewKey {
            spec: spec.unwrap_or("SYMMETRIC_DEFAULT"),
            usage: self.input.optional("KeyUsage"),
            description: self.input.optional("Description").unwrap_or_default(),
            multi_region: self.input.0.get("MultiRegion").and_then(Value::as_bool) == Some(true),
            reuse: false,
        };
        Ok(json!({ "KeyMetadata": self.metadata(&create(self.state, &self.caller.region, &new)?) }))
    }

    fn metadata(&self, key: &Key) -> Value {
        let region = &self.caller.region;
        let (list, names) = algorithms(key.spec, &key.usage);
        let mut metadata = json!({
            "AWSAccountId": super::store::ACCOUNT,
            "KeyId": key.id,
            "Arn": key.arn,
            "CreationDate": key.created,
            "Enabled": key.state == KeyState::Enabled,
            "Description": key.description,
            "KeyUsage": key.usage,
            "KeyState": format!("{:?}", key.state),
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": key.spec.name,
            "KeySpec": key.spec.name,
            list: names,
            "MultiRegion": key.multi_region,
        });
        if key.multi_region {
            metadata["MultiRegionConfiguration"] = json!({
                "MultiRegionKeyType": "PRIMARY",
                "PrimaryKey": { "Arn": key.arn, "Region": region },
                "ReplicaKeys": [],
            });
        }
        if let Some(deletion) = key.deletion {
            metadata["DeletionDate"] = json!(deletion);
        }
        metadata
    }

    pub(super) fn create_alias(&self) -> Result<(), KmsError> {
        let (name, key) = self.alias_and_target()?;
        let exists =
            self.state.aws.regions().get(&self.caller.region).is_some_and(|region| region.aliases.contains_key(name));
        if exists {
            let text = format!("An alias with the name {} already exists", arn(&self.caller.region, name));
            return Err(KmsError::new("AlreadyExistsException", text));
        }
        set_alias(&self.state.aws, &self.caller.region, name, &key.id, self.now);
        Ok(())
    }

    pub(super) fn update_alias(&self) -> Result<(), KmsError> {
        let (name, key) = self.alias_and_target()?;
        self.state.aws.find(&self.caller.region, name)?;
        set_alias(&self.state.aws, &self.caller.region, name, &key.id, self.now);
        Ok(())
    }

    fn alias_and_target(&self) -> Result<(&str, Key), KmsError> {
        let name = self.input.text("AliasName")?;
        if !name.starts_with("alias/") {
            let text = "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
            return Err(KmsError::validation(text));
        }
        let target = self.input.text("TargetKeyId")?;
        if target.contains("alias/") {
            return Err(KmsError::validation("Aliases must refer to keys. Not aliases"));
        }
        let key = self.state.aws.find(&self.caller.region, target)?;
        key.check_not_pending()?;
        Ok((name, key))
    }

    pub(super) fn enable_key(&self, enabled: bool) -> Result<(), KmsError> {
        let key = self.key()?;
        key.check_not_pending()?;
        let state = if enabled { KeyState::Enabled } else { KeyState::Disabled };
        self.state.aws.change(&self.caller.region, &key.id, |key| key.state = state);
        Ok(())
    }

    pub(super) fn schedule_key_deletion(&self) -> Result<Value, KmsError> {
        let days = self.input.number("PendingWindowInDays", 7, 30)?.unwrap_or(30);
        let key = self.key()?;
        key.check_not_pending()?;
        let deletion = self.now + days * 86_400;
        self.state.aws.change(&self.caller.region, &key.id, |key| {
            key.state = KeyState::PendingDeletion;
            key.deletion = Some(deletion);
        });
        Ok(
            json!({ "KeyId": key.arn, "DeletionDate": deletion, "KeyState": "PendingDeletion", "PendingWindowInDays": days }),
        )
    }
}
