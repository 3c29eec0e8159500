//! The options for metrics and the audit trail.

use crate::config::tests::*;

#[test]
fn nothing_is_recorded_without_an_option() {
    let config = own(r#"{"slots": []}"#).config();
    assert_eq!((config.metrics_file, config.audit), (None, None));
}

#[test]
fn the_files_start_at_the_directory_of_the_configuration() {
    let mut world =
        own(r#"{"slots": [], "metrics_file": "m-%p.prom", "audit_file": "a.jsonl", "audit_required": true}"#);
    let config = world.config();
    let folder = world.path("etc/cloud-kms-pkcs11");
    assert_eq!(config.metrics_file, Some(MetricsFile::new(&folder.join("m-%p.prom"))));
    assert_eq!(config.audit, Some(AuditTrail { file: folder.join("a.jsonl"), is_required: true }));
}

#[test]
fn an_audit_that_is_required_needs_a_file() {
    let error = error_of(own(r#"{"slots": [], "audit_required": true}"#));
    assert!(error.contains("audit_required: needs an \"audit_file\"; add it"), "{error}");
    assert_eq!(own(r#"{"slots": [], "audit_required": false}"#).config().audit, None);
}
