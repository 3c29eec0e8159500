//! A key of a token as X.509 uses it: it signs certificates and requests, through the C interface.

use crate::failure::{Failure, Outcome};
use crate::mechanism::HashName;
use crate::signature_algorithm::SignatureAlgorithm;
use crate::token::{Object, Token};
use clap::Args;
use cloud_kms_pkcs11::certificate::Certificate;
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Kind, PublicKey};
use cryptoki::object::ObjectClass;
use der::Decode;
use der::asn1::BitString;
use signature::Keypair;
use spki::{
    AlgorithmIdentifierOwned, Document, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoOwned,
};
use x509_cert::builder::Builder;

/// The choice of a signature algorithm, where a key has several.
#[derive(Args)]
#[command(next_help_heading = "Signature")]
pub struct AlgorithmArguments {
    /// The hash. The default is the first that the key has, and that of the curve for ECDSA
    #[arg(long, value_enum)]
    hash: Option<HashName>,
    /// Sign with RSASSA-PSS. Without this, it is used only by keys that have nothing else
    #[arg(long)]
    pss: bool,
}

/// A key that signs with one algorithm.
pub struct Signer<'a> {
    token: &'a Token,
    key: Object,
    algorithm: SignatureAlgorithm,
    public_key: SubjectPublicKeyInfoOwned,
}

impl<'a> Signer<'a> {
    /// Returns the signer with this key.
    ///
    /// # Errors
    /// If the key can't sign, or does not have the algorithm.
    pub fn new(token: &'a Token, key: Object, arguments: &AlgorithmArguments) -> Outcome<Self> {
        let subject = format!("{token}, key {:?}", key.label);
        let failed = |message: String| Failure::new(message).of(&subject);
        let spki = key.public_key.as_deref().filter(|_| key.class == ObjectClass::PRIVATE_KEY);
        let spki = spki.ok_or_else(|| failed("it is a secret key, and certificates need a key pair".into()))?;
        token.check_use(&key, "sign").map_err(|failure| {
            failure.fix("create a key for signing; AWS KMS and Google Cloud KMS never change the purpose of a key")
        })?;
        let known = PublicKey::from_spki(spki).map_err(|unusable| failed(unusable.0))?;
        let public_key = SubjectPublicKeyInfoOwned::from_der(spki).map_err(|error| failed(error.to_string()))?;
        let offered = offered(token, &key, known.kind())?;
        let algorithm = arguments.choose(&offered).map_err(|failure| failure.of(&subject))?;
        Ok(Self { token, key, algorithm, public_key })
    }

    /// The public key.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    /// Returns whether the certificate is one of this key.
    pub fn is_key_of(&self, certificate: &Certificate) -> bool {
        self.key.public_key.as_ref() == Some(&certificate.spki)
    }

    /// Returns the signature of a message, in the form of X.509.
    ///
    /// # Errors
    /// If the module can't sign.
    pub fn sign(&self, message: &[u8]) -> Outcome<BitString> {
        let signature = self.token.session().sign(&self.algorithm.mechanism.with_hash(None), self.key.handle, message);
        let signature = signature.map_err(|error| Failure::from(error).of(self))?;
        let signature = self.algorithm.x509_signature(signature).and_then(|bytes| BitString::from_bytes(&bytes));
        signature.map_err(|error| Failure::new(error.to_string()).of(self))
    }

    /// Signs what `builder` has built.
    ///
    /// # Errors
    /// If the module can't sign, or if DER can't be written.
    pub fn build<B: Builder>(&self, mut builder: B) -> Outcome<B::Output> {
        let failed = |error: x509_cert::builder::Error| Failure::new(error.to_string());
        let message = builder.finalize(self).map_err(failed)?;
        builder.assemble(self.sign(&message)?, self).map_err(failed)
    }
}

/// Returns the algorithms that the service permits for this key.
fn offered(token: &Token, key: &Object, kind: Kind) -> Outcome<Vec<SignatureAlgorithm>> {
    let mut algorithms = SignatureAlgorithm::of_kind(kind);
    // Without a list, C_SignInit refuses what the key lacks.
    if let Some(allowed) = token.allowed_mechanisms(key)? {
        algorithms.retain(|own| allowed.contains(&own.mechanism.ckm));
    }
    Ok(algorithms)
}

impl AlgorithmArguments {
    fn choose(&self, offered: &[SignatureAlgorithm]) -> Outcome<SignatureAlgorithm> {
        let hash = self.hash.map(Hash::from);
        let is_chosen = |own: &&SignatureAlgorithm| {
            (!self.pss || own.mechanism.algorithm == Algorithm::RsaPss)
                && (hash.is_none() || own.mechanism.hash == hash)
        };
        offered.iter().find(is_chosen).copied().ok_or_else(|| {
            let names: Vec<_> = offered.iter().map(|row| row.name).collect();
            let asked = hash.map(|hash| format!(" with {}", hash.name())).unwrap_or_default();
            let asked = if self.pss { format!("RSA PSS{asked}") } else { format!("a signature{asked}") };
            let fix = match names.is_empty() {
                true => "create a key with a signature algorithm that X.509 knows".into(),
                false => format!("choose by --hash and --pss, or leave them out; the key has {}", names.join(", ")),
            };
            Failure::new(format!("the key does not have {asked}")).fix(fix)
        })
    }
}

impl std::fmt::Display for Signer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}, key {:?}, {}", self.token, self.key.label, self.algorithm.name)
    }
}

/// The public key, as x509-cert wants it.
#[derive(Clone)]
pub struct SignerPublicKey(SubjectPublicKeyInfoOwned);

impl EncodePublicKey for SignerPublicKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Document::try_from(&self.0)
    }
}

impl Keypair for Signer<'_> {
    type VerifyingKey = SignerPublicKey;

    fn verifying_key(&self) -> Self::VerifyingKey {
        SignerPublicKey(self.public_key.clone())
    }
}

impl DynSignatureAlgorithmIdentifier for Signer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(self.algorithm.identifier(&self.public_key.algorithm)?)
    }
}
