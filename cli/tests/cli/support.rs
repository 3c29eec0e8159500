//! What the tests share: the emulator, a home directory and the tool.

use cloud_kms_emulator::{Aws, AwsKey, Emulator, EntraClients, GoogleKey, VaultKey};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// An emulator and the home directory of a user.
pub struct World {
    pub emulator: Emulator,
    home: TempDir,
}

/// What a run of the tool has left.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl World {
    /// Starts an emulator without keys, and writes its certificate authority and a service account of Google.
    pub fn new() -> Self {
        let (emulator, home) = (Emulator::start().unwrap(), tempfile::tempdir().unwrap());
        emulator.write_ca(&home.path().join("ca.pem")).unwrap();
        let credentials = emulator.google().service_account_file().unwrap();
        std::fs::write(home.path().join("google.json"), credentials.to_string()).unwrap();
        Self { emulator, home }
    }

    /// Starts an emulator with a key in each cloud, and writes the configuration: the tokens `aws` (P-256), `azure`
    /// (RSA, with a certificate) and `google` (RSA-PSS).
    pub fn with_keys() -> Self {
        let world = Self::new();
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/web")).unwrap();
        world.emulator.vault("default").create_key("web", VaultKey::rsa(2048)).unwrap();
        let google = world.emulator.google().create_key("web", GoogleKey::new("RSA_SIGN_PSS_2048_SHA256")).unwrap();
        world.configure(json!([
            { "label": "aws", "kms_key_id": "alias/web" },
            { "label": "azure", "key_name": "web" },
            { "label": "google", "google_key": google.version },
        ]));
        world
    }

    /// Writes the configuration: these slots, and the options that lead to the emulator.
    pub fn configure(&self, slots: Value) {
        self.configure_with(slots, json!({}));
    }

    /// Writes the configuration with additional options for the whole file.
    pub fn configure_with(&self, slots: Value, more: Value) {
        let mut config = json!({
            "aws_region": "eu-central-1",
            "aws_endpoint_url": self.emulator.http_url(),
            "vault_url": self.emulator.https_url(),
            "azure_authority_host": self.emulator.https_url(),
            "verify_challenge_resource": false,
            "google_endpoint_url": self.emulator.http_url(),
            "google_credentials_file": self.path("google.json"),
            "ca_bundle": self.path("ca.pem"),
            "slots": slots,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(self.path("config.json"), format!("{config:#}\n")).unwrap();
    }

    /// Returns the path of a file in the home directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns the tool, ready to run in the home directory: with the credentials of all clouds and no other variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-kms-pkcs11"));
        command
            .args(arguments)
            .env_clear()
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CLOUD_KMS_PKCS11_MODULE", module_path())
            .env("CLOUD_KMS_PKCS11_CONFIG", self.path("config.json"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", Aws::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", Aws::SECRET_KEY)
            .env("AZURE_TENANT_ID", EntraClients::TENANT)
            .env("AZURE_CLIENT_ID", EntraClients::CLIENT)
            .env("AZURE_CLIENT_SECRET", EntraClients::SECRET);
        command
    }

    /// Runs the tool.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Runs the tool with arguments that contain no spaces.
    pub fn run_line(&self, arguments: &str) -> Run {
        self.run(&arguments.split(' ').collect::<Vec<_>>())
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        write!(formatter, "exit code {:?}, stdout:\n{stdout}\nstderr:\n{}", self.code, self.stderr)
    }
}

impl Run {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }

    /// Returns what the tool has written to stdout. The tool must have succeeded, without a word on stderr.
    pub fn text(&self) -> String {
        self.expect_silence();
        self.stdout()
    }

    /// Checks that the tool has succeeded, without a word on stderr.
    pub fn expect_silence(&self) -> &Self {
        assert!(self.code == Some(0) && self.stderr.is_empty(), "{self:?}");
        self
    }

    /// Returns the JSON document that the tool has written to stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Returns what the tool has written to stdout, whether it has succeeded or not.
    pub fn stdout(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Returns what the tool has written to stderr. The tool must have failed with this exit code.
    pub fn error(&self, code: i32) -> &str {
        assert!(self.code == Some(code), "{self:?}");
        &self.stderr
    }
}

/// Returns the path of the module that cargo built for this test program. It is in the same folder as the program.
pub fn module_path() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let path = program.parent().unwrap_or(Path::new("/")).join("libcloud_kms_pkcs11.so");
    assert!(path.is_file(), "{} is not built", path.display());
    path
}
