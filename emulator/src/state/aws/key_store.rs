//! The keys and aliases of the account, by region, and how they are named (KMS Developer Guide, "Key identifiers").

use super::arn::{ACCOUNT, arn};
use super::key::{Alias, Key, KeyState};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(crate) struct Region {
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) aliases: BTreeMap<String, Alias>,
}

/// Why an identifier names no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoSuchKey {
    InvalidArn(String),
    /// The ARN is of this other region.
    OtherRegion(String),
    InvalidId(String),
    /// The ARN of the alias.
    UnknownAlias(String),
    /// The ARN of the key.
    UnknownKey(String),
}

pub(crate) struct KeyStore {
    regions: Mutex<BTreeMap<String, Region>>,
    /// No waiting period ends before this: most requests find nothing to sweep.
    next_deletion: AtomicI64,
}

impl Default for KeyStore {
    fn default() -> Self {
        Self { regions: Mutex::default(), next_deletion: AtomicI64::new(i64::MAX) }
    }
}

impl KeyStore {
    pub(crate) fn regions(&self) -> MutexGuard<'_, BTreeMap<String, Region>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, region: &str, key: Key) {
        self.regions().entry(region.to_owned()).or_default().keys.insert(key.id.clone(), key);
    }

    /// Deletes the keys whose waiting period is over, with their aliases.
    pub(crate) fn sweep(&self, now: i64) {
        if now < self.next_deletion.load(Ordering::SeqCst) {
            return;
        }
        let mut regions = self.regions();
        for Region { keys, aliases } in regions.values_mut() {
            keys.retain(|_, key| key.deletion.is_none_or(|time| now < time));
            aliases.retain(|_, alias| keys.contains_key(&alias.key));
        }
        let next = regions.values().flat_map(|region| region.keys.values()).filter_map(|key| key.deletion).min();
        self.next_deletion.store(next.unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Starts a key's waiting period.
    pub(crate) fn schedule_deletion(&self, region: &str, id: &str, time: i64) {
        self.change(region, id, |key| {
            key.state = KeyState::PendingDeletion;
            key.deletion = Some(time);
        });
        self.next_deletion.fetch_min(time, Ordering::SeqCst);
    }

    /// The key that `id` names: a key id, a key ARN, an alias or an alias ARN.
    pub(crate) fn find(&self, region: &str, id: &str) -> Result<Key, NoSuchKey> {
        let regions = self.regions();
        let empty = Region::default();
        let here = regions.get(region).unwrap_or(&empty);
        let resource = if id.starts_with("arn:") {
            let parts: Vec<&str> = id.splitn(6, ':').collect();
            let [_, "aws", "kms", of_region, _account, resource] = parts.as_slice() else {
                return Err(NoSuchKey::InvalidArn(id.to_owned()));
            };
            if *of_region != region {
                return Err(NoSuchKey::OtherRegion((*of_region).to_owned()));
            }
            resource.strip_prefix("key/").unwrap_or(resource)
        } else {
            id
        };
        let foreign = id.starts_with("arn:") && !id.contains(&format!(":{ACCOUNT}:"));
        if resource.starts_with("alias/") {
            let target = here.aliases.get(resource).filter(|_| !foreign).and_then(|alias| here.keys.get(&alias.key));
            let arn = if foreign { id.to_owned() } else { arn(region, resource) };
            return target.cloned().ok_or(NoSuchKey::UnknownAlias(arn));
        }
        if !well_formed(resource) {
            return Err(NoSuchKey::InvalidId(resource.to_owned()));
        }
        let key = here.keys.get(resource).filter(|_| !foreign).cloned();
        let arn = if foreign { id.to_owned() } else { arn(region, &format!("key/{resource}")) };
        key.ok_or(NoSuchKey::UnknownKey(arn))
    }

    /// The key with this id, ARN or alias in whichever region it is.
    pub(crate) fn find_anywhere(&self, id: &str) -> Option<(String, Key)> {
        let names: Vec<String> = self.regions().keys().cloned().collect();
        names.into_iter().find_map(|region| self.find(&region, id).ok().map(|key| (region, key)))
    }

    /// The ARN and the aliases of the key that `id` names.
    pub(crate) fn names(&self, id: &str) -> Vec<String> {
        let Some((region, key)) = self.find_anywhere(id) else { return Vec::new() };
        let regions = self.regions();
        let aliases = regions.get(&region).into_iter().flat_map(|region| &region.aliases);
        let aliases = aliases.filter(|(_, alias)| alias.key == key.id).map(|(name, _)| name.clone());
        std::iter::once(key.arn.clone()).chain(aliases).collect()
    }

    /// Changes a key, in every region that has it under this ARN.
    pub(crate) fn change(&self, region: &str, id: &str, change: impl FnOnce(&mut Key)) {
        if let Some(key) = self.regions().get_mut(region).and_then(|region| region.keys.get_mut(id)) {
            change(key);
        }
    }

    /// Gives a key an alias, or moves the alias to it.
    pub(crate) fn set_alias(&self, region: &str, name: &str, key: &str, now: f64) {
        let mut regions = self.regions();
        let aliases = &mut regions.entry(region.to_owned()).or_default().aliases;
        let created = aliases.get(name).map_or(now, |alias| alias.created);
        aliases.insert(name.to_owned(), Alias { key: key.to_owned(), created, updated: now });
    }
}

/// Whether it looks like a key id: a UUID, or `mrk-` and 32 hexadecimal digits.
fn well_formed(id: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match id.strip_prefix("mrk-") {
        Some(rest) => rest.len() == 32 && hex(rest),
        None => id.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && id.split('-').all(hex),
    }
}

#[cfg(test)]
mod tests {
    use crate::api::{Aws, AwsKey};
    use crate::state::State;

    #[test]
    fn a_waiting_period_ends() {
        let state = State::new(1, None).unwrap();
        let make = |alias: &str| Aws { state: &state }.create_key(AwsKey::new("HMAC_256").alias(alias)).unwrap().id;
        let (first, second) = (make("alias/first"), make("alias/second"));
        state.aws.keys.schedule_deletion(AwsKey::REGION, &first, 100);
        state.aws.keys.schedule_deletion(AwsKey::REGION, &second, 200);
        state.aws.keys.sweep(99);
        assert!(state.aws.keys.find(AwsKey::REGION, &first).is_ok());
        state.aws.keys.sweep(100);
        assert!(state.aws.keys.find(AwsKey::REGION, &first).is_err());
        assert!(state.aws.keys.find(AwsKey::REGION, "alias/first").is_err());
        assert!(state.aws.keys.find(AwsKey::REGION, "alias/second").is_ok());
        state.aws.keys.sweep(200);
        assert!(state.aws.keys.find(AwsKey::REGION, &second).is_err());
    }
}
