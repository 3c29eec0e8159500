//! Key rings, keys and versions of Google Cloud KMS: lists, labels, and the life of a version.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::{Action, Fault, GoogleKey};
use common::{Bench, base64, bench};
use serde_json::{Value, json};
use std::time::Duration;

const RING: &str = "projects/p/locations/global/keyRings/r";

fn names(list: &Value, member: &str) -> Vec<String> {
    let items = list[member].as_array().into_iter().flatten();
    items.map(|item| item["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

fn create(bench: &Bench, id: &str, body: &Value) -> common::Answer {
    bench.google("POST", &format!("{RING}/cryptoKeys?cryptoKeyId={id}"), Some(body))
}

fn signing_key() -> Value {
    json!({ "purpose": "ASYMMETRIC_SIGN", "versionTemplate": { "algorithm": "EC_SIGN_P256_SHA256" } })
}

#[test]
fn lists_come_in_pages_and_are_filtered() {
    let bench = bench();
    let google = bench.emulator.google();
    for id in ["a", "b", "c"] {
        google.create_key(id, GoogleKey::new("EC_SIGN_P256_SHA256").key_ring(RING).label("app", id)).unwrap();
    }
    let list = |query: &str| bench.google("GET", &format!("{RING}/cryptoKeys{query}"), None).json();
    let first = list("?pageSize=2");
    assert_eq!((names(&first, "cryptoKeys"), &first["totalSize"]), (vec!["a".into(), "b".into()], &json!(3)));
    let token = first["nextPageToken"].as_str().unwrap();
    let second = list(&format!("?pageSize=2&pageToken={token}"));
    assert_eq!((names(&second, "cryptoKeys"), second.get("nextPageToken")), (vec!["c".to_owned()], None));
    assert_eq!(names(&list("?filter=labels.app%3Db"), "cryptoKeys"), ["b"]);
    assert_eq!(list("?filter=labels.app%3Db").get("totalSize"), None, "not with a filter");
    assert_eq!(list("?filter=purpose%3DMAC"), json!({}), "an empty list is left out");
    assert_eq!(names(&list("?orderBy=name%20desc"), "cryptoKeys"), ["c", "b", "a"]);
    for wrong in ["?pageToken=x", "?filter=color%3Dred", "?filter=red", "?orderBy=color", "?pageSize=-1"] {
        assert_eq!(list(wrong)["error"]["status"], "INVALID_ARGUMENT", "{wrong}");
    }
    // A token belongs to its list.
    let other = bench.google("GET", &format!("{RING}/cryptoKeys/a/cryptoKeyVersions?pageToken={token}"), None);
    assert_eq!(other.status, 400);
    let rings = bench.google("GET", "projects/p/locations/global/keyRings", None).json();
    assert_eq!(names(&rings, "keyRings"), ["r"]);
    assert_eq!(bench.google("GET", "projects/p/locations/europe/keyRings", None).json(), json!({}));
    let locations = bench.google("GET", "projects/p/locations", None).json();
    assert!(names(&locations, "locations").contains(&"global".to_owned()));
}

#[test]
fn versions_are_listed_by_name_and_state() {
    let bench = bench();
    let google = bench.emulator.google();
    let key = google.create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256").key_ring(RING).versions(11)).unwrap();
    let list = |query: &str| bench.google("GET", &format!("{}/cryptoKeyVersions{query}", key.name), None).json();
    assert_eq!(names(&list(""), "cryptoKeyVersions")[..3], ["1", "10", "11"], "a name is a text");
    google.disable(&format!("{}/cryptoKeyVersions/11", key.name)).unwrap();
    assert_eq!(names(&list("?filter=state%3DENABLED"), "cryptoKeyVersions").len(), 10);
    assert_eq!(names(&list("?filter=state%3DDISABLED"), "cryptoKeyVersions"), ["11"]);
    assert_eq!(names(&list("?filter=state!%3DENABLED%20AND%20algorithm:P256"), "cryptoKeyVersions"), ["11"]);
    assert_eq!(google.version_state("projects/p/locations/global/keyRings/r/cryptoKeys/k").unwrap(), "DISABLED");
    // Google's clients in Python, Java and Go ask for the numbers of enums.
    let numbers = list("?pageSize=1&%24alt=json;enum-encoding=int")["cryptoKeyVersions"][0].clone();
    assert_eq!(
        (&numbers["state"], &numbers["algorithm"], &numbers["protectionLevel"]),
        (&json!(1), &json!(12), &json!(2))
    );
}

#[test]
fn keys_are_created_as_they_are_asked_for() {
    let bench = bench();
    assert_eq!(create(&bench, "k", &signing_key()).status, 404, "there is no such key ring");
    let ring = |id: &str| {
        bench.google("POST", &format!("projects/p/locations/global/keyRings?keyRingId={id}"), Some(&json!({})))
    };
    assert_eq!((ring("r").status, ring("r").status, ring("a.b").status), (200, 409, 400));
    let mut wanted = signing_key();
    wanted["labels"] = json!({ "a": "b" });
    wanted["destroyScheduledDuration"] = json!("86400s");
    let made = create(&bench, "k", &wanted).json();
    assert_eq!(made, bench.google("GET", &format!("{RING}/cryptoKeys/k"), None).json());
    assert_eq!((&made["labels"], &made["destroyScheduledDuration"]), (&wanted["labels"], &json!("86400s")));
    assert_eq!(made["versionTemplate"], json!({ "algorithm": "EC_SIGN_P256_SHA256", "protectionLevel": "SOFTWARE" }));
    assert_eq!(create(&bench, "k", &wanted).status, 409);
    let with = |path: &str, value: Value| {
        let mut body = signing_key();
        *body.pointer_mut(path).unwrap() = value;
        create(&bench, "other", &body).status
    };
    assert_eq!(with("/purpose", json!("MAC")), 400);
    assert_eq!(with("/versionTemplate/algorithm", json!("EC_SIGN_P521_SHA512")), 400);
    assert_eq!(with("/versionTemplate/algorithm", json!("EC_SIGN_SECP256K1_SHA256")), 400, "needs the HSM");
    assert_eq!(with("/versionTemplate", json!({ "algorithm": 31, "protectionLevel": 2 })), 200, "by number");
    assert_eq!(create(&bench, "a.b", &signing_key()).status, 400);
    let unknown = create(&bench, "other", &json!({ "color": "red" })).json();
    assert_eq!(unknown["error"]["details"][0]["@type"], "type.googleapis.com/google.rpc.BadRequest");
    assert_eq!(bench.google("GET", &format!("{RING}/cryptoKeys/k?color=red"), None).status, 400);
    assert_eq!(
        bench.google("GET", "projects/p/colors", None).header("content-type").unwrap(),
        "text/html; charset=UTF-8"
    );
}

#[test]
fn labels_are_changed_by_their_mask() {
    let bench = bench();
    let key = bench.emulator.google().create_key("k", GoogleKey::new("HMAC_SHA256").label("a", "b")).unwrap();
    let patch = |mask: &str, labels: Value| {
        bench.google("PATCH", &format!("{}?updateMask={mask}", key.name), Some(&json!({ "labels": labels })))
    };
    assert_eq!(
        patch("labels", json!({ "pkcs11-label": "schlüssel_1" })).json()["labels"],
        json!({ "pkcs11-label": "schlüssel_1" })
    );
    assert_eq!(bench.emulator.google().labels("k").unwrap()["pkcs11-label"], "schlüssel_1");
    for labels in [
        json!({ "a": "B" }),
        json!({ "A": "b" }),
        json!({ "1": "b" }),
        json!({ "a": "b c" }),
        json!({ "a": "x".repeat(64) }),
    ] {
        assert_eq!(patch("labels", labels).status, 400);
    }
    assert_eq!((patch("", json!({})).status, patch("purpose", json!({})).status), (400, 400));
    assert_eq!(patch("labels", json!({})).json().get("labels"), None);
}

#[test]
fn a_version_lives_and_ends() {
    let bench = bench();
    let google = bench.emulator.google();
    let key = google.create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256")).unwrap();
    let made = bench.google("POST", &format!("{}/cryptoKeyVersions", key.name), Some(&json!({}))).json();
    assert_eq!((&made["state"], made.get("generateTime")), (&json!("PENDING_GENERATION"), None));
    let version = made["name"].as_str().unwrap();
    let state = || bench.google("GET", version, None).json()["state"].as_str().unwrap().to_owned();
    let post = |verb: &str| {
        let answer = bench.google("POST", &format!("{version}:{verb}"), Some(&json!({}))).json();
        let found = answer.get("state").unwrap_or(&answer["error"]["status"]);
        found.as_str().unwrap().to_owned()
    };
    let patch = |state: &str| {
        bench.google("PATCH", &format!("{version}?updateMask=state"), Some(&json!({ "state": state }))).status
    };
    assert_eq!(state(), "ENABLED");
    assert_eq!(
        (patch("DISABLED"), state().as_str(), patch("ENABLED"), patch("DESTROYED")),
        (200, "DISABLED", 200, 400)
    );
    assert_eq!(post("restore"), "FAILED_PRECONDITION");
    assert_eq!((post("destroy").as_str(), post("destroy").as_str()), ("DESTROY_SCHEDULED", "FAILED_PRECONDITION"));
    assert_eq!(patch("ENABLED"), 400);
    assert_eq!((post("restore").as_str(), post("destroy").as_str()), ("DISABLED", "DESTROY_SCHEDULED"));
    bench.emulator.control().shift_clock(30 * 86_400 - 60);
    assert_eq!(state(), "DESTROY_SCHEDULED");
    bench.emulator.control().shift_clock(30 * 86_400 + 60);
    assert_eq!((state().as_str(), post("restore").as_str()), ("DESTROYED", "FAILED_PRECONDITION"));
}

#[test]
fn keys_take_time_to_be_made_if_that_is_wanted() {
    let bench = bench();
    bench.emulator.control().switches(|switches| switches.google_generation_ms = 600_000);
    let key = bench.emulator.google().create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256")).unwrap();
    let made = bench.google("POST", &format!("{}/cryptoKeyVersions", key.name), Some(&json!({}))).json();
    let state = || bench.google("GET", made["name"].as_str().unwrap(), None).json()["state"].clone();
    assert_eq!(state(), "PENDING_GENERATION");
    bench.emulator.control().shift_clock(601);
    assert_eq!(state(), "ENABLED");
}

#[test]
fn only_an_enabled_version_is_used() {
    let bench = bench();
    let google = bench.emulator.google();
    let key = google.create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256")).unwrap();
    let body = json!({ "data": base64(b"data") });
    let states = [
        "DISABLED",
        "DESTROYED",
        "DESTROY_SCHEDULED",
        "PENDING_GENERATION",
        "PENDING_IMPORT",
        "IMPORT_FAILED",
        "GENERATION_FAILED",
    ];
    for state in states {
        google.set_state(&key.version, state).unwrap();
        let sign = bench.google("POST", &format!("{}:asymmetricSign", key.version), Some(&body));
        let public = bench.google("GET", &format!("{}/publicKey", key.version), None);
        for answer in [sign, public] {
            let error = answer.json()["error"].clone();
            assert_eq!((answer.status, &error["status"]), (400, &json!("FAILED_PRECONDITION")));
            assert_eq!(error["message"], json!(format!("{} is not enabled, current state is: {state}.", key.version)));
            let violation = error["details"][0]["violations"][0].clone();
            assert_eq!(
                (&violation["type"], &violation["subject"]),
                (&json!(format!("KEY_{state}")), &json!(key.version))
            );
        }
    }
    google.enable(&key.version).unwrap();
    assert_eq!(bench.google("POST", &format!("{}:asymmetricSign", key.version), Some(&body)).status, 200);
    let other = google.create_key("mac", GoogleKey::new("HMAC_SHA256")).unwrap();
    let refused = bench.google_error("POST", &format!("{}:asymmetricSign", other.version), Some(&body));
    assert_eq!((refused.0, refused.1.as_str()), (400, "FAILED_PRECONDITION"));
    let absent = bench.google_error("POST", &format!("{}9:asymmetricSign", key.version), Some(&body));
    assert_eq!((absent.0, absent.1.as_str()), (404, "NOT_FOUND"));
    google.forget_key("k").unwrap();
    assert_eq!(bench.google_error("GET", &key.version, None).2, format!("CryptoKey {} not found.", key.name));
}

#[test]
fn errors_have_the_details_of_google() {
    let bench = bench();
    let key = bench.emulator.google().create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256")).unwrap();
    let forged = |action: Action| {
        bench.emulator.control().fault(Fault::new("google.", action).times(1));
        let answer = bench.google("GET", &format!("{}/publicKey", key.version), None);
        let error = answer.json()["error"].clone();
        let detail = |kind: &str| {
            let name = format!("type.googleapis.com/google.rpc.{kind}");
            error["details"].as_array().into_iter().flatten().find(|detail| detail["@type"] == *name).cloned()
        };
        let info = detail("ErrorInfo").unwrap_or_default();
        (
            answer.status,
            error["status"].clone(),
            info["reason"].clone(),
            info["metadata"].clone(),
            detail("RetryInfo"),
            detail("Help"),
        )
    };
    let denied = forged(Action::Deny);
    assert_eq!((denied.0, &denied.2), (403, &json!("IAM_PERMISSION_DENIED")));
    let permission = json!({ "permission": "cloudkms.cryptoKeyVersions.viewPublicKey", "resource": key.name });
    assert_eq!(denied.3, permission);
    let disabled = forged(Action::ServiceDisabled);
    assert_eq!((disabled.0, &disabled.2), (403, &json!("SERVICE_DISABLED")));
    assert!(disabled.3["activationUrl"].as_str().unwrap().contains("cloudkms.googleapis.com") && disabled.5.is_some());
    let outside = forged(Action::PolicyViolated);
    assert_eq!((outside.0, &outside.2), (403, &json!("SECURITY_POLICY_VIOLATED")));
    let quota = forged(Action::Throttle { retry_after: Some(7) });
    assert_eq!((quota.0, &quota.1, &quota.2), (429, &json!("RESOURCE_EXHAUSTED"), &json!("RATE_LIMIT_EXCEEDED")));
    assert_eq!(quota.4.unwrap()["retryDelay"], "7s");
    assert_eq!(forged(Action::Throttle { retry_after: None }).4, None);
    let expired = forged(Action::ExpiredToken);
    assert_eq!((expired.0, &expired.1, &expired.2), (401, &json!("UNAUTHENTICATED"), &json!("ACCESS_TOKEN_EXPIRED")));
    let error = |reason: Option<&str>| Action::Error {
        status: 503,
        code: "UNAVAILABLE".to_owned(),
        message: "The service is currently unavailable.".to_owned(),
        innererror: reason.map(str::to_owned),
    };
    assert_eq!(forged(error(None)).1, "UNAVAILABLE");
    assert_eq!(forged(error(Some("REASON"))).2, "REASON");
    assert!(bench.emulator.control().wait_for("google.GetPublicKey", 8, Duration::ZERO), "each is counted");
}

#[test]
fn a_caller_has_the_permissions_that_no_fault_denies() {
    let bench = bench();
    let key = bench.emulator.google().create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256").reuse()).unwrap();
    let [sign, view] = ["cloudkms.cryptoKeyVersions.useToSign", "cloudkms.cryptoKeyVersions.viewPublicKey"];
    let held = |name: &str| {
        let asked = json!({ "permissions": [sign, view] });
        bench.google("POST", &format!("{name}:testIamPermissions"), Some(&asked)).json()["permissions"].clone()
    };
    assert_eq!(held(&key.name), json!([sign, view]));
    bench.emulator.control().fault(Fault::new("google.AsymmetricSign", Action::Deny));
    assert_eq!(held(&key.name), json!([view]));
    assert_eq!(held(&format!("{}x", key.name)), Value::Null, "there is no such key");
}
