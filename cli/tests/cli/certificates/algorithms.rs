//! Every algorithm of every cloud, read and verified by OpenSSL, or by aws-lc where OpenSSL 3.0 lacks it.

use super::openssl::{openssl, openssl_text, tool};
use crate::support::World;
use aws_lc_rs::signature::{ML_DSA_44, ML_DSA_65, ML_DSA_87, UnparsedPublicKey, VerificationAlgorithm};
use cloud_kms_emulator::{AwsKey, GoogleKey, VaultKey};
use der::{Decode, Encode};
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::request::CertReq;

/// A key, the arguments that choose the algorithm, and the algorithm as OpenSSL names it.
struct Case(&'static str, &'static str, &'static str);

const CASES: [Case; 25] = [
    Case("aws-RSA_2048", "", "sha256WithRSAEncryption"),
    Case("aws-RSA_2048", "--hash sha384", "sha384WithRSAEncryption"),
    Case("aws-RSA_2048", "--hash sha512", "sha512WithRSAEncryption"),
    Case("aws-RSA_2048", "--pss", "rsassaPss"),
    Case("aws-RSA_2048", "--pss --hash sha384", "rsassaPss"),
    Case("aws-RSA_2048", "--pss --hash sha512", "rsassaPss"),
    Case("aws-ECC_NIST_P256", "", "ecdsa-with-SHA256"),
    Case("aws-ECC_NIST_P256", "--hash sha384", "ecdsa-with-SHA384"),
    Case("aws-ECC_NIST_P384", "", "ecdsa-with-SHA384"),
    Case("aws-ECC_NIST_P521", "", "ecdsa-with-SHA512"),
    Case("aws-ECC_NIST_P521", "--hash sha256", "ecdsa-with-SHA256"),
    Case("aws-ECC_SECG_P256K1", "", "ecdsa-with-SHA256"),
    Case("aws-ECC_NIST_EDWARDS25519", "", "ED25519"),
    Case("azure-rsa", "", "sha256WithRSAEncryption"),
    Case("azure-rsa", "--pss --hash sha512", "rsassaPss"),
    Case("azure-P-256", "", "ecdsa-with-SHA256"),
    Case("azure-P-521", "", "ecdsa-with-SHA512"),
    Case("azure-P-256K", "", "ecdsa-with-SHA256"),
    Case("gcp-RSA_SIGN_PKCS1_2048_SHA256", "", "sha256WithRSAEncryption"),
    Case("gcp-RSA_SIGN_RAW_PKCS1_2048", "--hash sha512", "sha512WithRSAEncryption"),
    Case("gcp-RSA_SIGN_PSS_2048_SHA256", "", "rsassaPss"),
    Case("gcp-EC_SIGN_P256_SHA256", "", "ecdsa-with-SHA256"),
    Case("gcp-EC_SIGN_P384_SHA384", "", "ecdsa-with-SHA384"),
    Case("gcp-EC_SIGN_SECP256K1_SHA256", "", "ecdsa-with-SHA256"),
    Case("gcp-EC_SIGN_ED25519", "", "ED25519"),
];

/// Creates the keys with these labels, and a slot for each.
pub fn world_of<'a>(labels: impl IntoIterator<Item = &'a str>) -> World {
    let world = World::new();
    let mut labels: Vec<&str> = labels.into_iter().collect();
    labels.dedup();
    world.configure(labels.into_iter().map(|label| slot(&world, label)).collect());
    world
}

fn slot(world: &World, label: &str) -> Value {
    let (cloud, kind) = label.split_once('-').unwrap();
    let name = kind.replace(['.', '/'], "-");
    match cloud {
        "aws" => {
            world.emulator.aws().create_key(AwsKey::new(kind).alias(&format!("alias/{name}"))).unwrap();
            json!({ "label": label, "kms_key_id": format!("alias/{name}") })
        }
        "azure" => {
            let key = if kind == "rsa" { VaultKey::rsa(2048) } else { VaultKey::ec(kind) };
            world.emulator.vault("default").create_key(&name, key).unwrap();
            json!({ "label": label, "key_name": name })
        }
        _ => {
            let key = world.emulator.google().create_key(&name, GoogleKey::new(kind)).unwrap();
            json!({ "label": label, "google_key": key.version })
        }
    }
}

