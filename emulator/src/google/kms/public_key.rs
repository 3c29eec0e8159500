//! GetPublicKey.

use super::call::{Answer, Call};
use crate::crypto::Family;
use crate::encoding::{base64, pem};
use crate::google::status::Status;
use crate::state::google::{PUBLIC_KEY_FORMATS, named};
use serde_json::json;

pub(super) fn get(call: &Call<'_>) -> Answer {
    let version = call.enabled_version()?;
    let algorithm = version.algorithm;
    if !algorithm.is_asymmetric() {
        let text = format!("Keys with algorithm {} do not contain a public key.", algorithm.name);
        return Err(Status::failed_precondition(text));
    }
    let format = match call.input.query("publicKeyFormat").filter(|text| *text != "0") {
        Some(text) => Some(named(&PUBLIC_KEY_FORMATS, text).ok_or_else(|| {
            Status::unknown_field(format!(
                "Invalid value at 'public_key_format' (type.googleapis.com/google.cloud.kms.v1.PublicKey.PublicKeyFormat), \"{text}\""
            ))
        })?),
        None => None,
    };
    let spki = &version.material.spki;
    let text = pem::write("PUBLIC KEY", spki);
    let mut reply = call.used(&version);
    reply.insert("algorithm".to_owned(), json!(algorithm.name));
    // "Retrieve a public key": of the post-quantum keys only those of ML-DSA also come as PEM and DER.
    let unsupported = algorithm.is_post_quantum() && !matches!(algorithm.family, Family::MlDsa(_));
    let bytes = match format {
        None if !algorithm.is_post_quantum() => {
            reply.insert("pemCrc32c".to_owned(), json!(call.checksum(text.as_bytes())));
            reply.insert("pem".to_owned(), json!(text));
            return Ok(reply.into());
        }
        None => return Err(only_nist()),
        Some("PEM") if !unsupported => text.into_bytes(),
        Some("DER") if !unsupported => spki.clone(),
        Some("NIST_PQC") if algorithm.is_post_quantum() => version.material.public_bits().unwrap_or_default(),
        Some("PEM" | "DER") => return Err(only_nist()),
        Some(format) => {
            let text = format!("Public key format {format} is not supported for algorithm {}.", algorithm.name);
            return Err(Status::invalid(text));
        }
    };
    reply.insert("publicKeyFormat".to_owned(), json!(format));
    let data = json!({ "data": base64(&bytes), "crc32cChecksum": call.checksum(&bytes) });
    reply.insert("publicKey".to_owned(), data);
    Ok(reply.into())
}

fn only_nist() -> Status {
    Status::invalid("Only NIST_PQC format is supported for PQC algorithms.")
}
