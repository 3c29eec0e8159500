//! Each obstacle between a client and its service is reported as what it is, on both clouds: name, port, proxy,
//! certificate, silence.

use crate::server::{CLOSED_PORT, named, wait};
use cloud_kms_emulator::{Action, AwsKey, Emulator, EntraClients, Fault, Flaw, VaultKey};
use cloud_kms_pkcs11::cloud::{Cause, Failure, Network, Secret, aws, azure};
use std::time::Duration;

/// Asks the service of each cloud at `url` to describe a key.
fn described(emulator: &Emulator, url: &str, network: &Network) -> [Result<(), Failure>; 2] {
    let _ = crate::server::FILES.path();
    let aws = aws::Settings {
        region: Some(AwsKey::REGION.to_owned()),
        profile: Some("default".to_owned()),
        endpoint_url: Some(url.to_owned()),
        network: network.clone(),
        ..Default::default()
    }
    .open();
    let azure = azure::Settings {
        vault_url: url.to_owned(),
        tenant_id: Some(EntraClients::TENANT.into()),
        client_id: Some(EntraClients::CLIENT.into()),
        client_secret: Some(Secret(EntraClients::SECRET.to_owned().into())),
        authority_host: Some(emulator.https_url()),
        credential: azure::Credential::Environment,
        skip_challenge_check: true,
        network: network.clone(),
        ..Default::default()
    }
    .open();
    [aws.describe(&named("alias/web")), azure.describe(&named("web"))].map(|pending| wait(pending).map(drop))
}

