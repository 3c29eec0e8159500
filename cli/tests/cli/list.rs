//! `list` and `uri`.

use crate::support::World;
use cloud_kms_emulator::AwsKey;
use serde_json::json;

#[test]
fn every_token_and_key_is_listed() {
    let world = World::with_keys();
    let text = world.run(&["list"]).text();
    for part in
        ["aws  slot 0: aws_kms", "private key", "P-256", "rsa2048", "pkcs11:token=google;object=google;type=private"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\x1b'), "colors are for terminals only: {text:?}");
}

#[test]
fn json_has_the_names_of_the_cloud() {
    let world = World::with_keys();
    let made = world.run(&["list", "--json", "--slot", "aws"]).json();
    assert_eq!((&made["tokens"][0]["label"], made["tokens"].as_array().unwrap().len()), (&json!("aws"), 1));
    let objects = made["tokens"][0]["objects"].as_array().unwrap();
    let key = objects.iter().find(|object| object["class"] == "private key").unwrap();
    assert_eq!(key["cloud_name"], json!("alias/web"));
    assert_eq!(key["uses"], json!(["sign"]));
    assert_eq!(key["uri"], json!("pkcs11:token=aws;object=aws;type=private"));
}

#[test]
fn one_broken_key_hides_no_other() {
    let world = World::with_keys();
    world.configure(
        json!([{ "label": "none", "kms_key_id": "alias/none" }, { "label": "aws", "kms_key_id": "alias/web" }]),
    );
    let run = world.run(&["list"]);
    assert!(run.stdout().contains("pkcs11:token=aws;object=aws;type=private"), "{run:?}");
    assert!(run.stdout().contains("none  slot 0") && run.stdout().contains("no key") && run.code == Some(1), "{run:?}");
    assert!(run.stderr.contains("NotFoundException"), "the module's own line: {run:?}");
}

/// The module writes its metrics at C_Finalize.
#[test]
fn the_module_is_finalized() {
    let world = World::with_keys();
    world.configure_with(
        json!([{ "label": "aws", "kms_key_id": "alias/web" }]),
        json!({ "metrics_file": world.path("metrics.prom") }),
    );
    world.run(&["uri", "aws"]).text();
    let metrics = std::fs::read_to_string(world.path("metrics.prom")).unwrap();
    assert!(metrics.contains("function=\"C_CloseSession\",result=\"CKR_OK\""), "{metrics}");
}

#[test]
fn a_uri_selects_the_key() {
    let world = World::with_keys();
    assert_eq!(world.run(&["uri", "azure"]).text(), "pkcs11:token=azure;object=azure;type=private\n");
    let run = world.run(&["uri", "other"]);
    let error = run.error(1);
    assert!(error.contains("error: no token has the label \"other\""), "{error}");
    assert!(error.contains("fix:   use one of: \"aws\", \"azure\", \"google\""), "{error}");
}

/// A token shows 32 bytes of its label, in which a character may not be cut.
#[test]
fn long_labels_are_compared_as_a_whole() {
    let world = World::new();
    let beginning = String::from("web-server-of-the-department-no\u{e4}");
    let (one, two) = (format!("{beginning}1"), format!("{beginning}2"));
    let labels = [&one, &two, "same", "same", &"x".repeat(40)];
    let slots = labels.iter().enumerate().map(|(number, label)| {
        let alias = format!("alias/{number}");
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias(&alias)).unwrap();
        json!({ "label": label, "kms_key_id": alias })
    });
    world.configure(slots.collect());
    let listed = world.run(&["list", "--json"]).json();
    for (number, label) in [&one, &two].into_iter().enumerate() {
        let own = world.run(&["list", "--slot", label, "--json"]).json();
        assert_eq!(own["tokens"], json!([listed["tokens"][number]]));
        assert_eq!(own["tokens"][0]["label"], json!(label));
        let serial = own["tokens"][0]["serial"].as_str().unwrap();
        let (token, object) = (&beginning[..31], label.replace('\u{e4}', "%C3%A4"));
        let uri = format!("pkcs11:token={token};serial={serial};object={object};type=private\n");
        assert_eq!(world.run(&["uri", label]).text(), uri);
    }
    let run = world.run(&["uri", &beginning[..31]]);
    assert!(run.error(1).contains("error: 2 tokens show the label"), "{run:?}");
    assert!(run.stderr.contains(&format!("fix:   use one of the whole labels: {one:?}, {two:?}\n")), "{run:?}");
    let run = world.run(&["uri", "same"]);
    assert!(run.error(1).contains("error: 2 tokens have the label \"same\"\nfix:   give each of them"), "{run:?}");
    let run = world.run(&["uri", &beginning]);
    assert!(run.error(1).contains("error: no token has the label"), "{run:?}");
    // The label as other programs show it will do where it is the only one.
    let (shown, whole) = ("x".repeat(32), "x".repeat(40));
    let uri = format!("pkcs11:token={shown};object={whole};type=private\n");
    assert_eq!(world.run(&["uri", &shown]).text(), uri);
}

#[test]
fn a_label_of_several_keys_selects_none() {
    let world = World::new();
    let keys = ["alias/one", "alias/two"].map(|alias| {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias(alias)).unwrap();
        json!({ "kms_key_id": alias, "label": "same" })
    });
    world.configure(json!([{ "label": "ring", "keys": keys }]));
    let run = world.run(&["uri", "ring", "--key", "same"]);
    assert!(
        run.error(1).contains("token \"ring\": several keys have the label \"same\"\nfix:   give each key"),
        "{run:?}"
    );
}
