//! AWS KMS: what is asked of it and what its answers mean. Clients and credentials are made in `aws_client`.
//!
//! API reference: GetPublicKey, Sign, ListKeys and "Common Errors" of the AWS KMS API Reference.

use super::aws_client::Clients;
use super::aws_errors::refused;
use super::aws_keys::{GET_PUBLIC_KEY, Operation, SIGN, facts, schemes, secret_facts};
use super::aws_listing::LIST_KEYS;
pub use super::aws_login::Login;
use super::aws_manage::{self, CREATE_ALIAS, CREATE_KEY, SCHEDULE_DELETION};
use super::aws_uses::{DECRYPT, DERIVE, GENERATE_MAC, RANDOM, VERIFY_MAC};
use super::call::{Call, Refused};
use super::login::Access;
use super::order::Order;
use super::runtime;
use super::{
    Backend, Cause, Entry, Failure, Identity, KeyFacts, KeyName, ListedKey, MadeKey, Network, NewKey, Pending, Plain,
    Refusal, Secret, SharedBackend, Signature, Target,
};
use crate::error::Error;
use crate::key::{Family, Kind, PublicKey, Scheme};
use aws_sdk_kms::Client;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

/// What a slot says about AWS. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The region; None means that of the key's ARN, else what the SDK finds.
    pub region: Option<String>,
    /// A profile of the shared configuration and credentials files.
    pub profile: Option<String>,
    /// ARN of a role to assume with those credentials.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// The login that the credentials come by.
    pub login: Option<Login>,
    /// Another endpoint than the region's.
    pub endpoint_url: Option<String>,
    /// The region's FIPS endpoint; None means what the SDK finds.
    pub use_fips_endpoint: Option<bool>,
    /// The region's endpoint for IPv6, too; None means what the SDK finds.
    pub use_dualstack_endpoint: Option<bool>,
    /// How to reach it.
    pub network: Network,
}

/// The backend for these settings: no request, no file read.
pub fn open(settings: Settings) -> SharedBackend {
    Arc::new(Aws(Access::new(settings)))
}

struct Aws(Access<Clients>);

impl Backend for Aws {
    fn describe(&self, key: &KeyName) -> Pending<KeyFacts> {
        let (clients, id) = (self.clients(), key.id.clone());
        runtime::spawn(GET_PUBLIC_KEY.name, move || async move { clients.describe(&id).await })
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let (clients, order) = (self.clients(), Order::new(target, scheme, data));
        let operation = if scheme.family == Family::Hmac { &GENERATE_MAC } else { &SIGN };
        runtime::spawn(operation.name, move || async move { clients.sign(&order).await })
    }

    fn verify(&self, target: Target, scheme: Scheme, data: &[u8], mac: &[u8]) -> Pending<bool> {
        let (clients, order, mac) = (self.clients(), Order::new(target, scheme, data), mac.to_vec());
        runtime::spawn(VERIFY_MAC.name, move || async move { clients.verify_mac(&order, &mac).await })
    }

    fn decrypt(&self, target: Target, scheme: Scheme, ciphertext: &[u8]) -> Pending<Plain> {
        let (clients, order) = (self.clients(), Order::new(target, scheme, ciphertext));
        runtime::spawn(DECRYPT.name, move || async move { clients.decrypt(&order).await })
    }

    fn derive(&self, target: Target, peer: &PublicKey) -> Pending<Plain> {
        let (clients, order) = (self.clients(), Order::new(target, Family::Ecdh.alone(), peer.spki()));
        runtime::spawn(DERIVE.name, move || async move { clients.derive(&order).await })
    }

    fn random(&self, length: usize) -> Pending<Plain> {
        let clients = self.clients();
        runtime::spawn(RANDOM.name, move || async move { clients.random(length).await })
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        schemes(kind)
    }

    /// KeyUsage, which can't be changed.
    fn has_single_purpose(&self) -> bool {
        true
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        !is_alias(&key.id)
    }

    fn list(&self, labels: bool) -> Pending<Vec<ListedKey>> {
        let clients = self.clients();
        runtime::spawn(LIST_KEYS.name, move || async move { clients.list(labels).await })
    }

