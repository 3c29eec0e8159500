//! A JWT signed with a registered certificate: "Microsoft identity platform application authentication certificate credentials".

use crate::crypto::Hash;
use crate::encoding::{base64url, base64url_decode, der};
use crate::state::azure::Client;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

/// Fails with the code and the text of the error.
pub(super) fn check(client: &Client, assertion: &str, now: i64) -> Result<(), (u32, String)> {
    let malformed = || (50_027, "JWT token is invalid or malformed.".to_owned());
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return Err(malformed()) };
    let decode = |part: &str| base64url_decode(part).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (header_json, payload_json) = (decode(header).ok_or_else(malformed)?, decode(payload).ok_or_else(malformed)?);
    let signature = base64url_decode(signature).ok_or_else(malformed)?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let subject = text(&payload_json, "sub");
    if subject != client.id || text(&payload_json, "iss") != client.id {
        return Err((
            700_021,
            format!("Client assertion application identifier doesn't match 'client_id' parameter: '{subject}'."),
        ));
    }
    // RFC 7519 section 2: a NumericDate may have a fraction.
    #[allow(clippy::cast_precision_loss, reason = "seconds of our time are exact")]
    if payload_json.get("exp").and_then(Value::as_f64).is_none_or(|expires| expires <= now as f64) {
        return Err((700_024, "Client assertion is not within its valid time range.".to_owned()));
    }
    let signed = format!("{header}.{payload}");
    let good = client.certificates.iter().any(|certificate| {
        let sha1 = base64url(&Hash::Sha1.of(certificate));
        let sha256 = base64url(&Hash::Sha256.of(certificate));
        // Some clients pad the thumbprint.
        let thumbprint = |name: &str| text(&header_json, name).trim_end_matches('=').to_owned();
        let named = thumbprint("x5t") == sha1 || thumbprint("x5t#S256") == sha256;
        let spki = der::certificate_key(certificate).unwrap_or_default();
        named
            && match text(&header_json, "alg").as_str() {
                "RS256" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki)
                    .verify(signed.as_bytes(), &signature)
                    .is_ok(),
                "PS256" => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, spki)
                    .verify(signed.as_bytes(), &signature)
                    .is_ok(),
                _ => false,
            }
    });
    if good {
        Ok(())
    } else {
        Err((
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered on application."
                .to_owned(),
        ))
    }
}
