//! The replies of the fake Cloud KMS of Google: as much of its REST API as the module uses.
//!
//! "REST Resource: v1.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions". Each key has one version, 1. The
//! checksums are those of CRC32C, as the service computes them.

use super::replies::{key_name, response};
use super::state::{Service, SignatureEncoding, lock};
use crate::outcome::Outcome;
use crate::wire::Message;
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The key ring of every key.
pub const KEY_RING: &str = "projects/bench/locations/europe-west3/keyRings/bench";

/// The most keys in a page of a listing that the module asks for.
const PAGE: usize = 1000;

/// Returns whether a request is one to Cloud KMS.
pub fn is_request(request: &Message) -> bool {
    request.request_line().1.starts_with("/v1/projects/")
}

/// GetPublicKey, ListCryptoKeys, ListCryptoKeyVersions and AsymmetricSign.
pub fn reply(service: &Service, request: &Message) -> Outcome<Vec<u8>> {
    let (method, target) = request.request_line();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.trim_start_matches("/v1/");
    if request.header("authorization").is_none() {
        service.count("denied");
        return Ok(response(401, "", &json!({ "error": { "code": 401, "status": "UNAUTHENTICATED", "message": "" } })));
    }
    let parts: Vec<&str> = path.split(['/', ':']).skip(6).collect();
    let (name, reply) = match (method, &parts[..]) {
        ("GET", ["cryptoKeys"]) => ("ListCryptoKeys", list(service, query)),
        ("GET", ["cryptoKeys", key, "cryptoKeyVersions"]) => ("ListCryptoKeyVersions", versions(key)),
        ("GET", ["cryptoKeys", key, "cryptoKeyVersions", "1", "publicKey"]) => {
            ("GetPublicKey", public_key(service, key)?)
        }
        // "Quotas" of Cloud KMS.
        ("POST", ["cryptoKeys", .., "asymmetricSign"]) if !service.quota.admit() => {
            let error = json!({ "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded" });
            return Ok(response(429, "", &json!({ "error": error })));
        }
        ("POST", ["cryptoKeys", key, "cryptoKeyVersions", "1", "asymmetricSign"]) => {
            lock(&service.last).insert("google", request.bytes());
            ("AsymmetricSign", sign(service, request, key)?)
        }
        _ => {
            service.count("not found");
            let error = json!({ "code": 404, "status": "NOT_FOUND", "message": path });
            return Ok(response(404, "", &json!({ "error": error })));
        }
    };
    service.count(name);
    Ok(response(200, "cache-control: private\r\n", &reply))
}

fn list(service: &Service, query: &str) -> Value {
    let all = service.keys.load(Ordering::Relaxed);
    let token = query.split('&').find_map(|field| field.strip_prefix("pageToken="));
    let from = token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let to = all.min(from + PAGE);
    let key = |number| {
        let name = format!("{KEY_RING}/cryptoKeys/{}", key_name(number));
        json!({ "name": name, "purpose": "ASYMMETRIC_SIGN", "createTime": "2026-01-01T00:00:00Z",
            "versionTemplate": { "protectionLevel": "SOFTWARE", "algorithm": "EC_SIGN_P256_SHA256" } })
    };
    let keys: Vec<Value> = (from..to).map(key).collect();
    let mut page = json!({ "cryptoKeys": keys, "totalSize": all });
    if to < all {
        page["nextPageToken"] = json!(to.to_string());
    }
    page
}

fn versions(key: &str) -> Value {
    let version = json!({ "name": version(key), "state": "ENABLED", "algorithm": algorithm(key),
        "protectionLevel": "SOFTWARE", "createTime": "2026-01-01T00:00:00Z" });
    json!({ "cryptoKeyVersions": [version], "totalSize": 1 })
}

fn version(key: &str) -> String {
    format!("{KEY_RING}/cryptoKeys/{key}/cryptoKeyVersions/1")
}

fn is_rsa(key: &str) -> bool {
    key.contains("rsa")
}

fn algorithm(key: &str) -> &'static str {
    if is_rsa(key) { "RSA_SIGN_PKCS1_2048_SHA256" } else { "EC_SIGN_P256_SHA256" }
}

fn public_key(service: &Service, key: &str) -> Outcome<Value> {
    let spki = Base64::encode_string(&service.spki(is_rsa(key))?);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n");
    let checksum = crc32c::crc32c(pem.as_bytes()).to_string();
    Ok(json!({ "name": version(key), "algorithm": algorithm(key), "protectionLevel": "SOFTWARE", "pem": pem,
        "pemCrc32c": checksum }))
}

fn sign(service: &Service, request: &Message, key: &str) -> Outcome<Value> {
    let asked: Value = serde_json::from_slice(&request.body)?;
    let digest = Base64::decode_vec(asked["digest"]["sha256"].as_str().unwrap_or_default())?;
    let form = if is_rsa(key) { SignatureEncoding::Rsa } else { SignatureEncoding::EcDer };
    let signature = service.sign(form, &digest)?;
    Ok(json!({
        "name": version(key), "signature": Base64::encode_string(&signature), "protectionLevel": "SOFTWARE",
        "signatureCrc32c": crc32c::crc32c(&signature).to_string(),
        "verifiedDigestCrc32c": asked["digestCrc32c"].is_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replied(head: &str, body: &Value) -> (Option<u16>, Value) {
        let head = format!("{head} HTTP/1.1\r\nAuthorization: Bearer t\r\n\r\n");
        let reply = reply(&Service::new().unwrap(), &Message { head, body: body.to_string().into_bytes() }).unwrap();
        let reply = Message::read(&mut &reply[..]).unwrap().unwrap();
        (reply.status(), serde_json::from_slice(&reply.body).unwrap())
    }

    #[test]
    fn a_signature_has_its_checksum() {
        let head = format!("POST /v1/{}:asymmetricSign", version("ec"));
        let digest = json!({ "digest": { "sha256": Base64::encode_string(&[7; 32]) }, "digestCrc32c": "1" });
        let (status, reply) = replied(&head, &digest);
        assert_eq!(status, Some(200));
        let signature = Base64::decode_vec(reply["signature"].as_str().unwrap()).unwrap();
        assert_eq!(reply["signatureCrc32c"], crc32c::crc32c(&signature).to_string());
        assert_eq!(reply["verifiedDigestCrc32c"], true);
    }

    #[test]
    fn each_key_is_listed_with_its_version() {
        let (_, keys) = replied(&format!("GET /v1/{KEY_RING}/cryptoKeys?pageSize=1000"), &Value::Null);
        let name = keys["cryptoKeys"][0]["name"].as_str().unwrap();
        let (status, versions) = replied(&format!("GET /v1/{name}/cryptoKeyVersions"), &Value::Null);
        assert_eq!((status, &versions["cryptoKeyVersions"][0]["state"]), (Some(200), &json!("ENABLED")));
    }
}
