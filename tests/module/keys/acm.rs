//! Certificates of AWS Certificate Manager and AWS Private CA, which the configuration names by their ARNs.

use super::certificates::chain_for;
use crate::module_test;
use crate::support::login_slots::{TOKEN, set};
use crate::support::p11::P11;
use crate::support::world::World;
use cloud_kms_emulator::{Action, AwsKey, Fault};
use cryptoki_sys::*;
use serde_json::{Value, json};

const ACM: &str = "arn:aws:acm:us-east-1:111122223333:certificate/12345678-1234-1234-1234-123456789012";
const AUTHORITY: &str =
    "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-2222-3333-4444-555555555555";
const REQUESTS: [&str; 2] = ["acm.GetCertificate", "acm-pca.GetCertificate"];

fn pca() -> String {
    format!("{AUTHORITY}/certificate/0123456789abcdef0123456789abcdef")
}

/// Returns a slot for each service, with the same key, and the chain of the key: root, intermediate, certificate. Both
/// services have the certificate of `certified`.
fn slots(world: &World, certified: &str) -> (Value, [String; 3]) {
    set("AWS_ENDPOINT_URL_ACM", &world.emulator.http_url());
    set("AWS_ENDPOINT_URL_ACM_PCA", &world.emulator.http_url());
    let aws = world.emulator.aws();
    for alias in ["alias/a", "alias/other"] {
        aws.create_key(AwsKey::new("ECC_NIST_P256").alias(alias)).unwrap();
    }
    let chain = chain_for(world, "chain", &aws.public_key_spki(certified).unwrap());
    let issuers = format!("{}\n{}", chain[1], chain[0]);
    for arn in [ACM, &pca()] {
        aws.set_certificate(arn, Some(&chain[2]), Some(&issuers));
    }
    let slots = json!([
        { "label": "acm", "kms_key_id": "alias/a", "acm_certificate_arn": ACM },
        { "label": "pca", "kms_key_id": "alias/a", "acm_pca_certificate_arn": pca() },
    ]);
    (slots, chain)
}

fn counts(world: &World) -> [u64; 2] {
    REQUESTS.map(|operation| world.count(operation))
}

/// Returns the subjects of a slot's certificates, which end with the common names.
fn subjects(p11: &P11, slot: CK_SLOT_ID) -> Vec<Vec<u8>> {
    let session = p11.open(slot);
    let found = p11.find_class(session, CKO_CERTIFICATE);
    found.into_iter().map(|one| p11.attribute(session, one, CKA_SUBJECT).unwrap()).collect()
}

fn assert_whole_chain(world: &World, p11: &P11, slot: CK_SLOT_ID) {
    let found = subjects(p11, slot);
    assert_eq!(found.len(), 3, "{}", world.log());
    assert!(found.iter().zip([&b"web"[..], b"middle", b"root"]).all(|(own, name)| own.ends_with(name)), "{found:?}");
}

/// The key signs, although there is no certificate.
fn assert_signs_without_certificate(world: &World, p11: &P11, slot: CK_SLOT_ID) {
    let session = p11.open(slot);
    assert!(p11.find_class(session, CKO_CERTIFICATE).is_empty());
    let signed = p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data");
    signed.unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
}

module_test! {
    fn a_certificate_and_its_chain_are_requested_once_when_they_are_needed(world) {
        let (slots, _) = slots(world, "alias/a");
        world.configure_with(slots, json!({ "cache": false }));
        let p11 = world.module();
        assert_eq!(p11.slots(), [0, 1]);
        for slot in [0, 1] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            assert_eq!(counts(world)[slot as usize], 0, "a search for keys needs no certificate");
            let certificates = p11.find_class(session, CKO_CERTIFICATE);
            assert_eq!(p11.attribute(session, certificates[0], CKA_ID), p11.attribute(session, key, CKA_ID));
            assert_eq!(p11.find(session, &[(CKA_LABEL, b"middle".to_vec())]), [certificates[1]]);
            assert_whole_chain(world, &p11, slot);
        }
        assert_eq!(counts(world), [1, 1]);
    }
}

module_test! {
    /// The ARN of ACM stays the same when the certificate is renewed.
    fn only_the_certificate_of_a_private_authority_is_cached(world) {
        std::fs::create_dir(world.home.join(".cache")).unwrap();
        let (slots, _) = slots(world, "alias/a");
        world.configure(slots);
        for run in 1..=3 {
            let p11 = world.module();
            [0, 1].into_iter().for_each(|slot| assert_whole_chain(world, &p11, slot));
            p11.finalize().unwrap();
            assert_eq!(counts(world), [run, 1]);
        }
    }
}

module_test! {
    fn a_missing_permission_is_named(world) {
        let (slots, _) = slots(world, "alias/a");
        world.configure(slots);
        REQUESTS.into_iter().for_each(|operation| world.emulator.control().fault(Fault::new(operation, Action::Deny)));
        let p11 = world.module();
        for (slot, permission, arn) in [(0, "acm:GetCertificate", ACM), (1, "acm-pca:GetCertificate", &pca())] {
            assert_signs_without_certificate(world, &p11, slot);
            let log = world.log();
            let line = log.lines().find(|line| line.contains("] error: ") && line.contains(&format!("(needed: {permission})"))).unwrap_or_else(|| panic!("{log}"));
            assert!(line.contains(&format!("the certificate {arn} can't be fetched: GetCertificate: permission denied")), "{line}");
        }
        assert_eq!(counts(world), [1, 1], "a denial is not repeated");
    }
}

