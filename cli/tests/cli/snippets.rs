//! `snippet`.

use crate::support::{Run, World};
use cloud_kms_emulator::{AwsKey, GoogleKey};
use serde_json::{Value, json};
use std::process::Command;

/// The programs that the tool lists, each with its ways; one empty way for a program without a choice.
fn programs(world: &World) -> Vec<(String, Vec<String>)> {
    let listed = world.run(&["snippet", "--json"]).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |program: &Value| {
        let ways: Vec<_> = program["ways"].as_array().unwrap().iter().map(text).collect();
        (text(&program["name"]), if ways.is_empty() { vec![String::new()] } else { ways })
    };
    listed["programs"].as_array().unwrap().iter().map(row).collect()
}

fn snippet(world: &World, program: &str, way: &str, more: &[&str]) -> Run {
    let mut arguments = vec!["snippet", program];
    if !way.is_empty() {
        arguments.extend(["--through", way]);
    }
    arguments.extend(more);
    world.run(&arguments)
}

#[test]
fn programs_are_listed() {
    let world = World::with_keys();
    let text = world.run(&["snippet"]).text();
    for name in ["OpenSSL", "ssh", "git", "nginx", "Apache", "HAProxy", "curl", "Java", "jarsigner", "osslsigncode"] {
        assert!(text.lines().any(|line| line.split(' ').next() == Some(name)), "{name}: {text}");
    }
    for name in ["pesign", "RAUC", "GnuTLS", "BIND", "systemd-sbsign", "systemd-cryptenroll"] {
        assert!(text.lines().any(|line| line.split(' ').next() == Some(name)), "{name}: {text}");
    }
    let line = text.lines().find(|line| line.starts_with("nginx ")).unwrap();
    assert!(line.ends_with(" --through provider|key-file|engine"), "{line}");
    let run = world.run(&["snippet", "emacs"]);
    let error = run.error(1);
    assert!(
        error.contains("there is no snippet for \"emacs\"") && error.contains("OpenSSL, ssh, git, nginx"),
        "{error}"
    );
}

/// With a label that a shell, OpenSSL and a URI have to have quoted.
#[test]
fn every_variable_is_replaced() {
    let world = World::with_keys();
    let label = "it's \"my\" $HOME key";
    world.configure(json!([{ "label": label, "kms_key_id": "alias/web" }]));
    for (program, ways) in programs(&world) {
        for way in ways {
            let text = snippet(&world, &program, &way, &["--slot", label]).text();
            let commands: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
            assert!(!commands.is_empty(), "{program} {way}: {text}");
            let shell = Command::new("bash").args(["-nc", &text]).output().unwrap();
            let stderr = String::from_utf8_lossy(&shell.stderr);
            assert!(shell.status.success() && stderr.is_empty(), "{program} {way}: {stderr}\n{text}");
            for line in commands {
                let line = line.replace("$PWD", "").replace(r"\$HOME", "").replace("'it'\\''s \"my\" $HOME key'", "");
                let is_left =
                    line.split('$').skip(1).any(|rest| rest.starts_with(|next: char| next.is_ascii_uppercase()));
                assert!(!is_left && !line.contains("${"), "{program} {way}: {line}");
                assert!(!line.contains("token=it's"), "{program} {way}: {line}");
            }
        }
    }
}

#[test]
fn values_are_those_of_the_key() {
    let world = World::with_keys();
    let module = crate::support::module_path();
    let text = world.run(&["snippet", "NGINX", "--slot", "azure"]).text();
    assert!(text.contains(&format!("\npkcs11-module-path = {}\n", module.display())), "{text}");
    assert!(text.contains("\"ssl_certificate_key 'store:pkcs11:token=azure;type=private';\""), "{text}");
    assert!(text.contains("listen 127.0.0.1:8443 ssl;") && text.contains("NAME=VALUE replaces: PORT=8443"), "{text}");
    let text = world.run(&["snippet", "nginx", "--slot", "azure", "--through", "engine", "--set", "PORT=443"]).text();
    assert!(!text.contains("store:") && text.contains("'engine:pkcs11:pkcs11:token=azure;type=private'"), "{text}");
    assert!(text.contains("listen 127.0.0.1:443 ssl;") && !text.contains("NAME=VALUE"), "{text}");
    let text = world.run(&["snippet", "java", "--slot", "azure"]).text();
    assert!(text.contains("\nslot = 1\n"), "{text}");
    let run = world.run(&["snippet", "java", "--slot", "azure", "--set", "PORT=1"]);
    assert!(run.error(1).contains("--set PORT: the snippet has no such value"));
}

/// With one token, no option is needed. Of several keys, the URI names the one.
#[test]
fn the_key_is_chosen_by_its_label() {
    let world = World::with_keys();
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P384").alias("alias/other")).unwrap();
    let keys =
        json!([{ "kms_key_id": "alias/web", "label": "web" }, { "kms_key_id": "alias/other", "label": "the other" }]);
    world.configure(json!([{ "label": "both", "keys": keys }]));
    let text = world.run(&["snippet", "openssl", "--key", "the other"]).text();
    assert!(text.contains("dgst -\"sha384\" -sign \"pkcs11:token=both;object=the%20other;type=private\""), "{text}");
    let text = world.run(&["snippet", "ssh", "--key", "the other"]).text();
    assert!(text.contains("grep \" the other\\$\""), "{text}");
    assert!(world.run(&["snippet", "ssh"]).error(1).contains("several keys"));
    world.configure(json!([{ "label": "a", "kms_key_id": "alias/web" }, { "label": "b", "kms_key_id": "alias/web" }]));
    assert!(world.run(&["snippet", "ssh"]).error(1).contains("choose one by --slot: \"a\", \"b\""));
}

