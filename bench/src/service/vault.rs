//! The replies of the fake Vault: as much of the Transit engine as the module uses.
//!
//! "Transit secrets engine (API)" of Vault's documentation. Each key has one version, 1.

use super::replies::{key_name, response};
use super::state::{Service, SignatureEncoding, lock};
use crate::outcome::Outcome;
use crate::wire::Message;
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Returns whether a request is one to Vault.
pub fn is_request(request: &Message) -> bool {
    request.request_line().1.starts_with("/v1/")
}

/// "Read key", "List keys" and "Sign data".
pub fn reply(service: &Service, request: &Message) -> Outcome<Vec<u8>> {
    let (method, path) = request.request_line();
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    if request.header("x-vault-token").is_none() {
        service.count("denied");
        return Ok(response(403, "", &json!({ "errors": ["permission denied"] })));
    }
    let (name, data) = match (method, &parts[..]) {
        ("LIST", ["transit", "keys"]) => ("ListKeys", list(service)),
        ("GET", ["transit", "keys", name]) => ("ReadKey", key(service, name)?),
        ("POST", ["transit", "sign", name, "sha2-256"]) => sign(service, request, name)?,
        _ => {
            service.count("not found");
            return Ok(response(404, "", &json!({ "errors": [] })));
        }
    };
    service.count(name);
    let id = "11111111-2222-3333-4444-555555555555";
    Ok(response(200, "cache-control: no-store\r\n", &json!({ "request_id": id, "lease_duration": 0, "data": data })))
}

fn list(service: &Service) -> Value {
    let names: Vec<String> = (0..service.keys.load(Ordering::Relaxed)).map(key_name).collect();
    json!({ "keys": names })
}

fn is_rsa(name: &str) -> bool {
    name.contains("rsa")
}

fn key(service: &Service, name: &str) -> Outcome<Value> {
    let spki = Base64::encode_string(&service.spki(is_rsa(name))?);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n");
    Ok(json!({
        "name": name, "type": if is_rsa(name) { "rsa-2048" } else { "ecdsa-p256" }, "latest_version": 1,
        "min_available_version": 0, "min_decryption_version": 1, "min_encryption_version": 0, "derived": false,
        "deletion_allowed": false, "exportable": false, "supports_signing": true,
        "keys": { "1": { "creation_time": "2026-01-01T00:00:00Z", "name": "P-256", "public_key": pem } },
    }))
}

/// Signs one input, or those of a batch. Returns the name under which the request is counted, and the data of the reply.
fn sign(service: &Service, request: &Message, name: &str) -> Outcome<(&'static str, Value)> {
    let asked: Value = serde_json::from_slice(&request.body)?;
    let signed = |input: &Value| -> Outcome<Value> {
        let digest = Base64::decode_vec(input["input"].as_str().unwrap_or_default())?;
        // ECDSA signatures have the encoding `jws`.
        let text = match is_rsa(name) {
            true => Base64::encode_string(&service.sign(SignatureEncoding::Rsa, &digest)?),
            false => Base64UrlUnpadded::encode_string(&service.sign(SignatureEncoding::EcFixed, &digest)?),
        };
        Ok(json!({ "signature": format!("vault:v1:{text}"), "key_version": 1 }))
    };
    if let Some(inputs) = asked["batch_input"].as_array() {
        let results = inputs.iter().map(signed).collect::<Outcome<Vec<_>>>()?;
        return Ok(("Sign batch", json!({ "batch_results": results })));
    }
    // The floor makes one signature with each request.
    lock(&service.last).insert("vault", request.bytes());
    Ok(("Sign", signed(&asked)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replied(service: &Service, body: &Value) -> Value {
        let head = "POST /v1/transit/sign/ec/sha2-256 HTTP/1.1\r\nX-Vault-Token: t\r\n\r\n".to_owned();
        let reply = reply(service, &Message { head, body: body.to_string().into_bytes() }).unwrap();
        let reply = Message::read(&mut &reply[..]).unwrap().unwrap();
        assert_eq!(reply.status(), Some(200));
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[test]
    fn a_batch_has_the_signatures_of_its_inputs_and_the_floor_sends_one_input() {
        let service = Service::new().unwrap();
        let inputs = [[7; 32], [8; 32]].map(|digest| json!({ "input": Base64::encode_string(&digest) }));
        let single = inputs.clone().map(|input| replied(&service, &input)["data"]["signature"].take());
        let last = lock(&service.last)["vault"].clone();
        let batch = replied(&service, &json!({ "batch_input": inputs }));
        let batch = [0, 1].map(|index| &batch["data"]["batch_results"][index]["signature"]);
        assert_eq!(batch, single.each_ref());
        assert_ne!(single[0], single[1]);
        let text = single[0].as_str().unwrap().strip_prefix("vault:v1:").unwrap();
        assert_eq!(Base64UrlUnpadded::decode_vec(text).unwrap().len(), 64);
        assert_eq!(lock(&service.last)["vault"], last, "a batch is not the request of the floor");
    }

    #[test]
    fn a_request_without_a_token_is_denied() {
        let head = "GET /v1/transit/keys/ec HTTP/1.1\r\n\r\n".to_owned();
        let reply = reply(&Service::new().unwrap(), &Message { head, body: Vec::new() }).unwrap();
        assert_eq!(Message::read(&mut &reply[..]).unwrap().unwrap().status(), Some(403));
    }
}
