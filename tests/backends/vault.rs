//! A real Vault: the server "vault" in the file that CONTRACT_SERVERS names. Its cases are those of `others.rs`; here are keys,
//! failures and random bytes. `vault_access.rs` has the logins.

use crate::front::{Front, ask};
use crate::server::{FILES, named, wait};
use base64ct::Encoding;
use cloud_kms_pkcs11::certificate::Certificate;
use cloud_kms_pkcs11::cloud::vault::{Auth, Settings};
use cloud_kms_pkcs11::cloud::{Cause, Failure, KeyDescription, KeyName, Network, NewKey, SharedBackend, Target};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind, Purpose};
use serde_json::{Value, json};
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::time::Duration;

/// Returns the description of the server, if there is one.
pub fn server() -> Option<Value> {
    LazyLock::force(&FILES);
    let file = std::env::var_os("CONTRACT_SERVERS").map(|path| std::fs::read(path).unwrap());
    let servers: Option<Value> = file.map(|file| serde_json::from_slice(&file).unwrap());
    let vault = servers.and_then(|servers| servers["servers"].get("vault").cloned());
    if vault.is_none() {
        eprintln!("CONTRACT_SERVERS names no Vault: nothing to do");
    }
    vault
}

pub fn text(server: &Value, name: &str) -> String {
    server[name].as_str().unwrap().to_owned()
}

pub fn settings(server: &Value) -> Settings {
    Settings {
        address: text(server, "address"),
        auth: Auth::Token(text(server, "token").into()),
        network: Network { ca_bundle: Some(text(server, "ca_bundle").into()), retries: 0, ..Network::default() },
        ..Settings::default()
    }
}

pub fn described(settings: &Settings, key: &str) -> Result<KeyDescription, Failure> {
    wait(settings.open().describe(&named(key)))
}

/// Makes a request with the root token.
pub fn administer(server: &Value, line: &str, fields: Value) -> Value {
    let (status, reply) = ask(&text(server, "plain_address"), &text(server, "root_token"), line, fields);
    assert!((200..300).contains(&status), "{line}: {status} {reply}");
    reply
}

/// Returns a proxy in front of the server, and settings for it.
pub fn front(server: &Value) -> (Front, Settings) {
    let front = Front::of(&text(server, "plain_address"));
    let address = front.url.clone();
    (front, Settings { address, ..settings(server) })
}

#[test]
fn failures_say_what_is_wrong() {
    let Some(server) = server() else { return };
    let at_mount = |mount: &str| Settings { mount: mount.into(), ..settings(&server) };
    let with_token = |token: &str| Settings { auth: Auth::Token(token.to_owned().into()), ..settings(&server) };
    let root = Settings { mount: "nothing/here".into(), ..with_token(&text(&server, "root_token")) };
    for (settings, key, cause, words) in [
        (settings(&server), "missing", Cause::NotFound, "no such key"),
        (settings(&server), "a/b", Cause::Unsupported, "unsupported path"),
        (settings(&server), "aes", Cause::Unsupported, "aes256-gcm96"),
        (at_mount("other/transit"), "p256", Cause::Denied, "\"read\" on \"other/transit/keys/p256\""),
        (root, "p256", Cause::Settings, "check the mount path of the Transit engine"),
        (
            with_token("wrong"),
            "p256",
            Cause::Credentials,
            "the token is not valid, has ended, or may not look itself up",
        ),
        (with_token("not\na token"), "p256", Cause::Settings, "no token has"),
        (Settings { auth: Auth::None, ..settings(&server) }, "p256", Cause::Credentials, "set VAULT_TOKEN"),
        (
            Settings { address: "https://127.0.0.1:1".into(), ..settings(&server) },
            "p256",
            Cause::Unreachable,
            "127.0.0.1:1",
        ),
        (Settings { address: "vault".into(), ..settings(&server) }, "p256", Cause::Settings, "\"vault\" is not a URL"),
    ] {
        let failure = described(&settings, key).unwrap_err();
        assert!(failure.cause == cause && failure.message.contains(words), "{key}: {failure}");
    }
}

