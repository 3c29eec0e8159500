//! Tests of the options that name a certificate by its ARN.

use crate::config::tests::*;

#[test]
fn a_certificate_may_be_named_by_its_arn() {
    let acm = "arn:aws:acm:eu-west-1:1:certificate/c";
    let authority = "arn:aws:acm-pca:eu-west-1:1:certificate-authority/a";
    let pca = format!("{authority}/certificate/c");
    let of = |members: &str| only_key(&slot(&format!(r#""kms_key_id": "k", {members}"#)).config()).certificate.clone();
    let source = |id: &str, authority: Option<&str>| {
        CertificateSource::Named(CertificateName { id: id.to_owned(), authority: authority.map(str::to_owned) })
    };
    assert_eq!(of(&format!(r#""acm_certificate_arn": "{acm}""#)), source(acm, None));
    assert_eq!(of(&format!(r#""acm_pca_certificate_arn": "{pca}""#)), source(&pca, Some(authority)));
    let error = |members: &str| error_of(slot(&format!(r#""label": "x", {members}"#)));
    for (members, expected) in [
        (
            format!(r#""kms_key_id": "k", "acm_certificate_arn": "{pca}""#),
            "acm_certificate_arn: is not the ARN of such a certificate",
        ),
        (
            format!(r#""kms_key_id": "k", "acm_pca_certificate_arn": "{acm}""#),
            "acm_pca_certificate_arn: is not the ARN of such a certificate",
        ),
        (
            format!(r#""kms_key_id": "k", "acm_certificate_arn": "{acm}", "acm_pca_certificate_arn": "{pca}""#),
            "acm_pca_certificate_arn: can't be combined with \"acm_certificate_arn\"",
        ),
        (
            format!(r#""kms_key_id": "k", "acm_pca_certificate_arn": "{pca}", "certificate_path": "c.pem""#),
            "acm_pca_certificate_arn: can't be combined with \"certificate_path\"",
        ),
        (
            format!(r#""discover": true, "acm_certificate_arn": "{acm}""#),
            "acm_certificate_arn: is an option for a slot with one key",
        ),
    ] {
        let message = error(&members);
        assert!(message.contains(expected), "{members}: {message}");
    }
}
