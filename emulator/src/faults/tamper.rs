//! Faults in the results of cryptography.

use super::action::Action;
use crate::crypto::{Family, Material, Scheme, Unable};
use crate::encoding::der;

/// Which faults a signature, a MAC, a plaintext or a shared secret is to be made with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tamper {
    pub(crate) wrong_signature: bool,
    pub(crate) wrong_length: bool,
    pub(crate) short_integers: bool,
    pub(crate) invalid_der: bool,
    pub(crate) wrong_plaintext: bool,
    pub(crate) wrong_secret: bool,
    pub(crate) wrong_checksum: bool,
    pub(crate) unverified: bool,
    pub(crate) wrong_name: bool,
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
            wrong_checksum: actions.contains(&Action::WrongChecksum),
            unverified: actions.contains(&Action::Unverified),
            wrong_name: actions.contains(&Action::WrongName),
        }
    }

    /// A signature as the service has it inside: before its length or form is spoilt.
    pub(crate) fn sign(self, key: &Material, scheme: Scheme, input: &[u8]) -> Result<Vec<u8>, Unable> {
        let input = spoilt(self.wrong_signature, input.to_vec());
        let Family::Ec(curve) = key.family else { return key.sign(scheme, &input) };
        loop {
            let signature = key.sign(scheme, &input)?;
            let short = |number: &Vec<u8>| number.len() < curve.width();
            let numbers = der::integers(&signature).ok_or(Unable)?;
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
