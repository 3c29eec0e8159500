//! GetCertificate of ACM and AWS Private CA as a client sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::Aws;
use common::{Bench, bench};
use serde_json::{Value, json};

const ACM: &str = "arn:aws:acm:eu-central-1:111122223333:certificate/1";
const AUTHORITY: &str = "arn:aws:acm-pca:eu-central-1:111122223333:certificate-authority/a";
const PCA: &str = "arn:aws:acm-pca:eu-central-1:111122223333:certificate-authority/a/certificate/1";

/// Sends the request, signed for a service and a region, and returns the reply.
fn ask(bench: &Bench, target: &str, scope: &str, body: &Value) -> Value {
    let sigv4 = format!("aws:amz:{scope}");
    let user = format!("{}:{}", Aws::ACCESS_KEY, Aws::SECRET_KEY);
    let target = format!("X-Amz-Target: {target}.GetCertificate");
    let (body, url) = (body.to_string(), format!("{}/", bench.emulator.http_url()));
    let kind = "Content-Type: application/x-amz-json-1.1";
    bench.curl(&["--aws-sigv4", &sigv4, "--user", &user, "-H", kind, "-H", &target, "--data", &body, &url]).json()
}

#[test]
fn each_service_returns_what_it_holds() {
    let bench = bench();
    let aws = bench.emulator.aws();
    let acm = |scope: &str| ask(&bench, "CertificateManager", scope, &json!({ "CertificateArn": ACM }));
    let pca = |authority: &str| {
        let body = json!({ "CertificateArn": PCA, "CertificateAuthorityArn": authority });
        ask(&bench, "ACMPrivateCA", "eu-central-1:acm-pca", &body)
    };
    assert_eq!(acm("eu-central-1:acm")["__type"], "ResourceNotFoundException");
    [ACM, PCA].into_iter().for_each(|arn| aws.set_certificate(arn, None, None));
    assert_eq!(acm("eu-central-1:acm")["__type"], "RequestInProgressException");
    assert_eq!(pca(AUTHORITY)["__type"], "RequestInProgressException");
    aws.set_certificate(ACM, Some("one"), None);
    aws.set_certificate(PCA, Some("two"), Some("three"));
    assert_eq!(acm("eu-central-1:acm"), json!({ "Certificate": "one" }));
    assert_eq!(pca(AUTHORITY), json!({ "Certificate": "two", "CertificateChain": "three" }));
    assert_eq!(pca(&AUTHORITY.replace("/a", "/b"))["__type"], "ResourceNotFoundException");
    assert_eq!(acm("us-east-1:acm")["__type"], "ResourceNotFoundException", "another region");
    assert_eq!(acm("eu-central-1:kms")["__type"], "InvalidSignatureException", "another service");
    assert_eq!(bench.emulator.control().count("acm.GetCertificate"), 5);
}