module_test! {
    fn a_certificate_of_another_key_is_not_shown(world) {
        let (slots, _) = slots(world, "alias/other");
        world.configure(slots);
        let p11 = world.module();
        for (slot, arn) in [(0, ACM), (1, &pca())] {
            assert_signs_without_certificate(world, &p11, slot);
            assert!(world.log().contains(&format!("the certificate {arn} belongs to another key, so the key is shown without it")));
        }
    }
}

module_test! {
    fn a_certificate_that_is_not_issued_yet_is_requested_again_later(world) {
        let (slots, chain) = slots(world, "alias/a");
        world.configure_with(slots, json!({ "retries": 1 }));
        let aws = world.emulator.aws();
        [ACM, &pca()].into_iter().for_each(|arn| aws.set_certificate(arn, None, None));
        let p11 = world.module();
        [0, 1].into_iter().for_each(|slot| assert_signs_without_certificate(world, &p11, slot));
        assert_eq!(counts(world), [2, 2]);
        assert!(world.log().contains(": RequestInProgressException: "), "{}", world.log());
        assert!(world.log().contains("the certificate is not issued yet"), "{}", world.log());
        p11.finalize().unwrap();
        [ACM, &pca()].into_iter().for_each(|arn| aws.set_certificate(arn, Some(&chain[2]), None));
        let p11 = world.module();
        [0, 1].into_iter().for_each(|slot| assert_eq!(subjects(&p11, slot).len(), 1, "{}", world.log()));
    }
}

module_test! {
    fn a_missing_certificate_is_logged(world) {
        let (mut slots, _) = slots(world, "alias/a");
        slots[0]["acm_certificate_arn"] = format!("{ACM}3").into();
        slots[1]["acm_pca_certificate_arn"] = format!("{}3", pca()).into();
        world.configure(slots);
        let p11 = world.module();
        [0, 1].into_iter().for_each(|slot| assert_signs_without_certificate(world, &p11, slot));
        let log = world.log();
        for service in ["AWS Certificate Manager", "AWS Private CA"] {
            let lines = log.lines().filter(|line| line.contains("ResourceNotFoundException") && line.contains("] error: "));
            assert_eq!(lines.filter(|line| line.contains(service)).count(), 1, "{log}");
        }
        assert_eq!(counts(world), [1, 1]);
    }
}

module_test! {
    fn accidents_are_repeated_as_requests_to_kms_are(world) {
        let (slots, _) = slots(world, "alias/a");
        world.configure_with(slots, json!({ "cache": false }));
        let mut expected = 0;
        for action in [
            Action::Throttle { retry_after: None },
            Action::ResetBeforeReply,
            Action::ResetMidReply,
            Action::ClockSkew,
            Action::Error { status: 500, code: "InternalFailure".into(), message: "x".into(), innererror: None },
        ] {
            REQUESTS.into_iter().for_each(|operation| world.emulator.control().fault(Fault::new(operation, action.clone()).times(1)));
            let p11 = world.module();
            [0, 1].into_iter().for_each(|slot| assert_whole_chain(world, &p11, slot));
            p11.finalize().unwrap();
            expected += 2;
            assert_eq!(counts(world), [expected, expected], "{action:?}");
        }
    }
}

module_test! {
    fn a_reply_that_is_none_is_reported(world) {
        let (slots, _) = slots(world, "alias/a");
        world.configure(slots);
        REQUESTS.into_iter().for_each(|operation| world.emulator.control().fault(Fault::new(operation, Action::GarbageBody)));
        let p11 = world.module();
        [0, 1].into_iter().for_each(|slot| assert_signs_without_certificate(world, &p11, slot));
        let told = world.log().lines().filter(|line| line.contains("] error: ") && line.contains("GetCertificate: unexpected reply from the service")).count();
        assert_eq!(told, 2, "{}", world.log());
    }
}

module_test! {
    /// The credentials of a role are those of the KMS client: STS is asked once for a region.
    fn a_role_s_credentials_serve_both_services(world) {
        let (mut slots, _) = slots(world, "alias/a");
        set("AWS_ENDPOINT_URL_STS", &world.emulator.http_url());
        world.emulator.aws().allow_web_identity(TOKEN);
        let arn = pca().replace("eu-west-1", "eu-central-1");
        let issued = world.home.join("chain/leaf.pem");
        world.emulator.aws().set_certificate(&arn, Some(&std::fs::read_to_string(issued).unwrap()), None);
        slots[1]["acm_pca_certificate_arn"] = arn.into();
        slots[1]["aws_role_arn"] = "arn:aws:iam::111122223333:role/signer".into();
        world.configure(slots);
        let p11 = world.module();
        assert_eq!(subjects(&p11, 1).len(), 1, "{}", world.log());
        let session = p11.open(1);
        p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data").unwrap();
        assert_eq!(world.count("sts.AssumeRole"), 1);
    }
}
