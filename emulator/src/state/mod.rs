//! Everything one emulator has: handed to each request, shared by all.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod ids;
pub(crate) mod traffic;

use crate::authority::Authority;
use crate::azure::entra::token_endpoint::Entra;
use crate::clock::Clock;
use crate::crypto::material::{Family, Material, Scheme, Unable};
use crate::crypto::material_pool::Materials;
use crate::faults::fault::{Action, Faults};
use crate::server::delivery::Fate;
use aws::account::Store as AwsStore;
use azure::vaults::Store as VaultStore;
use ids::Ids;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use traffic::Traffic;

/// Oddities of the real services that can be switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// KMS: error types carry `com.amazonaws.kms#`.
    pub kms_type_prefix: bool,
    /// KMS: error messages are in `Message`.
    pub kms_capital_message: bool,
    /// KMS: the first page of each list is empty, with `Truncated` true.
    pub kms_empty_page: bool,
    /// Key Vault: the first page of a list is empty and still has a `nextLink`.
    pub vault_empty_page: bool,
    /// Key Vault: `n` of a JWK starts with a zero byte.
    pub jwk_leading_zero: bool,
    /// Key Vault: `x` and `y` of a JWK come without leading zero bytes.
    pub jwk_short_coordinates: bool,
    /// Key Vault: tokens that were not asked for with `claims` get a 401 with `error="insufficient_claims"`.
    pub require_claims: bool,
    /// Key Vault: keys made over HTTP are not valid for so many seconds after their creation.
    pub not_yet_valid_seconds: u32,
}

pub(crate) struct State {
    pub(crate) port: u16,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) traffic: Traffic,
    pub(crate) faults: Faults,
    pub(crate) materials: Materials,
    pub(crate) authority: Authority,
    pub(crate) aws: AwsStore,
    pub(crate) entra: Entra,
    pub(crate) vaults: VaultStore,
    switches: Mutex<Switches>,
    /// The connections that are open, and some that were.
    open: Mutex<Vec<Weak<Fate>>>,
}

impl State {
    pub(crate) fn new(port: u16, seed: Option<u64>) -> std::io::Result<Self> {
        Ok(Self {
            port,
            clock: Clock::default(),
            ids: Ids::new(seed),
            traffic: Traffic::default(),
            faults: Faults::default(),
            materials: Materials::default(),
            authority: Authority::new()?,
            aws: AwsStore::default(),
            entra: Entra::default(),
            vaults: VaultStore::default(),
            switches: Mutex::default(),
            open: Mutex::default(),
        })
    }

    pub(crate) fn opened(&self, connection: &Arc<Fate>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|fate| fate.strong_count() > 0);
        open.push(Arc::downgrade(connection));
    }

    pub(crate) fn silence_open_connections(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter_map(Weak::upgrade).for_each(|fate| fate.silent.store(true, Ordering::SeqCst));
    }

    pub(crate) fn switches(&self) -> Switches {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_switches(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.switches.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Which faults a signature, a MAC, a plaintext or a shared secret is to be made with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tamper {
    pub(crate) wrong_signature: bool,
    pub(crate) wrong_length: bool,
    pub(crate) short_integers: bool,
    pub(crate) invalid_der: bool,
    pub(crate) wrong_plaintext: bool,
    pub(crate) wrong_secret: bool,
}

impl Tamper {
    pub(crate) fn of(actions: &[Action]) -> Self {
        Self {
            wrong_signature: actions.contains(&Action::WrongSignature),
            wrong_length: actions.contains(&Action::WrongLengthSignature),
            short_integers: actions.contains(&Action::ShortIntegers),
            invalid_der: actions.contains(&Action::InvalidDer),
            wrong_plaintext: actions.contains(&Action::WrongPlaintext),
            wrong_secret: actions.contains(&Action::WrongSecret),
        }
    }

    /// A signature as the service has it inside: before its length or form is spoilt.
    pub(crate) fn sign(self, key: &Material, scheme: Scheme, input: &[u8]) -> Result<Vec<u8>, Unable> {
        let input = spoilt(self.wrong_signature, input.to_vec());
        let Family::Ec(curve) = key.family else { return key.sign(scheme, &input) };
        loop {
            let signature = key.sign(scheme, &input)?;
            let short = |number: &Vec<u8>| number.len() < curve.width();
            let numbers = crate::encoding::der::integers(&signature).ok_or(Unable)?;
            if !self.short_integers || numbers.iter().any(short) {
                return Ok(signature);
            }
        }
    }

    pub(crate) fn mac(self, mac: Vec<u8>) -> Vec<u8> {
        self.spoil(spoilt(self.wrong_signature, mac))
    }

    pub(crate) fn plaintext(self, plaintext: Vec<u8>) -> Vec<u8> {
        spoilt(self.wrong_plaintext, plaintext)
    }

    pub(crate) fn secret(self, secret: Vec<u8>) -> Vec<u8> {
        spoilt(self.wrong_secret, secret)
    }

    /// Spoils the form of a finished signature.
    pub(crate) fn spoil(self, mut signature: Vec<u8>) -> Vec<u8> {
        if self.invalid_der
            && let Some(first) = signature.first_mut()
        {
            *first = 0x31;
        }
        if self.wrong_length {
            signature.pop();
        }
        signature
    }
}

fn spoilt(wrong: bool, mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(first) = bytes.first_mut() {
        *first ^= u8::from(wrong);
    }
    bytes
}
