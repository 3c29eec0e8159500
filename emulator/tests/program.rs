//! The program `cloud-kms-emulator`.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cloud-kms-emulator");

/// Ended with the test, also with one that fails: it would keep the output of `cargo test` open for whoever reads that.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_where_it_is_and_ends_with_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, ready) = (folder.path().join("ca.pem"), folder.path().join("ready.json"));
    let mut child = Command::new(PROGRAM)
        .args(["--aws-key", "alias/demo=ECC_NIST_P256", "--vault-key", "k=P-256", "--vault", "blue"])
        .args(["--aws-key", "alias/pq=ML_DSA_65", "--aws-key", "ECC_NIST_P384:KEY_AGREEMENT"])
        .args([
            "--vault-certificate",
            "c=P-384",
            "--managed-hsm",
            "hsm",
            "--vault-key",
            "h=P-521",
            "--google-key",
            "g=EC_SIGN_P256_SHA256",
            "--google-key-ring",
            "projects/p/locations/global/keyRings/r",
            "--google-key",
            "m=HMAC_SHA256",
            "--exit-with-parent",
        ])
        .arg("--ca-file")
        .arg(&ca)
        .arg("--google-credentials-file")
        .arg(folder.path().join("google.json"))
        .arg("--ready-file")
        .arg(&ready)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(std::fs::read_to_string(&ready).unwrap(), line);
    assert!(std::fs::read_to_string(&ca).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["http_url"], format!("http://127.0.0.1:{}", ready["port"]));
    assert_eq!(ready["keys"][0]["alias"], "alias/demo");
    assert_eq!(ready["keys"][2]["alias"], "alias/pq");
    assert!(ready["keys"][4]["kid"].as_str().unwrap().starts_with("https://blue.vault.azure.net/keys/c/"));
    assert!(ready["keys"][5]["kid"].as_str().unwrap().starts_with("https://hsm.managedhsm.azure.net/keys/h/"));
    assert_eq!(
        ready["keys"][6]["version"],
        format!("{}/cryptoKeys/g/cryptoKeyVersions/1", ready["google"]["key_ring"].as_str().unwrap())
    );
    assert_eq!(ready["keys"][7]["name"], "projects/p/locations/global/keyRings/r/cryptoKeys/m");
    let credentials: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("google.json")).unwrap()).unwrap();
    assert_eq!(credentials["client_email"], ready["google"]["service_account"]);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_ends_on_sigterm() {
    let child = Command::new(PROGRAM).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let Program(child) = &mut Program(child);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with('{'));
    // The shell has its own: /bin/kill is a package of its own, and may be missing.
    assert!(Command::new("sh").args(["-c", "kill $0", &child.id().to_string()]).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
}

#[test]
fn it_says_what_is_wrong_with_its_arguments() {
    for (arguments, text) in [
        (&["--port", "x"][..], "--port needs a number, found x"),
        (&["--vault-key", "k"], "expected NAME=TYPE, found k"),
        (&["--vault-key", "k=P-1"], "or P-256K, found P-1"),
        (&["--aws-key", "demo=RSA_2048"], "an alias starts with alias/"),
        (&["--google-key", "k=RSA"], "RSA is not an algorithm of Cloud KMS"),
        (&["--google-key", "k"], "expected NAME=TYPE, found k"),
        (&["--aws-key", "RSA_1"], "Member must satisfy enum value set"),
        (&["--aws-key", "ML_DSA_65:KEY_AGREEMENT"], "KeyUsage KEY_AGREEMENT is not compatible with KeySpec ML_DSA_65"),
        (&["--ca-file"], "--ca-file needs a value"),
        (&["--no-such"], "unknown option --no-such"),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(text), "{error}");
    }
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--vault-key"));
}
