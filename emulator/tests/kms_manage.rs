//! The life of a KMS key through the API: made, tagged, named, described, disabled, deleted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::{Action, AwsKey, Fault};
use common::{Bench, bench, sign_body};
use serde_json::{Value, json};

const NOT_FOUND: &str = "NotFoundException";
const VALIDATION: &str = "ValidationException";
const PENDING: &str = "KMSInvalidStateException";

fn tag(key: &str, value: &str) -> Value {
    json!({ "TagKey": key, "TagValue": value })
}

fn described(bench: &Bench, key: &str) -> Value {
    bench.kms("DescribeKey", &json!({ "KeyId": key })).json()["KeyMetadata"].clone()
}

#[test]
fn a_key_is_made_with_all_that_is_asked_for() {
    let bench = bench();
    let asked = json!({
        "KeySpec": "ML_DSA_65", "KeyUsage": "SIGN_VERIFY", "Description": "for releases", "MultiRegion": true,
        "Policy": "{}", "BypassPolicyLockoutSafetyCheck": true, "Tags": [tag("team", "blue"), tag("a", "")],
    });
    let made = bench.kms("CreateKey", &asked).json()["KeyMetadata"].clone();
    let id = made["KeyId"].as_str().unwrap();
    assert!(id.starts_with("mrk-"));
    assert_eq!(made["Arn"], format!("arn:aws:kms:eu-central-1:111122223333:key/{id}"));
    assert_eq!((&made["Description"], &made["MultiRegion"]), (&json!("for releases"), &json!(true)));
    let tags = bench.kms("ListResourceTags", &json!({ "KeyId": id })).json();
    assert_eq!(tags, json!({ "Tags": [tag("a", ""), tag("team", "blue")], "Truncated": false }));
    assert_eq!(bench.kms("Sign", &sign_body(id, b"m", "RAW", "ML_DSA_SHAKE_256")).status, 200);
    let plain = bench.kms("CreateKey", &json!({})).json()["KeyMetadata"].clone();
    assert_eq!((&plain["KeySpec"], &plain["KeyUsage"]), (&json!("SYMMETRIC_DEFAULT"), &json!("ENCRYPT_DECRYPT")));
    let made = AwsKey::new("ECC_NIST_P256").description("by hand").tag("team", "red");
    let id = bench.emulator.aws().create_key(made).unwrap().id;
    assert_eq!(described(&bench, &id)["Description"], "by hand");
    let tags = bench.kms("ListResourceTags", &json!({ "KeyId": id })).json()["Tags"].clone();
    assert_eq!(tags, json!([tag("team", "red")]));
}

#[test]
fn keys_that_cannot_be_made_are_refused() {
    let bench = bench();
    let refused = |spec: &str, usage: &str, more: Value| {
        let mut body = json!({ "KeySpec": spec, "KeyUsage": usage });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        bench.kms_error("CreateKey", &body)
    };
    let none = json!({});
    assert_eq!(refused("RSA_1024", "SIGN_VERIFY", none.clone()).0, VALIDATION);
    assert_eq!(refused("RSA_2048", "SIGN", none.clone()).0, VALIDATION);
    assert_eq!(
        refused("ECC_NIST_EDWARDS25519", "KEY_AGREEMENT", none).1,
        "KeyUsage KEY_AGREEMENT is not compatible with KeySpec ECC_NIST_EDWARDS25519"
    );
    let more = |more: Value| refused("ECC_NIST_P256", "SIGN_VERIFY", more);
    assert_eq!(more(json!({ "Description": "d".repeat(8193) })).0, VALIDATION);
    assert_eq!(more(json!({ "Origin": "EXTERNAL" })).0, "UnsupportedOperationException");
    let tags = |tags: Vec<Value>| more(json!({ "Tags": tags }));
    let is = |code: &str, text: &str| (code.to_owned(), text.to_owned());
    assert_eq!(tags(vec![tag("a", "1"), tag("a", "2")]), is("TagException", "Duplicate tag keys"));
    assert_eq!(tags(vec![tag("AWS:a", "1")]), is("TagException", "Tags beginning with aws: are reserved"));
    let many = (0..51).map(|number| tag(&format!("k{number}"), "")).collect();
    assert_eq!(tags(many), is("TagException", "Too many tags"));
    let long = tags(vec![tag("a", "1"), tag("b", &"v".repeat(257))]).1;
    assert!(long.ends_with(
        "at 'tags.2.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256"
    ));
    assert!(tags(vec![tag("", "1")]).1.contains("'tags.1.member.tagKey'"));
    assert_eq!(bench.kms("ListKeys", &json!({})).json()["Keys"], json!([]));
}

