//! The port, the tunnels, the faults and the control interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use base64ct::{Base64UrlUnpadded, Encoding};
use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault, Flaw, Handshake, VaultKey};
use common::{Bench, bench, openssl_options, sign_body, unbase64};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn real_names_are_reached_through_a_tunnel() {
    let bench = bench();
    bench.emulator.vault("blue").create_key("k", VaultKey::ec("P-256")).unwrap();
    bench.emulator.vault("blue").create_key("l", VaultKey::ec("P-256")).unwrap();
    bench.emulator.managed_hsm("blue").create_key("h", VaultKey::rsa(2048).hsm()).unwrap();
    let proxy = bench.emulator.http_url();
    let get = |url: &str, audience: &str| {
        let authorization = format!("Authorization: Bearer {}", bench.emulator.entra().issue_token(audience));
        bench.curl(&["--proxy", &proxy, "-H", &authorization, url])
    };
    let vault = "https://vault.azure.net";
    let page = get("https://blue.vault.azure.net/keys?api-version=7.4&maxresults=1", vault).json();
    assert_eq!(page["value"][0]["kid"], "https://blue.vault.azure.net/keys/k");
    let next = page["nextLink"].as_str().unwrap();
    assert!(next.starts_with("https://blue.vault.azure.net:443/keys?api-version=7.4&$skiptoken="));
    assert_eq!(get(next, vault).json()["value"][0]["kid"], "https://blue.vault.azure.net/keys/l");
    let kid = bench.emulator.managed_hsm("blue").current("h").unwrap().kid;
    let hsm = get(&format!("{kid}?api-version=7.4"), "https://managedhsm.azure.net").json();
    assert_eq!((&hsm["key"]["kid"], &hsm["key"]["kty"]), (&json!(kid), &json!("RSA-HSM")));
    let bare = bench.curl(&["--proxy", &proxy, "https://blue.managedhsm.azure.net/keys/h?api-version=7.4"]);
    assert!(bare.status == 401 && bare.body.is_empty());
    let challenge = bare.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("authorization=\"https://login.microsoftonline.com/")
            && challenge.ends_with("resource=\"https://managedhsm.azure.net\"")
    );
    bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/t")).unwrap();
    let more = ["--proxy", &proxy, "https://kms.eu-central-1.amazonaws.com/"];
    assert_eq!(bench.kms_in("eu-central-1", "DescribeKey", &json!({ "KeyId": "alias/t" }), &more).status, 200);
    let control = bench.emulator.control();
    assert_eq!((control.count("connect"), control.count("tls_handshakes")), (5, 5));
}

/// One request by openssl, whose TLS session is kept in a file, or comes from there.
fn ask_by_openssl(bench: &Bench, session: &[&str]) {
    let mut command = Command::new("openssl");
    let address = format!("127.0.0.1:{}", bench.emulator.port());
    command.args(["s_client", "-ign_eof", "-tls1_3", "-connect", &address]).args(session);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let request = b"GET /keys?api-version=7.4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    client.stdin.as_mut().unwrap().write_all(request).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("HTTP/1.1 401"), "{output:?}");
}

#[test]
fn the_log_tells_connections_tls_sessions_and_digests() {
    let bench = bench();
    let file = bench.path("session");
    ask_by_openssl(&bench, &["-sess_out", &file]);
    ask_by_openssl(&bench, &["-sess_in", &file]);
    ask_by_openssl(&bench, &[]);
    bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/d")).unwrap();
    bench.emulator.vault("default").create_key("d", VaultKey::ec("P-256")).unwrap();
    let digest = [0xd1; 32];
    assert_eq!(bench.kms("Sign", &sign_body("alias/d", &digest, "DIGEST", "ECDSA_SHA_256")).status, 200);
    let body = json!({ "alg": "ES256", "value": Base64UrlUnpadded::encode_string(&digest) });
    let kid = bench.emulator.vault("default").current("d").unwrap().version;
    assert_eq!(bench.vault("POST", &format!("/keys/d/{kid}/sign"), Some(&body)).status, 200);
    let log = bench.emulator.control().log();
    let seen: Vec<_> = log.iter().map(|entry| (entry.connection, entry.handshake, entry.digest.clone())).collect();
    let digest = Some("d1".repeat(32));
    let (first, second) = (Some(Handshake::Full), Some(Handshake::Resumed(1)));
    assert_eq!(
        seen,
        [(1, first, None), (2, second, None), (3, first, None), (4, None, digest.clone()), (5, None, digest)]
    );
}

