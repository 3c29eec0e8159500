//! Signing and verifying, with signatures and MACs. PKCS#11 3.2 sections 5.13 to 5.16.
//!
//! Signing takes a request. Verifying takes none where a public key is sufficient.

use super::multi_part::MultiPartOperation;
use super::{Data, Operation};
use crate::cloud::{KeyDescription, SecretBytes};
use crate::error::{Error, Result};
use crate::key::hash::Hash;
use crate::key::{Kind, PublicKey};
use crate::token::key::SlotKey;
use crate::token::key::uses::SignRequest;
use cryptoki_sys::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An active signing operation. Holds all that is needed to finish without the token.
#[derive(Clone)]
pub struct SigningOperation {
    /// The key that signs.
    pub key: Arc<SlotKey>,
    /// What is known about the key.
    pub facts: Arc<KeyDescription>,
    /// The part of the operation that needs no service.
    pub operation: Operation,
    /// How long the call may take.
    pub call_timeout: Duration,
}

impl Operation {
    /// Whether the data so far are as long as a digest, if they are signed as one. ECDSA signs data of any length as if they
    /// were a digest.
    fn has_length_of_digest(&self) -> bool {
        match (&self.data, self.kind) {
            (Data::Held(held), Kind::Ec(_)) => Hash::with_digest_mechanism().any(|hash| hash.len() == held.len()),
            _ => true,
        }
    }
}

impl MultiPartOperation for SigningOperation {
    fn update(&mut self, part: &[u8]) -> Result<()> {
        self.operation.update(part).map_err(|error| error.with_context(&self.key))
    }

    fn max_output_len(&self) -> usize {
        self.facts.kind.signature_len()
    }

    fn finish(self) -> Result<SecretBytes> {
        let deadline = Instant::now() + self.call_timeout;
        let (mechanism, is_digest) = (self.operation.name(), self.operation.has_length_of_digest());
        let (scheme, data) = self.operation.finish().map_err(|error| error.with_context(&self.key))?;
        let request = SignRequest { mechanism, scheme, data: &data, is_digest };
        self.key.sign(&self.facts, request, deadline).map(Into::into)
    }
}

/// An active verification.
#[derive(Clone)]
pub struct VerificationOperation {
    /// The key that verifies.
    pub verifier: Verifier,
    /// The part of the operation that is the same as for signing.
    pub operation: Operation,
    /// How long the call may take.
    pub call_timeout: Duration,
}

/// The key that a verification uses.
#[derive(Clone)]
pub enum Verifier {
    /// A public key, of the token or of a session. Verifies locally.
    Public(Arc<PublicKey>),
    /// A secret key. Its service verifies.
    Secret(Arc<SlotKey>, Arc<KeyDescription>),
}

impl VerificationOperation {
    /// Adds a part of the data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE.
    pub fn update(&mut self, part: &[u8]) -> Result<()> {
        self.operation.update(part)
    }

    /// Verifies the signature or MAC of the data.
    ///
    /// # Errors
    /// CKR_SIGNATURE_LEN_RANGE, CKR_SIGNATURE_INVALID, and those of the data and of the service.
    pub fn finish(self, signature: &[u8]) -> Result<()> {
        let length = match &self.verifier {
            Verifier::Public(key) => key.kind().signature_len(),
            Verifier::Secret(_, facts) => facts.kind.signature_len(),
        };
        if signature.len() != length {
            let text = format!("the signature has {} bytes, but signatures of this key have {length}", signature.len());
            return Err(Error::expected(CKR_SIGNATURE_LEN_RANGE, text));
        }
        match &self.verifier {
            Verifier::Public(key) => {
                let (scheme, data) = self.operation.finish()?;
                if key.verifies(scheme, &data, signature) { Ok(()) } else { Err(Error::invalid_signature()) }
            }
            Verifier::Secret(key, facts) => {
                let (deadline, mechanism) = (Instant::now() + self.call_timeout, self.operation.name());
                let (scheme, data) = self.operation.finish().map_err(|error| error.with_context(key))?;
                key.verify(facts, SignRequest { mechanism, scheme, data: &data, is_digest: false }, signature, deadline)
            }
        }
    }
}

/// A verification that knows the signature before the data (C_VerifySignatureInit, PKCS#11 3.2 section 5.16).
pub struct SignatureVerificationOperation {
    /// The verification.
    pub verifying: VerificationOperation,
    /// The signature to verify.
    pub signature: Vec<u8>,
}

/// Signing of any number of messages, one after the other (C_MessageSignInit, section 5.14).
pub struct MessageSigningOperation {
    /// A signing operation without data, cloned for each message.
    pub template: SigningOperation,
    /// The operation for a message that arrives in parts.
    pub current: Option<SigningOperation>,
}

/// Verification of any number of messages, one after the other (C_MessageVerifyInit, section 5.17).
pub struct MessageVerificationOperation {
    /// A verification without data, cloned for each message.
    pub template: VerificationOperation,
    /// The verification of a message that arrives in parts.
    pub current: Option<VerificationOperation>,
}
