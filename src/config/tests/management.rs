//! Tests of the options for rights of programs and for the certificate store.

use crate::config::tests::*;

fn management(members: &str) -> Option<Arc<Management>> {
    slot(&format!(r#""kms_key_id": "{UUID}", "label": "me", "aws_region": "r", {members}"#)).config().slots[0]
        .management
        .clone()
}

fn error(members: &str) -> String {
    error_of(slot(&format!(r#""kms_key_id": "{UUID}", "label": "me", "aws_region": "r", {members}"#)))
}

#[test]
fn nothing_is_allowed_by_default() {
    assert_eq!(management(r#""allow": []"#), None);
    let own = management(r#""allow": ["generate"]"#).unwrap();
    assert!(own.allows(Right::Generate) && !own.allows(Right::Destroy) && own.allows_anything());
    assert_eq!(own.destroy_days, 30);
    let own = management(r#""certificate_store": "/var/lib/x""#).unwrap();
    assert_eq!(own.certificate_store.as_deref(), Some(Path::new("/var/lib/x")));
    assert!(!own.allows_anything(), "a certificate store alone allows no changes");
}

#[test]
fn destroying_keys_needs_a_confirmation() {
    let own = management(r#""allow": ["destroy"], "confirm_destroy": "me", "destroy_days": 7"#).unwrap();
    assert!(own.allows(Right::Destroy));
    assert_eq!(own.destroy_days, 7);
    let wanted = "\"destroy\" needs a confirmation; write the token's label: \"confirm_destroy\": \"me\"";
    assert_eq!(error(r#""allow": ["destroy"]"#), format!("1: slots[0].allow: {wanted}"));
    let other = error(r#""allow": ["destroy"], "confirm_destroy": "you""#);
    assert_eq!(other, format!("1: slots[0].confirm_destroy: {wanted}"));
    assert!(management(r#""confirm_destroy": "me""#).is_none(), "confirm_destroy alone allows nothing");
}

#[test]
fn a_default_right_to_destroy_is_confirmed_in_each_slot() {
    let both = |confirmed: &str| {
        own(&format!(
            r#"{{"aws_region": "r", "allow": ["destroy"], "slots": [
                {{"kms_key_id": "a", "confirm_destroy": "a"}}, {{"kms_key_id": "b"{confirmed}}}, {{"kms_key_id": "c", "allow": []}}]}}"#
        ))
    };
    let config = both(r#", "confirm_destroy": "b""#).config();
    let allowed =
        config.slots.iter().map(|slot| slot.management.as_ref().is_some_and(|own| own.allows(Right::Destroy)));
    assert_eq!(allowed.collect::<Vec<_>>(), [true, true, false]);
    assert!(both("").read().is_err_and(|error| error.contains("\"confirm_destroy\": \"b\"")));
}

#[test]
fn labels_are_changed_where_keys_are_listed() {
    let discovering = |members: &str| slot(&format!(r#""label": "me", "aws_region": "r", "cloud": "aws", {members}"#));
    let config = discovering(r#""discover": true, "allow": ["labels"]"#).config();
    assert!(config.slots[0].management.as_ref().unwrap().allows(Right::Labels));
    let wanted = "\"labels\" needs \"discover\": true, because this file sets the labels of all other keys; remove \
                  \"labels\"";
    assert_eq!(error(r#""allow": ["labels"]"#), format!("1: slots[0].allow: {wanted}"));
    let for_all = r#"{"aws_region": "r", "allow": ["labels"], "slots": [{"kms_key_id": "a"}, {"label": "b", "discover": true, "cloud": "aws"}]}"#;
    let slots = own(for_all).config().slots;
    let allowed = slots.iter().map(|slot| slot.management.as_ref().is_some_and(|own| own.allows(Right::Labels)));
    assert_eq!(allowed.collect::<Vec<_>>(), [false, true], "the first slot does not discover its keys");
}

#[test]
fn values_are_checked() {
    let unknown = "1: slots[0].allow[0]: expected one of generate, destroy, certificates, labels, found \"all\"";
    assert_eq!(error(r#""allow": ["all"]"#), unknown);
    assert_eq!(error(r#""destroy_days": 31"#), "1: slots[0].destroy_days: is 31, but KMS accepts 7 to 30 days");
    assert_eq!(error(r#""destroy_days": 0"#), "1: slots[0].destroy_days: is 0, but KMS accepts 7 to 30 days");
}
