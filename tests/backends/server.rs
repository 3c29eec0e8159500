//! What the cases have to know about a server, and the environment of this test program.

use cloud_kms_emulator::Emulator;
use cloud_kms_pkcs11::cloud::{Cause, Failure, KeyName, Pending, SharedBackend, runtime};
use cloud_kms_pkcs11::key::{Kind, Scheme};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A service with keys.
pub struct Server {
    pub name: String,
    pub backend: SharedBackend,
    /// Keys that sign.
    pub keys: Vec<ExpectedKey>,
    /// A key that does not exist.
    pub missing: KeyName,
    pub disabled: Option<KeyName>,
    /// A key that does not sign, and a word of the reason.
    pub other_use: Option<(KeyName, &'static str)>,
    /// Keys for key agreement.
    pub key_agreement_keys: Vec<ExpectedKey>,
    /// Secret keys for MACs.
    pub mac_keys: Vec<(KeyName, Kind)>,
    /// Schemes that this server is known to implement wrongly: see the documentation of each emulator.
    pub faulty_schemes: Vec<Scheme>,
    /// The cause that this server reports for an invalid ciphertext. The correct one is `Cause::Undecryptable`.
    pub undecryptable: Cause,
    /// A symmetric key, which cannot sign.
    pub symmetric_key: Option<KeyName>,
    /// Whether keys have labels besides their names.
    pub has_labels: bool,
    /// Whether the newer of two aliases of a key can be determined.
    pub dates_aliases: bool,
}

/// A key, and the kind and public key that it must have.
pub struct ExpectedKey {
    pub key: KeyName,
    pub kind: Kind,
    /// The SubjectPublicKeyInfo of the key, obtained by other means than the backend.
    pub spki: Vec<u8>,
}

pub fn named(id: &str) -> KeyName {
    KeyName { id: id.to_owned(), version: None }
}

pub fn wait<T: Clone>(pending: Pending<T>) -> Result<T, Failure> {
    pending.wait(Instant::now() + Duration::from_secs(150))
}

/// An address where no server listens: a port that is never assigned.
pub const CLOSED_PORT: &str = "127.0.0.1:1";

/// The metadata service of the machine on which this test program appears to run.
pub static MACHINE: LazyLock<Emulator> = LazyLock::new(|| Emulator::start().unwrap());

/// The environment of all tests in this program. It is set up before the first thread that could read it.
pub static FILES: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let credentials = "\
        [default]\naws_access_key_id = emulator-access-key\naws_secret_access_key = emulator-secret-key\n\
        [unknown]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n\
        [session]\naws_access_key_id = temporary\naws_secret_access_key = old\naws_session_token = old\n";
    std::fs::write(folder.path().join("credentials"), credentials).unwrap();
    let reply = r#"{"Version": 1, "AccessKeyId": "emulator-access-key", "SecretAccessKey": "emulator-secret-key", "SessionToken": null, "Expiration": "2099-01-01T00:00:00Z"}"#;
    std::fs::write(folder.path().join("reply.json"), reply).unwrap();
    let path = folder.path().display();
    let config = format!(
        "[profile process]\ncredential_process = grep -q '^SigBlk:.0*$' /proc/self/status && cat {path}/reply.json\n\
         [profile failing]\ncredential_process = echo no such user >&2; exit 3\n\
         [profile chattering]\ncredential_process = echo secret-output\n\
         [profile slow]\ncredential_process = sleep 60\n\
         [profile role]\nrole_arn = arn:aws:iam::111122223333:role/signer\nsource_profile = process\n"
    );
    std::fs::write(folder.path().join("config"), config).unwrap();
    let set = |name: &str, value: &str| {
        #[allow(unsafe_code, reason = "the environment has no safe way to be changed")]
        // SAFETY: no other code changes the environment, and std locks it against its own readers.
        unsafe {
            std::env::set_var(name, value)
        }
    };
    set("AWS_SHARED_CREDENTIALS_FILE", &format!("{path}/credentials"));
    set("AWS_CONFIG_FILE", &format!("{path}/config"));
    set("AWS_EC2_METADATA_DISABLED", "true");
    let az = format!(
        "#!/bin/sh\ngrep -q '^SigBlk:.0*$' /proc/self/status || exit 9\n\
         cat {path}/token.json 2>/dev/null && exit 0\necho \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1\n"
    );
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    let program = folder.path().join("bin/az");
    std::fs::write(&program, az).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    set("AZURE_POD_IDENTITY_AUTHORITY_HOST", &MACHINE.http_url());
    set("GCE_METADATA_HOST", MACHINE.http_url().trim_start_matches("http://"));
    set("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    set("PATH", &format!("{path}/bin:{}", std::env::var("PATH").unwrap()));
    runtime::open();
    folder
});

/// Returns whether `check` becomes true within 30 seconds. The kernel removes a thread from its list shortly after
/// another thread has joined it.
pub fn holds_soon(check: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    while !check() {
        if Instant::now() > end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Returns whether `check` holds in a forked child, which has one minute.
#[allow(unsafe_code, reason = "fork has no safe interface")]
pub fn holds_in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `check` and leaves by _exit; the parent waits for the child.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(60);
                let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
                libc::_exit(i32::from(!held))
            }
            child => {
                let mut status = -1;
                libc::waitpid(child, &mut status, 0) == child && status == 0
            }
        }
    }
}
