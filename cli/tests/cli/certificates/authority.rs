//! `ca sign`: the key of the authority is in one cloud, that of the subject in another.

use super::algorithms::{spoil, world_of};
use super::openssl::{openssl, openssl_text, tool};
use crate::support::World;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use der::{Decode, Document, Encode};
use x509_cert::Certificate;

/// Makes a root, `root.pem`, with the key of the token.
fn root(world: &World, label: &str, arguments: &str) {
    let command = format!("self-sign --slot {label} --subject CN=Root --ca --out root.pem --force {arguments}");
    tool(world, command.trim_end());
}

/// Verifies the signature of `web.pem` with the RSA key of `root.pem`, for subjects whose keys OpenSSL 3.0 can't read.
fn is_issued_by_rsa_root(world: &World) -> bool {
    let read = |name: &str| {
        let pem = std::fs::read(world.path(name)).unwrap();
        Certificate::from_der(&Document::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap().1.to_vec()).unwrap()
    };
    let (root, leaf) = (read("root.pem"), read("web.pem"));
    let key = root.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    key.verify(&leaf.tbs_certificate().to_der().unwrap(), leaf.signature().raw_bytes()).is_ok()
}

#[test]
fn openssl_verifies_the_chain() {
    let subjects = [
        ("azure-P-256", true),
        ("gcp-RSA_SIGN_PSS_2048_SHA256", true),
        ("aws-ECC_NIST_EDWARDS25519", true),
        ("aws-ML_DSA_44", false),
        ("gcp-PQ_SIGN_SLH_DSA_SHA2_128S", false),
    ];
    let world = world_of(["aws-RSA_2048"].into_iter().chain(subjects.map(|subject| subject.0)));
    // A root with the same name and another key.
    root(&world, "azure-P-256", "");
    std::fs::rename(world.path("root.pem"), world.path("other.pem")).unwrap();
    root(&world, "aws-RSA_2048", "--path-length 1");
    let text = openssl_text(&world, "x509 -in root.pem -noout -text");
    for part in ["CA:TRUE, pathlen:1", "Certificate Sign, CRL Sign"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for (subject, is_known_to_openssl) in subjects {
        let usages = "--extended-key-usage serverAuth,1.3.6.1.5.5.7.3.2 --key-usage digitalSignature,keyAgreement";
        tool(
            &world,
            &format!("csr --slot {subject} --subject CN=web --san ip:192.0.2.1 {usages} --out web.csr --force"),
        );
        tool(&world, "ca sign --slot aws-RSA_2048 --ca-certificate root.pem --csr web.csr --out web.pem --force");
        let text = openssl_text(&world, "x509 -in web.pem -noout -text");
        for part in [
            "Issuer: CN = Root",
            "Subject: CN = web",
            "CA:FALSE",
            "Digital Signature, Key Agreement",
            "TLS Web Server Authentication, TLS Web Client Authentication",
            "IP Address:192.0.2.1",
            "X509v3 Authority Key Identifier",
        ] {
            assert!(text.contains(part), "{subject}, {part}: {text}");
        }
        assert!(is_issued_by_rsa_root(&world), "{subject}");
        if is_known_to_openssl {
            openssl_text(&world, "verify -x509_strict -CAfile root.pem web.pem");
            assert_eq!(openssl(&world, "verify -CAfile other.pem web.pem").code, Some(2), "{subject}: another root");
        }
    }
    spoil(&world, "web.pem");
    assert!(!is_issued_by_rsa_root(&world));
}

#[test]
fn an_authority_below_the_root_needs_the_option() {
    let world = world_of(["aws-RSA_2048", "azure-P-256", "gcp-EC_SIGN_P256_SHA256"]);
    root(&world, "aws-RSA_2048", "");
    tool(&world, "csr --slot azure-P-256 --subject CN=Sub --ca --key-usage keyCertSign --out sub.csr");
    let sign = "ca sign --slot aws-RSA_2048 --ca-certificate root.pem --csr sub.csr";
    let run = world.run_line(sign);
    assert!(run.error(1).contains("the request asks for the rights of a certification authority"), "{run:?}");
    tool(&world, &format!("{sign} --key-usage digitalSignature --out web.pem"));
    assert!(openssl_text(&world, "x509 -in web.pem -noout -text").contains("CA:FALSE"));
    tool(&world, &format!("{sign} --ca --path-length 0 --out sub.pem"));
    tool(&world, "csr --slot gcp-EC_SIGN_P256_SHA256 --subject CN=web --out web.csr");
    tool(&world, "ca sign --slot azure-P-256 --ca-certificate sub.pem --csr web.csr --out web.pem --force");
    openssl_text(&world, "verify -x509_strict -CAfile root.pem -untrusted sub.pem web.pem");
    let run =
        world.run(&["ca", "sign", "--slot", "azure-P-256", "--ca-certificate", "sub.pem", "--csr", "sub.csr", "--ca"]);
    assert!(run.error(1).contains("the path length of CN=Sub is 0"), "{run:?}");
    let run = world.run(&["ca", "sign", "--slot", "azure-P-256", "--ca-certificate", "web.pem", "--csr", "web.csr"]);
    assert!(run.error(1).contains("the certificate of the CA is not that of token \"azure-P-256\""), "{run:?}");
}

#[test]
fn requests_of_openssl_are_signed() {
    let world = world_of(["aws-ECC_NIST_P384"]);
    root(&world, "aws-ECC_NIST_P384", "--days 30");
    for key in [
        "rsa:2048",
        "rsa:2048 -sigopt rsa_padding_mode:pss",
        "rsa:2048 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20 -sha512",
        "ec -pkeyopt ec_paramgen_curve:P-256 -sha512",
        "ec -pkeyopt ec_paramgen_curve:P-521 -sha256",
        "ec -pkeyopt ec_paramgen_curve:secp256k1",
        "ed25519",
    ] {
        openssl_text(
            &world,
            &format!(
                "req -new -nodes -keyout web.key -subj /CN=web -out web.csr -addext subjectAltName=DNS:web -newkey {key}"
            ),
        );
        tool(&world, "ca sign --slot aws-ECC_NIST_P384 --ca-certificate root.pem --csr web.csr --out web.pem --force");
        openssl_text(&world, "verify -x509_strict -CAfile root.pem web.pem");
        let text = openssl_text(&world, "x509 -in web.pem -noout -ext subjectAltName,keyUsage");
        assert!(text.contains("DNS:web") && text.contains("Digital Signature"), "{key}: {text}");
        openssl_text(&world, "req -in web.csr -outform DER -out web.der");
        let mut der = std::fs::read(world.path("web.der")).unwrap();
        let name = der.windows(3).position(|part| part == b"web").unwrap();
        der[name] = b'W';
        std::fs::write(world.path("web.der"), der).unwrap();
        let run = world.run(&[
            "ca",
            "sign",
            "--slot",
            "aws-ECC_NIST_P384",
            "--ca-certificate",
            "root.pem",
            "--csr",
            "web.der",
        ]);
        assert!(run.error(1).contains("the signature of the request is wrong"), "{key}: {run:?}");
        assert!(run.stdout.is_empty());
    }
}

#[test]
fn a_certificate_ends_with_that_of_the_authority() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    root(&world, "aws-ECC_NIST_P256", "--not-before 2026-01-01T00:00:00Z --days 3650");
    tool(&world, "csr --slot aws-ECC_NIST_P256 --subject CN=web --out web.csr");
    let sign = "ca sign --slot aws-ECC_NIST_P256 --ca-certificate root.pem --csr web.csr";
    tool(&world, &format!("{sign} --not-before 2035-06-01 --serial 0a:ff --out web.pem"));
    let text = openssl_text(&world, "x509 -in web.pem -noout -dates -serial");
    assert_eq!(text, "notBefore=Jun  1 00:00:00 2035 GMT\nnotAfter=Dec 30 00:00:00 2035 GMT\nserial=0AFF\n");
    let run = world.run_line(&format!("{sign} --days 4000"));
    assert!(run.error(1).contains("but the certificate of the CA ends at 2035-12-30T00:00:00Z"), "{run:?}");
}