#[test]
fn replies_of_a_server_in_trouble_are_explained() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    for (status, body, cause, words) in [
        ("503 Sealed", r#"{"errors": ["Vault is sealed"]}"#, Cause::Internal, "vault operator unseal"),
        ("473 Standby", "", Cause::Internal, "a standby that forwards no requests"),
        ("501 Not Implemented", "", Cause::Internal, "vault operator init"),
        ("429 Too Many", r#"{"errors": ["rate limit quota exceeded"]}"#, Cause::Throttled, "quota"),
        ("502 Bad", "<html>", Cause::Internal, "HTTP status 502"),
        ("200 OK", "[]", Cause::Malformed, "not one of Vault's Transit engine"),
        (
            "200 OK",
            r#"{"data": {"type": "ed25519", "latest_version": 1, "keys": {"1": {"public_key": "AA"}}}}"#,
            Cause::Malformed,
            "public key",
        ),
    ] {
        front.reply("keys/p256", status, body);
        let failure = described(&settings, "p256").unwrap_err();
        assert!(failure.cause == cause && failure.message.contains(words), "{status}: {failure}");
    }
}

#[test]
fn what_passes_is_tried_again() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    let patient = Settings { network: Network { retries: 3, ..settings.network.clone() }, ..settings };
    for head in ["412 Precondition Failed", "429 Too Many\r\nretry-after: 0", "500 Internal", "503 Maintenance"] {
        front.reply("keys/p256", head, r#"{"errors": ["for a moment"]}"#);
        described(&patient, "p256").unwrap_or_else(|failure| panic!("{head}: {failure}"));
        assert_eq!(front.lines(), ["GET /v1/transit/keys/p256"; 2], "{head}");
    }
}

#[test]
fn a_standby_s_redirect_is_followed_once() {
    let Some(server) = server() else { return };
    let ((standby, settings), (active, _)) = (front(&server), front(&server));
    standby.reply("keys/p256", &format!("307 Temporary Redirect\r\nlocation: {}/v1/transit/keys/p256", active.url), "");
    described(&settings, "p256").unwrap();
    let seen = active.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].token, Some(text(&server, "token")), "the active server needs the token");
    standby.seen();
    // The active server must not redirect again.
    for front in [&standby, &active] {
        front.reply(
            "keys/p256",
            &format!("307 Temporary Redirect\r\nlocation: {}/v1/transit/keys/p256", active.url),
            "",
        );
    }
    let failure = described(&settings, "p256").unwrap_err();
    assert!(failure.message.contains("HTTP status 307"), "{failure}");
    assert_eq!((standby.lines().len(), active.lines().len()), (1, 1));
    for (location, words) in [
        (format!("{}/v1/transit/keys/other", active.url), "which is another request"),
        (format!("{}/ui/", active.url), "which is another request"),
        (String::new(), "which is not a URL"),
    ] {
        standby.reply("keys/p256", &format!("307 Temporary Redirect\r\nlocation: {location}"), "");
        let failure = described(&settings, "p256").unwrap_err();
        assert!(failure.cause == Cause::Settings && failure.message.contains(words), "{failure}");
        assert!(active.lines().is_empty() && standby.lines().len() == 1, "the token goes nowhere else");
    }
}

#[test]
fn a_sealed_server_works_again_when_it_is_unsealed() {
    let Some(server) = server() else { return };
    let own = OwnServer::start(&server);
    administer(&own.facts, "POST /v1/sys/mounts/transit", json!({ "type": "transit" }));
    administer(&own.facts, "POST /v1/transit/keys/k", json!({ "type": "ecdsa-p256" }));
    let auth = Auth::Token(text(&own.facts, "root_token").into());
    let settings = Settings { address: text(&own.facts, "plain_address"), auth, ..settings(&server) };
    described(&settings, "k").unwrap();
    administer(&own.facts, "PUT /v1/sys/seal", json!({}));
    let failure = described(&settings, "k").unwrap_err();
    assert!(failure.cause == Cause::Internal && failure.message.contains("vault operator unseal"), "{failure}");
    administer(&own.facts, "PUT /v1/sys/unseal", json!({ "key": own.facts["unseal_key"] }));
    described(&settings, "k").unwrap();
}

