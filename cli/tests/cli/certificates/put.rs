//! `cert put`.

use super::algorithms::world_of;
use super::openssl::{openssl_text, tool};
use crate::support::{Run, World};
use cloud_kms_emulator::{AwsKey, VaultCertificate, VaultKey};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// Starts a world with two keys of KMS, `web` and `other`, and these options for the slot of `web`.
fn world_with(options: Value) -> World {
    let world = World::new();
    for name in ["web", "other"] {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias(&format!("alias/{name}"))).unwrap();
    }
    let mut web = json!({ "label": "web", "kms_key_id": "alias/web" });
    web.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    world.configure(json!([web, { "label": "other", "kms_key_id": "alias/other" }]));
    world
}

/// Makes `root.pem` with the key `other`, and `NAME.pem`: a certificate of `web`, followed by that of the root.
fn issue(world: &World, name: &str) {
    tool(world, "self-sign --slot other --subject CN=Root --ca --out root.pem --force");
    // The module says on stderr that the file of the configuration does not exist yet.
    let run = world.run(&["csr", "--slot", "web", "--subject", "CN=web", "--out", "web.csr", "--force"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    tool(world, "ca sign --slot other --ca-certificate root.pem --csr web.csr --out leaf.pem --force");
    let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    std::fs::write(world.path(&format!("{name}.pem")), read("root.pem") + &read("leaf.pem")).unwrap();
}

fn certificates(world: &World, slot: &str) -> usize {
    let listed = world.run(&["list", "--slot", slot, "--json"]).json();
    let objects = listed["tokens"][0]["objects"].as_array().unwrap();
    objects.iter().filter(|object| object["class"] == "certificate").count()
}

#[test]
fn the_file_of_the_configuration_is_written() {
    let world = world_with(json!({ "certificate_path": "web.crt" }));
    let path = world.path("web.crt");
    issue(&world, "chain");
    let run = world.run(&["cert", "put", "--slot", "web", "root.pem"]);
    assert!(run.error(1).contains("(Root, P-256) is that of another key"), "{run:?}");
    assert!(run.stderr.contains("this token has \"web\" (P-256)"), "{run:?}");
    assert!(!path.exists());
    let run = world.run(&["cert", "put", "--slot", "web", "chain.pem"]);
    let wanted = format!("token \"web\": the certificate of key \"web\" is in {}\n", path.display());
    assert_eq!((run.code, run.stdout()), (Some(0), wanted), "{run:?}");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written.starts_with(&std::fs::read_to_string(world.path("leaf.pem")).unwrap()),
        "the key's own comes first"
    );
    assert_eq!((written.matches("BEGIN").count(), certificates(&world, "web")), (2, 2));
    openssl_text(&world, "verify -CAfile root.pem web.crt");
    issue(&world, "renewed");
    assert!(world.run(&["cert", "put", "--slot", "web", "renewed.pem"]).error(1).contains("exists already"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);
    tool(&world, "cert put --slot web renewed.pem --force");
    assert_ne!(std::fs::read_to_string(&path).unwrap(), written);
}

#[test]
fn the_certificate_store_is_written() {
    let world = world_with(json!({ "certificate_store": "store" }));
    issue(&world, "chain");
    let run = world.run(&["cert", "put", "--slot", "web", "chain.pem"]);
    assert!(run.error(1).contains("does not allow to store certificates"), "{run:?}");
    let world = world_with(json!({ "allow": ["certificates"] }));
    issue(&world, "chain");
    let run = world.run(&["cert", "put", "--slot", "web", "chain.pem"]);
    assert!(run.error(1).contains("the service stores no certificates with keys"), "{run:?}");
    let world = world_with(json!({ "allow": ["certificates"], "certificate_store": "store" }));
    issue(&world, "chain");
    let run = world.run(&["cert", "put", "--slot", "web", "root.pem"]);
    assert!(run.error(1).contains("(Root, P-256) is that of another key"), "{run:?}");
    assert_eq!(certificates(&world, "web"), 0);
    let text = tool(&world, "cert put --slot web chain.pem");
    assert_eq!(text, "token \"web\": the certificate of key \"web\" is in the certificate store\n");
    assert_eq!(certificates(&world, "web"), 2);
    assert_eq!(
        tool(&world, "cert put --slot web chain.pem"),
        "token \"web\": the certificate of key \"web\" is stored already\n"
    );
    issue(&world, "renewed");
    let run = world.run(&["cert", "put", "--slot", "web", "renewed.pem"]);
    assert!(run.error(1).contains("another certificate of key \"web\" is stored already"), "{run:?}");
    tool(&world, "cert put --slot web renewed.pem --force");
    assert_eq!(certificates(&world, "web"), 2);
    assert!(tool(&world, "cert put --slot web renewed.pem").contains("is stored already"));
}

/// Runs the tool, which the kernel kills when it writes to a file.
fn run_until_it_writes(world: &World, arguments: &[&str]) -> Run {
    let tool = world.command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c 0; ulimit -f 0; exec \"$0\" \"$@\""]).arg(tool.get_program()).args(tool.get_args());
    shell.env_clear().envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Run::of(shell.current_dir(world.path("")).stdin(Stdio::null()))
}