#[test]
fn random_bytes_come_from_a_managed_hsm() {
    let bench = bench();
    let ask = || bench.vault("POST", "/rng", Some(&json!({ "count": 16 })));
    assert_eq!(ask().status, 404);
    bench.emulator.vault("default").behave_as_hsm(true);
    assert_eq!(ask().status, 401);
    let token = bench.emulator.entra().issue_token("https://managedhsm.azure.net");
    let url = format!("{}/rng?api-version=7.4", bench.emulator.http_url());
    let bytes = bench.vault_url("POST", &url, &token, Some(&json!({ "count": 16 }))).json();
    assert_eq!(common::unbase64url(&bytes["value"]).len(), 16);
}

/// A bench with one key, and what to send to sign with it.
fn signing() -> (Bench, Value, Vec<u8>) {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/f")).unwrap();
    let spki = bench.emulator.aws().public_key_spki(&key.id).unwrap();
    (bench, sign_body("alias/f", b"m", "RAW", "ECDSA_SHA_256"), spki)
}

#[test]
fn faults_answer_in_the_form_of_the_service() {
    let (bench, body, _) = signing();
    let control = bench.emulator.control();
    let kms = |action: Action| {
        control.fault(Fault::new("kms.Sign", action).key("alias/f").times(1));
        let answer = bench.kms("Sign", &body);
        assert_eq!(bench.kms("Sign", &body).status, 200, "the fault is used up");
        (answer.status, answer.json()["__type"].as_str().unwrap().to_owned())
    };
    assert_eq!(kms(Action::Throttle { retry_after: None }), (400, "ThrottlingException".into()));
    assert_eq!(kms(Action::Deny), (400, "AccessDeniedException".into()));
    assert_eq!(kms(Action::ExpiredToken), (400, "ExpiredTokenException".into()));
    assert_eq!(kms(Action::ClockSkew), (400, "InvalidSignatureException".into()));
    let error =
        Action::Error { status: 500, code: "KMSInternalException".into(), message: "x".into(), innererror: None };
    assert_eq!(kms(error), (500, "KMSInternalException".into()));
    bench.emulator.vault("default").create_key("k", VaultKey::ec("P-256")).unwrap();
    let vault = |action: Action| {
        control.fault(Fault::new("vault.", action).times(1));
        bench.vault("GET", "/keys/k", None)
    };
    let throttled = vault(Action::Throttle { retry_after: Some(3) });
    assert_eq!((throttled.status, throttled.header("retry-after").as_deref()), (429, Some("3")));
    assert_eq!(vault(Action::Deny).json()["error"]["innererror"]["code"], "ForbiddenByRbac");
    assert!(vault(Action::ExpiredToken).header("www-authenticate").unwrap().contains("invalid_token"));
    assert!(vault(Action::ClaimsChallenge).header("www-authenticate").unwrap().contains("insufficient_claims"));
    control.fault(Fault::new("vault.keys.get", Action::Deny).lasting(Duration::ZERO));
    assert_eq!(bench.vault("GET", "/keys/k", None).status, 200, "the fault is over");
}

#[test]
fn faults_spoil_signatures() {
    let (bench, body, spki) = signing();
    let sign = |action: Action| {
        bench.emulator.control().clear_faults();
        bench.emulator.control().fault(Fault::new("kms.Sign", action));
        unbase64(&bench.kms("Sign", &body).json()["Signature"])
    };
    let verifies = |signature: &[u8]| bench.openssl_verifies(&spki, signature, b"m", &openssl_options("ECDSA_SHA_256"));
    let short = sign(Action::ShortIntegers);
    assert!(verifies(&short));
    // SEQUENCE { INTEGER r, INTEGER s }: the value of an integer without its sign byte.
    let value = |at: usize| usize::from(short[at]) - usize::from(short[at + 1] == 0);
    let second = 5 + usize::from(short[3]);
    assert!(value(3) < 32 || value(second) < 32, "{short:x?}");
    let wrong = sign(Action::WrongSignature);
    assert!(wrong[0] == 0x30 && !verifies(&wrong));
    assert_eq!(sign(Action::InvalidDer)[0], 0x31);
    let cut = sign(Action::WrongLengthSignature);
    assert_eq!(usize::from(cut[1]) + 1, cut.len());
}

