//! Azure Key Vault, Managed HSM and Entra as a client sees them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::{EntraClients, VaultCertificate, VaultKey};
use common::{Bench, base64url, bench, der, digest, unbase64, unbase64url};
use serde_json::{Value, json};

fn sign(bench: &Bench, path: &str, algorithm: &str, value: &[u8]) -> Value {
    let body = json!({ "alg": algorithm, "value": base64url(value) });
    bench.vault("POST", &format!("/keys/{path}/sign"), Some(&body)).json()
}

#[test]
fn every_algorithm_of_every_key_signs_what_openssl_verifies() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    let rsa = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..];
    let keys = [
        ("RSA-2048", rsa),
        ("RSA-3072", rsa),
        ("P-256", &["ES256"]),
        ("P-384", &["ES384"]),
        ("P-521", &["ES512"]),
        ("P-256K", &["ES256K"]),
    ];
    for (kind, algorithms) in keys {
        let made = vault.create_key(kind, VaultKey::named(kind).unwrap()).unwrap();
        let spki = vault.public_key_spki(kind, "").unwrap();
        for algorithm in algorithms {
            let (message, hashed) = (b"a message".as_slice(), digest(algorithm, b"a message"));
            let signed = sign(&bench, kind, algorithm, &hashed);
            assert!(signed["kid"].as_str().unwrap().ends_with(&format!("/keys/{kind}/{}", made.version)));
            let signature = unbase64url(&signed["value"]);
            let hash = format!("-sha{}", hashed.len() * 8);
            let mut options = vec![hash.as_str()];
            if algorithm.starts_with('P') {
                options.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
            }
            let witness = if algorithm.starts_with('E') { der(&signature) } else { signature };
            assert!(bench.openssl_verifies(&spki, &witness, message, &options), "{algorithm}");
            let mut body = json!({ "alg": algorithm, "digest": base64url(&hashed), "value": signed["value"] });
            let verify =
                |body: &Value| bench.vault("POST", &format!("/keys/{kind}/verify"), Some(body)).json()["value"].clone();
            assert_eq!(verify(&body), true);
            body["digest"] = json!(base64url(&digest(algorithm, b"another")));
            assert_eq!(verify(&body), false);
        }
    }
}

#[test]
fn rsnull_pads_what_it_is_given() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    vault.create_key("k", VaultKey::rsa(2048)).unwrap();
    // RFC 8017 section 9.2, note 1: the DigestInfo of SHA-256.
    let prefix = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let signed = sign(&bench, "k", "RSNULL", &[&prefix[..], &digest("256", b"m")].concat());
    let spki = vault.public_key_spki("k", "").unwrap();
    assert!(bench.openssl_verifies(&spki, &unbase64url(&signed["value"]), b"m", &["-sha256"]));
    assert_eq!(sign(&bench, "k", "RSNULL", &[1; 246])["error"]["code"], "BadParameter");
}

#[test]
fn versions_are_resolved_and_pinned() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    let old = vault.create_key("k", VaultKey::ec("P-256")).unwrap();
    let new = vault.rotate_key("k").unwrap();
    let value = digest("ES256", b"m");
    for (path, version) in [("k", &new.version), ("k/", &new.version), (&format!("k/{}", old.version), &old.version)] {
        let kid = sign(&bench, path, "ES256", &value)["kid"].as_str().unwrap().to_owned();
        assert_eq!(kid, format!("{}/keys/k/{version}", bench.emulator.http_url()));
    }
    let get = |path: &str| bench.vault("GET", path, None).json();
    assert!(get("/keys/k")["key"]["kid"].as_str().unwrap().ends_with(&new.version));
    assert!(get(&format!("/keys/k/{}", old.version))["key"]["kid"].as_str().unwrap().ends_with(&old.version));
    assert_eq!(get("/keys/k/versions")["value"].as_array().unwrap().len(), 2);
    assert_eq!(get("/keys/k/0123")["error"]["code"], "KeyNotFound");
}

