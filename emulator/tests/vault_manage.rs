//! The life of a key in a vault through the API: made, tagged, changed, deleted, recovered, purged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::{Action, Fault, VaultKey};
use common::{Bench, base64url, bench, unbase64url};
use serde_json::{Value, json};

fn create(bench: &Bench, name: &str, body: &Value) -> Value {
    bench.vault("POST", &format!("/keys/{name}/create"), Some(body)).json()
}

#[test]
fn keys_are_made_with_all_that_is_asked_for() {
    let bench = bench();
    let now = bench.emulator.control().now();
    let made = create(
        &bench,
        "signer",
        &json!({
            "kty": "EC-HSM", "crv": "P-384", "key_ops": ["sign", "verify"], "tags": { "team": "blue" },
            "attributes": { "enabled": false, "nbf": now - 5, "exp": now + 600 },
        }),
    );
    assert_eq!((&made["key"]["kty"], &made["key"]["crv"]), (&json!("EC-HSM"), &json!("P-384")));
    assert_eq!((&made["key"]["key_ops"], &made["tags"]), (&json!(["sign", "verify"]), &json!({ "team": "blue" })));
    let attributes = &made["attributes"];
    assert_eq!(
        (&attributes["enabled"], &attributes["nbf"], &attributes["exp"]),
        (&json!(false), &json!(now - 5), &json!(now + 600))
    );
    assert_eq!(bench.vault("GET", "/keys/signer", None).json(), made);
    for size in [2048, 3072] {
        let made = create(&bench, "rsa", &json!({ "kty": "RSA", "key_size": size }));
        assert_eq!(unbase64url(&made["key"]["n"]).len() * 8, size);
        assert_eq!(made["tags"], Value::Null);
    }
    assert_eq!(bench.vault("GET", "/keys/rsa/versions", None).json()["value"].as_array().unwrap().len(), 2);
    assert_eq!(create(&bench, "plain", &json!({ "kty": "EC" }))["key"]["crv"], "P-256");
    let listed = bench.vault("GET", "/keys", None).json()["value"].clone();
    assert_eq!((listed.as_array().unwrap().len(), &listed[2]["tags"]["team"]), (3, &json!("blue")));
}

#[test]
fn keys_that_cannot_be_made_are_refused() {
    let bench = bench();
    let refused = |name: &str, body: Value| {
        let (status, code, _) = bench.vault_error("POST", &format!("/keys/{name}/create"), &body);
        assert_eq!((status, code.as_str()), (400, "BadParameter"), "{name} {body}");
    };
    refused("k", json!({}));
    refused("k", json!({ "kty": "OKP" }));
    refused("k", json!({ "kty": "RSA", "key_size": 1024 }));
    refused("k", json!({ "kty": "EC", "crv": "P-224" }));
    refused("k", json!({ "kty": "EC", "key_ops": ["sing"] }));
    refused("under_score", json!({ "kty": "EC" }));
    refused(&"k".repeat(128), json!({ "kty": "EC" }));
    let message = create(&bench, "a.b", &json!({ "kty": "EC" }))["error"]["message"].clone();
    assert_eq!(message, "The request URI contains an invalid name: a.b");
    assert_eq!(bench.vault("GET", "/keys", None).json()["value"], json!([]));
}