#[test]
fn each_obstacle_has_its_own_cause() {
    let emulator = Emulator::start().unwrap();
    emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/web")).unwrap();
    emulator.vault("default").create_key("web", VaultKey::ec("P-256")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    emulator.write_ca(&bundle).unwrap();
    // The machine's resolver may need some time to find that a name does not exist.
    let patience = Network {
        call_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(30),
        ..Network::default()
    };
    let good = Network { ca_bundle: Some(bundle), retries: 1, ..patience };
    let proxy = |url: String| Network { proxy: Some(url.into()), ..good.clone() };
    let local = emulator.https_url();
    for answer in described(&emulator, &local, &good) {
        assert_eq!(answer, Ok(()));
    }
    for (what, url, network, cause, words) in [
        ("name", "https://kms.invalid", good.clone(), Cause::Unresolved, "region"),
        (
            "port",
            &format!("https://{CLOSED_PORT}"),
            good.clone(),
            Cause::Unreachable,
            "can't connect to 127.0.0.1:1: Connection refused",
        ),
        ("trust", &local, Network { ca_bundle: None, ..good.clone() }, Cause::Untrusted, "ca_bundle"),
        ("proxy", &local, proxy(format!("http://{CLOSED_PORT}")), Cause::Proxy, "\"proxy\""),
        (
            "proxy's name",
            &local,
            proxy("http://proxy.invalid:3128".into()),
            Cause::Proxy,
            "proxy.invalid can't be resolved",
        ),
        ("proxy's kind", &local, proxy(format!("socks5://{CLOSED_PORT}")), Cause::Proxy, "set an HTTP proxy"),
        ("no proxy", &local, proxy("http://".into()), Cause::Settings, "proxy"),
        (
            "no bundle",
            &local,
            Network { ca_bundle: Some("/nonexistent/ca.pem".into()), ..good.clone() },
            Cause::Settings,
            "ca_bundle /nonexistent/ca.pem",
        ),
    ] {
        for failure in described(&emulator, url, &network).map(Result::unwrap_err) {
            assert_eq!(failure.cause, cause, "{what}: {failure}");
            assert!(failure.message.contains(words), "{what}: {failure}");
        }
    }
}

/// Creates a key in both clouds. Returns the network settings that reach them.
fn world() -> (Emulator, tempfile::TempDir, Network) {
    let emulator = Emulator::start().unwrap();
    emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/web")).unwrap();
    emulator.vault("default").create_key("web", VaultKey::ec("P-256")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    emulator.write_ca(&bundle).unwrap();
    let network = Network {
        ca_bundle: Some(bundle),
        call_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(30),
        retries: 1,
        ..Network::default()
    };
    (emulator, folder, network)
}

/// TLS failures that last: the server's behavior, the cause, and words of the message.
#[rustfmt::skip]
fn tls_failures() -> Vec<(Action, Cause, &'static [&'static str])> {
    vec![
        (Action::Certificate(Flaw::Stranger), Cause::Untrusted, &["the certificate of 127.0.0.1 was issued by CN=A Stranger", "\"ca_bundle\""]),
        (Action::Certificate(Flaw::SelfSigned), Cause::Untrusted, &["is self-signed (CN=127.0.0.1)", "\"ca_bundle\""]),
        (Action::Certificate(Flaw::Authority), Cause::Untrusted, &["is a CA certificate", "basicConstraints=CA:FALSE"]),
        (Action::Certificate(Flaw::OtherName), Cause::Untrusted, &["is for other names: other.example;", "\"ca_bundle\" can't fix this"]),
        (Action::Certificate(Flaw::NoName), Cause::Untrusted, &["names no host", "subjectAltName"]),
        (Action::Certificate(Flaw::Expired), Cause::Untrusted, &["expired on 2021-01-01T00:00:00Z", "clock shows 2"]),
        (Action::Certificate(Flaw::Future), Cause::Untrusted, &["is not valid before 2049-01-01T00:00:00Z", "clock shows 2"]),
        (Action::Certificate(Flaw::Client), Cause::Untrusted, &["is not for servers", "serverAuth"]),
        (Action::TlsAlert { code: 70 }, Cause::Unreachable, &["127.0.0.1 supports neither TLS 1.2 nor TLS 1.3"]),
        (Action::TlsAlert { code: 40 }, Cause::Unreachable, &["shares no TLS parameters", "HandshakeFailure"]),
        (Action::TlsAlert { code: 112 }, Cause::Unreachable, &["does not serve this host name"]),
        (Action::TlsAlert { code: 49 }, Cause::Unreachable, &["denies access to this machine"]),
        (Action::NoTls, Cause::Unreachable, &["127.0.0.1 does not use TLS at this port"]),
    ]
}

#[test]
fn each_tls_failure_is_reported_specifically() {
    let (emulator, _folder, network) = world();
    for (action, cause, words) in tls_failures() {
        emulator.control().fault(Fault::new("connection", action.clone()));
        let before = emulator.control().count("connections");
        for failure in described(&emulator, &emulator.https_url(), &network).map(Result::unwrap_err) {
            assert_eq!(failure.cause, cause, "{action:?}: {failure}");
            assert!(words.iter().all(|words| failure.message.contains(words)), "{action:?}: {failure}");
            let others = ["rustls", "invalid peer certificate", "reqwest", "(attempt"];
            assert!(!others.iter().any(|words| failure.message.contains(words)), "{action:?}: {failure}");
        }
        let made = emulator.control().count("connections") - before;
        // KMS, the authority, and the vault, whose connection is opened while the token is requested.
        assert!((2..=3).contains(&made), "{action:?}: {made} connections: a lasting failure is not repeated");
        emulator.control().clear_faults();
    }
    for answer in described(&emulator, &emulator.https_url(), &network) {
        assert_eq!(answer, Ok(()));
    }
}

#[test]
fn a_tls_failure_of_the_authority_is_reported_specifically() {
    let (emulator, folder, network) = world();
    let authority = Emulator::start().unwrap();
    let bundle = folder.path().join("both.pem");
    std::fs::write(&bundle, format!("{}{}", emulator.ca_pem(), authority.ca_pem())).unwrap();
    let network = Network { ca_bundle: Some(bundle), ..network };
    for (action, cause, words) in tls_failures() {
        authority.control().fault(Fault::new("connection", action.clone()));
        let azure = azure::Settings {
            vault_url: emulator.https_url(),
            tenant_id: Some(EntraClients::TENANT.into()),
            client_id: Some(EntraClients::CLIENT.into()),
            client_secret: Some(Secret(EntraClients::SECRET.to_owned().into())),
            authority_host: Some(authority.https_url()),
            skip_challenge_check: true,
            network: network.clone(),
            ..Default::default()
        }
        .open();
        let before = authority.control().count("connections");
        let failure = wait(azure.describe(&named("web"))).map(drop).unwrap_err();
        assert_eq!(failure.cause, cause, "{action:?}: {failure}");
        assert!(failure.message.starts_with("no token for this request: "), "{failure}");
        assert!(words.iter().all(|words| failure.message.contains(words)), "{action:?}: {failure}");
        assert_eq!(authority.control().count("connections") - before, 1, "{action:?}: {failure}");
        authority.control().clear_faults();
    }
}

/// A proxy's reply to CONNECT, and what the failure says about the reply.
struct Refusal {
    status: u16,
    authenticate: Option<&'static str>,
    /// The user name and the password in the URL of the proxy.
    user: &'static str,
    words: [&'static str; 2],
    /// The number of CONNECT requests per call. Each attempt sends a second request to learn the status.
    asked: u64,
}

const BASIC: Option<&str> = Some("Basic realm=\"p\"");
const ME: &str = "name-1:password-1@";

#[rustfmt::skip]
const REFUSALS: &[Refusal] = &[
    Refusal { status: 407, authenticate: BASIC, user: "", words: ["answered 407 Proxy Authentication Required to CONNECT 127.0.0.1:", "http://NAME:PASSWORD@HOST:PORT"], asked: 2 },
    Refusal { status: 407, authenticate: BASIC, user: ME, words: ["407 Proxy Authentication Required", "the name or the password in the proxy's URL is wrong"], asked: 2 },
    Refusal { status: 407, authenticate: Some("Negotiate"), user: ME, words: ["requires negotiate authentication", "Basic only"], asked: 2 },
    Refusal { status: 403, authenticate: None, user: "", words: ["answered 403 Forbidden to CONNECT 127.0.0.1:", "administrator to allow this host"], asked: 2 },
    Refusal { status: 502, authenticate: None, user: ME, words: ["answered 502 Bad Gateway to CONNECT 127.0.0.1:", "the proxy can't reach this host"], asked: 4 },
];

#[test]
fn the_reply_of_a_proxy_is_reported() {
    let (emulator, _folder, network) = world();
    let proxy = Emulator::start().unwrap();
    for Refusal { status, authenticate, user, words, asked } in REFUSALS {
        let page = Action::Page { status: *status, authenticate: authenticate.map(str::to_owned) };
        proxy.control().fault(Fault::new("connect", page));
        let url = format!("http://{user}127.0.0.1:{}", proxy.port());
        let network = Network { proxy: Some(url.into()), ..network.clone() };
        let before = proxy.control().count("connect");
        for failure in described(&emulator, &emulator.https_url(), &network).map(Result::unwrap_err) {
            assert_eq!(failure.cause, Cause::Proxy, "{failure}");
            let whose = format!("the proxy {} (from the option \"proxy\")", proxy.http_url());
            assert!(failure.message.contains(&whose), "{failure}");
            assert!(words.iter().all(|words| failure.message.contains(words)), "{failure}");
            assert!(!failure.message.contains("password-1"), "{failure}");
        }
        // One more for the vault, whose connection is opened while the token is requested.
        let made = proxy.control().count("connect") - before;
        assert!((asked * 2..=asked * 2 + 1).contains(&made), "{status}: {made}");
        proxy.control().clear_faults();
    }
}

#[test]
fn an_html_page_instead_of_a_reply_is_blamed_on_the_proxy() {
    let (emulator, _folder, network) = world();
    let network = Network { proxy: Some(emulator.http_url().into()), ..network };
    for status in [302, 403, 407, 502] {
        emulator.control().fault(Fault::new("*", Action::Page { status, authenticate: None }));
        // Plain HTTP requests go to the proxy itself. In the tunnel, the page comes from a proxy that opens TLS.
        let [aws, _] = described(&emulator, &emulator.http_url(), &network);
        let [tunneled, azure] = described(&emulator, &emulator.https_url(), &network);
        for failure in [aws, tunneled, azure].map(Result::unwrap_err) {
            assert_eq!(failure.cause, Cause::Proxy, "{failure}");
            assert!(failure.message.contains(&format!("answered {status} ")), "{failure}");
        }
        emulator.control().clear_faults();
        // Without a proxy, the page comes from whatever server is at that address.
        emulator.control().fault(Fault::new("kms.", Action::Page { status: 403, authenticate: None }));
        let [direct, _] = described(&emulator, &emulator.https_url(), &Network { proxy: None, ..network.clone() });
        assert_eq!(direct.unwrap_err().cause, Cause::Denied);
        emulator.control().clear_faults();
    }
}

#[test]
fn clock_skew_errors_show_the_local_time() {
    let (emulator, _folder, network) = world();
    emulator.control().fault(Fault::new("kms.", Action::ClockSkew));
    emulator.control().fault(Fault::new("token", Action::ExpiredToken));
    for failure in described(&emulator, &emulator.https_url(), &network).map(Result::unwrap_err) {
        assert_eq!(failure.cause, Cause::Credentials, "{failure}");
        assert!(failure.message.contains("check this machine's clock, which shows 2"), "{failure}");
    }
}