#[test]
fn wrong_requests_are_refused_in_the_words_of_the_service() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    let now = bench.emulator.control().now();
    let keys = [
        ("good", VaultKey::ec("P-256")),
        ("rsa", VaultKey::rsa(2048)),
        ("off", VaultKey::ec("P-256").disabled()),
        ("early", VaultKey::ec("P-256").not_before(now + 600)),
        ("late", VaultKey::ec("P-256").expires(now - 1)),
        ("verify-only", VaultKey::ec("P-256").key_ops(&["verify"])),
    ];
    for (name, key) in keys {
        vault.create_key(name, key).unwrap();
    }
    let error = |name: &str, algorithm: &str, length: usize| {
        let body = json!({ "alg": algorithm, "value": base64url(&vec![7; length]) });
        let (status, code, inner) = bench.vault_error("POST", &format!("/keys/{name}/sign"), &body);
        format!("{status} {code} {inner}")
    };
    assert_eq!(error("good", "ES256", 31), "400 BadParameter ");
    assert_eq!(error("good", "ES384", 48), "400 BadParameter ");
    assert_eq!(error("good", "RS256", 32), "400 BadParameter ");
    assert_eq!(error("off", "ES256", 32), "403 Forbidden KeyDisabled");
    assert_eq!(error("early", "ES256", 32), "403 Forbidden KeyNotYetValid");
    assert_eq!(error("late", "ES256", 32), "403 Forbidden KeyExpired");
    assert_eq!(error("verify-only", "ES256", 32), "403 Forbidden KeyOperationForbidden");
    assert_eq!(error("none", "ES256", 32), "404 KeyNotFound ");
    let text = sign(&bench, "rsa", "RS256", &[1; 20])["error"]["message"].clone();
    assert_eq!(text, "Invalid length of 'value': 20 bytes. RS256 requires 32 bytes, encoded with base64url.");
    let body = json!({ "alg": "RS256", "value": "+/==" });
    assert_eq!(bench.vault_error("POST", "/keys/rsa/sign", &body).1, "BadParameter");
    // A disabled key can be read, and enabled.
    assert_eq!(bench.vault("GET", "/keys/off", None).json()["attributes"]["enabled"], false);
    let enable = json!({ "attributes": { "enabled": true } });
    assert_eq!(bench.vault("PATCH", "/keys/off", Some(&enable)).json()["attributes"]["enabled"], true);
    assert_eq!(sign(&bench, "off", "ES256", &[1; 32])["error"], Value::Null);
    assert_eq!(bench.vault("DELETE", "/keys/off", None).status, 200);
    assert_eq!(error("off", "ES256", 32), "404 KeyNotFound ");
    assert_eq!(bench.vault("GET", "/deletedkeys/off", None).status, 200);
    let again = bench.vault_error("POST", "/keys/off/create", &json!({ "kty": "EC" }));
    assert_eq!((again.0, again.2.as_str()), (409, "ObjectIsDeletedButRecoverable"));
}

#[test]
fn lists_come_in_pages_of_25() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    for number in 0..1060 {
        vault.create_key(&format!("k{number:04}"), VaultKey::ec("P-256").reuse()).unwrap();
    }
    let token = bench.emulator.entra().issue_token("https://vault.azure.net");
    let all = || {
        let mut url = format!("{}/keys?api-version=2025-07-01", bench.emulator.http_url());
        let (mut found, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let page = bench.vault_url("GET", &url, &token, None).json();
            let items = page["value"].as_array().unwrap();
            assert!(
                items.iter().all(|item| item["kid"].as_str().unwrap().split('/').count() == 5 && item["key"].is_null())
            );
            sizes.push(items.len());
            found.extend(items.iter().map(|item| item["kid"].to_string()));
            match page["nextLink"].as_str() {
                Some(next) => url = next.to_owned(),
                None => break,
            }
        }
        found.dedup();
        (found.len(), sizes)
    };
    let (count, sizes) = all();
    assert_eq!((count, sizes.len(), sizes[0], sizes.last()), (1060, 43, 25, Some(&10)));
    assert_eq!(bench.vault("GET", "/keys?maxresults=26", None).status, 400);
    assert_eq!(bench.vault("GET", "/keys?maxresults=3", None).json()["value"].as_array().unwrap().len(), 3);
    bench.emulator.control().switches(|switches| switches.vault_empty_page = true);
    assert_eq!(all().1[..2], [0, 25]);
}

