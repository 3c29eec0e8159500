//! The methods of Cloud KMS by HTTP method, path and verb (google/cloud/kms/v1/service.proto), with the permission of each.

use super::call::{Answer, Call};
use super::{crypto, crypto_keys, key_rings, locations, public_key, versions};
use crate::http::Request;
use serde_json::{Value, json};

/// A method of the API.
pub(super) struct Operation {
    pub(super) name: &'static str,
    method: &'static str,
    /// The path after `/v1/`; `*` is any id.
    path: &'static str,
    /// What follows the path after a colon.
    verb: &'static str,
    pub(super) permission: &'static str,
    /// The members of the query.
    pub(super) query: &'static [&'static str],
    /// The members of the body.
    pub(super) body: &'static [&'static str],
    pub(super) run: fn(&Call<'_>) -> Answer,
}

const LOCATIONS: &str = "projects/*/locations";
const LOCATION: &str = "projects/*/locations/*";
const RINGS: &str = "projects/*/locations/*/keyRings";
const RING: &str = "projects/*/locations/*/keyRings/*";
const KEYS: &str = "projects/*/locations/*/keyRings/*/cryptoKeys";
const KEY: &str = "projects/*/locations/*/keyRings/*/cryptoKeys/*";
const VERSIONS: &str = "projects/*/locations/*/keyRings/*/cryptoKeys/*/cryptoKeyVersions";
const VERSION: &str = "projects/*/locations/*/keyRings/*/cryptoKeys/*/cryptoKeyVersions/*";
const PUBLIC_KEY: &str = "projects/*/locations/*/keyRings/*/cryptoKeys/*/cryptoKeyVersions/*/publicKey";

const LIST: &[&str] = &["pageSize", "pageToken", "filter", "orderBy", "view", "versionView"];
const CRYPTO_KEY: &[&str] = &[
    "name",
    "purpose",
    "versionTemplate",
    "labels",
    "importOnly",
    "destroyScheduledDuration",
    "cryptoKeyBackend",
    "rotationPeriod",
    "nextRotationTime",
    "primary",
    "createTime",
];
const CRYPTO_KEY_VERSION: &[&str] = &[
    "name",
    "state",
    "protectionLevel",
    "algorithm",
    "createTime",
    "generateTime",
    "destroyTime",
    "destroyEventTime",
    "externalProtectionLevelOptions",
];

const OPERATIONS: [Operation; 21] = [
    get("ListLocations", LOCATIONS, "cloudkms.locations.list", LIST, locations::list),
    get("GetLocation", LOCATION, "cloudkms.locations.get", &[], locations::get),
    get("ListKeyRings", RINGS, "cloudkms.keyRings.list", LIST, key_rings::list),
    get("GetKeyRing", RING, "cloudkms.keyRings.get", &[], key_rings::get),
    get("ListCryptoKeys", KEYS, "cloudkms.cryptoKeys.list", LIST, crypto_keys::list),
    get("GetCryptoKey", KEY, "cloudkms.cryptoKeys.get", &[], crypto_keys::get),
    get("ListCryptoKeyVersions", VERSIONS, "cloudkms.cryptoKeyVersions.list", LIST, versions::list),
    get("GetCryptoKeyVersion", VERSION, "cloudkms.cryptoKeyVersions.get", &[], versions::get),
    get("GetPublicKey", PUBLIC_KEY, "cloudkms.cryptoKeyVersions.viewPublicKey", &["publicKeyFormat"], public_key::get),
    Operation {
        name: "CreateKeyRing",
        method: "POST",
        path: RINGS,
        verb: "",
        permission: "cloudkms.keyRings.create",
        query: &["keyRingId"],
        body: &["name", "createTime"],
        run: key_rings::create,
    },
    Operation {
        name: "CreateCryptoKey",
        method: "POST",
        path: KEYS,
        verb: "",
        permission: "cloudkms.cryptoKeys.create",
        query: &["cryptoKeyId", "skipInitialVersionCreation"],
        body: CRYPTO_KEY,
        run: crypto_keys::create,
    },
    Operation {
        name: "UpdateCryptoKey",
        method: "PATCH",
        path: KEY,
        verb: "",
        permission: "cloudkms.cryptoKeys.update",
        query: &["updateMask"],
        body: CRYPTO_KEY,
        run: crypto_keys::patch,
    },
    Operation {
        name: "CreateCryptoKeyVersion",
        method: "POST",
        path: VERSIONS,
        verb: "",
        permission: "cloudkms.cryptoKeyVersions.create",
        query: &[],
        body: CRYPTO_KEY_VERSION,
        run: versions::create,
    },
    Operation {
        name: "UpdateCryptoKeyVersion",
        method: "PATCH",
        path: VERSION,
        verb: "",
        permission: "cloudkms.cryptoKeyVersions.update",
        query: &["updateMask"],
        body: CRYPTO_KEY_VERSION,
        run: versions::patch,
    },
    Operation { path: KEY, ..verb("TestIamPermissions", "testIamPermissions", "", &["permissions"], test_permissions) },
    verb("DestroyCryptoKeyVersion", "destroy", "cloudkms.cryptoKeyVersions.destroy", &[], versions::destroy),
    verb("RestoreCryptoKeyVersion", "restore", "cloudkms.cryptoKeyVersions.restore", &[], versions::restore),
    verb(
        "AsymmetricSign",
        "asymmetricSign",
        "cloudkms.cryptoKeyVersions.useToSign",
        &["digest", "digestCrc32c", "data", "dataCrc32c"],
        crypto::asymmetric_sign,
    ),
    verb(
        "AsymmetricDecrypt",
        "asymmetricDecrypt",
        "cloudkms.cryptoKeyVersions.useToDecrypt",
        &["ciphertext", "ciphertextCrc32c"],
        crypto::asymmetric_decrypt,
    ),
    verb("MacSign", "macSign", "cloudkms.cryptoKeyVersions.useToSign", &["data", "dataCrc32c"], crypto::mac_sign),
    verb(
        "MacVerify",
        "macVerify",
        "cloudkms.cryptoKeyVersions.useToVerify",
        &["data", "dataCrc32c", "mac", "macCrc32c"],
        crypto::mac_verify,
    ),
];