#[test]
fn versions_are_changed_one_by_one() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    let old = vault.create_key("k", VaultKey::ec("P-256")).unwrap();
    vault.rotate_key("k").unwrap();
    let path = format!("/keys/k/{}", old.version);
    let exp = bench.emulator.control().now() + 60;
    let change = json!({ "tags": { "a": "1" }, "key_ops": ["verify"], "attributes": { "exp": exp } });
    let changed = bench.vault("PATCH", &path, Some(&change)).json();
    assert_eq!((&changed["tags"], &changed["attributes"]["exp"]), (&json!({ "a": "1" }), &json!(exp)));
    let sign = json!({ "alg": "ES256", "value": base64url(&[1; 32]) });
    let inner = bench.vault_error("POST", &format!("{path}/sign"), &sign).2;
    assert_eq!(inner, "KeyOperationForbidden");
    assert_eq!(bench.vault("POST", "/keys/k/sign", Some(&sign)).status, 200);
    assert_eq!(bench.vault("GET", "/keys/k", None).json()["tags"], Value::Null);
    // What is not named stays.
    let changed = bench.vault("PATCH", &path, Some(&json!({ "attributes": { "enabled": false } }))).json();
    assert_eq!((&changed["tags"], &changed["key"]["key_ops"]), (&json!({ "a": "1" }), &json!(["verify"])));
    let changed = bench.vault("PATCH", &path, Some(&json!({ "tags": {} }))).json();
    assert_eq!((&changed["tags"], &changed["attributes"]["enabled"]), (&Value::Null, &json!(false)));
    assert_eq!(bench.vault_error("PATCH", &path, &json!({ "key_ops": ["sing"] })).1, "BadParameter");
    assert_eq!(bench.vault_error("PATCH", "/keys/none/1", &json!({})).1, "KeyNotFound");
}

#[test]
fn a_deleted_key_can_be_recovered() {
    let bench = bench();
    let base = bench.emulator.http_url();
    let made = create(&bench, "k", &json!({ "kty": "EC", "tags": { "a": "1" } }));
    let deleted = bench.vault("DELETE", "/keys/k", None).json();
    assert_eq!((&deleted["key"], &deleted["tags"]), (&made["key"], &made["tags"]));
    assert_eq!(deleted["recoveryId"], format!("{base}/deletedkeys/k"));
    let purged = deleted["scheduledPurgeDate"].as_i64().unwrap() - deleted["deletedDate"].as_i64().unwrap();
    assert_eq!(purged, 7 * 86_400);
    assert_eq!(bench.vault("GET", "/deletedkeys/k", None).json(), deleted);
    let listed = bench.vault("GET", "/deletedkeys", None).json()["value"].clone();
    assert_eq!(
        (&listed[0]["kid"], &listed[0]["recoveryId"]),
        (&json!(format!("{base}/keys/k")), &deleted["recoveryId"])
    );
    assert_eq!(bench.vault_error("GET", "/keys/k", &json!({})).1, "KeyNotFound");
    assert_eq!(bench.vault_error("DELETE", "/keys/k", &json!({})).1, "KeyNotFound");

    let again = bench.vault_error("POST", "/keys/K/create", &json!({ "kty": "EC" }));
    assert_eq!(again, (409, "Conflict".into(), "ObjectIsDeletedButRecoverable".into()));
    assert_eq!(bench.vault("POST", "/deletedkeys/k/recover", None).json()["key"], made["key"]);
    assert_eq!(bench.vault("GET", "/keys/k", None).json()["key"], made["key"]);
    for (method, path) in [("GET", "/deletedkeys/k"), ("POST", "/deletedkeys/k/recover"), ("DELETE", "/deletedkeys/k")]
    {
        assert_eq!(bench.vault_error(method, path, &json!({})), (404, "KeyNotFound".into(), "".into()));
    }
}

#[test]
fn a_purged_name_is_free() {
    let bench = bench();
    let first = create(&bench, "k", &json!({ "kty": "EC" }));
    bench.vault("DELETE", "/keys/k", None);
    bench.emulator.control().fault(Fault::new("vault.deletedkeys.purge", Action::Deny).key("k").times(1));
    assert_eq!(bench.vault_error("DELETE", "/deletedkeys/k", &json!({})).2, "ForbiddenByRbac");
    let purged = bench.vault("DELETE", "/deletedkeys/k", None);
    assert_eq!((purged.status, purged.body.len(), purged.header("content-length")), (204, 0, None));
    let second = create(&bench, "k", &json!({ "kty": "EC" }));
    assert_ne!(first["key"]["x"], second["key"]["x"]);
    assert_eq!(bench.vault("GET", "/keys/k/versions", None).json()["value"].as_array().unwrap().len(), 1);
    assert_eq!(bench.emulator.control().count("vault.deletedkeys.purge"), 2);
}