#[test]
fn jwk_numbers_are_odd_on_demand() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    vault.create_key("rsa", VaultKey::rsa(2048)).unwrap();
    vault.create_key("ec", VaultKey::ec("P-256").short_coordinate()).unwrap();
    let lengths = || {
        let jwk = |name: &str| bench.vault("GET", &format!("/keys/{name}"), None).json()["key"].clone();
        let (rsa, ec) = (jwk("rsa"), jwk("ec"));
        (unbase64url(&rsa["n"]).len(), unbase64url(&ec["x"]).len() + unbase64url(&ec["y"]).len())
    };
    assert_eq!(lengths(), (256, 64));
    bench.emulator.control().switches(|switches| {
        (switches.jwk_leading_zero, switches.jwk_short_coordinates) = (true, true);
    });
    let (n, xy) = lengths();
    assert!(n == 257 && xy < 64);
}

#[test]
fn keys_are_made_and_data_is_decrypted() {
    let bench = bench();
    let made = bench.vault("POST", "/keys/k/create", Some(&json!({ "kty": "RSA-HSM", "key_size": 2048 }))).json();
    assert_eq!((&made["key"]["kty"], &made["attributes"]["enabled"]), (&json!("RSA-HSM"), &json!(true)));
    let public = bench.write("public.der", &bench.emulator.vault("default").public_key_spki("k", "").unwrap());
    let command = ["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", &public];
    let oaep = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt"];
    for (algorithm, options) in [
        ("RSA1_5", vec![]),
        ("RSA-OAEP", [&oaep[..], &["rsa_oaep_md:sha1"]].concat()),
        ("RSA-OAEP-256", [&oaep[..], &["rsa_oaep_md:sha256"]].concat()),
    ] {
        let ciphertext = bench.openssl(&[&command[..], &options].concat(), b"secret");
        let post = |operation: &str, value: &[u8]| {
            let body = json!({ "alg": algorithm, "value": base64url(value) });
            unbase64url(&bench.vault("POST", &format!("/keys/k/{operation}"), Some(&body)).json()["value"])
        };
        assert_eq!(post("decrypt", &ciphertext), b"secret");
        assert_eq!(post("unwrapkey", &post("encrypt", b"other")), b"other");
    }
}

#[test]
fn a_certificate_shares_name_and_version_with_its_key() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    let own = vault.create_certificate("own", VaultCertificate::new(VaultKey::ec("P-384")).subject("me")).unwrap();
    vault.create_certificate("issued", VaultCertificate::new(VaultKey::rsa(2048)).issued()).unwrap();
    vault.create_key("plain", VaultKey::ec("P-256")).unwrap();
    let reply = bench.vault("GET", "/certificates/own", None).json();
    for (member, collection) in [("id", "certificates"), ("kid", "keys"), ("sid", "secrets")] {
        assert_eq!(reply[member], format!("{}/{collection}/own/{}", bench.emulator.http_url(), own.version));
    }
    let certificate = unbase64(&reply["cer"]);
    let spki = bench.openssl(&["x509", "-inform", "DER", "-noout", "-pubkey"], &certificate);
    let spki = bench.openssl(&["pkey", "-pubin", "-outform", "DER"], &spki);
    assert_eq!(spki, vault.public_key_spki("own", &own.version).unwrap());
    let issued = unbase64(&bench.vault("GET", "/certificates/issued", None).json()["cer"]);
    let issued = bench.openssl(&["x509", "-inform", "DER"], &issued);
    let (ca, leaf) = (bench.path("ca.pem"), bench.write("leaf.pem", &issued));
    let verified = std::process::Command::new("openssl").args(["verify", "-CAfile", &ca, &leaf]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(bench.vault("GET", "/keys/own", None).json()["managed"], true);
    assert_eq!(bench.vault("GET", "/keys/plain", None).json()["managed"], Value::Null);
    assert_eq!(bench.vault("GET", "/certificates", None).json()["value"].as_array().unwrap().len(), 2);
    assert_eq!(bench.vault("GET", "/certificates/plain", None).json()["error"]["code"], "CertificateNotFound");
    assert_eq!(bench.vault("GET", "/certificates/own/versions", None).json()["value"].as_array().unwrap().len(), 1);
}