/// A server that only one test uses.
struct OwnServer {
    process: Child,
    facts: Value,
}

impl OwnServer {
    fn start(server: &Value) -> Self {
        let mut words: Vec<String> =
            server["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().into()).collect();
        let ready = FILES.path().join("own-vault.json");
        // A port that is free now.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        words[1] = port.to_string();
        *words.last_mut().unwrap() = ready.display().to_string();
        let process = Command::new(&words[0]).args(&words[1..]).spawn().unwrap();
        let is_ready = || std::fs::read(&ready).ok().and_then(|text| serde_json::from_slice(&text).ok());
        assert!(crate::server::holds_soon(|| is_ready().is_some_and(|_: Value| true)), "the server does not start");
        Self { process, facts: is_ready().unwrap() }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_service_makes_random_bytes() {
    let Some(server) = server() else { return };
    let backend = settings(&server).open();
    let [first, second] = [0; 2].map(|_| wait(backend.random(1000)).unwrap());
    assert!(first.len() == 1000 && first != second);
}

#[test]
fn a_pinned_version_stays() {
    let Some(server) = server() else { return };
    let backend = settings(&server).open();
    let version = |version: Option<&str>| {
        wait(backend.describe(&KeyName { version: version.map(str::to_owned), ..named("rotated") }))
    };
    assert_eq!(version(None).unwrap().immutable_id.as_deref(), Some("transit/rotated/3"));
    let (second, third) = (version(Some("2")).unwrap(), version(Some("3")).unwrap());
    assert_eq!(second.immutable_id.as_deref(), Some("transit/rotated/2"));
    assert_ne!(second.public_key, third.public_key);
    assert_eq!(version(Some("4")).unwrap_err().cause, Cause::NotFound);
    // The key's min_encryption_version is 2.
    for (version, cause) in [("1", Cause::Disabled), ("4", Cause::NotFound)] {
        let name = KeyName { version: Some(version.to_owned()), ..named("rotated") };
        let failure = wait(backend.sign(target(&name, Kind::Ec(Curve::P256), None), p256(), &[7; 32])).unwrap_err();
        assert_eq!(failure.cause, cause, "{failure}");
    }
}

/// Returns a name that no earlier run has used, because a server may serve several runs.
fn own_name(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

fn target<'a>(name: &'a KeyName, kind: Kind, immutable_id: Option<&'a str>) -> Target<'a> {
    Target { name, kind, immutable_id }
}

fn p256() -> cloud_kms_pkcs11::key::Scheme {
    Algorithm::Ecdsa.with_hash(Hash::Sha256)
}

/// Returns a backend that may do everything.
fn as_root(server: &Value) -> SharedBackend {
    Settings { auth: Auth::Token(text(server, "root_token").into()), ..settings(server) }.open()
}

#[test]
fn a_rotated_key_signs_with_the_version_that_was_described() {
    let Some(server) = server() else { return };
    let key = own_name("rotating");
    administer(&server, &format!("POST /v1/transit/keys/{key}"), json!({ "type": "ecdsa-p256" }));
    let (backend, name) = (settings(&server).open(), named(&key));
    let old = wait(backend.describe(&name)).unwrap().immutable_id.unwrap();
    administer(&server, &format!("POST /v1/transit/keys/{key}/rotate"), json!({}));
    let sign = |id: &str| wait(backend.sign(target(&name, Kind::Ec(Curve::P256), Some(id)), p256(), &[7; 32]));
    assert_eq!(sign(&old).unwrap().immutable_id, format!("transit/{key}/1"));
    administer(&server, &format!("POST /v1/transit/keys/{key}/config"), json!({ "min_encryption_version": 2 }));
    let failure = sign(&old).unwrap_err();
    assert!(failure.cause == Cause::NotFound && failure.message.contains("the key was rotated"), "{failure}");
    let new = wait(backend.describe(&name)).unwrap().immutable_id.unwrap();
    assert_eq!(sign(&new).unwrap().immutable_id, format!("transit/{key}/2"));
}

#[test]
fn a_message_may_be_empty_or_long() {
    let Some(server) = server() else { return };
    let (backend, name) = (settings(&server).open(), named("ed25519"));
    let public = wait(backend.describe(&name)).unwrap().public_key.unwrap();
    let (shortest, longest) = backend.message_lengths();
    for message in [vec![7; shortest], vec![7; longest]] {
        let scheme = Algorithm::Eddsa.without_hash();
        let signature = wait(backend.sign(target(&name, Kind::Ed25519, None), scheme, &message)).unwrap();
        assert!(public.verifies(scheme, &message, &signature.bytes));
        // OpenSSL 3.0's pkeyutl does not read an empty file.
        assert!(message.is_empty() || crate::openssl::verifies(public.spki(), scheme, &message, &signature.bytes));
    }
}

#[test]
fn an_address_without_tls_is_recognized() {
    let Some(server) = server() else { return };
    let address = text(&server, "address").replace("https", "http");
    let failure = described(&Settings { address, ..settings(&server) }, "p256").unwrap_err();
    assert!(failure.cause == Cause::Settings && failure.message.contains("must start with https://"), "{failure}");
}

#[test]
fn a_decryption_names_the_version_of_the_key() {
    let Some(server) = server() else { return };
    let key = own_name("decrypting");
    administer(&server, &format!("POST /v1/transit/keys/{key}"), json!({ "type": "rsa-2048" }));
    administer(&server, &format!("POST /v1/transit/keys/{key}/rotate"), json!({}));
    let (backend, name, scheme) = (settings(&server).open(), named(&key), Algorithm::RsaesOaep.with_hash(Hash::Sha256));
    let fields = json!({ "plaintext": "YSBzZWNyZXQ=" });
    let reply = administer(&server, &format!("POST /v1/transit/encrypt/{key}"), fields);
    let text = reply["data"]["ciphertext"].as_str().unwrap().strip_prefix("vault:v2:").unwrap().to_owned();
    let ciphertext = base64ct::Base64::decode_vec(&text).unwrap();
    // Without an immutable id, as with a certificate from a file, the version is not known yet.
    for id in [None, Some(format!("transit/{key}/2"))] {
        let plaintext =
            wait(backend.decrypt(target(&name, Kind::Rsa(2048), id.as_deref()), scheme, &ciphertext)).unwrap();
        assert_eq!(&**plaintext, b"a secret");
    }
    let other =
        wait(backend.decrypt(target(&name, Kind::Rsa(2048), Some(&format!("transit/{key}/1"))), scheme, &ciphertext));
    assert_eq!(other.unwrap_err().cause, Cause::Undecryptable);
}

#[test]
fn keys_are_created_and_deleted() {
    let Some(server) = server() else { return };
    let backend = as_root(&server);
    for (index, kind) in
        [Kind::Rsa(2048), Kind::Ec(Curve::P521), Kind::Ed25519, Kind::Hmac(Hash::Sha256)].into_iter().enumerate()
    {
        let label = format!("created-{index}");
        let new = NewKey { kind, purposes: vec![Purpose::Sign], label: Some(label.clone()), id: None };
        backend.check_new(&new).unwrap();
        let created = wait(backend.create(&new)).unwrap();
        assert_eq!((created.name, created.facts.kind), (named(&label), kind));
        assert_eq!(created.config_option, format!("\"transit_key\": \"{label}\""));
        let failure = wait(backend.create(&new)).unwrap_err();
        assert!(failure.message.contains("already exists"), "{failure}");
        // Vault has a lock of its own.
        let failure = wait(backend.destroy(&named(&label), "", 30)).unwrap_err();
        let advice = format!("vault write transit/keys/{label}/config deletion_allowed=true");
        assert!(failure.cause == Cause::Denied && failure.message.contains(&advice), "{failure}");
        administer(&server, &format!("POST /v1/transit/keys/{label}/config"), json!({ "deletion_allowed": true }));
        let told = wait(backend.destroy(&named(&label), "", 30)).unwrap();
        assert!(told.contains("can't be restored"), "{told}");
        assert_eq!(wait(backend.describe(&named(&label))).unwrap_err().cause, Cause::NotFound);
    }
    let new = NewKey { kind: Kind::Ed25519, purposes: vec![Purpose::Sign], label: Some("denied".into()), id: None };
    let failure = wait(settings(&server).open().create(&new)).unwrap_err();
    assert!(failure.message.contains("the capability \"update\" on \"transit/keys/denied\""), "{failure}");
}

#[test]
fn an_empty_engine_has_no_keys() {
    let Some(server) = server() else { return };
    let mount = own_name("empty");
    administer(&server, &format!("POST /v1/sys/mounts/{mount}"), json!({ "type": "transit" }));
    let root = Auth::Token(text(&server, "root_token").into());
    let at = |mount: &str| Settings { mount: mount.into(), auth: root.clone(), ..settings(&server) }.open();
    assert!(wait(at(&mount).list(true)).unwrap().is_empty());
    assert_eq!(wait(at("nowhere").list(true)).unwrap_err().cause, Cause::Settings);
}

#[test]
fn a_certificate_of_the_key_comes_with_its_description() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    let (backend, name) = (settings.open(), named("p256"));
    assert_eq!(wait(backend.certificate(&name)), Ok(None));
    front.seen();
    // Two calls at the same time share one request.
    let (certificate, described) = (backend.certificate(&name), backend.describe(&name));
    wait(certificate).unwrap();
    wait(described).unwrap();
    assert_eq!(front.lines(), ["GET /v1/transit/keys/p256"]);
    let pem = std::fs::read_to_string(text(&server, "client_certificate")).unwrap();
    let about = json!({ "type": "ecdsa-p256", "latest_version": 1, "keys": { "1": { "certificate_chain": pem } } });
    front.reply("keys/p256", "200 OK", &json!({ "data": about }).to_string());
    let chain = wait(backend.certificate(&name)).unwrap().unwrap();
    assert_eq!(chain[0].to_pem(), pem);
    // The certificate of another key is not sent.
    front.seen();
    assert_eq!(wait(backend.complete_certificate(&name, &chain[0])), Ok(false));
    assert_eq!(front.lines(), ["GET /v1/transit/keys/p256"]);
}

#[test]
fn a_certificate_is_stored_with_its_key_by_newer_servers() {
    let Some(server) = server() else { return };
    let health = administer(&server, "GET /v1/sys/health", json!({}));
    let version: Vec<u32> =
        health["version"].as_str().unwrap().split('.').map_while(|part| part.parse().ok()).collect();
    let stores = version >= vec![1, 15];
    let (key, backend) = (own_name("certified"), as_root(&server));
    let name = named(&key);
    administer(&server, &format!("POST /v1/transit/keys/{key}"), json!({ "type": "ecdsa-p256" }));
    let public = wait(backend.describe(&name)).unwrap().public_key.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spki"), public.spki()).unwrap();
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -keyout ca.key -out ca.pem && \
                  openssl pkey -pubin -inform DER -in spki -out public.pem && echo basicConstraints=CA:FALSE >leaf && \
                  openssl x509 -new -subj /CN=own -force_pubkey public.pem -CA ca.pem -CAkey ca.key -extfile leaf -out own.pem";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let pem = std::fs::read(folder.path().join("own.pem")).unwrap();
    let own = Certificate::parse_all(&pem).unwrap().0.remove(0);
    assert_eq!(wait(backend.complete_certificate(&name, &own)), Ok(stores));
    assert_eq!(wait(backend.certificate(&name)), Ok(stores.then(|| vec![own])));
}

#[test]
fn a_slow_server_is_given_up_in_time() {
    let Some(server) = server() else { return };
    // A server that accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let network = Network {
        call_timeout: Duration::from_millis(600),
        connect_timeout: Duration::from_millis(300),
        ..Network::default()
    };
    let failure = described(&Settings { address, network, ..settings(&server) }, "p256").unwrap_err();
    assert_eq!(failure.cause, Cause::TimedOut, "{failure}");
}
