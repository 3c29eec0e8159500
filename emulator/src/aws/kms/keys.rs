//! The operations of KMS that list, describe, make, change and delete keys.

use super::algorithms::{AGREE, ENCRYPT, MAC, SIGN, SPECS, Spec, algorithms};
use super::tags::Tags;
use super::{Call, KmsError};
use crate::encoding::{base64, base64_decode};
use crate::state::State;
use crate::state::aws::account::{Key, KeyState, arn};
use serde_json::{Value, json};

/// A key that is to be made.
pub(crate) struct NewKey<'a> {
    pub(crate) spec: &'a str,
    pub(crate) usage: Option<&'a str>,
    pub(crate) description: &'a str,
    pub(crate) tags: Tags,
    pub(crate) multi_region: bool,
    pub(crate) reuse: bool,
}

/// Makes a key in a region.
pub(crate) fn create(state: &State, region: &str, new: NewKey<'_>) -> Result<Key, KmsError> {
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
        tags: new.tags,
        multi_region: new.multi_region,
        material,
    };
    state.aws.insert(region, key.clone());
    Ok(key)
}

impl Call<'_> {
    pub(crate) fn list_keys(&self) -> Result<Value, KmsError> {
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

    /// One page of a list that is sorted by id, after the id in `Marker`.
    pub(crate) fn page(&self, list: &str, items: Vec<(String, Value)>, limit: i64) -> Result<Value, KmsError> {
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

    pub(crate) fn describe_key(&self) -> Result<Value, KmsError> {
        Ok(json!({ "KeyMetadata": self.metadata(&self.key()?) }))
    }

    pub(crate) fn create_key(&self) -> Result<Value, KmsError> {
        let spec = self.input.optional("KeySpec").or_else(|| self.input.optional("CustomerMasterKeySpec"));
        if self.input.optional("Origin").is_some_and(|origin| origin != "AWS_KMS") {
            return Err(KmsError::new("UnsupportedOperationException", ""));
        }
        let new = NewKey {
            spec: spec.unwrap_or("SYMMETRIC_DEFAULT"),
            usage: self.input.optional("KeyUsage"),
            description: self.input.description()?.unwrap_or_default(),
            tags: self.input.tags()?,
            multi_region: self.input.0.get("MultiRegion").and_then(Value::as_bool) == Some(true),
            reuse: false,
        };
        Ok(json!({ "KeyMetadata": self.metadata(&create(self.state, &self.caller.region, new)?) }))
    }

    fn metadata(&self, key: &Key) -> Value {
        let region = &self.caller.region;
        let (list, names) = algorithms(key.spec, &key.usage);
        let mut metadata = json!({
            "AWSAccountId": crate::state::aws::account::ACCOUNT,
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

    pub(crate) fn update_key_description(&self) -> Result<(), KmsError> {
        let description = self.input.description()?.ok_or_else(|| KmsError::missing("description"))?.to_owned();
        let key = self.own_key()?;
        key.check_not_pending()?;
        self.state.aws.change(&self.caller.region, &key.id, |key| key.description = description);
        Ok(())
    }

    pub(crate) fn enable_key(&self, enabled: bool) -> Result<(), KmsError> {
        let key = self.own_key()?;
        key.check_not_pending()?;
        let state = if enabled { KeyState::Enabled } else { KeyState::Disabled };
        self.state.aws.change(&self.caller.region, &key.id, |key| key.state = state);
        Ok(())
    }

    pub(crate) fn schedule_key_deletion(&self) -> Result<Value, KmsError> {
        let days = self.input.number("PendingWindowInDays", 7, 30)?.unwrap_or(30);
        let key = self.own_key()?;
        key.check_not_pending()?;
        let deletion = self.now + days * 86_400;
        self.state.aws.schedule_deletion(&self.caller.region, &key.id, deletion);
        Ok(
            json!({ "KeyId": key.arn, "DeletionDate": deletion, "KeyState": "PendingDeletion", "PendingWindowInDays": days }),
        )
    }

    /// The key comes back disabled (API Reference of CancelKeyDeletion).
    pub(crate) fn cancel_key_deletion(&self) -> Result<Value, KmsError> {
        let key = self.own_key()?;
        if key.state != KeyState::PendingDeletion {
            let text = format!("{} is not pending deletion.", key.arn);
            return Err(KmsError::new("KMSInvalidStateException", text));
        }
        self.state.aws.change(&self.caller.region, &key.id, |key| {
            key.state = KeyState::Disabled;
            key.deletion = None;
        });
        Ok(json!({ "KeyId": key.arn }))
    }
}