#[test]
fn faults_spoil_the_way_back() {
    let (bench, body, _) = signing();
    let control = bench.emulator.control();
    let sign = |action: Action| {
        control.clear_faults();
        control.fault(Fault::new("kms.Sign", action));
        bench.kms("Sign", &body)
    };
    assert_eq!(sign(Action::ResetBeforeReply).exit, 56);
    let reset = sign(Action::ResetMidReply);
    assert!(reset.exit == 56 && !reset.body.is_empty(), "{reset:?}");
    let truncated = sign(Action::TruncatedBody);
    assert!(truncated.exit == 18 && !truncated.body.is_empty(), "{truncated:?}");
    assert_eq!((sign(Action::EmptyBody).status, sign(Action::EmptyBody).body.len()), (200, 0));
    let garbage = sign(Action::GarbageBody);
    assert!(garbage.status == 200 && serde_json::from_slice::<Value>(&garbage.body).is_err());
    let big = sign(Action::OversizedBody { bytes: 3_000_000 });
    assert!(big.body.len() > 3_000_000 && big.json()["Signature"].is_string());
    let start = Instant::now();
    assert!(sign(Action::Drip { ms: 1 }).json()["Signature"].is_string());
    assert!(start.elapsed() > Duration::from_millis(150));
    let start = Instant::now();
    assert_eq!(sign(Action::Delay { ms: 200 }).status, 200);
    assert!(start.elapsed() >= Duration::from_millis(200));
    control.clear_faults();
    control.fault(Fault::new("kms.Sign", Action::Hang));
    let hung = bench.kms_in("eu-central-1", "Sign", &body, &["--max-time", "2"]);
    assert_eq!(hung.exit, 28);
    assert_eq!(control.log().last().map(|entry| (entry.operation.as_str(), entry.status)), Some(("kms.Sign", 0)));
    // The emulator itself is none the worse.
    control.clear_faults();
    assert_eq!(bench.kms("Sign", &body).status, 200);
}

