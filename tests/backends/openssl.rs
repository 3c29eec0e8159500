//! Verification, encryption and key agreement by the `openssl` program.

use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Scheme};
use std::path::Path;
use std::process::Command;

/// Returns whether `signature` (RSA, or ECDSA as r and s) is a valid signature of `digest` by the key in `spki` (DER).
pub fn verifies(spki: &[u8], scheme: Scheme, digest: &[u8], signature: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let ecdsa = scheme.family == Algorithm::Ecdsa;
    let signature = if ecdsa { der(signature) } else { signature.to_vec() };
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER"]);
    command.arg("-inkey").arg(file("key", spki)).arg("-in").arg(file("digest", digest));
    command.arg("-sigfile").arg(file("signature", &signature));
    if scheme.family == Algorithm::Eddsa {
        command.arg("-rawin");
    } else if let Some(hash) = scheme.hash.filter(|_| !ecdsa) {
        command.args(["-pkeyopt", &format!("digest:{}", name(hash))]);
    }
    if scheme.family == Algorithm::RsaPss {
        command.args(["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]);
    }
    command.output().unwrap().status.success()
}

/// Returns `text` encrypted under the RSA key in `spki` (DER).
pub fn encrypted(spki: &[u8], scheme: Scheme, text: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (key, input) = (folder.path().join("key"), folder.path().join("text"));
    std::fs::write(&key, spki).unwrap();
    std::fs::write(&input, text).unwrap();
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey"]).arg(key).arg("-in").arg(input);
    if let Some(hash) = scheme.hash {
        let hash = name(hash);
        let (digest, mgf) = (format!("rsa_oaep_md:{hash}"), format!("rsa_mgf1_md:{hash}"));
        command.args(["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &digest, "-pkeyopt", &mgf]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Generates a key on that curve. Returns its public key, and the secret that it shares with the key in `spki`
/// (both DER).
pub fn agreed(curve: &str, spki: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (own, peer) = (folder.path().join("own"), folder.path().join("peer"));
    std::fs::write(&peer, spki).unwrap();
    let run = |arguments: &str, file: &Path| {
        let output = Command::new("openssl").args(arguments.split(' ')).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out"), &own);
    let public = run("pkey -pubout -outform DER -in", &own);
    let secret = run(&format!("pkeyutl -derive -peerform DER -peerkey {} -inkey", peer.display()), &own);
    (public, secret)
}

/// Returns a PEM public key in DER.
pub fn spki_of_pem(path: &Path) -> Vec<u8> {
    Command::new("openssl").args(["pkey", "-pubin", "-outform", "DER", "-in"]).arg(path).output().unwrap().stdout
}

/// Writes a new RSA key (PKCS#8 or PKCS#1) and its self-signed certificate to one PEM file. Returns the
/// certificate in DER.
pub fn certificate(path: &Path, traditional: bool) -> Vec<u8> {
    let run = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let (folder, key, certificate) = (tempfile::tempdir().unwrap(), "key.pem", "certificate.pem");
    let (key, certificate) = (folder.path().join(key), folder.path().join(certificate));
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    run(&format!("req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 -keyout {key} -out {certificate}"));
    let key = run(&format!("rsa -in {key}{}", if traditional { " -traditional" } else { "" }));
    std::fs::write(path, [std::fs::read(certificate).unwrap(), key].concat()).unwrap();
    run(&format!("x509 -in {certificate} -outform DER"))
}

fn name(hash: Hash) -> String {
    hash.name().to_lowercase().replacen("sha-", "sha", 1)
}

fn der(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let body = [integer(r), integer(s)].concat();
    let length = match body.len() {
        short @ ..128 => vec![short as u8],
        long => vec![0x81, long as u8],
    };
    [vec![0x30], length, body].concat()
}

fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let mut number = number[zeros..].to_vec();
    if number.first().is_none_or(|first| first & 0x80 != 0) {
        number.insert(0, 0);
    }
    [vec![2, number.len() as u8], number].concat()
}
