//! Keys of service accounts. The key signs a token itself, so no request is needed for the token.
//!
//! <https://google.aip.dev/auth/4111> ("self-signed JWT"), RFC 7515, RFC 7519.

use super::access_token::{DEFAULT_LIFETIME, IssuedToken};
use super::credential_file::Members;
use crate::certificate::pem;
use crate::cloud::secret::Secret;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::json;
use std::time::Duration;

/// The key of a service account.
#[derive(Debug)]
pub(crate) struct ServiceAccount {
    pub(crate) email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
}

/// How long before the time of its signature a token is valid, because the clocks of two machines always differ.
const CLOCK_DIFFERENCE: u64 = 10;

impl ServiceAccount {
    /// Takes the key from a file.
    ///
    /// # Errors
    /// A sentence with the path, which says what to do.
    pub(crate) fn new(members: &Members) -> Result<Self, String> {
        let email = members.required(&members.client_email, "client_email")?;
        let key = members.required_secret(&members.private_key, "private_key")?;
        let key = rsa_key(key.expose()).map_err(|why| members.wrong(&format!("\"private_key\" {why}")))?;
        Ok(Self { email, key_id: members.private_key_id.clone(), key })
    }

    /// Returns a new token. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Fails if the key can't sign.
    pub(crate) fn sign(&self, scope: &str, now: u64) -> Result<IssuedToken, String> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = &self.key_id {
            header["kid"] = json!(id);
        }
        let issued = now.saturating_sub(CLOCK_DIFFERENCE);
        let claims = json!({
            "iss": self.email, "sub": self.email, "scope": scope,
            "iat": issued, "exp": issued + DEFAULT_LIFETIME.as_secs(),
        });
        let encoded = |part: &serde_json::Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
        let text = format!("{}.{}", encoded(&header), encoded(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| "the private key can't sign".to_owned())?;
        let token = Secret::from(format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature)));
        Ok(IssuedToken { token, lifetime: DEFAULT_LIFETIME - Duration::from_secs(CLOCK_DIFFERENCE) })
    }
}

/// Returns the key in a PEM text: PKCS#8, as Google's files have it, or PKCS#1.
fn rsa_key(text: &str) -> Result<RsaKeyPair, String> {
    let blocks: Vec<_> = pem::blocks(text).into_iter().flatten().collect();
    let named = |name| blocks.iter().find(|block| block.name == name).and_then(pem::Block::content);
    let key = match (named("PRIVATE KEY"), named("RSA PRIVATE KEY")) {
        (Some(der), _) => RsaKeyPair::from_pkcs8(&der),
        (None, Some(der)) => RsaKeyPair::from_der(&der),
        (None, None) => return Err(format!("is not a key in PEM (a block named PRIVATE KEY); {NEW_KEY}")),
    };
    key.map_err(|why| format!("is not an RSA key of 2048 to 8192 bits ({why}); {NEW_KEY}"))
}

const NEW_KEY: &str = "create another key: gcloud iam service-accounts keys create";
