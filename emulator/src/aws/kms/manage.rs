//! The operations of KMS that list, describe, make, change and delete keys.

use super::algorithms::algorithms;
use super::call::Call;
use super::error::KmsError;
use super::new_key::{NewKey, create};
use crate::state::aws::{ACCOUNT, Key, KeyState};
use serde_json::{Value, json};

impl Call<'_> {
    pub(super) fn list_keys(&self) -> Result<Value, KmsError> {
        let limit = self.input.number("Limit", 1, 1000)?.unwrap_or(100);
        let keys = {
            let regions = self.state.aws.keys.regions();
            let keys = regions.get(&self.caller.region).map(|region| region.keys.values());
            keys.into_iter()
                .flatten()
                .map(|key| (key.id.clone(), json!({ "KeyId": key.id, "KeyArn": key.arn })))
                .collect()
        };
        self.page("Keys", keys, limit)
    }

    pub(super) fn describe_key(&self) -> Result<Value, KmsError> {
        Ok(json!({ "KeyMetadata": self.metadata(&self.key()?) }))
    }

    pub(super) fn create_key(&self) -> Result<Value, KmsError> {
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
            "AWSAccountId": ACCOUNT,
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

    pub(super) fn update_key_description(&self) -> Result<(), KmsError> {
        let description = self.input.description()?.ok_or_else(|| KmsError::missing("description"))?.to_owned();
        let key = self.own_key()?;
        key.check_not_pending()?;
        self.state.aws.keys.change(&self.caller.region, &key.id, |key| key.description = description);
        Ok(())
    }

    pub(super) fn enable_key(&self, enabled: bool) -> Result<(), KmsError> {
        let key = self.own_key()?;
        key.check_not_pending()?;
        let state = if enabled { KeyState::Enabled } else { KeyState::Disabled };
        self.state.aws.keys.change(&self.caller.region, &key.id, |key| key.state = state);
        Ok(())
    }

    pub(super) fn schedule_key_deletion(&self) -> Result<Value, KmsError> {
        let days = self.input.number("PendingWindowInDays", 7, 30)?.unwrap_or(30);
        let key = self.own_key()?;
        key.check_not_pending()?;
        let deletion = self.now + days * 86_400;
        self.state.aws.keys.schedule_deletion(&self.caller.region, &key.id, deletion);
        Ok(
            json!({ "KeyId": key.arn, "DeletionDate": deletion, "KeyState": "PendingDeletion", "PendingWindowInDays": days }),
        )
    }

    /// The key comes back disabled (API Reference of CancelKeyDeletion).
    pub(super) fn cancel_key_deletion(&self) -> Result<Value, KmsError> {
        let key = self.own_key()?;
        if key.state != KeyState::PendingDeletion {
            let text = format!("{} is not pending deletion.", key.arn);
            return Err(KmsError::new("KMSInvalidStateException", text));
        }
        self.state.aws.keys.change(&self.caller.region, &key.id, |key| {
            key.state = KeyState::Disabled;
            key.deletion = None;
        });
        Ok(json!({ "KeyId": key.arn }))
    }
}
