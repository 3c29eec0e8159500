//! Creation, labels and deletion of keys in KMS. Labels are aliases.
//!
//! API reference: CreateKey, CreateAlias, ScheduleKeyDeletion. "KMS is eventually consistent": a key that was just
//! created may be unknown for a while.

use super::client::{Clients, RegionClient};
use super::errors::refusal;
use super::keys::{SPECS, facts, hmac_facts, is_alias, schemes};
use super::operations::{CREATE_ALIAS, CREATE_KEY, GET_PUBLIC_KEY, SCHEDULE_DELETION, UPDATE_ALIAS};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyDescription, KeyName};
use crate::cloud::management::{CreatedKey, NewKey};
use crate::cloud::management::{retry_if_missing, with_advice, without_retry};
use crate::error::{Error, Result};
use crate::key::{Kind, Purpose};
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyUsageType, Tag};
use cryptoki_sys::*;
use std::sync::Arc;

/// KeyUsage of the API. A key has one KeyUsage.
static USAGES: [(KeyUsageType, Purpose); 3] = [
    (KeyUsageType::SignVerify, Purpose::Sign),
    (KeyUsageType::EncryptDecrypt, Purpose::Decrypt),
    (KeyUsageType::KeyAgreement, Purpose::Derive),
];

fn spec(kind: Kind) -> Option<&'static KeySpec> {
    SPECS.iter().find(|row| row.1 == kind).map(|row| &row.0)
}

/// Returns whether this module can create keys of this kind.
pub(crate) fn can_create(kind: Kind) -> bool {
    spec(kind).is_some()
}

fn usage(new: &NewKey) -> Option<KeyUsageType> {
    match (new.kind, &new.purposes[..]) {
        (Kind::Hmac(_), [Purpose::Sign]) => Some(KeyUsageType::GenerateVerifyMac),
        (_, [purpose]) => USAGES.iter().find(|row| row.1 == *purpose).map(|row| row.0.clone()),
        _ => None,
    }
}

/// Returns the alias of a label. The label may have the prefix `alias/`.
fn alias(label: &str) -> String {
    format!("alias/{}", label.strip_prefix("alias/").unwrap_or(label))
}

/// Returns whether an alias has a valid name, and is not one of AWS's own. CreateAlias: "AliasName: 1 to 256
/// characters of a-z, A-Z, 0-9, /, _, -".
fn is_alias_name(alias: &str) -> bool {
    let name = alias.strip_prefix("alias/").unwrap_or_default();
    (1..=250).contains(&name.len())
        && !name.starts_with("aws/")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
}

/// Checks whether such a key can be created, without a request.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT if such a key cannot have these purposes, CKR_ATTRIBUTE_VALUE_INVALID if the label
/// cannot be the name of an alias.
pub(crate) fn check_new(new: &NewKey) -> Result<()> {
    let inconsistent = |text: &str| Err(Error::new(CKR_TEMPLATE_INCONSISTENT, text.to_owned()));
    let [purpose] = new.purposes[..] else {
        return inconsistent(
            "a key of AWS KMS can only sign, only decrypt or only derive; set exactly one of CKA_SIGN, CKA_DECRYPT \
             (with CKA_UNWRAP) and CKA_DERIVE (pkcs11-tool: --usage-sign, --usage-decrypt or --usage-derive)",
        );
    };
    let does = schemes(new.kind).iter().any(|scheme| scheme.family.purpose() == purpose);
    if !does {
        return inconsistent(match purpose {
            Purpose::Sign => "AWS KMS can't sign with a key of this type; unset CKA_SIGN, or choose another type",
            Purpose::Decrypt | Purpose::Unwrap => {
                "AWS KMS decrypts with RSA keys only; unset CKA_DECRYPT and CKA_UNWRAP, or choose RSA"
            }
            Purpose::Derive => {
                "AWS KMS derives with keys on P-256, P-384 and P-521 only; unset CKA_DERIVE, or choose one of these curves"
            }
        });
    }
    new.label.as_deref().map_or(Ok(()), |label| check_alias(label, &alias(label)))
}

/// Checks whether a key can have this label. A label becomes an alias, and listings return it without the prefix
/// `alias/`.
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID if the label cannot be the name of an alias.
pub(crate) fn check_label(label: &str) -> Result<()> {
    check_alias(label, &format!("alias/{label}"))
}

fn check_alias(label: &str, alias: &str) -> Result<()> {
    let name = alias.strip_prefix("alias/").unwrap_or_default();
    if is_alias_name(alias) && !name.starts_with("alias/") {
        return Ok(());
    }
    let text = format!(
        "CKA_LABEL {label:?} is not a valid alias name; choose 1 to 250 of a-z, A-Z, 0-9, /, _ and -, without \
         \"alias/\", and not aws/..."
    );
    Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text))
}