/// The contents of the only file in the certificate store that has certificates.
fn stored(world: &World) -> String {
    let files = std::fs::read_dir(world.path("store")).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "pem")).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn a_certificate_is_not_lost_when_its_successor_is_not_stored() {
    let world = world_with(json!({ "allow": ["certificates"], "certificate_store": "store" }));
    issue(&world, "chain");
    tool(&world, "cert put --slot web chain.pem");
    let previous = stored(&world);
    issue(&world, "renewed");
    let run = run_until_it_writes(&world, &["cert", "put", "--slot", "web", "renewed.pem", "--force"]);
    assert_eq!((run.code, stored(&world)), (None, previous.clone()), "{run:?}");
    // What can't be read back is not written.
    let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    let comment = "A".repeat(64 << 10);
    openssl_text(&world, "genpkey -algorithm ed25519 -out large.key");
    openssl_text(
        &world,
        &format!("req -new -x509 -key large.key -subj /CN=Large -addext nsComment={comment} -out large.pem"),
    );
    openssl_text(&world, "x509 -req -in web.csr -CA large.pem -CAkey large.key -CAcreateserial -out large-leaf.pem");
    std::fs::write(world.path("large-chain.pem"), read("large-leaf.pem") + &read("large.pem")).unwrap();
    let run = world.run(&["cert", "put", "--slot", "web", "large-chain.pem", "--force"]);
    assert!(run.error(1).contains("a file has 65536 bytes at most"), "{run:?}");
    assert_eq!((stored(&world), certificates(&world, "web")), (previous, 2));
    tool(&world, "cert put --slot web renewed.pem --force");
    assert!(read("leaf.pem").lines().skip(1).all(|line| stored(&world).contains(line)));
}

#[test]
fn the_certificates_of_issuers_are_added_later() {
    let world = world_with(json!({ "allow": ["certificates"], "certificate_store": "store" }));
    issue(&world, "chain");
    tool(&world, "cert put --slot web leaf.pem");
    assert_eq!(certificates(&world, "web"), 1);
    tool(&world, "cert put --slot web chain.pem");
    assert_eq!(certificates(&world, "web"), 2);
    // The certificate of the key is the same, so nothing is replaced.
    assert!(tool(&world, "cert put --slot web leaf.pem").contains("is stored already"));
    assert_eq!(certificates(&world, "web"), 2);
}

#[test]
fn the_token_has_the_certificate_of_the_authority() {
    let world = world_with(json!({ "allow": ["certificates"], "certificate_store": "store" }));
    tool(&world, "self-sign --slot web --subject CN=Root --ca --out root.pem");
    tool(&world, "cert put --slot web root.pem");
    tool(&world, "csr --slot other --subject CN=other --out other.csr");
    tool(&world, "ca sign --slot web --csr other.csr --out other.pem");
    openssl_text(&world, "verify -CAfile root.pem other.pem");
}

