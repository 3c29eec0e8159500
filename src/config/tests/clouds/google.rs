//! Tests of the options for Google Cloud KMS, and of the variables of Google's own programs and libraries.

use crate::cloud::google::{Credentials, ProtectionLevel, Settings, Versions};
use crate::config::tests::*;

const RING: &str = "projects/p/locations/europe-west3/keyRings/r";
const KEY: &str = r#""google_key": "projects/p/locations/europe-west3/keyRings/r/cryptoKeys/k""#;

fn google_of(slot: &Slot) -> &Settings {
    match &*slot.service {
        Service::Google(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn settings(mut world: TestEnvironment) -> Settings {
    google_of(&world.config().slots[0]).clone()
}

fn with(members: &str) -> Settings {
    settings(slot(&format!("{KEY}, {members}")))
}

#[test]
fn the_name_is_the_id_and_its_last_part_the_label() {
    for suffix in ["", "/cryptoKeyVersions/7"] {
        for prefix in ["", "//cloudkms.googleapis.com/", "https://cloudkms.googleapis.com/v1/"] {
            let config = slot(&format!(r#""google_key": "{prefix}{RING}/cryptoKeys/k{suffix}""#)).config();
            let key = only_key(&config);
            assert_eq!(key.name, KeyName { id: format!("{RING}/cryptoKeys/k{suffix}"), version: None });
            assert_eq!((key.label.as_str(), labels(&config)[0]), ("k", "k"));
        }
    }
    let config = slot(&format!(r#"{KEY}, "label": "own", "certificate_path": "/c""#)).config();
    assert_eq!((only_key(&config).label.as_str(), labels(&config)[0]), ("own", "own"));
    let config = slot(&format!(r#""label": "t", "keys": [{{{KEY}}}]"#)).config();
    assert_eq!((only_key(&config).label.as_str(), labels(&config)[0]), ("k", "t"));
}

#[test]
fn every_option_arrives() {
    let defaults = Settings { credentials: Credentials::Metadata, ..Settings::default() };
    assert_eq!(settings(slot(KEY)), defaults);
    let all = with(&format!(
        r#""google_key_ring": "//cloudkms.googleapis.com/{RING}", "google_versions": "newest",
           "google_protection_level": "software", "google_credentials_file": "/c.json",
           "google_impersonate_service_account": "s@p.iam.gserviceaccount.com", "google_quota_project": "q",
           "google_endpoint_url": "https://cloudkms.europe-west3.rep.googleapis.com/",
           "google_universe_domain": "universe.example""#
    ));
    let wanted = Settings {
        endpoint_url: Some("https://cloudkms.europe-west3.rep.googleapis.com".into()),
        universe_domain: Some("universe.example".into()),
        key_ring: Some(RING.into()),
        versions: Versions::Newest,
        hides_software_keys: false,
        protection_level: ProtectionLevel::Software,
        credentials: Credentials::File("/c.json".into()),
        impersonated_account: Some("s@p.iam.gserviceaccount.com".into()),
        quota_project: Some("q".into()),
        network: defaults.network,
    };
    assert_eq!(all, wanted);
}

#[test]
fn credentials_come_from_the_first_place_that_is_configured() {
    let gcloud =
        |folder: &str| Credentials::FileOrMetadata(Path::new(folder).join("application_default_credentials.json"));
    let home = || slot(KEY).set("HOME", "/home/me");
    assert_eq!(settings(home()).credentials, gcloud("/home/me/.config/gcloud"));
    assert_eq!(settings(home().set("CLOUDSDK_CONFIG", "/g")).credentials, gcloud("/g"));
    let variable = home().set("CLOUDSDK_CONFIG", "/g").set("GOOGLE_APPLICATION_CREDENTIALS", "/a.json");
    assert_eq!(settings(variable).credentials, Credentials::File("/a.json".into()));
    let option = slot(&format!(r#"{KEY}, "google_credentials_file": "o.json""#));
    let relative = option.path("etc/cloud-kms-pkcs11/o.json");
    let found = settings(option.set("GOOGLE_APPLICATION_CREDENTIALS", "/a.json")).credentials;
    assert_eq!(found, Credentials::File(relative));
}

#[test]
fn variables_are_defaults() {
    let variables = |world: TestEnvironment| {
        world.set("GOOGLE_CLOUD_QUOTA_PROJECT", "v").set("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "v.v")
    };
    let found = settings(variables(slot(KEY)));
    assert_eq!((found.quota_project.as_deref(), found.universe_domain.as_deref()), (Some("v"), Some("v.v")));
    let own = slot(&format!(r#"{KEY}, "google_quota_project": "o", "google_universe_domain": "o.o""#));
    let found = settings(variables(own));
    assert_eq!((found.quota_project.as_deref(), found.universe_domain.as_deref()), (Some("o"), Some("o.o")));
}

#[test]
fn the_key_ring_selects_the_cloud_and_is_a_default() {
    let discover = slot(&format!(r#""label": "t", "discover": true, "google_key_ring": "{RING}""#)).config();
    assert_eq!(
        (&discover.slots[0].keys, google_of(&discover.slots[0]).key_ring.as_deref()),
        (&Keys::Discovered, Some(RING))
    );
    let top = format!(r#"{{"google_key_ring": "{RING}", "slots": [{{"label": "t", "discover": true}}, {{{KEY}}}]}}"#);
    assert!(own(&top).config().slots.iter().all(|slot| google_of(slot).key_ring.as_deref() == Some(RING)));
    let ring = format!(r#""google_key_ring": "{RING}", "random": "service", "allow": ["generate"]"#);
    assert_eq!(with(&ring).key_ring.as_deref(), Some(RING));
}

#[test]
fn an_unencrypted_endpoint_is_warned_of() {
    let mut world = slot(&format!(r#"{KEY}, "google_endpoint_url": "http://kms.example.com""#));
    world.config();
    let warnings = world.notes(Level::Warn);
    assert!(warnings.contains("slots[0].google_endpoint_url: http://kms.example.com: requests go to another machine"));
    let mut world = slot(&format!(r#"{KEY}, "google_endpoint_url": "http://127.0.0.1:1""#));
    world.config();
    assert_eq!(world.notes(Level::Warn), "");
}

/// The members of a slot, and the message. `{key}` and `{ring}` are placeholders.
const MISTAKES: &[(&str, &str)] = &[
    (
        r#""google_key": "{ring}""#,
        r#"1: slots[0].google_key: "projects/p/locations/europe-west3/keyRings/r" is not the name of a key in Google Cloud KMS: write projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY, with or without /cryptoKeyVersions/NUMBER; `gcloud kms keys list --location LOCATION --keyring RING` shows the names"#,
    ),
    (
        r#""label": "t", "discover": true, "google_key_ring": "r""#,
        r#"1: slots[0].google_key_ring: "r" is not the name of a key ring in Google Cloud KMS: write projects/PROJECT/locations/LOCATION/keyRings/RING; `gcloud kms keyrings list --location LOCATION` shows the names"#,
    ),
    (
        r#"{key}, "key_version": "1""#,
        r#"1: slots[0].key_version: is not an option for keys of Google Cloud KMS; remove it, and add /cryptoKeyVersions/NUMBER to the name in "google_key""#,
    ),
    (
        r#"{key}, "aws_region": "r""#,
        r#"1: slots[0].aws_region: is an option for aws, but "google_key" is an option for google; remove one of the two"#,
    ),
    (
        r#""label": "t", "discover": true, "cloud": "google""#,
        r#"1: slots[0].discover: needs "google_key_ring" in Google Cloud KMS; add "google_key_ring": "projects/PROJECT/locations/LOCATION/keyRings/RING""#,
    ),
    (
        r#"{key}, "random": "service""#,
        r#"1: slots[0].random: "service" needs "google_key_ring" in Google Cloud KMS; add "google_key_ring": "projects/PROJECT/locations/LOCATION/keyRings/RING", or write "random": "system" in this slot"#,
    ),
    (
        r#"{key}, "allow": ["generate"]"#,
        r#"1: slots[0].allow: "generate" needs "google_key_ring" in Google Cloud KMS; add "google_key_ring": "projects/PROJECT/locations/LOCATION/keyRings/RING", or write "allow": [] in this slot"#,
    ),
    (
        r#"{key}, "google_versions": "latest""#,
        r#"1: slots[0].google_versions: expected one of all, newest, found "latest"; did you mean "newest"?"#,
    ),
    (
        r#"{key}, "google_protection_level": "HSM""#,
        r#"1: slots[0].google_protection_level: expected one of hsm, software, found "HSM"; did you mean "hsm"?"#,
    ),
    (
        r#"{key}, "google_impersonate_service_account": "signer""#,
        r#"1: slots[0].google_impersonate_service_account: "signer" is not the email address of a service account: write NAME@PROJECT.iam.gserviceaccount.com"#,
    ),
    (
        r#"{key}, "google_universe_domain": "https://a.b""#,
        r#"1: slots[0].google_universe_domain: "https://a.b" is not the name of a domain, such as googleapis.com; remove the rest of the URL"#,
    ),
    (
        r#"{key}, "google_endpoint_url": "cloudkms.googleapis.com:443""#,
        "1: slots[0].google_endpoint_url: must be a URL that starts with http:// or https://",
    ),
    (
        r#"{key}, "login": "vault_token""#,
        r#"1: slots[0].login: is "vault_token", but the slot's key is in google; expected one of none"#,
    ),
];

#[test]
fn mistakes_are_reported() {
    for (members, message) in MISTAKES {
        assert_eq!(error_of(slot(&members.replace("{key}", KEY).replace("{ring}", RING))), *message);
    }
}
