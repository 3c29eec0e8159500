//! ML-DSA keys (FIPS 204): they sign a message, or the message representative mu that a client has computed.
//!
//! The library is not that of the other keys, which signs no mu. So the other one stays an independent witness for the tests.

use crate::crypto::unable::Unable;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use ml_dsa::pkcs8::EncodePublicKey;
use ml_dsa::pkcs8::der::AnyRef;
use ml_dsa::pkcs8::spki::AssociatedAlgorithmIdentifier;
use ml_dsa::signature::rand_core::{TryCryptoRng, TryRng};
use ml_dsa::{Keypair, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Seed, Signature, SigningKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ParameterSet {
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl ParameterSet {
    /// A new key, and the seed it is made from.
    pub(crate) fn generate(self) -> Result<(Box<dyn Key>, Vec<u8>), Unable> {
        let mut seed = [0; 32];
        rand::fill(&mut seed)?;
        let key: Box<dyn Key> = match self {
            Self::MlDsa44 => Box::new(SigningKey::<MlDsa44>::from_seed(&Seed::from(seed))),
            Self::MlDsa65 => Box::new(SigningKey::<MlDsa65>::from_seed(&Seed::from(seed))),
            Self::MlDsa87 => Box::new(SigningKey::<MlDsa87>::from_seed(&Seed::from(seed))),
        };
        Ok((key, seed.to_vec()))
    }
}

/// What is signed; the context is always empty.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Message(&'a [u8]),
    /// FIPS 204 section 6.2: 64 bytes, computed from the public key and a message of any length.
    Mu(&'a [u8]),
}

/// A private key of any parameter set.
pub(crate) trait Key: Send + Sync {
    /// SubjectPublicKeyInfo of RFC 9881.
    fn spki(&self) -> Result<Vec<u8>, Unable>;
    /// A hedged signature: two of the same input differ.
    fn sign(&self, input: Input<'_>) -> Result<Vec<u8>, Unable>;
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<bool, Unable>;
}

impl<P> Key for SigningKey<P>
where
    P: MlDsaParams + Send + Sync + AssociatedAlgorithmIdentifier<Params = AnyRef<'static>>,
{
    fn spki(&self) -> Result<Vec<u8>, Unable> {
        let document = self.verifying_key().to_public_key_der().map_err(|_| Unable)?;
        Ok(document.into_vec())
    }

    fn sign(&self, input: Input<'_>) -> Result<Vec<u8>, Unable> {
        let key = self.expanded_key();
        let signature = match input {
            Input::Message(message) => key.sign_randomized(message, &[], &mut Random),
            Input::Mu(mu) => key.sign_mu_randomized(mu.try_into().map_err(|_| Unable)?, &mut Random),
        };
        Ok(signature.map_err(|_| Unable)?.encode().to_vec())
    }

    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<bool, Unable> {
        let Ok(signature) = Signature::<P>::try_from(signature) else { return Ok(false) };
        let key = self.verifying_key();
        Ok(match input {
            Input::Message(message) => key.verify_with_context(message, &[], &signature),
            Input::Mu(mu) => key.verify_mu(mu.try_into().map_err(|_| Unable)?, &signature),
        })
    }
}

/// The one source of randomness of the emulator, as RustCrypto wants it.
struct Random;

impl TryRng for Random {
    type Error = Unspecified;

    fn try_next_u32(&mut self) -> Result<u32, Unspecified> {
        let mut bytes = [0; 4];
        rand::fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Unspecified> {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Unspecified> {
        rand::fill(bytes)
    }
}

impl TryCryptoRng for Random {}
