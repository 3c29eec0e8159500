//! The cryptographic operations of KMS, with the checks and wordings of the service.

use super::algorithms::{ENCRYPTION, MACS, SIGNING, SigningAlgorithm, algorithms};
use super::call::Call;
use super::error::KmsError;
use crate::crypto::{Family, Hash, Padding, Scheme, Unable};
use crate::encoding::base64;
use crate::state::aws::{AGREE, ENCRYPT, Key, KeyState, MAC, SIGN, Spec};
use aws_lc_rs::rand;
use serde_json::{Value, json};

impl Call<'_> {
    /// GetPublicKey also answers for a disabled key: the key state table says otherwise, but so AWS does
    /// (noted in LocalStack's `services/kms/provider.py`).
    pub(super) fn public_key(&self) -> Result<Value, KmsError> {
        let key = self.key()?;
        if !key.spec.asymmetric() {
            let text = format!("{} key spec is {} which is not valid for GetPublicKey.", key.arn, key.spec.name);
            return Err(KmsError::new("UnsupportedOperationException", text));
        }
        if key.state == KeyState::PendingDeletion {
            key.check_state()?;
        }
        let (list, names) = algorithms(key.spec, &key.usage);
        Ok(json!({
            "KeyId": key.arn,
            "PublicKey": base64(&key.material.spki),
            "CustomerMasterKeySpec": key.spec.name,
            "KeySpec": key.spec.name,
            "KeyUsage": key.usage,
            list: names,
        }))
    }

    pub(super) fn sign(&self) -> Result<Value, KmsError> {
        let message = self.input.blob("Message", 1, 4096)?;
        let Signing { key, algorithm, scheme, input } = self.signing("Sign", &message)?;
        self.dry_run()?;
        let signature = self.tamper.spoil(self.tamper.sign(&key.material, scheme, &input)?);
        Ok(json!({ "KeyId": key.arn, "Signature": base64(&signature), "SigningAlgorithm": algorithm }))
    }

    pub(super) fn verify(&self) -> Result<Value, KmsError> {
        let message = self.input.blob("Message", 1, 4096)?;
        let signature = self.input.blob("Signature", 1, 6144)?;
        let Signing { key, algorithm, scheme, input } = self.signing("Verify", &message)?;
        self.dry_run()?;
        if !key.material.verify(scheme, &input, &signature)? {
            return Err(KmsError::new("KMSInvalidSignatureException", ""));
        }
        Ok(json!({ "KeyId": key.arn, "SignatureValid": true, "SigningAlgorithm": algorithm }))
    }

    /// What Sign and Verify have in common.
    fn signing(&self, operation: &str, message: &[u8]) -> Result<Signing, KmsError> {
        let name = self.input.text("SigningAlgorithm")?;
        let algorithm = SIGNING
            .iter()
            .find(|row| row.name == name)
            .ok_or_else(|| KmsError::not_in("signingAlgorithm", name, &SIGNING.each_ref().map(|row| row.name)))?;
        let kind = self.input.optional("MessageType").unwrap_or("RAW");
        if !MESSAGE_TYPES.contains(&kind) {
            return Err(KmsError::not_in("messageType", kind, &MESSAGE_TYPES));
        }
        let key = self.usable_key(operation, SIGN)?;
        if !algorithm.serves(key.spec.family) {
            return Err(incompatible(name, key.spec));
        }
        let (scheme, input) = prepared(algorithm, kind, message)?;
        Ok(Signing { key, algorithm: algorithm.name, scheme, input })
    }

    pub(super) fn encrypt(&self) -> Result<Value, KmsError> {
        let plaintext = self.input.blob("Plaintext", 1, 4096)?;
        let (key, name, padding) = self.encryption("Encrypt")?;
        let Family::Rsa(bits) = key.spec.family else { return Err(incompatible(name, key.spec)) };
        let overhead = if padding == Padding::Oaep(Hash::Sha1) { 42 } else { 66 };
        let limit = usize::from(bits / 8) - overhead;
        if plaintext.len() > limit {
            let text = format!(
                "Algorithm {name} and key spec {} cannot encrypt data larger than {limit} bytes.",
                key.spec.name
            );
            return Err(KmsError::validation(text));
        }
        self.dry_run()?;
        let ciphertext = key.material.encrypt(padding, &plaintext)?;
        Ok(json!({ "KeyId": key.arn, "CiphertextBlob": base64(&ciphertext), "EncryptionAlgorithm": name }))
    }

    pub(super) fn decrypt(&self) -> Result<Value, KmsError> {
        let ciphertext = self.input.blob("CiphertextBlob", 1, 6144)?;
        let (key, name, padding) = self.encryption("Decrypt")?;
        self.dry_run()?;
        let plaintext =
            key.material.decrypt(padding, &ciphertext).map_err(|_| KmsError::new("InvalidCiphertextException", ""))?;
        let plaintext = self.tamper.plaintext(plaintext);
        Ok(json!({ "KeyId": key.arn, "Plaintext": base64(&plaintext), "EncryptionAlgorithm": name }))
    }

    fn encryption(&self, operation: &str) -> Result<(Key, &'static str, Padding), KmsError> {
        let name = self.input.optional("EncryptionAlgorithm").unwrap_or("SYMMETRIC_DEFAULT");
        let row = ENCRYPTION.iter().find(|row| row.0 == name);
        if row.is_none() && name != "SYMMETRIC_DEFAULT" {
            return Err(KmsError::not_in(
                "encryptionAlgorithm",
                name,
                &["SYMMETRIC_DEFAULT", ENCRYPTION[0].0, ENCRYPTION[1].0],
            ));
        }
        let key = self.usable_key(operation, ENCRYPT)?;
        match (row, key.spec.family) {
            (Some((name, padding)), Family::Rsa(_)) => Ok((key, name, *padding)),
            _ => Err(incompatible(name, key.spec)),
        }
    }

    pub(super) fn generate_mac(&self) -> Result<Value, KmsError> {
        let message = self.input.blob("Message", 1, 4096)?;
        let (key, name, hash) = self.mac("GenerateMac")?;
        self.dry_run()?;
        let mac = self.tamper.mac(key.material.mac(hash, &message));
        Ok(json!({ "KeyId": key.arn, "Mac": base64(&mac), "MacAlgorithm": name }))
    }

    pub(super) fn verify_mac(&self) -> Result<Value, KmsError> {
        let message = self.input.blob("Message", 1, 4096)?;
        let mac = self.input.blob("Mac", 1, 6144)?;
        let (key, name, hash) = self.mac("VerifyMac")?;
        self.dry_run()?;
        if key.material.mac(hash, &message) != mac {
            return Err(KmsError::new("KMSInvalidMacException", ""));
        }
        Ok(json!({ "KeyId": key.arn, "MacAlgorithm": name, "MacValid": true }))
    }

    fn mac(&self, operation: &str) -> Result<(Key, &'static str, Hash), KmsError> {
        let name = self.input.text("MacAlgorithm")?;
        let row = MACS.iter().find(|row| row.0 == name);
        let (name, spec, hash) = row.ok_or_else(|| KmsError::not_in("macAlgorithm", name, &MACS.map(|row| row.0)))?;
        let key = self.usable_key(operation, MAC)?;
        if key.spec.name != *spec {
            return Err(incompatible(name, key.spec));
        }
        Ok((key, name, *hash))
    }

    pub(super) fn generate_random(&self) -> Result<Value, KmsError> {
        let count = self.input.number("NumberOfBytes", 1, 1024)?;
        let count = count.ok_or_else(|| KmsError::validation("NumberOfBytes is required."))?;
        let mut bytes = vec![0; usize::try_from(count).unwrap_or_default()];
        rand::fill(&mut bytes).map_err(Unable::from)?;
        Ok(json!({ "Plaintext": base64(&bytes) }))
    }

    pub(super) fn derive_shared_secret(&self) -> Result<Value, KmsError> {
        let name = self.input.text("KeyAgreementAlgorithm")?;
        if name != "ECDH" {
            return Err(KmsError::not_in("keyAgreementAlgorithm", name, &["ECDH"]));
        }
        let public = self.input.blob("PublicKey", 1, 8192)?;
        let key = self.usable_key("DeriveSharedSecret", AGREE)?;
        self.dry_run()?;
        // Another curve, or no key at all: AWS says no more than that.
        let secret = key.material.agree(&public).map_err(|_| KmsError::validation(""))?;
        let secret = self.tamper.secret(secret);
        Ok(
            json!({ "KeyId": key.arn, "SharedSecret": base64(&secret), "KeyAgreementAlgorithm": name, "KeyOrigin": "AWS_KMS" }),
        )
    }
}

