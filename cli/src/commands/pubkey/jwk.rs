//! Public keys as JSON Web Keys. RFC 7517, RFC 7518 section 6, RFC 8037 section 2, RFC 8812 section 3.

use base64ct::{Base64UrlUnpadded, Encoding};
use cloud_kms_pkcs11::key::{PublicKey, PublicNumbers};
use serde_json::json;

/// Returns the JSON document, or None if there is no standard for keys of this kind.
pub fn document(key: &PublicKey) -> Option<String> {
    let text = Base64UrlUnpadded::encode_string;
    let key = match key.material() {
        PublicNumbers::Rsa { modulus, exponent } => json!({ "kty": "RSA", "n": text(modulus), "e": text(exponent) }),
        PublicNumbers::Ec { curve, point } => {
            let (x, y) = point.get(1..)?.split_at_checked(curve.field_len())?;
            json!({ "kty": "EC", "crv": curve.name(), "x": text(x), "y": text(y) })
        }
        PublicNumbers::Ed25519 { point } => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(point) }),
        PublicNumbers::MlDsa { .. } | PublicNumbers::SlhDsa { .. } => return None,
    };
    Some(format!("{key:#}\n"))
}
