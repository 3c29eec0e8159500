//! The replies of the fake service: as much of KMS, Key Vault and Entra as the module uses. `vault` and `google` have those of
//! Vault and Google.

use super::state::{Service, SignatureEncoding, lock};
use crate::outcome::Outcome;
use crate::wire::Message;
use aws_lc_rs::signature::KeyPair;
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// AWS KMS API Reference: GetPublicKey, Sign, ListKeys, ListAliases.
pub fn kms(service: &Service, request: &Message, target: &str) -> Outcome<Vec<u8>> {
    let asked: Value = serde_json::from_slice(&request.body)?;
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    let id = text("KeyId");
    let rsa = id.contains("rsa");
    let arn = format!("arn:aws:kms:eu-central-1:111122223333:key/{}", id.rsplit('/').next().unwrap_or_default());
    service.count(target);
    let reply = match target {
        // "Throttling requests" of the AWS KMS Developer Guide.
        "TrentService.Sign" if !service.quota.admit() => {
            let error = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" });
            return Ok(response(400, "x-amzn-requestid: 11111111-2222-3333-4444-555555555555\r\n", &error));
        }
        "TrentService.Sign" => {
            lock(&service.last).insert("aws", request.bytes());
            let form = if rsa { SignatureEncoding::Rsa } else { SignatureEncoding::EcDer };
            let signature = service.sign(form, &Base64::decode_vec(text("Message"))?)?;
            json!({ "KeyId": arn, "Signature": Base64::encode_string(&signature), "SigningAlgorithm": text("SigningAlgorithm") })
        }
        "TrentService.GetPublicKey" => {
            let (spec, algorithms) =
                if rsa { ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256") } else { ("ECC_NIST_P256", "ECDSA_SHA_256") };
            json!({
                "KeyId": arn, "KeySpec": spec, "CustomerMasterKeySpec": spec, "KeyUsage": "SIGN_VERIFY",
                "PublicKey": Base64::encode_string(&service.spki(rsa)?), "SigningAlgorithms": [algorithms],
            })
        }
        "TrentService.ListKeys" => {
            aws_page(service, text("Marker"), 1000, "Keys", |name| json!({ "KeyId": name, "KeyArn": name }))
        }
        // Each key has one alias, with the same name as the key.
        "TrentService.ListAliases" => aws_page(
            service,
            text("Marker"),
            100,
            "Aliases",
            |name| json!({ "AliasName": format!("alias/{name}"), "TargetKeyId": name, "LastUpdatedDate": 1_700_000_000 }),
        ),
        _ => return Ok(response(400, "x-amzn-requestid: 1\r\n", &json!({ "__type": "UnknownOperationException" }))),
    };
    Ok(response(200, "x-amzn-requestid: 11111111-2222-3333-4444-555555555555\r\n", &reply))
}

/// Returns one page, which starts at the marker and has at most `most` items, the number that KMS returns at once.
fn aws_page(service: &Service, marker: &str, most: usize, list: &str, item: impl Fn(String) -> Value) -> Value {
    let (all, from) = (service.keys.load(Ordering::Relaxed), marker.parse().unwrap_or(0));
    let to = all.min(from + most);
    let items: Vec<Value> = (from..to).map(|number| item(key_name(number))).collect();
    let mut page = json!({ list: items, "Truncated": to < all });
    if to < all {
        page["NextMarker"] = json!(to.to_string());
    }
    page
}

/// Key Vault REST API, and Entra's token endpoint.
pub fn key_vault(service: &Service, request: &Message) -> Outcome<Vec<u8>> {
    let (method, target) = request.request_line();
    let host = format!("https://{}", request.header("host").unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if path.ends_with("/oauth2/v2.0/token") {
        service.count("token");
        return Ok(response(200, "", &json!({ "token_type": "Bearer", "expires_in": 86400, "access_token": token() })));
    }
    if request.header("authorization").is_none() {
        service.count("challenge");
        let challenge = format!(
            "www-authenticate: Bearer authorization=\"{host}/tenant\", resource=\"https://vault.azure.net\"\r\n"
        );
        return Ok(response(401, &challenge, &json!({ "error": { "code": "Unauthorized" } })));
    }
    let (name, reply) = match (method, &parts[..]) {
        ("GET", ["keys"]) => ("GetKeys", page(service, &host, query)),
        ("GET", ["keys", name, ..]) => ("GetKey", key(service, &host, name)?),
        // "Azure Key Vault throttling guidance". The service does not promise Retry-After.
        ("POST", ["keys", _, .., "sign"]) if !service.quota.admit() => {
            let error = json!({ "error": { "code": "Throttled", "message": "Request was not processed because too many requests were received." } });
            return Ok(response(429, "x-ms-request-id: 11111111-2222-3333-4444-555555555555\r\n", &error));
        }
        ("POST", ["keys", name, .., "sign"]) => {
            lock(&service.last).insert("azure", request.bytes());
            let asked: Value = serde_json::from_slice(&request.body)?;
            let digest = Base64UrlUnpadded::decode_vec(asked["value"].as_str().unwrap_or_default())?;
            let form = if name.contains("rsa") { SignatureEncoding::Rsa } else { SignatureEncoding::EcFixed };
            let value = Base64UrlUnpadded::encode_string(&service.sign(form, &digest)?);
            ("SignKey", json!({ "kid": key_id(&host, name), "value": value }))
        }
        _ => {
            service.count("not found");
            return Ok(response(404, "", &json!({ "error": { "code": "CertificateNotFound", "message": "none" } })));
        }
    };
    service.count(name);
    Ok(response(200, "x-ms-request-id: 11111111-2222-3333-4444-555555555555\r\n", &reply))
}

/// Returns one page of keys. Key Vault lists 25 keys at a time.
fn page(service: &Service, host: &str, query: &str) -> Value {
    let (all, skip) = (service.keys.load(Ordering::Relaxed), query.split("skip=").nth(1).unwrap_or_default());
    let from = skip.split('&').next().and_then(|from| from.parse().ok()).unwrap_or(0usize);
    let to = all.min(from + 25);
    let value: Vec<Value> = (from..to).map(|n| json!({ "kid": format!("{host}/keys/{}", key_name(n)) })).collect();
    let next = (to < all).then(|| format!("{host}/keys?api-version=2025-07-01&skip={to}"));
    json!({ "value": value, "nextLink": next })
}

fn key(service: &Service, host: &str, name: &str) -> Outcome<Value> {
    let encode = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let mut key = json!({ "kid": key_id(host, name), "key_ops": ["sign", "verify"] });
    if name.contains("rsa") {
        // RSAPublicKey of RFC 8017. The modulus has 256 bytes. Before it are the headers of the SEQUENCE and of
        // the INTEGER, and a zero byte: 9 bytes in total.
        let modulus = service.rsa.public_key().as_ref().get(9..265).unwrap_or_default();
        (key["kty"], key["n"], key["e"]) = (json!("RSA"), json!(encode(modulus)), json!("AQAB"));
    } else {
        let (x, y) = service.ec.public_key().as_ref().get(1..).unwrap_or_default().split_at(32);
        (key["kty"], key["crv"], key["x"], key["y"]) =
            (json!("EC"), json!("P-256"), json!(encode(x)), json!(encode(y)));
    }
    Ok(json!({ "key": key, "attributes": { "enabled": true } }))
}

fn key_id(host: &str, name: &str) -> String {
    format!("{host}/keys/{name}/{VERSION}")
}

/// The version of every key.
pub const VERSION: &str = "0123456789abcdef0123456789abcdef";

/// Returns a key name that is as long as the id of a real key.
pub fn key_name(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

/// Returns an access token that is as long as a real one.
fn token() -> String {
    "t".repeat(1400)
}

/// Serves the requests of the benchmark itself: counts, the last signing request, and settings.
pub fn control(service: &Service, request: &Message) -> Outcome<Vec<u8>> {
    let target = request.request_line().1;
    let (what, value) = target.trim_start_matches("/_bench/").split_once('/').unwrap_or_default();
    Ok(match what {
        "delay_us" => {
            service.set_delay(Duration::from_micros(value.parse()?));
            response(200, "", &Value::Null)
        }
        "quota" => {
            service.quota.set(value.parse()?);
            response(200, "", &Value::Null)
        }
        "keys" => {
            service.keys.store(value.parse()?, Ordering::Relaxed);
            response(200, "", &Value::Null)
        }
        "last" => {
            let last = lock(&service.last).get(value).cloned().unwrap_or_default();
            response(200, "", &json!(String::from_utf8(last)?))
        }
        _ => {
            let mut counts = json!(*lock(&service.counts));
            counts["at once"] = json!(service.most_under_way.load(Ordering::Relaxed));
            service.reset();
            response(200, "", &counts)
        }
    })
}

pub fn response(status: u16, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into()
}