#[test]
fn a_file_with_more_than_certificates_stays() {
    let world = world_with(json!({ "certificate_path": "web.crt" }));
    issue(&world, "chain");
    let key = openssl_text(&world, "genpkey -algorithm ed25519");
    let all = key + &std::fs::read_to_string(world.path("leaf.pem")).unwrap();
    for (contents, part) in [(all.as_str(), "line 1: PRIVATE KEY"), ("mine", "is not a file of certificates")] {
        std::fs::write(world.path("web.crt"), contents).unwrap();
        let run = world.run(&["cert", "put", "--slot", "web", "chain.pem", "--force"]);
        assert!(run.error(1).contains(part), "{run:?}");
        assert_eq!(std::fs::read_to_string(world.path("web.crt")).unwrap(), contents);
    }
}

#[test]
fn a_certificate_inside_the_configuration_is_changed_there() {
    let world = world_with(json!({}));
    issue(&world, "chain");
    let pem = std::fs::read_to_string(world.path("leaf.pem")).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    world.configure(json!([{ "label": "web", "kms_key_id": "alias/web", "certificate": base64 }]));
    let run = world.run(&["cert", "put", "--slot", "web", "chain.pem"]);
    assert!(run.error(1).contains("replace \"certificate\" by \"certificate_path\""), "{run:?}");
}

/// Lets the vault create a key and a certificate request, through the vault's own API.
fn let_the_vault_wait(world: &World, name: &str) {
    let policy = json!({ "policy": {
        "key_props": { "kty": "EC", "crv": "P-256" },
        "x509_props": { "subject": "CN=asked" },
        "issuer": { "name": "Unknown" },
    } });
    let token = world.emulator.entra().issue_token("https://vault.azure.net");
    let url = format!("{}/certificates/{name}/create?api-version=2025-07-01", world.emulator.https_url());
    let output = Command::new("curl")
        .args(["--silent", "--cacert", "ca.pem", "--data", &policy.to_string(), &url])
        .args(["--header", &format!("Authorization: Bearer {token}"), "--header", "Content-Type: application/json"])
        .current_dir(world.path(""))
        .output()
        .unwrap();
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    let csr = reply["csr"].as_str().unwrap_or_else(|| panic!("{reply}"));
    std::fs::write(world.path("csr.base64"), csr).unwrap();
    openssl_text(world, "base64 -d -A -in csr.base64 -out asked.csr");
}

#[test]
fn a_vault_that_waits_gets_the_certificate() {
    let world = world_of(["aws-ECC_NIST_P256"]);
    let vault = world.emulator.vault("default");
    vault.create_key("old", VaultKey::ec("P-256")).unwrap();
    let slots = |allow: Value| {
        world.configure(json!([
            { "label": "root", "kms_key_id": "alias/ECC_NIST_P256" },
            { "label": "vault", "allow": allow, "keys": [{ "key_name": "old" }, { "key_name": "asked" }] },
        ]));
    };
    slots(json!(["certificates"]));
    let_the_vault_wait(&world, "asked");
    tool(&world, "self-sign --slot root --subject CN=Root --ca --out root.pem");
    tool(&world, "ca sign --slot root --ca-certificate root.pem --csr asked.csr --out asked.pem");
    let run = world.run(&["cert", "put", "--slot", "vault", "root.pem"]);
    assert!(run.error(1).contains("(Root, P-256) is that of another key"), "{run:?}");
    assert!(vault.certificate_der("asked", "").is_err());
    let run = world.run(&["cert", "put", "--slot", "vault", "asked.pem"]);
    assert_eq!(run.stdout(), "token \"vault\": the certificate is in the vault, which waited for it\n", "{run:?}");
    openssl_text(&world, "x509 -in asked.pem -outform DER -out asked.der");
    assert_eq!(vault.certificate_der("asked", "").unwrap(), std::fs::read(world.path("asked.der")).unwrap());
}

#[test]
fn a_certificate_of_the_vault_is_replaced_there() {
    let world = World::new();
    let vault = world.emulator.vault("default");
    vault.create_certificate("web", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
    world.configure(json!([{ "label": "web", "key_name": "web", "allow": ["certificates"] }]));
    tool(&world, "self-sign --slot web --subject CN=web --out web.pem");
    let run = world.run(&["cert", "put", "--slot", "web", "web.pem", "--force"]);
    assert!(run.error(1).contains("the service has another certificate of key \"web\""), "{run:?}");
}
