//! How an application shows its certificate instead of a secret: by a token that its private key signs.

use super::azure_credentials::credential_error;
use super::credential_file;
use crate::certificate::{Certificate, pem_blocks};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, rand};
use azure_core::http::ClientMethodOptions;
use azure_core::time::OffsetDateTime;
use azure_identity::ClientAssertion;
use base64ct::{Base64UrlUnpadded, Encoding};
use std::fmt;
use zeroize::Zeroizing;

/// A JWT that the application's private key signs. "Microsoft identity platform application authentication
/// certificate credentials"; RFC 7515, RFC 7523.
pub(super) struct SignedAssertion {
    pub(super) key: RsaKeyPair,
    pub(super) thumbprint: String,
    pub(super) client: String,
    pub(super) audience: String,
}

#[async_trait::async_trait]
impl ClientAssertion for SignedAssertion {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.sign(OffsetDateTime::now_utc().unix_timestamp()).map_err(credential_error)
    }
}

impl SignedAssertion {
    fn sign(&self, now: i64) -> Result<String, String> {
        let random = rand::SystemRandom::new();
        let mut id = [0; 16];
        rand::SecureRandom::fill(&random, &mut id).map_err(|_| "no random numbers")?;
        let header = serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = serde_json::json!({
            "aud": self.audience, "iss": self.client, "sub": self.client,
            "jti": Base64UrlUnpadded::encode_string(&id), "nbf": now - 60, "iat": now, "exp": now + 600,
        });
        let encoded = |part: &serde_json::Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
        let text = format!("{}.{}", encoded(&header), encoded(&claims));
        let mut signature = Zeroizing::new(vec![0; self.key.public_modulus_len()]);
        self.key
            .sign(&RSA_PSS_SHA256, &random, text.as_bytes(), &mut signature)
            .map_err(|_| "the client certificate's key does not sign")?;
        Ok(format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature)))
    }
}

impl fmt::Debug for SignedAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedAssertion")
    }
}

/// From a PEM file with the application's certificate and its RSA key, PKCS#8 or PKCS#1, not encrypted; in any order,
/// with others of its chain.
pub(super) fn key_and_thumbprint(file: &[u8]) -> Result<(RsaKeyPair, String), String> {
    // SEQUENCE: DER begins so, and no text does.
    if file.first() == Some(&0x30) {
        return Err(NO_PEM.into());
    }
    let text = credential_file::decoded(file).ok_or("this is no text: a PEM file is wanted")?;
    let key = key(&text)?;
    let certificates = pem_blocks(&text, "CERTIFICATE");
    if certificates.is_empty() {
        return Err(
            "no PEM block named CERTIFICATE: the file needs the application's certificate besides its key".into()
        );
    }
    let public = key.public_key().as_ref();
    let is_own =
        |der: &&Vec<u8>| Certificate::from_der(der).is_ok_and(|certificate| certificate.spki.ends_with(public));
    let own = certificates.iter().find(is_own).ok_or("none of its certificates is that of its private key")?;
    Ok((key, Base64UrlUnpadded::encode_string(digest::digest(&digest::SHA256, own).as_ref())))
}

const NO_PEM: &str = "this is no PEM file; if it is PKCS#12 (.pfx, .p12), convert it: \
     openssl pkcs12 -in FILE -noenc -out FILE.pem; chmod 600 FILE.pem";

const ENCRYPTED: &str = "its private key is encrypted with a password, which nobody can give here; decrypt it: \
     openssl pkey -in FILE -out KEY.pem; chmod 600 KEY.pem; then put the certificate behind it";

const NO_RSA: &str = "its private key is on an elliptic curve; Entra takes certificates with RSA keys only";

/// What each kind of private key's block says of itself, if it is not one to use.
const USELESS: &[(&str, &str)] = &[
    ("-----BEGIN ENCRYPTED PRIVATE KEY-----", ENCRYPTED),
    ("Proc-Type: 4,ENCRYPTED", ENCRYPTED),
    ("-----BEGIN EC PRIVATE KEY-----", NO_RSA),
];

fn key(text: &str) -> Result<RsaKeyPair, String> {
    if let Some((_, why)) = USELESS.iter().find(|(said, _)| text.contains(said)) {
        return Err((*why).into());
    }
    let block = |name| pem_blocks(text, name).into_iter().next().map(Zeroizing::new);
    let key = match (block("PRIVATE KEY"), block("RSA PRIVATE KEY")) {
        (Some(pkcs8), _) if EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).is_ok() => {
            return Err(NO_RSA.into());
        }
        (Some(pkcs8), _) => RsaKeyPair::from_pkcs8(&pkcs8),
        (None, Some(pkcs1)) => RsaKeyPair::from_der(&pkcs1),
        (None, None) => return Err("no PEM block named PRIVATE KEY or RSA PRIVATE KEY".into()),
    };
    key.map_err(|e| format!("its private key is no RSA key of 2048 to 8192 bits: {e}"))
}
