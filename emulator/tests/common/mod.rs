//! Independent witnesses: requests are made (and signed) by curl, signatures are verified by openssl.
#![allow(dead_code, reason = "each test file uses some of it")]

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use cloud_kms_emulator::{Aws, AwsKey, Emulator};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// An emulator and a folder for its CA and for what the commands read.
pub struct Bench {
    pub emulator: Emulator,
    pub folder: TempDir,
}

/// What curl got.
#[derive(Debug)]
pub struct Answer {
    /// The exit code of curl: 0, or for example 56 for a reset and 18 for a body cut short.
    pub exit: i32,
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }
}

pub fn bench() -> Bench {
    let bench = Bench { emulator: Emulator::start().unwrap(), folder: tempfile::tempdir().unwrap() };
    bench.emulator.write_ca(&bench.folder.path().join("ca.pem")).unwrap();
    bench
}

impl Bench {
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
        self.path(name)
    }

    pub fn curl(&self, arguments: &[&str]) -> Answer {
        let ca = self.path("ca.pem");
        // curl 8.14 signs no path as it is.
        let path: &[&str] = if arguments.contains(&"--aws-sigv4") { &[] } else { &["--path-as-is"] };
        let output = Command::new("curl")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .args(["--silent", "--include", "--suppress-connect-headers", "--cacert", &ca])
            .args(path)
            .args(arguments)
            .output()
            .expect("curl runs");
        let out = output.stdout;
        let split = out.windows(4).position(|window| window == b"\r\n\r\n").map_or(out.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&out[..split]).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { exit: output.status.code().unwrap_or(-1), status, head, body: out[split..].to_vec() }
    }

    /// A request to KMS in some region, signed by curl.
    pub fn kms_in(&self, region: &str, operation: &str, body: &Value, more: &[&str]) -> Answer {
        let (scope, target) = (format!("aws:amz:{region}:kms"), format!("X-Amz-Target: TrentService.{operation}"));
        let user = format!("{}:{}", Aws::ACCESS_KEY, Aws::SECRET_KEY);
        let (body, url) = (body.to_string(), self.emulator.http_url());
        let mut arguments = vec!["--aws-sigv4", &scope, "--user", &user, "-H", &target];
        arguments.extend(["-H", "Content-Type: application/x-amz-json-1.1", "--data-binary", &body]);
        arguments.extend(more);
        if !more.iter().any(|argument| argument.starts_with("http") && !argument.contains("127.0.0.1:")) {
            arguments.push(&url);
        }
        self.curl(&arguments)
    }

    pub fn kms(&self, operation: &str, body: &Value) -> Answer {
        self.kms_in(AwsKey::REGION, operation, body, &[])
    }

    /// The error type of a request that KMS refuses, and its message.
    pub fn kms_error(&self, operation: &str, body: &Value) -> (String, String) {
        let answer = self.kms(operation, body);
        assert_eq!(answer.status, 400, "{answer:?}");
        let text = |name: &str| answer.json().get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (text("__type"), text("message") + &text("Message"))
    }

    /// A request to a vault at 127.0.0.1, with a token.
    pub fn vault(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let token = self.emulator.entra().issue_token("https://vault.azure.net");
        let joint = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}{path}{joint}api-version=2025-07-01", self.emulator.http_url());
        self.vault_url(method, &url, &token, body)
    }

    pub fn vault_url(&self, method: &str, url: &str, token: &str, body: Option<&Value>) -> Answer {
        let (authorization, body) = (format!("Authorization: Bearer {token}"), body.map(Value::to_string));
        let mut arguments = vec!["-X", method, "-H", &authorization, "-H", "Content-Type: application/json"];
        if let Some(body) = &body {
            arguments.extend(["--data-binary", body]);
        }
        arguments.push(url);
        self.curl(&arguments)
    }

    /// Status, code and inner code of a request that a vault refuses.
    pub fn vault_error(&self, method: &str, path: &str, body: &Value) -> (u16, String, String) {
        let answer = self.vault(method, path, Some(body));
        let error = answer.json()["error"].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (answer.status, text(&error["code"]), text(&error["innererror"]["code"]))
    }

    /// A request to Cloud KMS at 127.0.0.1, with a token. The path is what follows `/v1/`.
    pub fn google(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let url = format!("{}/v1/{path}", self.emulator.http_url());
        self.vault_url(method, &url, &self.emulator.google().issue_token(), body)
    }

    /// Status, code and message of a request that Cloud KMS refuses.
    pub fn google_error(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String, String) {
        let answer = self.google(method, path, body);
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], answer.status, "{answer:?}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (answer.status, text(&error["status"]), text(&error["message"]))
    }

    /// Whether openssl takes `signature` for a signature of `message`; `options` as for `openssl dgst`.
    pub fn openssl_verifies(&self, spki: &[u8], signature: &[u8], message: &[u8], options: &[&str]) -> bool {
        let (key, signature) = (self.file("key.der", spki), self.file("signature", signature));
        let message = self.file("message", message);
        let mut command = Command::new("openssl");
        if options == ["ed25519"] {
            command.args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", &key, "-rawin"]);
            command.args(["-in", &message, "-sigfile", &signature]);
        } else {
            command.arg("dgst").args(options).args([
                "-verify",
                &key,
                "-keyform",
                "DER",
                "-signature",
                &signature,
                &message,
            ]);
        }
        command.output().expect("openssl runs").status.success()
    }

    /// `openssl` with these arguments and this input.
    pub fn openssl(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let input = self.file("input", input);
        let output = Command::new("openssl").args(arguments).args(["-in", &input]).output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        self.file(name, bytes)
    }

    pub fn ca(&self) -> &Path {
        self.folder.path()
    }
}

/// The options of `openssl dgst` for a signing algorithm of KMS.
pub fn openssl_options(algorithm: &str) -> Vec<&'static str> {
    let mut options = match algorithm.get(algorithm.len() - 3..) {
        _ if algorithm == "ED25519_SHA_512" => return vec!["ed25519"],
        Some("256") => vec!["-sha256"],
        Some("384") => vec!["-sha384"],
        _ => vec!["-sha512"],
    };
    if algorithm.contains("PSS") {
        // Exactly as long as the digest, not "whatever is found".
        options.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
    }
    options
}

pub fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

pub fn unbase64(value: &Value) -> Vec<u8> {
    Base64::decode_vec(value.as_str().expect("text")).expect("base64")
}

pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

pub fn unbase64url(value: &Value) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(value.as_str().expect("text")).expect("base64url")
}

/// r || s as the DER that openssl wants.
pub fn der(raw: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    for half in raw.chunks(raw.len() / 2) {
        let mut number: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        if number.first().is_none_or(|first| *first > 0x7f) {
            number.insert(0, 0);
        }
        content.extend([2, number.len() as u8]);
        content.extend(number);
    }
    let length = content.len() as u8;
    let head = if length > 0x7f { vec![0x30, 0x81, length] } else { vec![0x30, length] };
    [head, content].concat()
}

/// The digest of a message for an algorithm whose name ends in its hash.
pub fn digest(algorithm: &str, message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    let name = algorithm.trim_end_matches('K');
    let hash = match name.get(name.len() - 3..) {
        Some("384") => &SHA384,
        Some("512") => &SHA512,
        _ => &SHA256,
    };
    digest(hash, message).as_ref().to_vec()
}

/// The body of a Sign request.
pub fn sign_body(key: &str, message: &[u8], kind: &str, algorithm: &str) -> Value {
    json!({ "KeyId": key, "Message": base64(message), "MessageType": kind, "SigningAlgorithm": algorithm })
}