impl Clients {
    /// Creates a key and, if it has a label, its alias.
    ///
    /// # Errors
    /// Fails with [`Cause::Rejected`] if the alias is in use. If a request fails after the key was created, the
    /// message names the key.
    pub(crate) async fn create(&self, new: &NewKey) -> std::result::Result<CreatedKey, Failure> {
        let alias = new.label.as_deref().map(alias);
        if let Some(alias) = &alias {
            check_alias_unused(alias, self.describe(alias).await)?;
        }
        let made = self.create_key(new, alias.as_deref()).await?;
        let (id, arn) = (made.key_id.clone(), made.arn.clone().unwrap_or_else(|| made.key_id.clone()));
        if let Some(alias) = &alias {
            self.create_unused_alias(alias, &id).await.map_err(|failure| {
                let advice = format!(
                    "the key {arn} was created, but has no alias; run `aws kms create-alias --alias-name {alias} --target-key-id {id}` \
                     or `aws kms schedule-key-deletion --key-id {id}`"
                );
                Failure { message: format!("{}; {advice}", failure.message), ..failure }
            })?;
        }
        let option = format!("\"kms_key_id\": \"{}\"", alias.as_ref().unwrap_or(&arn));
        let facts = match hmac_facts(made) {
            Some(facts) => facts,
            None => self.describe_new(&arn, &option).await?,
        };
        let label = alias.as_deref().and_then(|alias| alias.strip_prefix("alias/")).map(str::to_owned);
        Ok(CreatedKey { name: KeyName { id, version: None }, alias, label, facts, config_option: option })
    }

    /// Changes the label of a key: creates another alias, which becomes the key's newest one, or makes an existing
    /// alias of the key the newest.
    pub(crate) async fn relabel(&self, id: &str, label: &str) -> std::result::Result<(), Failure> {
        let alias = alias(label);
        match self.describe(&alias).await {
            Ok(facts) if describes_key(&facts, id) => self.update_alias(&alias, id).await,
            answer => {
                check_alias_unused(&alias, answer)?;
                self.create_unused_alias(&alias, id).await
            }
        }
    }

    /// Creates an alias that is not in use. If the service rejects the request, the key may have the alias
    /// nevertheless, by an earlier request whose reply was lost.
    async fn create_unused_alias(&self, alias: &str, id: &str) -> std::result::Result<(), Failure> {
        match self.create_alias(alias, id).await {
            Err(failure) if failure.cause == Cause::Rejected => match self.describe(alias).await {
                Ok(facts) if describes_key(&facts, id) => Ok(()),
                _ => Err(failure),
            },
            answer => answer,
        }
    }

    async fn create_key(&self, new: &NewKey, alias: Option<&str>) -> std::result::Result<KeyMetadata, Failure> {
        let tag = |(key, value): (&str, String)| Tag::builder().tag_key(key).tag_value(value).build();
        let tags = new.tags().into_iter().map(tag).collect::<std::result::Result<Vec<_>, _>>();
        let tags = tags.map_err(|error| CREATE_KEY.failure(Cause::Rejected, error.to_string()))?;
        let attempt = |client: Arc<RegionClient>| {
            let request = client.sdk.create_key().set_key_spec(spec(new.kind).cloned()).set_key_usage(usage(new));
            let request = request.set_tags(Some(tags.clone()));
            async move {
                let reply = request.send().await.map_err(|e| without_retry(refusal(&CREATE_KEY, e)))?;
                Ok(reply.key_metadata.ok_or_else(|| CREATE_KEY.failure(Cause::Malformed, "the reply lacks the key"))?)
            }
        };
        self.call(&CREATE_KEY, alias.unwrap_or_default(), attempt)
            .await
            .map_err(|failure| with_advice(failure, MAY_BE_MADE))
    }

    async fn create_alias(&self, alias: &str, id: &str) -> std::result::Result<(), Failure> {
        let attempt = |client: Arc<RegionClient>| {
            let request = client.sdk.create_alias().alias_name(alias).target_key_id(id);
            async move {
                request.send().await.map_err(|e| retry_if_missing(refusal(&CREATE_ALIAS, e)))?;
                Ok(())
            }
        };
        self.call(&CREATE_ALIAS, alias, attempt).await
    }

    async fn update_alias(&self, alias: &str, id: &str) -> std::result::Result<(), Failure> {
        let attempt = |client: Arc<RegionClient>| {
            let request = client.sdk.update_alias().alias_name(alias).target_key_id(id);
            async move {
                request.send().await.map_err(|e| refusal(&UPDATE_ALIAS, e))?;
                Ok(())
            }
        };
        self.call(&UPDATE_ALIAS, alias, attempt).await
    }