/// The permissions that the caller has: all, except those of operations that a fault denies
/// (google/iam/v1/iam_policy.proto).
fn test_permissions(call: &Call<'_>) -> Answer {
    call.crypto_key(&call.name)?;
    let asked = call.input.value("permissions").and_then(Value::as_array).cloned().unwrap_or_default();
    let names = [call.name.clone()];
    let is_denied = |permission: &Value| {
        let mut own = OPERATIONS.iter().filter(|operation| Some(operation.permission) == permission.as_str());
        own.any(|operation| call.state.faults.denies(&format!("google.{}", operation.name), &names))
    };
    let held: Vec<Value> = asked.into_iter().filter(|permission| !is_denied(permission)).collect();
    Ok(json!({ "permissions": held }))
}

/// GenerateRandomBytes, the only verb of a location.
const RANDOM: Operation = Operation {
    path: LOCATION,
    ..verb(
        "GenerateRandomBytes",
        "generateRandomBytes",
        "cloudkms.locations.generateRandomBytes",
        &["lengthBytes", "protectionLevel"],
        crypto::generate_random_bytes,
    )
};

const fn get(
    name: &'static str,
    path: &'static str,
    permission: &'static str,
    query: &'static [&'static str],
    run: fn(&Call<'_>) -> Answer,
) -> Operation {
    Operation { name, method: "GET", path, verb: "", permission, query, body: &[], run }
}

/// A verb of a version.
const fn verb(
    name: &'static str,
    verb: &'static str,
    permission: &'static str,
    body: &'static [&'static str],
    run: fn(&Call<'_>) -> Answer,
) -> Operation {
    Operation { name, method: "POST", path: VERSION, verb, permission, query: &[], body, run }
}

/// The method that a request is for, and the resource in its path without `/publicKey`.
pub(super) fn find(request: &Request) -> Option<(&'static Operation, String)> {
    let segments = request.segments();
    let (first, segments) = segments.split_first()?;
    let path = segments.join("/");
    let (path, verb) = path.split_once(':').unwrap_or((&path, ""));
    let named = |operation: &&Operation| {
        operation.method == request.method.as_str() && operation.verb == verb && matches(operation.path, path)
    };
    let found = OPERATIONS.iter().chain([&RANDOM]).find(named).filter(|_| first == "v1")?;
    Some((found, path.strip_suffix("/publicKey").unwrap_or(path).to_owned()))
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let same = |(pattern, part): (&&str, &&str)| pattern == part || *pattern == "*" && !part.is_empty();
    pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
}