#[test]
fn a_connection_is_closed_without_a_word_after_a_whole_reply() {
    let bench = bench();
    bench.emulator.control().fault(Fault::new("imds", Action::CloseAfterReply));
    let mut stream = TcpStream::connect(("127.0.0.1", bench.emulator.port())).unwrap();
    stream
        .write_all(b"GET /metadata/identity/oauth2/token?resource=x HTTP/1.1\r\nHost: h\r\nMetadata: true\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with('}') && !text.to_ascii_lowercase().contains("connection: close"), "{text}");
}

#[test]
fn connections_stall() {
    let bench = bench();
    let control = bench.emulator.control();
    let (http, https) = (bench.emulator.http_url(), bench.emulator.https_url());
    let ask = |url: &str, seconds: &str| bench.curl(&["--max-time", seconds, url]).exit;
    control.fault(Fault::black_hole().times(1));
    assert_eq!((ask(&http, "1"), ask(&http, "30")), (28, 0));
    control.fault(Fault::tls_stall().times(1));
    assert_eq!((ask(&https, "1"), ask(&https, "30")), (28, 0));
    assert_eq!((control.count("connections"), control.count("tls_handshakes")), (4, 1));
    assert!(control.wait_for("connections", 4, Duration::ZERO) && !control.wait_for("connections", 5, Duration::ZERO));
}

#[test]
fn scripts_control_it_over_http() {
    let bench = bench();
    let send = |method: &str, path: &str, body: &Value| {
        let url = format!("{}/_control/{path}", bench.emulator.http_url());
        bench.curl(&["-X", method, "--data-binary", &body.to_string(), &url])
    };
    let key = send("POST", "aws/keys", &json!({ "spec": "ECC_NIST_P256", "alias": "alias/s" })).json();
    assert!(key["arn"].as_str().unwrap().ends_with(key["id"].as_str().unwrap()));
    assert!(send("GET", "aws/keys/alias/s/public.pem", &json!({})).text().starts_with("-----BEGIN PUBLIC KEY-----"));
    assert_eq!(send("POST", "aws/keys/alias/s/disable", &json!({})).status, 200);
    let body = sign_body("alias/s", b"m", "RAW", "ECDSA_SHA_256");
    assert_eq!(bench.kms_error("Sign", &body).0, "DisabledException");
    assert_eq!(send("POST", "aws/keys/alias/s/enable", &json!({})).status, 200);
    let made = send("POST", "vaults/red/keys", &json!({ "name": "k", "kty": "EC", "curve": "P-384" })).json();
    assert!(made["kid"].as_str().unwrap().starts_with("https://red.vault.azure.net/keys/k/"));
    assert_ne!(send("POST", "vaults/red/keys/k/rotate", &json!({})).json()["version"], made["version"]);
    let old = format!("vaults/red/keys/k/{}/public.pem", made["version"].as_str().unwrap());
    assert!(send("GET", &old, &json!({})).text().contains("PUBLIC KEY"));
    let certificate = json!({ "name": "c", "key": { "kty": "RSA" }, "issued": true });
    assert_eq!(send("POST", "vaults/red/certificates", &certificate).status, 200);
    assert!(send("GET", "vaults/red/certificates/c/certificate.pem", &json!({})).text().contains("BEGIN CERTIFICATE"));
    assert_eq!(send("POST", "faults", &json!({ "operation": "kms.", "times": 1, "action": "deny" })).status, 200);
    assert_eq!(bench.kms_error("Sign", &body).0, "AccessDeniedException");
    assert_eq!(send("POST", "faults", &json!({ "operation": "kms.", "action": "explode" })).status, 400);
    assert_eq!(send("POST", "switches", &json!({ "kms_type_prefix": true })).status, 200);
    assert_eq!(send("POST", "switches", &json!({ "no_such": true })).status, 400);
    assert!(bench.kms_error("Sign", &json!({})).0.starts_with("com.amazonaws.kms#"));
    assert_eq!(send("POST", "clock", &json!({ "shift_seconds": 900 })).status, 200);
    assert!(bench.kms_error("Sign", &body).1.starts_with("Signature expired"));
    assert_eq!(send("GET", "counts", &json!({})).json()["kms.Sign"], 4);
    assert_eq!(send("POST", "reset", &json!({})).status, 200);
    assert_eq!(send("GET", "counts", &json!({})).json()["kms.Sign"], Value::Null);
    assert_eq!(send("GET", "nothing", &json!({})).status, 404);
    assert_eq!(send("GET", "aws/keys/alias/none/public.pem", &json!({})).status, 404);
}

#[test]
fn it_stops_when_dropped() {
    let emulator = Emulator::start().unwrap();
    let port = emulator.port();
    emulator.control().fault(Fault::new("*", Action::Hang));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metadata/identity/oauth2/token HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert!(emulator.control().wait_for("imds", 1, Duration::from_secs(10)));
    drop(emulator);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let _second_on_the_same_port = Emulator::builder().port(port).start().unwrap();
}

#[test]
fn certificates_have_flaws_and_handshakes_end_in_alerts() {
    let bench = bench();
    let control = bench.emulator.control();
    let https = bench.emulator.https_url();
    // 60: the peer's certificate; 35: the handshake.
    for (action, exit) in [
        (Action::Certificate(Flaw::Authority), 60),
        (Action::Certificate(Flaw::Expired), 60),
        (Action::Certificate(Flaw::Future), 60),
        (Action::Certificate(Flaw::OtherName), 60),
        (Action::Certificate(Flaw::SelfSigned), 60),
        (Action::Certificate(Flaw::Stranger), 60),
        (Action::Certificate(Flaw::Client), 60),
        (Action::TlsAlert { code: 40 }, 35),
        (Action::NoTls, 35),
    ] {
        control.fault(Fault::new("connection", action.clone()).times(1));
        assert_eq!(bench.curl(&[&https]).exit, exit, "{action:?}");
        assert_eq!(bench.curl(&[&https]).exit, 0, "after {action:?}");
    }
}

#[test]
fn a_proxy_answers_for_itself() {
    let bench = bench();
    let control = bench.emulator.control();
    let proxy = bench.emulator.http_url();
    let connect = |url: &str| bench.curl(&["--proxy", &proxy, url]);
    let page = Action::Page { status: 407, authenticate: Some("Basic".into()) };
    control.fault(Fault::new("connect", page.clone()).times(1));
    let refused = connect("https://blue.vault.azure.net/keys").exit;
    // In the words of curl 7.88, and of curl 8.23.
    assert!([56, 7].contains(&refused), "no tunnel: {refused}");
    assert_eq!(connect("https://blue.vault.azure.net/keys?api-version=7.4").status, 401, "a tunnel, and a challenge");
    control.fault(Fault::new("unknown", page).times(1));
    let answer = connect("http://blue.example/");
    assert_eq!((answer.status, answer.header("proxy-authenticate")), (407, Some("Basic".to_owned())));
    assert!(answer.text().contains("a proxy's own page") && answer.header("x-ms-request-id").is_none());
}