    /// Describes a key that was just created. Waits while the service does not know the key.
    async fn describe_new(&self, arn: &str, option: &str) -> std::result::Result<KeyDescription, Failure> {
        let attempt = |client: Arc<RegionClient>| {
            let request = client.sdk.get_public_key().key_id(arn);
            async move { Ok(facts(request.send().await.map_err(|e| retry_if_missing(refusal(&GET_PUBLIC_KEY, e)))?)?) }
        };
        self.call(&GET_PUBLIC_KEY, arn, attempt).await.map_err(|failure| {
            let message =
                format!("{}; the key {arn} was created; to use it, write {option} in a slot", failure.message);
            Failure { message, ..failure }
        })
    }

    /// Schedules the deletion of a key, and returns how to undo it. "To delete an alias' key, name the key by its
    /// id or ARN."
    ///
    /// # Errors
    /// Fails with [`Cause::Rejected`] if `arn` is an alias.
    pub(crate) async fn destroy(&self, arn: &str, days: u32) -> std::result::Result<String, Failure> {
        if is_alias(arn) {
            let message = format!("{arn} is an alias, and its key is unknown; name the key by its id or ARN");
            return Err(SCHEDULE_DELETION.failure(Cause::Rejected, message));
        }
        let attempt = |client: Arc<RegionClient>| {
            let request = client.sdk.schedule_key_deletion().key_id(arn).pending_window_in_days(days as i32);
            async move { request.send().await.map_err(|e| without_retry(refusal(&SCHEDULE_DELETION, e))) }
        };
        let reply = self
            .call(&SCHEDULE_DELETION, arn, attempt)
            .await
            .map_err(|failure| with_advice(failure, MAY_BE_SCHEDULED))?;
        let days = reply.pending_window_in_days.unwrap_or(days as i32);
        Ok(format!(
            "the key will be deleted in {days} days; to restore it before, run `aws kms cancel-key-deletion --key-id {arn}` and \
             `aws kms enable-key --key-id {arn}`"
        ))
    }
}

/// Returns whether the facts describe the key with this id.
fn describes_key(facts: &KeyDescription, id: &str) -> bool {
    facts.immutable_id.as_deref().is_some_and(|arn| arn.ends_with(&format!("/{id}")))
}

/// Checks that an alias is not in use, according to the result of describing its key. If the user must not
/// describe the key, CreateAlias reports an alias that is in use.
fn check_alias_unused(
    alias: &str,
    answer: std::result::Result<KeyDescription, Failure>,
) -> std::result::Result<(), Failure> {
    match answer {
        Err(failure) if matches!(failure.cause, Cause::NotFound | Cause::Denied) => Ok(()),
        Err(failure) if !matches!(failure.cause, Cause::Unsupported | Cause::Disabled) => Err(failure),
        _ => {
            let message = format!("{alias} already exists and belongs to a key; choose another CKA_LABEL");
            Err(CREATE_ALIAS.failure(Cause::Rejected, message))
        }
    }
}

const MAY_BE_MADE: &str = "the key may have been created nevertheless, so the request is not repeated; look for keys with the \
     tag created-by=cloud-kms-pkcs11 before you try again";
const MAY_BE_SCHEDULED: &str = "the deletion may have been scheduled nevertheless; check with `aws kms describe-key`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Algorithm;

    #[test]
    fn a_key_has_one_purpose_and_a_name_that_an_alias_can_have() {
        let new = |kind, purposes: &[Purpose], label: &str| {
            let label = Some(label.to_owned()).filter(|label| !label.is_empty());
            check_new(&NewKey { kind, purposes: purposes.to_vec(), label, id: None }).map_err(|error| error.rv)
        };
        let rsa = Kind::Rsa(2048);
        assert_eq!(new(rsa, &[Purpose::Sign], "a/b_c-1"), Ok(()));
        assert_eq!(new(rsa, &[Purpose::Sign], "alias/b"), Ok(()));
        assert_eq!(new(rsa, &[Purpose::Decrypt], ""), Ok(()));
        assert_eq!(new(rsa, &[Purpose::Sign, Purpose::Decrypt], "a"), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(rsa, &[Purpose::Derive], "a"), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(Kind::Ed25519, &[Purpose::Decrypt], "a"), Err(CKR_TEMPLATE_INCONSISTENT));
        for label in ["with space", "aws/mine", "alias/aws/mine", "é", "alias/"] {
            assert_eq!(new(rsa, &[Purpose::Sign], label), Err(CKR_ATTRIBUTE_VALUE_INVALID), "{label}");
        }
    }

    #[test]
    fn every_kind_has_a_usage_for_what_it_does() {
        for (_, kind) in &SPECS {
            for scheme in schemes(*kind) {
                let purposes = vec![scheme.family.purpose()];
                let usage = usage(&NewKey { kind: *kind, purposes, label: None, id: None });
                let macs = scheme.family == Algorithm::Hmac;
                assert_eq!(usage == Some(KeyUsageType::GenerateVerifyMac), macs, "{}", kind.name());
                assert!(usage.is_some());
            }
        }
    }
}