#[test]
fn tokens_are_checked() {
    let bench = bench();
    let url = format!("{}/keys?api-version=7.4", bench.emulator.http_url());
    let bare = bench.curl(&[&url]);
    let challenge = bare.header("www-authenticate").unwrap();
    let host = bench.emulator.https_url();
    assert_eq!(
        challenge,
        format!("Bearer authorization=\"{host}/{}\", resource=\"https://vault.azure.net\"", EntraClients::TENANT)
    );
    assert_eq!((bare.status, &bare.json()["error"]["code"]), (401, &json!("Unauthorized")));
    let with = |token: &str| bench.vault_url("GET", &url, token, None);
    assert_eq!(with("made-up").status, 401);
    let entra = bench.emulator.entra();
    let wrong = with(&entra.issue_token("https://management.azure.com")).json()["error"]["message"].clone();
    assert_eq!(
        wrong,
        "AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://management.azure.com."
    );
    let token = entra.issue_token("https://vault.azure.net");
    assert_eq!(with(&token).status, 200);
    let control = bench.emulator.control();
    control.shift_clock(3600);
    assert!(with(&token).text().contains("TokenExpired"));
    control.shift_clock(0);
    control.switches(|switches| switches.require_claims = true);
    assert!(with(&token).header("www-authenticate").unwrap().contains("error=\"insufficient_claims\", claims=\""));
    assert_eq!((control.count("vault.challenge"), control.count("vault.keys.list")), (5, 1));
    let form = "grant_type=client_credentials&client_id=emulator-client&client_secret=emulator-client-secret&scope=https%3A%2F%2Fvault.azure.net%2F.default&claims=%7B%7D";
    let endpoint = format!("{host}/{}/oauth2/v2.0/token", EntraClients::TENANT);
    let issued = bench.curl(&["--data", form, &endpoint]).json();
    assert_eq!(with(issued["access_token"].as_str().unwrap()).status, 200);
}

#[test]
fn clients_are_checked() {
    let bench = bench();
    let entra = bench.emulator.entra();
    let ask = |tenant: &str, form: &str| {
        let url = format!("{}/{tenant}/oauth2/v2.0/token", bench.emulator.https_url());
        let form = format!("grant_type=client_credentials&scope=https%3A%2F%2Fvault.azure.net%2F.default&{form}");
        let answer = bench.curl(&["--data", &form, &url]);
        let code = answer.json()["error_codes"][0].as_u64().unwrap_or_default();
        (answer.status, code)
    };
    let tenant = EntraClients::TENANT;
    assert_eq!(ask(tenant, "client_id=emulator-client&client_secret=emulator-client-secret"), (200, 0));
    assert_eq!(ask(tenant, "client_id=emulator-client&client_secret=wrong"), (401, 7_000_215));
    assert_eq!(ask(tenant, "client_id=nobody&client_secret=wrong"), (400, 700_016));
    assert_eq!(ask("elsewhere", "client_id=emulator-client&client_secret=wrong"), (400, 90_002));
    assert_eq!(ask(tenant, "client_id=emulator-client"), (401, 7_000_218));
    assert_eq!(ask(tenant, "client_id=emulator-client&client_assertion=federated"), (401, 50_027));
    entra.allow_federated_token("federated");
    assert_eq!(ask(tenant, "client_id=emulator-client&client_assertion=federated"), (200, 0));
    entra.register("another", "client", Some("secret"));
    assert_eq!(ask("another", "client_id=client&client_secret=secret"), (200, 0));
}

#[test]
fn managed_identities_speak_in_strings() {
    let bench = bench();
    let url = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net",
        bench.emulator.http_url()
    );
    assert_eq!(bench.curl(&[&url]).status, 400);
    let token = bench.curl(&["-H", "Metadata: true", &url]).json();
    assert!(token["expires_in"].is_string() && token["expires_on"].is_string());
    let keys = format!("{}/keys?api-version=7.4", bench.emulator.http_url());
    assert_eq!(bench.vault_url("GET", &keys, token["access_token"].as_str().unwrap(), None).status, 200);
    assert_eq!(bench.emulator.control().count("imds"), 2);
    let service = url.replace("/metadata/identity/oauth2/token", "/msi/token");
    assert_eq!(bench.curl(&["-H", "X-IDENTITY-HEADER: emulator-identity-header", &service]).status, 200);
}
