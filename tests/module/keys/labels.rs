//! Labels that the service stores: aliases in KMS and a tag in Key Vault. They are read in a listing and changed
//! by C_SetAttributeValue.

use crate::support::p11::P11;
use crate::support::world::{World, module_path};
use crate::support::writer::{Writer, flag, label, number, p256};
use crate::{c, module_test};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Writer {
    fn labels(&self) -> Vec<String> {
        let mut labels: Vec<_> = self
            .p11
            .find(self.session, &[number(CKA_CLASS, CKO_PRIVATE_KEY)])
            .into_iter()
            .map(|key| self.text(key, CKA_LABEL))
            .collect();
        labels.sort_unstable();
        labels
    }

    fn text(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> String {
        String::from_utf8(self.value(object, kind)).unwrap()
    }

    fn private(&self, text: &str) -> CK_OBJECT_HANDLE {
        let found = self.p11.find(self.session, &[number(CKA_CLASS, CKO_PRIVATE_KEY), label(text)]);
        *found.first().unwrap_or_else(|| panic!("no {text} among {:?}", self.labels()))
    }
}

fn slots(allow: Value) -> Value {
    json!([
        { "label": "a", "cloud": "aws", "discover": true, "allow": allow },
        { "label": "z", "cloud": "azure", "discover": true, "allow": allow },
    ])
}

fn both(world: &World, allow: Value) -> [Writer; 2] {
    world.configure(slots(allow));
    let p11 = world.module();
    [Writer::new(p11, 0), Writer::new(p11, 1)]
}

/// Initializes the module again, without any rights: the state that another process sees.
fn reinitialized(world: &World) -> [Writer; 2] {
    P11::load(&module_path()).finalize().unwrap();
    both(world, json!([]))
}

fn tagged(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

module_test! {
    fn listed_keys_have_their_alias_or_tag_as_label(world) {
        let aws = world.emulator.aws();
        let key = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/first")).unwrap();
        aws.set_alias("alias/team/second", &key.id).unwrap();
        let bare = aws.create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
        aws.create_key(AwsKey::new("SYMMETRIC_DEFAULT").alias("alias/aws/s3")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("named", VaultKey::ec("P-256")).unwrap();
        vault.create_key("tagged", VaultKey::ec("P-256").tag("pkcs11-label", "Wörk shop")).unwrap();
        vault.create_key("untagged", VaultKey::ec("P-256").tag("pkcs11-label", "")).unwrap();
        let [aws, azure] = both(world, json!([]));
        let mut expected = [bare.id.as_str(), "team/second"];
        expected.sort_unstable();
        assert_eq!(aws.labels(), expected);
        let (labelled, unlabelled) = (aws.private("team/second"), aws.private(&bare.id));
        assert_eq!(aws.text(labelled, CKA_ID), key.id, "CKA_ID is the key's name");
        assert_eq!(aws.text(unlabelled, CKA_ID), bare.id);
        assert_eq!(azure.labels(), ["Wörk shop", "named", "untagged"]);
        assert_eq!(azure.text(azure.private("Wörk shop"), CKA_ID), "tagged");
        assert!(aws.p11.find(aws.session, &[label("first")]).is_empty(), "a key has one label, its newest alias");
        assert_eq!((world.count("kms.ListKeys"), world.count("kms.ListAliases")), (1, 1));
        assert_eq!((world.count("kms.GetPublicKey"), world.count("kms.DescribeKey")), (2, 0), "no request about an AWS managed key");
        assert_eq!((world.count("vault.keys.list"), world.count("vault.keys.get")), (1, 3));
    }
}

module_test! {
    fn a_label_finds_its_key_by_one_request(world) {
        let aws = world.emulator.aws();
        let vault = world.emulator.vault("default");
        for number in 0..120 {
            aws.create_key(AwsKey::new("ECC_NIST_P256").reuse().alias(&format!("alias/k{number}"))).unwrap();
        }
        for number in 0..30 {
            vault.create_key(&format!("k{number}"), VaultKey::ec("P-256").reuse().tag("pkcs11-label", &format!("l{number}"))).unwrap();
        }
        let [aws, azure] = both(world, json!([]));
        aws.private("k110");
        azure.private("l7");
        assert_eq!((world.count("kms.ListAliases"), world.count("kms.GetPublicKey")), (2, 1), "two requests for pages and one for the key");
        assert_eq!(world.count("vault.keys.get"), 1);
    }
}

module_test! {
    fn a_label_is_changed_in_the_service(world) {
        let old = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/old")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("old", VaultKey::ec("P-256").tag("team", "a")).unwrap();
        for writer in &both(world, json!(["labels"])) {
            let key = writer.private("old");
            let halves = writer.p11.find(writer.session, &[label("old")]);
            assert_eq!((halves.len(), writer.value(key, CKA_MODIFIABLE)), (2, vec![CK_TRUE]));
            let unique = writer.value(key, CKA_UNIQUE_ID);
            writer.set(key, &[label("team/new-1"), flag(CKA_TOKEN, true)]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert_eq!(writer.p11.find(writer.session, &[label("team/new-1")]), halves, "the same handles");
            assert!(writer.p11.find(writer.session, &[label("old")]).is_empty());
            assert_eq!(writer.value(key, CKA_UNIQUE_ID), unique);
            assert!(writer.p11.sign(writer.session, key, CKM_ECDSA_SHA256, &[], b"data").is_ok());
        }
        assert!(world.emulator.aws().public_key_spki("alias/old").is_ok(), "the old alias still finds the key");
        let tags = [("pkcs11-label", "team/new-1"), ("team", "a")];
        assert_eq!(vault.tags("old").unwrap(), tagged(&tags), "the other tags are still there");
        for writer in &reinitialized(world) {
            let key = writer.private("team/new-1");
            assert_eq!(writer.value(key, CKA_MODIFIABLE), [CK_FALSE], "another program without \"allow\" sees the label");
            assert!([old.id.as_str(), "old"].contains(&writer.text(key, CKA_ID).as_str()));
        }
        assert!(world.log().contains("its label is \"team/new-1\" now"), "{}", world.log());
    }
}

module_test! {
    fn a_former_label_can_be_set_again(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/one")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("one", VaultKey::ec("P-256")).unwrap();
        for writer in &both(world, json!(["labels"])) {
            let key = writer.private("one");
            writer.set(key, &[label("two")]).unwrap();
            writer.set(key, &[label("one")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert_eq!(writer.labels(), ["one"]);
        }
        assert_eq!(vault.tags("one").unwrap(), BTreeMap::new(), "the tag is removed if the label is the name of the key");
        for writer in &reinitialized(world) {
            assert_eq!(writer.labels(), ["one"]);
        }
    }
}

module_test! {
    fn a_generated_key_has_its_label_in_every_program(world) {
        for writer in &both(world, json!(["generate", "labels"])) {
            let [public, _] = writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("made")]).unwrap();
            assert_eq!(writer.text(public, CKA_LABEL), "made");
            writer.set(public, &[label("renamed")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert_eq!(writer.labels(), ["renamed"]);
        }
        let [aws, _] = &reinitialized(world);
        assert_eq!(aws.labels(), ["renamed"]);
        let [aws, _] = &{
            aws.p11.finalize().unwrap();
            both(world, json!(["generate"]))
        };
        let [public, _] = aws.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("alias/prefixed")]).unwrap();
        assert_eq!(aws.text(public, CKA_LABEL), "prefixed", "another program sees the same label");
    }
}

module_test! {
    fn the_certificate_has_the_label_of_its_key(world) {
        world.emulator.vault("default").create_certificate("site", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
        let [_, azure] = both(world, json!(["labels"]));
        let certificate = azure.p11.only(azure.session, CKO_CERTIFICATE);
        azure.set(certificate, &[label("the site")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert_eq!(azure.p11.find(azure.session, &[label("the site")]).len(), 3);
        assert_eq!(azure.text(certificate, CKA_LABEL), "the site");
    }
}

module_test! {
    fn invalid_label_changes_are_refused(world) {
        let aws = world.emulator.aws();
        aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/one")).unwrap();
        aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/other")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("one", VaultKey::ec("P-256")).unwrap();
        let writers = both(world, json!(["labels"]));
        let [aws, azure] = &writers;
        for writer in &writers {
            let key = writer.private("one");
            for template in [vec![(CKA_ID, vec![7])], vec![label("x"), (CKA_ID, vec![7])], vec![label("x"), flag(CKA_SIGN, false)]] {
                assert_eq!(writer.set(key, &template), Err(CKR_ACTION_PROHIBITED), "{template:x?}");
            }
            assert_eq!(writer.set(key, &[label("x"), label("y")]), Err(CKR_TEMPLATE_INCONSISTENT));
            assert_eq!(writer.set(key, &[label("")]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
            assert_eq!(writer.set(key, &[(CKA_LABEL, vec![0xff])]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
            assert_eq!(writer.set(4711, &[label("x")]), Err(CKR_OBJECT_HANDLE_INVALID));
            let profile = writer.p11.find_class(writer.session, CKO_PROFILE)[0];
            assert_eq!(writer.set(profile, &[label("x")]), Err(CKR_ACTION_PROHIBITED));
            let mut info: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
            c!(writer.p11, C_GetSessionInfo(writer.session, &mut info)).unwrap();
            let reader = Writer { p11: writer.p11, session: writer.p11.open(info.slotID) };
            assert_eq!(reader.set(key, &[label("x")]), Err(CKR_SESSION_READ_ONLY));
            assert_eq!(reader.set(key, &[label("one")]), Err(CKR_SESSION_READ_ONLY), "refused even if the label is unchanged");
            assert_eq!(reader.set(profile, &[label("x")]), Err(CKR_SESSION_READ_ONLY));
            assert_eq!(writer.set(key, &[label("one")]), Ok(()), "an unchanged label needs no request");
        }
        for text in ["with space", "aws/mine", "alias/x"] {
            assert_eq!(aws.set(aws.private("one"), &[label(text)]), Err(CKR_ATTRIBUTE_VALUE_INVALID), "{text}");
        }
        assert_eq!(azure.set(azure.private("one"), &[label(&"é".repeat(257))]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        assert_eq!(world.count("kms.CreateAlias") + world.count("kms.UpdateAlias") + world.count("vault.keys.update"), 0);
        assert_eq!(aws.set(aws.private("one"), &[label("other")]), Err(CKR_FUNCTION_FAILED), "the alias still belongs to its key");
        assert!(world.log().contains("alias/other already exists"), "{}", world.log());
        for (writer, operation) in [(aws, "kms.CreateAlias"), (azure, "vault.keys.update")] {
            world.emulator.control().fault(Fault::new(operation, Action::Deny));
            assert_eq!(writer.set(writer.private("one"), &[label("x")]), Err(CKR_FUNCTION_REJECTED));
            assert!(writer.labels().contains(&"one".to_owned()), "the label is unchanged");
        }
        let log = world.log();
        assert!(log.contains("kms:CreateAlias") && log.contains("keys/update"), "{log}");
    }
}

module_test! {
    fn nothing_is_changed_unless_the_configuration_says_so(world) {
        let aws = world.emulator.aws();
        aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/one")).unwrap();
        world.emulator.vault("default").create_key("one", VaultKey::ec("P-256")).unwrap();
        for writer in &both(world, json!(["generate", "certificates"])) {
            assert_eq!(writer.set(writer.private("one"), &[label("x")]), Err(CKR_ACTION_PROHIBITED));
        }
        assert!(world.log().contains("\"allow\": [\"labels\"]"), "{}", world.log());
    }
}

module_test! {
    fn without_permission_for_aliases_keys_are_listed_by_id(world) {
        let key = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/one")).unwrap();
        world.emulator.control().fault(Fault::new("kms.ListAliases", Action::Deny));
        let [aws, _] = both(world, json!([]));
        assert_eq!(aws.labels(), [key.id]);
        let log = world.log();
        assert!(log.contains("their aliases can't be listed") && log.contains("kms:ListAliases"), "{log}");
        assert!(!log.contains("] error: "), "{log}");
    }
}

module_test! {
    fn the_quota_of_aliases_is_reported_without_retry(world) {
        let aws = world.emulator.aws();
        let key = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/one")).unwrap();
        (0..49).for_each(|number| aws.set_alias(&format!("alias/older-{number}"), &key.id).unwrap());
        aws.set_alias("alias/one", &key.id).unwrap();
        let [aws, _] = both(world, json!(["labels"]));
        let asked = world.count("kms.CreateAlias");
        assert_eq!(aws.set(aws.private("one"), &[label("one-too-many")]), Err(CKR_FUNCTION_FAILED));
        assert_eq!(world.count("kms.CreateAlias"), asked + 1, "no time helps against a quota: {}", world.log());
        assert!(world.log().contains("LimitExceededException"), "{}", world.log());
    }
}

module_test! {
    fn an_alias_created_by_a_lost_request_is_accepted(world) {
        let key = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/one")).unwrap();
        let [aws, _] = both(world, json!(["labels"]));
        let private = aws.private("one");
        // As after a request that succeeded and is repeated: the alias exists, although it did not exist a moment ago.
        world.emulator.aws().set_alias("alias/two", &key.id).unwrap();
        let missing = Action::Error { status: 400, code: "NotFoundException".into(), message: "none".into(), innererror: None };
        world.emulator.control().fault(Fault::new("kms.GetPublicKey", missing).times(1));
        aws.set(private, &[label("two")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert_eq!((aws.labels(), world.count("kms.CreateAlias")), (vec!["two".to_owned()], 1));
    }
}