#[test]
fn tags_are_added_replaced_and_taken_away() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/x")).unwrap();
    let list = || bench.kms("ListResourceTags", &json!({ "KeyId": key.arn })).json()["Tags"].clone();
    let change = |tags: Value| bench.kms("TagResource", &json!({ "KeyId": key.id, "Tags": tags }));
    assert_eq!(change(json!([tag("a", "1"), tag("b", "2")])).status, 200);
    assert_eq!(change(json!([tag("b", "3"), tag("c", "4")])).status, 200);
    assert_eq!(list(), json!([tag("a", "1"), tag("b", "3"), tag("c", "4")]));
    assert_eq!(bench.kms("UntagResource", &json!({ "KeyId": key.id, "TagKeys": ["a", "none"] })).status, 200);
    assert_eq!(list(), json!([tag("b", "3"), tag("c", "4")]));
    let page = bench.kms("ListResourceTags", &json!({ "KeyId": key.id, "Limit": 1 })).json();
    assert_eq!((&page["Tags"], &page["Truncated"]), (&json!([tag("b", "3")]), &json!(true)));
    let many: Vec<Value> = (0..49).map(|number| tag(&format!("k{number}"), "")).collect();
    let refused = |key: &str, tags: Value| bench.kms_error("TagResource", &json!({ "KeyId": key, "Tags": tags })).0;
    assert_eq!(refused(&key.id, json!(many)), "TagException");
    assert_eq!(refused("alias/x", json!([tag("a", "1")])), NOT_FOUND);
    assert_eq!(bench.kms_error("TagResource", &json!({ "KeyId": key.id })).0, VALIDATION);
    assert_eq!(bench.kms_error("UntagResource", &json!({ "KeyId": key.id })).0, VALIDATION);
}

#[test]
fn aliases_follow_the_rules_for_names() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
    let create = |name: &str| json!({ "AliasName": name, "TargetKeyId": key.arn });
    let refused = |name: &str| bench.kms_error("CreateAlias", &create(name));
    assert!(refused("x").1.starts_with("Alias must start with the prefix \"alias/\"."));
    assert_eq!(refused("").0, VALIDATION);
    assert_eq!(refused("alias/").0, "InvalidAliasNameException");
    assert_eq!(refused("alias/aws/x").0, "NotAuthorizedException");
    assert_eq!(refused("alias/a:b").1, "alias/a:b contains invalid characters for an alias");
    assert!(refused("alias/a b").1.contains("'aliasName' failed to satisfy constraint: Member must satisfy regular"));
    assert!(refused(&format!("alias/{}", "x".repeat(251))).1.contains("less than or equal to 256"));
    for name in ["alias/x", "alias/aws-x", "alias/a/b_C-9"] {
        assert_eq!(bench.kms("CreateAlias", &create(name)).status, 200);
        let text = format!("An alias with the name arn:aws:kms:eu-central-1:111122223333:{name} already exists");
        assert_eq!(refused(name), ("AlreadyExistsException".into(), text));
    }
    let target =
        |target: &str| bench.kms_error("CreateAlias", &json!({ "AliasName": "alias/n", "TargetKeyId": target }));
    assert_eq!(target("alias/x").1, "Aliases must refer to keys. Not aliases");
    assert_eq!(target("01234567-0123-4123-a123-0123456789ab").0, NOT_FOUND);
    let page = bench.kms("ListAliases", &json!({ "KeyId": key.id, "Limit": 2 })).json();
    assert_eq!((page["Aliases"].as_array().unwrap().len(), &page["Truncated"]), (2, &json!(true)));
    let rest = bench.kms("ListAliases", &json!({ "KeyId": key.id, "Marker": page["NextMarker"] })).json();
    assert_eq!(rest["Aliases"][0]["AliasName"], "alias/x");
    assert_eq!(rest["Aliases"][0]["AliasArn"], "arn:aws:kms:eu-central-1:111122223333:alias/x");
}