#[test]
fn openssl_verifies_requests_and_certificates() {
    let world = world_of(CASES.iter().map(|case| case.0));
    for Case(label, arguments, algorithm) in CASES {
        let arguments = format!("--slot {label} --subject CN=web,O=Acme --san dns:web.example {arguments}");
        let arguments = arguments.trim_end();
        assert_eq!(tool(&world, &format!("csr {arguments} --out web.csr --force")), "");
        let run = openssl(&world, "req -in web.csr -noout -text -verify -nameopt RFC2253");
        assert!(run.stderr.contains("verify OK"), "{arguments}: {run:?}");
        let text = run.stdout();
        assert!(text.contains(&format!("Signature Algorithm: {algorithm}\n")), "{arguments}: {text}");
        assert!(text.contains("Subject: CN=web,O=Acme") && text.contains("DNS:web.example"), "{arguments}: {text}");
        assert_eq!(tool(&world, &format!("self-sign {arguments} --out web.pem --force")), "");
        let text = openssl_text(&world, "x509 -in web.pem -noout -text");
        assert!(text.contains(&format!("Signature Algorithm: {algorithm}\n")), "{arguments}: {text}");
        openssl_text(&world, "verify -check_ss_sig -x509_strict -CAfile web.pem web.pem");
        spoil(&world, "web.pem");
        let run = openssl(&world, "verify -check_ss_sig -CAfile web.pem web.pem");
        assert_ne!(run.code, Some(0), "{arguments}: a spoilt certificate is refused");
    }
}

/// Changes the last byte of the certificate, which is one of its signature.
pub fn spoil(world: &World, name: &str) {
    openssl_text(world, &format!("x509 -in {name} -outform DER -out spoilt.der"));
    let mut der = std::fs::read(world.path("spoilt.der")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    std::fs::write(world.path("spoilt.der"), der).unwrap();
    openssl_text(world, &format!("x509 -inform DER -in spoilt.der -out {name}"));
}

#[test]
fn pss_names_its_hash_and_its_salt() {
    let world = world_of(["aws-RSA_2048"]);
    tool(&world, "self-sign --slot aws-RSA_2048 --subject CN=web --pss --hash sha384 --out web.pem");
    let text = openssl_text(&world, "x509 -in web.pem -noout -text");
    for part in ["Hash Algorithm: sha384", "Mask Algorithm: mgf1 with sha384", "Salt Length: 0x30"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// OpenSSL 3.0 has no ML-DSA. aws-lc is not what the module, the emulator and the tool use for it.
#[test]
fn ml_dsa_is_verified_by_aws_lc() {
    let keys: [(&str, &dyn VerificationAlgorithm, &str); 4] = [
        ("aws-ML_DSA_44", &ML_DSA_44, "2.16.840.1.101.3.4.3.17"),
        ("aws-ML_DSA_65", &ML_DSA_65, "2.16.840.1.101.3.4.3.18"),
        ("aws-ML_DSA_87", &ML_DSA_87, "2.16.840.1.101.3.4.3.19"),
        ("gcp-PQ_SIGN_ML_DSA_65", &ML_DSA_65, "2.16.840.1.101.3.4.3.18"),
    ];
    let world = world_of(keys.iter().map(|key| key.0));
    for (label, algorithm, oid) in keys {
        let made = |command: &str| {
            world.run(&[command, "--slot", label, "--subject", "CN=web", "--der"]).expect_silence().stdout.clone()
        };
        let (request, certificate) = (made("csr"), made("self-sign"));
        let request = CertReq::from_der(&request).unwrap();
        let certificate = Certificate::from_der(&certificate).unwrap();
        let tbs = certificate.tbs_certificate();
        let key = tbs.subject_public_key_info();
        assert_eq!((&request.info.public_key, tbs.signature()), (key, certificate.signature_algorithm()));
        let signed = [
            (request.info.to_der().unwrap(), &request.algorithm, &request.signature),
            (tbs.to_der().unwrap(), tbs.signature(), certificate.signature()),
        ];
        let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes());
        for (mut message, identifier, signature) in signed {
            assert_eq!(
                (identifier.oid.to_string().as_str(), &identifier.parameters),
                (oid, &None),
                "RFC 9881 section 2"
            );
            assert!(key.verify(&message, signature.raw_bytes()).is_ok(), "{label}");
            message[4] ^= 1;
            assert!(key.verify(&message, signature.raw_bytes()).is_err(), "{label}");
        }
    }
}