const MESSAGE_TYPES: [&str; 3] = ["RAW", "DIGEST", "EXTERNAL_MU"];

/// A signature that is to be made or checked.
struct Signing {
    key: Key,
    algorithm: &'static str,
    scheme: Scheme,
    input: Vec<u8>,
}

/// What is signed of a message of some type, and how (API Reference of Sign, `MessageType`).
fn prepared(algorithm: &SigningAlgorithm, kind: &str, message: &[u8]) -> Result<(Scheme, Vec<u8>), KmsError> {
    let (scheme, name) = (algorithm.scheme, algorithm.name);
    let length = match (kind, scheme) {
        ("RAW", Scheme::Pkcs1(hash) | Scheme::Pss(hash) | Scheme::Ecdsa(hash)) => {
            return Ok((scheme, hash.of(message)));
        }
        // It is hashed all the same, so that what the client hashed is hashed twice.
        ("DIGEST", Scheme::Ed25519Ph) => Hash::Sha512.length(),
        ("RAW", Scheme::Ed25519 | Scheme::MlDsa) => return Ok((scheme, message.to_vec())),
        ("DIGEST", Scheme::Pkcs1(hash) | Scheme::Pss(hash) | Scheme::Ecdsa(hash)) => hash.length(),
        ("EXTERNAL_MU", Scheme::MlDsa) => MU,
        // Ed25519 and ML-DSA take no digest, Ed25519ph nothing else, and nothing but ML-DSA takes a mu.
        _ => return Err(KmsError::validation(format!("Message type {kind} is incompatible with algorithm {name}."))),
    };
    if message.len() != length {
        return Err(KmsError::validation(format!("Digest is invalid length for algorithm {name}.")));
    }
    Ok((if kind == "EXTERNAL_MU" { Scheme::MlDsaMu } else { scheme }, message.to_vec()))
}

/// The length of a message representative (FIPS 204 section 6.2).
const MU: usize = 64;

fn incompatible(algorithm: &str, spec: &Spec) -> KmsError {
    let text = format!("Algorithm {algorithm} is incompatible with key spec {}.", spec.name);
    KmsError::new("InvalidKeyUsageException", text)
}
