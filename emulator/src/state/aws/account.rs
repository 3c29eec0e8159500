//! The keys and aliases of one account, by region, and how they are named (KMS Developer Guide, "Key identifiers").

use crate::aws::kms::KmsError;
use crate::aws::kms::algorithms::Spec;
use crate::aws::kms::tags::Tags;
use crate::aws::sigv4::{Credential, Credentials};
use crate::crypto::Material;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The account that every key belongs to.
pub(crate) const ACCOUNT: &str = "111122223333";
/// Who the registered access keys belong to.
pub(crate) const USER_ARN: &str = "arn:aws:iam::111122223333:user/emulator";
pub(crate) const ACCESS_KEY: &str = "emulator-access-key";
pub(crate) const SECRET_KEY: &str = "emulator-secret-key";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
}

#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) spec: &'static Spec,
    pub(crate) usage: String,
    pub(crate) state: KeyState,
    pub(crate) created: i64,
    pub(crate) deletion: Option<i64>,
    pub(crate) description: String,
    pub(crate) tags: Tags,
    pub(crate) multi_region: bool,
    pub(crate) material: Arc<Material>,
}

impl Key {
    /// Whether cryptographic operations are allowed (KMS Developer Guide, "Key states").
    pub(crate) fn check_state(&self) -> Result<(), KmsError> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(KmsError::new("DisabledException", format!("{} is disabled.", self.arn))),
            KeyState::PendingDeletion => self.check_not_pending(),
        }
    }

    pub(crate) fn check_not_pending(&self) -> Result<(), KmsError> {
        match self.state {
            KeyState::PendingDeletion => {
                Err(KmsError::new("KMSInvalidStateException", format!("{} is pending deletion.", self.arn)))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) key: String,
    pub(crate) created: f64,
    pub(crate) updated: f64,
}

#[derive(Default)]
pub(crate) struct Region {
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) aliases: BTreeMap<String, Alias>,
}

pub(crate) struct Store {
    pub(crate) credentials: Credentials,
    regions: Mutex<BTreeMap<String, Region>>,
    /// Web identity tokens that STS accepts.
    identities: Mutex<Vec<String>>,
    /// Tokens of the instance metadata service, and when they expire.
    machine_tokens: Mutex<BTreeMap<String, i64>>,
    /// No waiting period ends before this: most requests find nothing to sweep.
    next_deletion: AtomicI64,
}

impl Default for Store {
    fn default() -> Self {
        let store = Self {
            credentials: Credentials::default(),
            regions: Mutex::default(),
            identities: Mutex::default(),
            machine_tokens: Mutex::default(),
            next_deletion: AtomicI64::new(i64::MAX),
        };
        store.allow(ACCESS_KEY, SECRET_KEY, None);
        store
    }
}

impl Store {
    pub(crate) fn allow(&self, id: &str, secret: &str, token: Option<&str>) {
        let (secret, token) = (secret.to_owned(), token.map(str::to_owned));
        self.credentials.allow(id, Credential { secret, token, expires: None, arn: USER_ARN.to_owned() });
    }

    pub(crate) fn allow_identity(&self, token: &str) {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner).push(token.to_owned());
    }

    pub(crate) fn knows_identity(&self, token: &str) -> bool {
        self.identities.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|known| known == token)
    }

    pub(crate) fn allow_machine_token(&self, token: &str, until: i64) {
        self.machine_tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), until);
    }

    pub(crate) fn knows_machine_token(&self, token: &str, now: i64) -> bool {
        let known = self.machine_tokens.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(token).is_some_and(|until| now < *until)
    }

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
    pub(crate) fn find(&self, region: &str, id: &str) -> Result<Key, KmsError> {
        let regions = self.regions();
        let empty = Region::default();
        let here = regions.get(region).unwrap_or(&empty);
        let not_found = |text: String| KmsError::new("NotFoundException", text);
        let resource = if id.starts_with("arn:") {
            let parts: Vec<&str> = id.splitn(6, ':').collect();
            let [_, "aws", "kms", of_region, _account, resource] = parts.as_slice() else {
                return Err(KmsError::new("InvalidArnException", format!("Invalid arn {id}")));
            };
            if *of_region != region {
                return Err(not_found(format!("Invalid arn {of_region}")));
            }
            resource.strip_prefix("key/").unwrap_or(resource)
        } else {
            id
        };
        let foreign = id.starts_with("arn:") && !id.contains(&format!(":{ACCOUNT}:"));
        if resource.starts_with("alias/") {
            let target = here.aliases.get(resource).filter(|_| !foreign).and_then(|alias| here.keys.get(&alias.key));
            let arn = if foreign { id.to_owned() } else { arn(region, resource) };
            return target.cloned().ok_or_else(|| not_found(format!("Alias {arn} is not found.")));
        }
        if !well_formed(resource) {
            return Err(not_found(format!("Invalid keyId '{resource}'")));
        }
        let key = here.keys.get(resource).filter(|_| !foreign).cloned();
        let arn = if foreign { id.to_owned() } else { arn(region, &format!("key/{resource}")) };
        key.ok_or_else(|| not_found(format!("Key '{arn}' does not exist")))
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
}

pub(crate) fn arn(region: &str, resource: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:{resource}")
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
    use crate::api::aws::{Aws, AwsKey};
    use crate::state::State;

    #[test]
    fn a_waiting_period_ends() {
        let state = State::new(1, None).unwrap();
        let make = |alias: &str| Aws { state: &state }.create_key(AwsKey::new("HMAC_256").alias(alias)).unwrap().id;
        let (first, second) = (make("alias/first"), make("alias/second"));
        state.aws.schedule_deletion(AwsKey::REGION, &first, 100);
        state.aws.schedule_deletion(AwsKey::REGION, &second, 200);
        state.aws.sweep(99);
        assert!(state.aws.find(AwsKey::REGION, &first).is_ok());
        state.aws.sweep(100);
        assert!(state.aws.find(AwsKey::REGION, &first).is_err());
        assert!(state.aws.find(AwsKey::REGION, "alias/first").is_err());
        assert!(state.aws.find(AwsKey::REGION, "alias/second").is_ok());
        state.aws.sweep(200);
        assert!(state.aws.find(AwsKey::REGION, &second).is_err());
    }
}
