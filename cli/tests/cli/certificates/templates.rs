//! The contents from a file.

use super::algorithms::world_of;
use super::openssl::{openssl_text, tool};

const TEMPLATE: &str = r#"{
    "subject": "CN=web,OU=Ops,O=Acme,C=DE",
    "san": ["dns:web.example", "ip:2001:db8::1", "email:web@web.example", "uri:https://web.example/a,b"],
    "key_usage": ["digitalSignature", "nonRepudiation"],
    "extended_key_usage": ["serverAuth", "1.2.3.4"],
    "days": 90,
    "not_before": "2026-01-31T12:00:00Z",
    "serial": "1234"
}"#;

#[test]
fn a_file_states_everything() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    std::fs::write(world.path("web.json"), TEMPLATE).unwrap();
    tool(&world, "self-sign --slot aws-ECC_NIST_P256 --template-file web.json --out web.pem");
    let text = openssl_text(&world, "x509 -in web.pem -noout -text -nameopt RFC2253");
    for part in [
        "Subject: CN=web,OU=Ops,O=Acme,C=DE",
        "DNS:web.example, IP Address:2001:DB8:0:0:0:0:0:1, email:web@web.example, URI:https://web.example/a,b",
        "X509v3 Key Usage: critical\n                Digital Signature, Non Repudiation",
        "TLS Web Server Authentication, 1.2.3.4",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "Serial Number: 4660 (0x1234)",
        "Not Before: Jan 31 12:00:00 2026 GMT",
        "Not After : May  1 12:00:00 2026 GMT",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The command line takes precedence.
    tool(&world, "csr --slot aws-ECC_NIST_P256 --template-file web.json --subject CN=other --out web.csr");
    let text = openssl_text(&world, "req -in web.csr -noout -text -verify");
    assert!(text.contains("Subject: CN = other\n") && text.contains("DNS:web.example"), "{text}");
    assert!(!text.contains("Basic Constraints"), "{text}");
}

#[test]
fn a_mistake_has_its_line() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    for (wrong, part) in [
        (TEMPLATE.replace("\"days\"", "\"day\""), "unknown field `day`, expected one of `subject`, `san`"),
        (TEMPLATE.replace("dns:web", "web"), "write the kind before the name: dns:web.example"),
        (TEMPLATE.replace("digitalSignature", "sign"), "use some of: digitalSignature"),
        (TEMPLATE.replace("2026-01-31T", "31.1.2026T"), "write 2026-01-31 or"),
        (TEMPLATE.replace("CN=web", "web"), "RFC 4514"),
    ] {
        std::fs::write(world.path("web.json"), wrong).unwrap();
        let run = world.run(&["csr", "--slot", "aws-ECC_NIST_P256", "--template-file", "web.json"]);
        assert!(run.error(1).contains(part) && run.stderr.contains("web.json: "), "{part}: {run:?}");
        assert!(run.stderr.contains(" at line "), "{run:?}");
    }
}

#[test]
fn a_subject_may_have_alternative_names_only() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    tool(&world, "self-sign --slot aws-ECC_NIST_P256 --san dns:web.example --out web.pem");
    let text = openssl_text(&world, "x509 -in web.pem -noout -text");
    assert!(text.contains("X509v3 Subject Alternative Name: critical"), "RFC 5280 section 4.2.1.6: {text}");
    tool(&world, "csr --slot aws-ECC_NIST_P256 --subject CN=web --out web.csr");
    let text = openssl_text(&world, "req -in web.csr -noout -text");
    assert!(text.contains("Attributes:\n            (none)\n"), "RFC 5272 has no empty list of extensions: {text}");
}
