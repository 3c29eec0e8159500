//! The AWS side of an emulator, for Rust tests: keys, aliases and credentials.

use super::aws_key::AwsKey;
use crate::aws::kms::{KmsError, NewKey, create};
use crate::aws::machine::CONTAINER_TOKEN;
use crate::aws::sso;
use crate::state::State;
use crate::state::aws::{ACCESS_KEY, ACCOUNT, IssuedCertificate, Key, KeyState, SECRET_KEY, Spec, arn};
use serde::Serialize;
use std::io;

/// A KMS key that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwsKeyId {
    /// A UUID or `mrk-...`.
    pub id: String,
    /// The key's ARN.
    pub arn: String,
}

/// The AWS side of an emulator. Keys are named by id, ARN, alias or alias ARN, in whichever region they are.
#[derive(Clone, Copy)]
pub struct Aws<'a> {
    pub(crate) state: &'a State,
}

impl Aws<'_> {
    /// The access key that is always good.
    pub const ACCESS_KEY: &'static str = ACCESS_KEY;
    /// Its secret.
    pub const SECRET_KEY: &'static str = SECRET_KEY;
    /// What a container's program shows to `/container/credentials`.
    pub const CONTAINER_TOKEN: &'static str = CONTAINER_TOKEN;
    /// What `aws sso login` leaves behind for IAM Identity Center's portal.
    pub const SSO_TOKEN: &'static str = sso::TOKEN;
    /// The account of all keys and roles.
    pub const ACCOUNT: &'static str = ACCOUNT;

    /// Makes a key.
    pub fn create_key(&self, key: AwsKey) -> io::Result<AwsKeyId> {
        let region = key.region.as_deref().unwrap_or(AwsKey::REGION);
        let usage = key.usage.as_deref().or_else(|| Spec::named(&key.spec)?.usages.first().copied());
        let new = NewKey {
            spec: &key.spec,
            usage,
            description: key.description.as_deref().unwrap_or_default(),
            tags: key.tags.clone(),
            multi_region: key.multi_region,
            reuse: key.reuse,
        };
        let made = create(self.state, region, new)?;
        if let Some(alias) = &key.alias {
            if !alias.starts_with("alias/") {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("an alias starts with alias/, unlike {alias}"),
                ));
            }
            self.state.aws.keys.set_alias(region, alias, &made.id, self.state.clock.precise());
        }
        Ok(AwsKeyId { id: made.id, arn: made.arn })
    }

    /// Makes a replica of a multi-Region key: the same id and material in another region.
    pub fn replicate_key(&self, id: &str, region: &str) -> io::Result<AwsKeyId> {
        let mut key = self.find(id)?.1;
        if !key.multi_region {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{id} is not a multi-Region key")));
        }
        key.arn = arn(region, &format!("key/{}", key.id));
        let made = AwsKeyId { id: key.id.clone(), arn: key.arn.clone() };
        self.state.aws.keys.insert(region, key);
        Ok(made)
    }

    /// Gives a key an alias, or moves the alias to it.
    pub fn set_alias(&self, alias: &str, id: &str) -> io::Result<()> {
        let (region, key) = self.find(id)?;
        self.state.aws.keys.set_alias(&region, alias, &key.id, self.state.clock.precise());
        Ok(())
    }

    /// DisableKey.
    pub fn disable_key(&self, id: &str) -> io::Result<()> {
        self.set_state(id, KeyState::Disabled)
    }

    /// EnableKey; also takes back a scheduled deletion.
    pub fn enable_key(&self, id: &str) -> io::Result<()> {
        self.set_state(id, KeyState::Enabled)
    }

    /// ScheduleKeyDeletion: the key is there and can't be used.
    pub fn schedule_deletion(&self, id: &str) -> io::Result<()> {
        self.set_state(id, KeyState::PendingDeletion)
    }

    /// Deletes a key at once, with its aliases, as if its waiting period were over.
    pub fn delete_key(&self, id: &str) -> io::Result<()> {
        let (region, key) = self.find(id)?;
        if let Some(region) = self.state.aws.keys.regions().get_mut(&region) {
            region.keys.remove(&key.id);
            region.aliases.retain(|_, alias| alias.key != key.id);
        }
        Ok(())
    }

    /// The public key in SubjectPublicKeyInfo.
    pub fn public_key_spki(&self, id: &str) -> io::Result<Vec<u8>> {
        Ok(self.find(id)?.1.material.spki.clone())
    }

    /// The bytes of an HMAC key, to compute its MACs independently.
    pub fn secret_key(&self, id: &str) -> io::Result<Vec<u8>> {
        let key = self.find(id)?.1;
        if key.spec.asymmetric() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{id} is not a secret key")));
        }
        Ok(key.material.private.clone())
    }

    /// Makes ACM or ACM PCA hold a certificate in PEM under that ARN, with the chain of its issuers. A certificate
    /// that is `None` has been requested and is not issued yet.
    pub fn set_certificate(&self, arn: &str, certificate: Option<&str>, chain: Option<&str>) {
        let (certificate, chain) = (certificate.map(str::to_owned), chain.map(str::to_owned));
        self.state.aws.certificates.set(arn, IssuedCertificate { certificate, chain });
    }

    /// Registers an access key.
    pub fn allow_access_key(&self, id: &str, secret: &str) {
        self.state.aws.allow(id, secret, None);
    }

    /// Registers an access key that comes with a session token.
    pub fn allow_session(&self, id: &str, secret: &str, token: &str) {
        self.state.aws.allow(id, secret, Some(token));
    }

    /// From now on the access key is unknown.
    pub fn forget_access_key(&self, id: &str) {
        self.state.aws.credentials.forget(id);
    }

    /// The secrets and session tokens of all credentials that are known.
    pub fn secrets(&self) -> Vec<String> {
        self.state.aws.credentials.secrets()
    }

    /// Registers a token for AssumeRoleWithWebIdentity.
    pub fn allow_web_identity(&self, token: &str) {
        self.state.aws.allow_identity(token);
    }

    fn find(&self, id: &str) -> io::Result<(String, Key)> {
        self.state
            .aws
            .keys
            .find_anywhere(id)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no KMS key {id}")))
    }

    fn set_state(&self, id: &str, state: KeyState) -> io::Result<()> {
        let (region, key) = self.find(id)?;
        self.state.aws.keys.change(&region, &key.id, |key| {
            key.state = state;
            key.deletion = None;
        });
        Ok(())
    }
}

impl From<KmsError> for io::Error {
    fn from(error: KmsError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, format!("{}: {}", error.code, error.message))
    }
}
