//! Tests of `aws_failover_regions`.

use crate::config::tests::*;

const MRK: &str = "mrk-1234abcd12ab34cd56ef1234567890ab";
const MRK_ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";

/// Returns the members of a slot with this key and a region with replicas.
fn members(key: &str) -> String {
    format!(r#"{key}, "aws_failover_regions": ["eu-west-1", "eu-north-1"]"#)
}

#[test]
fn multi_region_keys_can_have_replicas() {
    for key in [
        format!(r#""kms_key_id": "{MRK}", "aws_region": "eu-central-1""#),
        format!(r#""kms_key_id": "{MRK_ARN}""#),
        format!(r#""kms_key_arn": "{MRK_ARN}""#),
        format!(r#""label": "l", "keys": [{{ "kms_key_id": "{MRK_ARN}" }}]"#),
        r#""label": "l", "cloud": "aws", "discover": true, "aws_region": "eu-central-1""#.to_owned(),
    ] {
        let config = slot(&members(&key)).config();
        let settings = aws_of(&config.slots[0]);
        assert_eq!(settings.failover_regions, ["eu-west-1", "eu-north-1"], "{key}");
        assert_eq!(settings.region.as_deref(), Some("eu-central-1"), "{key}");
    }
}

#[test]
fn other_keys_have_no_replicas() {
    let region = r#""aws_region": "eu-central-1""#;
    for (key, place, words) in [
        (format!(r#""kms_key_id": "{UUID}", {region}"#), "kms_key_id", "is not a multi-Region key"),
        (format!(r#""kms_key_id": "{ARN}""#), "kms_key_id", "is not a multi-Region key"),
        (format!(r#""kms_key_arn": "{ARN}""#), "kms_key_arn", "is not a multi-Region key"),
        (format!(r#""kms_key_id": "alias/{MRK}", {region}"#), "kms_key_id", "is an alias"),
        (format!(r#""kms_key_id": "{MRK}""#), "kms_key_id", "has no region"),
        (
            format!(r#""label": "l", "keys": [{{ "kms_key_id": "{UUID}" }}], {region}"#),
            "keys[0].kms_key_id",
            "is not a multi-Region key",
        ),
        (
            r#""label": "l", "cloud": "aws", "discover": true"#.to_owned(),
            "aws_failover_regions",
            "needs \"aws_region\"",
        ),
    ] {
        let error = error_of(slot(&members(&key)));
        assert!(error.starts_with(&format!("1: slots[0].{place}: {words}")), "{key}: {error}");
    }
}

#[test]
fn a_slot_can_go_without_the_default() {
    let text = |second: &str| {
        format!(
            r#"{{"aws_region": "eu-central-1", "aws_failover_regions": ["eu-west-1"],
            "slots": [{{"kms_key_id": "{MRK}"}}, {{"kms_key_id": "{UUID}"{second}}}, {{"key_name": "k", {VAULT}}}]}}"#
        )
    };
    let error = error_of(own(&text("")));
    assert!(error.starts_with("2: slots[1].kms_key_id: is not a multi-Region key"), "{error}");
    let config = own(&text(r#", "aws_failover_regions": []"#)).config();
    let regions: Vec<_> = config.slots[..2].iter().map(|slot| aws_of(slot).failover_regions.len()).collect();
    assert_eq!(regions, [1, 0]);
}

#[test]
fn a_region_is_a_name() {
    for (value, words) in [
        (r#"["eu-west-1", ""]"#, "[1]: expected the name of a region"),
        (r#"["EU West"]"#, "[0]: expected the name of a region"),
        (r#"[1]"#, "[0]: expected the name of a region"),
        (r#""eu-west-1""#, ": expected an array of names"),
    ] {
        let error =
            error_of(slot(&format!(r#""kms_key_id": "{MRK}", "aws_region": "r", "aws_failover_regions": {value}"#)));
        assert!(error.starts_with(&format!("1: slots[0].aws_failover_regions{words}")), "{value}: {error}");
    }
}

#[test]
fn one_endpoint_for_all_regions_causes_a_warning() {
    let key = format!(r#""kms_key_id": "{MRK}", "aws_region": "eu-central-1""#);
    let endpoint = r#""aws_endpoint_url": "https://kms.example.com""#;
    for (slot_members, is_shared) in
        [(members(&key), false), (members(&format!("{key}, {endpoint}")), true), (format!("{key}, {endpoint}"), false)]
    {
        let mut world = slot(&slot_members);
        world.config();
        let notes = world.notes(Level::Warn);
        assert_eq!(
            notes.contains("slots[0].aws_failover_regions: all regions are asked at the URL"),
            is_shared,
            "{notes}"
        );
    }
}
