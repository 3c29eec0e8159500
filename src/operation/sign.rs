//! Signatures and MACs that are being made, and those that are being verified. PKCS#11 3.2 sections 5.13 to 5.16.
//!
//! Making one costs a request. Verifying costs none where a public key is all that it takes.

use super::Operation;
use super::multi_part::Making;
use crate::cloud::{KeyFacts, Plain};
use crate::error::{Error, Result};
use crate::key::PublicKey;
use crate::token::key::SlotKey;
use cryptoki_sys::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A signature that was begun: all that is needed to end it without the token.
#[derive(Clone)]
pub struct Signing {
    /// The key that signs.
    pub key: Arc<SlotKey>,
    /// What is known of it.
    pub facts: Arc<KeyFacts>,
    /// The part that needs no service.
    pub operation: Operation,
    /// How long the call may take.
    pub call_timeout: Duration,
}

impl Making for Signing {
    fn update(&mut self, part: &[u8]) -> Result<()> {
        self.operation.update(part).map_err(|error| error.about(&self.key))
    }

    fn longest(&self) -> usize {
        self.facts.kind.signature_len()
    }

    fn finish(self) -> Result<Plain> {
        let deadline = Instant::now() + self.call_timeout;
        let (scheme, data) = self.operation.finish().map_err(|error| error.about(&self.key))?;
        self.key.sign(&self.facts, scheme, &data, deadline).map(Into::into)
    }
}

/// A verification that was begun.
#[derive(Clone)]
pub struct Verifying {
    /// By what it is verified.
    pub by: Verifier,
    /// The part that is the same in signing.
    pub operation: Operation,
    /// How long the call may take.
    pub call_timeout: Duration,
}

/// By what something is verified.
#[derive(Clone)]
pub enum Verifier {
    /// A public key, of a key of the token or of the session: here.
    Public(Arc<PublicKey>),
    /// A secret key: by its service.
    Secret(Arc<SlotKey>, Arc<KeyFacts>),
}

impl Verifying {
    /// Takes a part of the data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE.
    pub fn update(&mut self, part: &[u8]) -> Result<()> {
        self.operation.update(part)
    }

    /// Verifies.
    ///
    /// # Errors
    /// CKR_SIGNATURE_LEN_RANGE, CKR_SIGNATURE_INVALID, and those of the data and of the service.
    pub fn finish(self, signature: &[u8]) -> Result<()> {
        let length = match &self.by {
            Verifier::Public(key) => key.kind().signature_len(),
            Verifier::Secret(_, facts) => facts.kind.signature_len(),
        };
        if signature.len() != length {
            let text = format!("{} bytes, where a signature by this key has {length}", signature.len());
            return Err(Error::probe(CKR_SIGNATURE_LEN_RANGE, text));
        }
        let good = match &self.by {
            Verifier::Public(key) => {
                let (scheme, data) = self.operation.finish()?;
                key.verifies(scheme, &data, signature)
            }
            Verifier::Secret(key, facts) => {
                let deadline = Instant::now() + self.call_timeout;
                let (scheme, data) = self.operation.finish().map_err(|error| error.about(key))?;
                key.verify(facts, scheme, &data, signature, deadline)?
            }
        };
        if good { Ok(()) } else { Err(Error::probe(CKR_SIGNATURE_INVALID, "it is not one of this data by this key")) }
    }
}

/// C_VerifySignatureInit: the signature is known first (PKCS#11 3.2 section 5.16).
pub struct SignatureVerifying {
    /// The verification.
    pub verifying: Verifying,
    /// What is to be verified.
    pub signature: Vec<u8>,
}

/// C_MessageSignInit: any number of messages, one after the other (section 5.14).
pub struct MessageSigning {
    /// A signature of nothing yet.
    pub each: Signing,
    /// That of the message which comes in parts.
    pub current: Option<Signing>,
}

/// C_MessageVerifyInit (section 5.17).
pub struct MessageVerifying {
    /// A verification of nothing yet.
    pub each: Verifying,
    /// That of the message which comes in parts.
    pub current: Option<Verifying>,
}
