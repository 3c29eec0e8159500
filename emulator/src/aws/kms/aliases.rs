//! The operations of KMS on aliases, and the rules for their names (KMS Developer Guide, "Aliases").

use super::call::Call;
use super::error::KmsError;
use crate::state::aws::{Alias, Key, arn};
use serde_json::{Value, json};

/// KMS Developer Guide, "Resource quotas": "Aliases per KMS key: 50".
const MOST_ALIASES: usize = 50;

impl Call<'_> {
    pub(super) fn list_aliases(&self) -> Result<Value, KmsError> {
        let limit = self.input.number("Limit", 1, 100)?.unwrap_or(50);
        let target = self.input.optional("KeyId").map(|_| self.key()).transpose()?;
        let region = &self.caller.region;
        let aliases = {
            let regions = self.state.aws.keys.regions();
            let aliases = regions.get(region).map(|region| region.aliases.iter());
            let aliases = aliases.into_iter().flatten();
            let aliases = aliases.filter(|(_, alias)| target.as_ref().is_none_or(|key| key.id == alias.key));
            aliases.map(|(name, alias)| (name.clone(), item(region, name, alias))).collect()
        };
        self.page("Aliases", aliases, limit)
    }

    pub(super) fn create_alias(&self) -> Result<(), KmsError> {
        let (name, key) = self.alias_and_target()?;
        if self.target_of(name).is_some() {
            let text = format!("An alias with the name {} already exists", arn(&self.caller.region, name));
            return Err(KmsError::new("AlreadyExistsException", text));
        }
        if self.count_of(&key.id) >= MOST_ALIASES {
            let text = format!("Alias limit exceeded for key {}", key.id);
            return Err(KmsError::new("LimitExceededException", text));
        }
        self.state.aws.keys.set_alias(&self.caller.region, name, &key.id, self.state.clock.precise());
        Ok(())
    }

    fn count_of(&self, key: &str) -> usize {
        let regions = self.state.aws.keys.regions();
        let aliases = regions.get(&self.caller.region).into_iter().flat_map(|region| region.aliases.values());
        aliases.filter(|alias| alias.key == key).count()
    }

    /// API Reference of UpdateAlias: the old and the new key are of one type and have one usage.
    pub(super) fn update_alias(&self) -> Result<(), KmsError> {
        let (name, key) = self.alias_and_target()?;
        let old = self.state.aws.keys.find(&self.caller.region, name)?;
        if old.usage != key.usage || old.spec.asymmetric() != key.spec.asymmetric() {
            let text = format!("Alias {} can only be updated to a key of the same type and usage.", self.arn_of(name));
            return Err(KmsError::validation(text));
        }
        self.state.aws.keys.set_alias(&self.caller.region, name, &key.id, self.state.clock.precise());
        Ok(())
    }

    pub(super) fn delete_alias(&self) -> Result<(), KmsError> {
        let name = self.alias_name()?;
        let mut regions = self.state.aws.keys.regions();
        let removed = regions.get_mut(&self.caller.region).and_then(|region| region.aliases.remove(name));
        let missing = || KmsError::new("NotFoundException", format!("Alias {} is not found.", self.arn_of(name)));
        removed.map(|_| ()).ok_or_else(missing)
    }

    fn arn_of(&self, name: &str) -> String {
        arn(&self.caller.region, name)
    }

    fn target_of(&self, name: &str) -> Option<String> {
        let regions = self.state.aws.keys.regions();
        regions.get(&self.caller.region)?.aliases.get(name).map(|alias| alias.key.clone())
    }

    fn alias_and_target(&self) -> Result<(&str, Key), KmsError> {
        let name = self.alias_name()?;
        let target = self.input.text("TargetKeyId")?;
        if target.contains("alias/") {
            return Err(KmsError::validation("Aliases must refer to keys. Not aliases"));
        }
        let key = self.state.aws.keys.find(&self.caller.region, target)?;
        key.check_not_pending()?;
        Ok((name, key))
    }

    fn alias_name(&self) -> Result<&str, KmsError> {
        let name = self.input.bounded("AliasName", 1, 256)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte);
        if !name.bytes().all(allowed) {
            let rule = "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$";
            return Err(KmsError::constraint("aliasName", Some(name), rule));
        }
        match name.strip_prefix("alias/") {
            None => Err(KmsError::validation(
                "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
            )),
            Some("") => Err(KmsError::new("InvalidAliasNameException", "")),
            // For the keys that AWS manages.
            Some(rest) if rest.starts_with("aws/") => Err(KmsError::new("NotAuthorizedException", "")),
            Some(rest) if rest.contains(':') => {
                Err(KmsError::validation(format!("{name} contains invalid characters for an alias")))
            }
            Some(_) => Ok(name),
        }
    }
}

fn item(region: &str, name: &str, alias: &Alias) -> Value {
    json!({
        "AliasName": name,
        "AliasArn": arn(region, name),
        "TargetKeyId": alias.key,
        "CreationDate": alias.created,
        "LastUpdatedDate": alias.updated,
    })
}