fn warning_of(run: &Run) -> String {
    run.text().lines().skip_while(|line| !line.starts_with("# WARNING")).take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_key_that_does_not_suit_is_named() {
    let world = World::with_keys();
    world.emulator.aws().create_key(AwsKey::new("ML_DSA_65").alias("alias/pq")).unwrap();
    world.emulator.aws().create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/decrypt")).unwrap();
    world.configure(json!([
        { "label": "web", "kms_key_id": "alias/web" },
        { "label": "pq", "kms_key_id": "alias/pq" },
        { "label": "decrypt", "kms_key_id": "alias/decrypt" },
    ]));
    let warning = |program: &str, label: &str| warning_of(&snippet(&world, program, "", &["--slot", label]));
    assert!(warning("ssh", "pq").contains("WARNING: ssh does not work with this kind of key here, but with: RSA"));
    assert!(
        warning("nginx", "decrypt").contains("WARNING: nginx needs a key that may sign; this key may only: decrypt")
    );
    assert!(warning("jarsigner", "web").contains("needs the certificate of the key in the token"));
    assert!(warning("pesign", "web").contains("but with: RSA with PKCS#1 v1.5"));
    for (program, label) in [("ssh", "web"), ("openssl", "pq"), ("systemd", "decrypt")] {
        assert_eq!(warning(program, label), "", "{program} {label}");
    }
    let text = world.run(&["snippet", "openssl", "--slot", "pq"]).text();
    assert!(text.contains("openssl pkeyutl -sign -rawin") && !text.contains("openssl dgst"), "{text}");
}

/// A key of Google makes one kind of RSA signature.
#[test]
fn an_rsa_key_of_google_has_one_padding() {
    let world = World::with_keys();
    let google = world.emulator.google().create_key("pkcs1", GoogleKey::new("RSA_SIGN_PKCS1_4096_SHA512")).unwrap();
    world.configure(json!([
        { "label": "pss", "google_key": google.version.replace("pkcs1", "web") },
        { "label": "pkcs1", "google_key": google.version },
    ]));
    let text = world.run(&["snippet", "openssl", "--slot", "pss"]).text();
    assert!(text.contains("rsa_padding_mode:pss") && !text.contains("-verify public.pem"), "{text}");
    let text = world.run(&["snippet", "openssl", "--slot", "pkcs1"]).text();
    assert!(text.contains("openssl dgst -\"sha512\" -sign") && !text.contains("rsa_padding_mode:pss"), "{text}");
    assert!(warning_of(&snippet(&world, "nginx", "", &["--slot", "pkcs1"])).contains("PKCS#1 v1.5 and PSS"));
}

/// The list of the key's mechanisms contains some that cryptoki does not know.
#[test]
fn a_key_with_every_hash_has_a_snippet() {
    let world = World::with_keys();
    let raw = world.emulator.google().create_key("raw", GoogleKey::new("RSA_SIGN_RAW_PKCS1_2048")).unwrap();
    world.configure(json!([{ "label": "raw", "google_key": raw.version }]));
    let text = world.run(&["snippet", "openssl", "--slot", "raw"]).text();
    assert!(text.contains("openssl dgst -\"sha256\" -sign"), "{text}");
}

#[test]
fn systemd_has_a_program_for_each_use() {
    let world = World::with_keys();
    let text = world.run(&["snippet", "systemd", "--slot", "aws"]).text();
    assert!(text.contains("/systemd-sbsign sign") && !text.contains("systemd-cryptenroll"), "{text}");
    let text = world.run(&["snippet", "systemd", "--slot", "azure"]).text();
    assert!(text.contains("/systemd-sbsign sign") && text.contains("systemd-cryptenroll --pkcs11-token-uri"), "{text}");
}

#[test]
fn a_way_that_a_program_lacks_is_refused() {
    let world = World::with_keys();
    let run = world.run(&["snippet", "rauc", "--slot", "aws", "--through", "provider"]);
    assert!(run.error(1).contains("RAUC has no way through provider") && run.stderr.contains("use --through engine"));
    assert!(world.run(&["snippet", "ssh", "--slot", "aws", "--through", "telepathy"]).error(2).contains("key-file"));
}

/// Every block of docs/clients that is marked as a snippet is shown by some program, for some key.
#[test]
fn every_marked_page_belongs_to_a_program() {
    let world = World::with_keys();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients");
    let mut pages = Vec::new();
    for (program, ways) in programs(&world) {
        for way in ways {
            let made = snippet(&world, &program, &way, &["--slot", "azure", "--json"]).json();
            for page in made["snippets"][0]["pages"].as_array().unwrap() {
                pages.push(page.as_str().unwrap().rsplit('/').next().unwrap().to_owned());
            }
        }
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The page of ML-DSA is for keys that Azure does not have.
        let is_marked = std::fs::read_to_string(&path).unwrap().contains("\n```sh snippet");
        assert!(!is_marked || name == "ml-dsa.md" || pages.contains(&name), "no program has the blocks of {name}");
    }
}
