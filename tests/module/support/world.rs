//! The process of one test: its own home directory, an emulator, a configuration, and the module.

use super::p11::P11;
use cloud_kms_emulator::Emulator;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Defines a test that runs in its own process. The state of a PKCS#11 module, and the environment that configures
/// it, belong to the whole process.
#[macro_export]
macro_rules! module_test {
    ($(#[$meta:meta])* fn $name:ident($world:ident) $body:block) => {
        $(#[$meta])*
        #[test]
        fn $name() {
            $crate::support::world::isolated(concat!(module_path!(), "::", stringify!($name)), |$world| $body);
        }
    };
}

/// The variable that tells the child which test it runs.
const NAME: &str = "MODULE_TEST";

/// Runs `body` in a new process of this test program, with an environment for this test only.
pub fn isolated(path: &str, body: impl FnOnce(&mut World)) {
    isolated_with(path, &[], body);
}

/// Runs `body` in a new process as [`isolated`] does, with more variables in the environment.
pub fn isolated_with(path: &str, more: &[(&str, &str)], body: impl FnOnce(&mut World)) {
    let test = name_of(path);
    if is_child(test) {
        return body(&mut World::new());
    }
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.json");
    let own = [
        ("CLOUD_KMS_PKCS11_CONFIG", config.to_str().unwrap()),
        ("AWS_ACCESS_KEY_ID", cloud_kms_emulator::Aws::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", cloud_kms_emulator::Aws::SECRET_KEY),
        ("AZURE_TENANT_ID", cloud_kms_emulator::EntraClients::TENANT),
        ("AZURE_CLIENT_ID", cloud_kms_emulator::EntraClients::CLIENT),
        ("AZURE_CLIENT_SECRET", cloud_kms_emulator::EntraClients::SECRET),
    ];
    run_child(test, home.path(), &[&own, more].concat());
}

/// Returns the number of repetitions: `few`, or `many` if LONG_TESTS is set, as in CI.
pub fn rounds(few: usize, many: usize) -> usize {
    if std::env::var_os(LONG).is_some() { many } else { few }
}

const LONG: &str = "LONG_TESTS";
/// If this variable is set, host programs run under valgrind.
pub const UNDER_VALGRIND: &str = "UNDER_VALGRIND";

/// Returns the name of a test as the test program knows it, from the path with the crate's name.
pub fn name_of(path: &str) -> &str {
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

/// Returns whether this process was started to run that test.
pub fn is_child(test: &str) -> bool {
    std::env::var(NAME).as_deref() == Ok(test)
}

/// Runs a test in its own process, with this home directory and environment and no other variables.
pub fn run_child(test: &str, home: &Path, environment: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env_clear()
        .env(NAME, test)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs([LONG, UNDER_VALGRIND].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test} in its own process: {}\n{text}", output.status);
    assert!(text.contains("1 passed"), "{test} did not run in its own process:\n{text}");
}

/// The environment of a test.
pub struct World {
    pub emulator: Emulator,
    pub home: PathBuf,
}

impl World {
    fn new() -> Self {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        let emulator = Emulator::start().unwrap();
        emulator.write_ca(&home.join("ca.pem")).unwrap();
        Self { emulator, home }
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
            "ca_bundle": self.home.join("ca.pem"),
            "log_file": self.log_path(),
            "log_level": "debug",
            "slots": slots,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(self.home.join("config.json"), config.to_string()).unwrap();
    }

    /// Loads and initializes the module.
    pub fn module(&self) -> P11 {
        let p11 = P11::load(&module_path());
        p11.initialize().unwrap();
        p11
    }

    /// Returns what the module has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Returns the number of requests for an operation that the emulator received.
    pub fn count(&self, operation: &str) -> u64 {
        self.emulator.control().count(operation)
    }

    /// Returns the number of requests of any kind, except those that only serve to get a token.
    pub fn requests(&self) -> u64 {
        let counts = self.emulator.control().counts();
        let asked = counts.iter().filter(|(name, _)| name.starts_with("kms.") || name.starts_with("vault."));
        asked.filter(|(name, _)| *name != "vault.challenge").map(|(_, count)| count).sum()
    }

    fn log_path(&self) -> PathBuf {
        self.home.join("module.log")
    }
}

/// Returns whether `check` becomes true within a minute. The kernel removes a thread from its list shortly after
/// another thread has joined it.
pub fn holds_soon(check: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while !check() {
        if Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Returns the path of the module that cargo built for this test program. It is in the same folder as the program.
pub fn module_path() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let path = program.parent().unwrap().join("libcloud_kms_pkcs11.so");
    assert!(path.is_file(), "{} is not built", path.display());
    path
}

/// Returns whether `signature` is a valid signature of `data`, according to the `openssl` program, which shares no
/// code with this project.
pub fn openssl_verifies(dir: &Path, spki: &[u8], data: &[u8], signature: &[u8], options: &[&str]) -> bool {
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let key = file("verify.spki", spki);
    let data = file("verify.data", data);
    let signature = file("verify.signature", signature);
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey"]).arg(key);
    command.arg("-in").arg(data).arg("-sigfile").arg(signature).args(options);
    command.output().unwrap().status.success()
}

/// Runs `body` in a forked child. Returns whether `body` succeeded within a minute.
pub fn in_child(body: impl FnOnce()) -> bool {
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(60);
                let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
                libc::_exit(i32::from(!held));
            }
            child => {
                let mut status = -1;
                libc::waitpid(child, &mut status, 0) == child && status == 0
            }
        }
    }
}

/// Runs `body` with standard error redirected to a file.
pub fn redirected<T>(path: &Path, body: impl FnOnce() -> T) -> T {
    unsafe {
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let file = libc::open(path.as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o600);
        let kept = libc::dup(2);
        libc::dup2(file, 2);
        let outcome = body();
        libc::dup2(kept, 2);
        outcome
    }
}

/// Returns the DigestInfo of a SHA-256 digest, as printed in RFC 8017 section 9.2 note 1.
pub fn digest_info_sha256(digest: &[u8]) -> Vec<u8> {
    let prefix = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ];
    [&prefix[..], digest].concat()
}

/// Returns the DER encoding, which openssl takes, of an ECDSA signature in the form r || s.
pub fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = number.first().is_none_or(|first| first & 0x80 != 0);
        let content = [&vec![0; usize::from(sign)][..], &number].concat();
        [&[0x02, u8::try_from(content.len()).unwrap()][..], &content].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let content = [integer(r), integer(s)].concat();
    let length = u8::try_from(content.len()).unwrap();
    let head = if length < 0x80 { vec![0x30, length] } else { vec![0x30, 0x81, length] };
    [head, content].concat()
}
