//! Keys of Google Cloud KMS, in slots whose credentials are the key file of a service account.

mod algorithms;
mod failures;
mod key_rings;
mod libkmsp11;
mod manage;
mod requests;

use crate::support::p11::P11;
use crate::support::world::{World, ecdsa_der, openssl_verifies};
use cloud_kms_emulator::GoogleKey;
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::path::PathBuf;

const P256: &str = "EC_SIGN_P256_SHA256";
const DATA: &[u8] = b"data to be signed";

/// Makes a key with this algorithm, and returns the name of its version.
fn key(world: &World, id: &str, algorithm: &str) -> String {
    world.emulator.google().create_key(id, GoogleKey::new(algorithm).reuse()).unwrap().version
}

/// Writes a file with credentials, whose endpoints are the emulator's.
fn credentials(world: &World, name: &str, file: &Value) -> PathBuf {
    let (path, mut file) = (world.home.join(name), file.clone());
    if file["type"] == "authorized_user" {
        // A user's file has no URL, unless someone adds it.
        file["token_uri"] = json!("https://oauth2.googleapis.com/token");
    }
    std::fs::write(&path, world.emulator.google().without_proxy(&file).to_string()).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

/// Writes the configuration: these slots, and the options that lead to the emulator.
fn configure(world: &World, slots: Value, more: Value) {
    let account = world.emulator.google().service_account_file().unwrap();
    let mut options = json!({
        "google_endpoint_url": world.emulator.http_url(),
        "google_credentials_file": credentials(world, "account.json", &account),
    });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.configure_with(slots, options);
}

fn sign(p11: P11, slot: CK_SLOT_ID) -> Result<Vec<u8>, CK_RV> {
    let session = p11.open(slot);
    p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], DATA)
}

/// Returns whether this is the signature of [`DATA`] by the P-256 key of a version, as openssl sees it.
fn verifies(world: &World, version: &str, signature: &[u8]) -> bool {
    let spki = world.emulator.google().public_key_spki(version).unwrap();
    openssl_verifies(&world.home, &spki, DATA, &ecdsa_der(signature), &["-rawin", "-digest", "sha256"])
}

fn text(p11: P11, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> String {
    String::from_utf8(p11.attribute(session, object, kind).unwrap()).unwrap()
}

/// Returns CKA_LABEL and CKA_ID of each private key, sorted.
fn names(p11: P11, session: CK_SESSION_HANDLE) -> Vec<(String, String)> {
    let keys = p11.find_class(session, CKO_PRIVATE_KEY);
    let name = |key: &CK_OBJECT_HANDLE| (text(p11, session, *key, CKA_LABEL), text(p11, session, *key, CKA_ID));
    let mut names: Vec<_> = keys.iter().map(name).collect();
    names.sort_unstable();
    names
}