    fn pin(&self) -> Option<&'static str> {
        self.0.settings.login.as_ref().map(Login::words)
    }

    fn is_ready(&self) -> bool {
        self.0.settings.login.is_none() || self.0.is_entered()
    }

    fn log_in(&self, pin: Secret, deadline: Instant) -> Result<Entry<'_>, Refusal> {
        self.0.log_in(pin, deadline)
    }

    fn log_out(&self) {
        self.0.log_out();
    }

    fn makes(&self, kind: Kind) -> bool {
        aws_manage::makes(kind)
    }

    fn check_new(&self, new: &NewKey) -> Result<(), Error> {
        aws_manage::check_new(new)
    }

    fn create(&self, new: &NewKey) -> Pending<MadeKey> {
        let (clients, new) = (self.clients(), new.clone());
        runtime::spawn(CREATE_KEY.name, move || async move { clients.create(&new).await })
    }

    fn check_label(&self, label: &str) -> Result<(), Error> {
        aws_manage::check_label(label)
    }

    fn relabel(&self, key: &KeyName, label: &str) -> Pending<()> {
        let (clients, id, label) = (self.clients(), key.id.clone(), label.to_owned());
        runtime::spawn(CREATE_ALIAS.name, move || async move { clients.relabel(&id, &label).await })
    }

    fn destroy(&self, _key: &KeyName, immutable_id: &str, days: u32) -> Pending<String> {
        let (clients, id) = (self.clients(), immutable_id.to_owned());
        runtime::spawn(SCHEDULE_DELETION.name, move || async move { clients.destroy(&id, days).await })
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "aws_kms", model: "0" }
    }

    fn place(&self) -> String {
        place(&self.0.settings)
    }

    fn endpoint(&self) -> String {
        self.clients().place(self.0.settings.region.as_deref())
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

/// What a secret key is for.
const DESCRIBE_KEY: Operation = Operation { name: "DescribeKey", permission: "kms:DescribeKey" };

impl Aws {
    fn clients(&self) -> Arc<Clients> {
        self.0.clients()
    }
}

impl Clients {
    pub(super) async fn describe(&self, id: &str) -> Result<KeyFacts, Failure> {
        let attempt = |client: Client| {
            let request = client.get_public_key().key_id(id);
            async move { Ok(facts(request.send().await.map_err(|e| refused(&GET_PUBLIC_KEY, e))?)?) }
        };
        match self.call(&GET_PUBLIC_KEY, id, attempt).await {
            // A secret key has no public half: what it is for is asked in another way.
            Err(failure) if failure.cause == Cause::Unsupported => self.describe_secret(id, failure).await,
            answer => answer,
        }
    }

    async fn describe_secret(&self, id: &str, before: Failure) -> Result<KeyFacts, Failure> {
        let attempt = |client: Client| {
            let request = client.describe_key().key_id(id);
            async move { Ok(request.send().await.map_err(|e| refused(&DESCRIBE_KEY, e))?.key_metadata) }
        };
        match self.call(&DESCRIBE_KEY, id, attempt).await? {
            Some(about) => secret_facts(about).ok_or(before),
            None => Err(before),
        }
    }

    /// Signatures go out at once; what is loaded waits for its turn.
    pub(super) async fn call<T, F>(
        &self,
        operation: &'static Operation,
        key: &str,
        request: impl Fn(Client) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Refused>>,
    {
        let region = self.settings.region.clone().or_else(|| region_of_arn(key));
        let asked = Asked { operation: operation.name, key, clients: self, region: region.as_deref() };
        let turns = (operation.name == GET_PUBLIC_KEY.name).then_some(&self.turns);
        let call = Call { operation: operation.name, what: &asked, network: &self.settings.network, turns };
        let attempt = async || {
            let answer = request(self.client(operation.name, region.as_deref()).await?).await;
            match answer {
                Ok(answer) => Ok(answer),
                // In a box, for every call would carry the future of what hardly ever happens.
                Err(refused) => Err(self.of_login(Box::pin(self.with_trouble(refused)).await)),
            }
        };
        call.made(attempt, |refused, since| self.renew(refused, since)).await
    }
}

/// What is asked of which key and where, for the log.
struct Asked<'a> {
    operation: &'static str,
    key: &'a str,
    clients: &'a Clients,
    region: Option<&'a str>,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.operation, self.key, self.clients.place(self.region))
    }
}

pub(super) fn place(settings: &Settings) -> String {
    match (&settings.endpoint_url, &settings.region) {
        (Some(url), _) => format!("AWS KMS at {}", super::shown_url(url)),
        (None, Some(region)) => format!("AWS KMS in {region}"),
        (None, None) => "AWS KMS".to_owned(),
    }
}

/// `alias/NAME`, or the ARN of an alias: a name that can come to mean another key.
pub(super) fn is_alias(id: &str) -> bool {
    id.starts_with("alias/") || id.contains(":alias/")
}

/// Field 4 of `arn:aws:kms:eu-central-1:111122223333:key/...`.
fn region_of_arn(id: &str) -> Option<String> {
    let fields: Vec<&str> = id.split(':').collect();
    match fields[..] {
        ["arn", _, "kms", region, _, ..] if !region.is_empty() => Some(region.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::schemes_for;
    use crate::hash::Hash;
    use crate::key::{Curve, Purpose};

    #[test]
    fn an_arn_names_its_region() {
        for (id, region) in [
            ("arn:aws:kms:eu-central-1:111122223333:key/mrk-1", Some("eu-central-1")),
            ("arn:aws-cn:kms:cn-north-1:111122223333:alias/a", Some("cn-north-1")),
            ("arn:aws:iam::111122223333:role/r", None),
            ("arn:aws:kms::111122223333:key/x", None),
            ("alias/a", None),
        ] {
            assert_eq!(region_of_arn(id).as_deref(), region, "{id}");
        }
    }

    #[test]
    fn each_kind_has_its_schemes() {
        let of = |kind| open(Settings::default()).schemes(kind);
        assert_eq!(of(Kind::Rsa(2048)).len(), 8);
        let signing = schemes_for(&*open(Settings::default()), Kind::Rsa(2048), &[Purpose::Sign]);
        assert_eq!(signing.len(), 6, "those that sign");
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            assert_eq!(of(Kind::Ec(curve)), [Family::Ecdsa.with(curve.hash()), Family::Ecdh.alone()]);
        }
        assert_eq!(of(Kind::Ec(Curve::Secp256k1)), [Family::Ecdsa.with(Hash::Sha256)]);
        assert_eq!(of(Kind::Ed25519), [Family::Eddsa.alone()]);
        assert_eq!(of(Kind::Hmac(Hash::Sha384)), [Family::Hmac.with(Hash::Sha384)]);
    }
}