#[test]
fn aliases_are_moved_and_deleted() {
    let bench = bench();
    let aws = bench.emulator.aws();
    let one = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/x")).unwrap();
    let two = aws.create_key(AwsKey::new("ML_DSA_44")).unwrap();
    let agree = aws.create_key(AwsKey::new("ECC_NIST_P256").usage("KEY_AGREEMENT")).unwrap();
    let to = |name: &str, key: &str| json!({ "AliasName": name, "TargetKeyId": key });
    assert_eq!(bench.kms("UpdateAlias", &to("alias/x", &two.id)).status, 200);
    assert_eq!(described(&bench, "alias/x")["KeySpec"], "ML_DSA_44");
    assert_eq!(bench.kms_error("UpdateAlias", &to("alias/x", &agree.id)).0, VALIDATION);
    assert_eq!(bench.kms_error("UpdateAlias", &to("alias/none", &one.id)).0, NOT_FOUND);
    bench.emulator.control().fault(Fault::new("kms.DeleteAlias", Action::Deny).key("alias/x").times(1));
    let delete = json!({ "AliasName": "alias/x" });
    assert_eq!(bench.kms_error("DeleteAlias", &delete).0, "AccessDeniedException");
    assert_eq!(bench.kms("DeleteAlias", &delete).status, 200);
    let gone = "Alias arn:aws:kms:eu-central-1:111122223333:alias/x is not found.".to_owned();
    assert_eq!(bench.kms_error("DeleteAlias", &delete), (NOT_FOUND.into(), gone));
    assert_eq!(bench.kms_error("DescribeKey", &json!({ "KeyId": "alias/x" })).0, NOT_FOUND);
    assert_eq!(bench.emulator.control().count("kms.DeleteAlias"), 3);
}

#[test]
fn a_description_is_changed() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("HMAC_256")).unwrap();
    let body = |text: &str| json!({ "KeyId": key.id, "Description": text });
    assert_eq!(bench.kms("UpdateKeyDescription", &body("new")).status, 200);
    assert_eq!(described(&bench, &key.id)["Description"], "new");
    assert_eq!(bench.kms("UpdateKeyDescription", &body("")).status, 200);
    assert_eq!(described(&bench, &key.id)["Description"], "");
    assert_eq!(bench.kms_error("UpdateKeyDescription", &body(&"d".repeat(8193))).0, VALIDATION);
    assert_eq!(bench.kms_error("UpdateKeyDescription", &json!({ "KeyId": key.id })).0, VALIDATION);
}

#[test]
fn a_key_is_deleted_after_its_waiting_period() {
    let bench = bench();
    let key = bench.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/x")).unwrap();
    let asked = json!({ "KeyId": key.id });
    let schedule = |days: i64| json!({ "KeyId": key.id, "PendingWindowInDays": days });
    for days in [6, 31] {
        assert_eq!(bench.kms_error("ScheduleKeyDeletion", &schedule(days)).0, VALIDATION);
    }
    assert_eq!(
        bench.kms_error("CancelKeyDeletion", &asked),
        (PENDING.into(), format!("{} is not pending deletion.", key.arn))
    );
    let scheduled = bench.kms("ScheduleKeyDeletion", &schedule(7)).json();
    assert_eq!((&scheduled["KeyState"], &scheduled["PendingWindowInDays"]), (&json!("PendingDeletion"), &json!(7)));
    let metadata = described(&bench, "alias/x");
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("PendingDeletion"), &json!(false)));
    assert_eq!(metadata["DeletionDate"], scheduled["DeletionDate"]);
    let sign = sign_body(&key.id, b"m", "RAW", "ECDSA_SHA_256");
    let tags = json!({ "KeyId": key.id, "Tags": [tag("a", "1")] });
    let pending = (PENDING.to_owned(), format!("{} is pending deletion.", key.arn));
    for (operation, body) in [
        ("Sign", &sign),
        ("GetPublicKey", &asked),
        ("EnableKey", &asked),
        ("DisableKey", &asked),
        ("TagResource", &tags),
        ("ScheduleKeyDeletion", &asked),
        ("CreateAlias", &json!({ "AliasName": "alias/y", "TargetKeyId": key.id })),
    ] {
        assert_eq!(bench.kms_error(operation, body), pending, "{operation}");
    }
    assert_eq!(bench.kms("CancelKeyDeletion", &asked).json(), json!({ "KeyId": key.arn }));
    assert_eq!(bench.kms_error("Sign", &sign).0, "DisabledException");
    assert_eq!(bench.kms("EnableKey", &asked).status, 200);
    assert_eq!(bench.kms("Sign", &sign).status, 200);
    assert_eq!(bench.kms("ScheduleKeyDeletion", &asked).json()["PendingWindowInDays"], 30);
}
