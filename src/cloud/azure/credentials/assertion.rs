//! Client assertions: an application proves its identity with a certificate instead of a secret, by a token that
//! the certificate's private key signs.

use super::certificate::ClientCertificate;
use super::token_error::credential_error;
use aws_lc_rs::rand;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use azure_core::http::ClientMethodOptions;
use azure_core::time::OffsetDateTime;
use azure_identity::ClientAssertion;
use base64ct::{Base64UrlUnpadded, Encoding};
use std::fmt;
use zeroize::Zeroizing;

/// A JWT that the application's private key signs. "Microsoft identity platform application authentication
/// certificate credentials"; RFC 7515, RFC 7523.
pub(crate) struct SignedAssertion {
    pub(crate) certificate: ClientCertificate,
    pub(crate) client: String,
    pub(crate) audience: String,
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
        rand::SecureRandom::fill(&random, &mut id).map_err(|_| "this machine has no random numbers")?;
        let header = serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.certificate.thumbprint});
        let claims = serde_json::json!({
            "aud": self.audience, "iss": self.client, "sub": self.client,
            "jti": Base64UrlUnpadded::encode_string(&id), "nbf": now - 60, "iat": now, "exp": now + 600,
        });
        let encoded = |part: &serde_json::Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
        let text = format!("{}.{}", encoded(&header), encoded(&claims));
        let mut signature = Zeroizing::new(vec![0; self.certificate.key.public_modulus_len()]);
        self.certificate
            .key
            .sign(&RSA_PSS_SHA256, &random, text.as_bytes(), &mut signature)
            .map_err(|_| "the private key of the client certificate can't sign")?;
        Ok(format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature)))
    }
}

impl fmt::Debug for SignedAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedAssertion")
    }
}
