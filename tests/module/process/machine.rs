//! Faults on the caller's own machine, and between the machine and a service.
//!
//! No service is blamed for them, and the log line says what to do. docs/errors.md, numbers 6 and 13 to 20.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, in_child};
use base64ct::{Base64, Encoding};
use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault, Flaw, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// Returns one slot per cloud whose key can be used without a request: the first request is for the signature.
fn slots(world: &World) -> Value {
    let vault = world.emulator.vault("default");
    vault.create_certificate("z", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    let certificate = Base64::encode_string(&vault.certificate_der("z", "").unwrap());
    json!([
        { "label": "a", "kms_key_id": "alias/a", "certificate": for_signatures(world) },
        { "label": "z", "key_name": "z", "certificate": certificate },
    ])
}

/// Returns a certificate that determines what its key is for. Only the first signature reveals that the
/// certificate is that of another key.
fn for_signatures(world: &World) -> String {
    let (key, certificate) = (world.home.join("k.pem"), world.home.join("c.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=a", "-addext", "keyUsage=critical,digitalSignature"]);
    command.args(["-keyout".as_ref(), key.as_os_str(), "-out".as_ref(), certificate.as_os_str()]);
    assert!(command.output().unwrap().status.success());
    std::fs::read_to_string(certificate).unwrap()
}

/// Writes the configuration, with TLS for both clouds. Options that are null are left out.
fn configure(world: &World, slots: &Value, more: Value) {
    let all = json!({ "aws_endpoint_url": world.emulator.https_url(), "retries": 0 });
    world.configure_with(slots.clone(), merged(all, more));
    let path = world.home.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    std::fs::write(path, config.to_string()).unwrap();
}

fn merged(mut all: Value, more: Value) -> Value {
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Signs once in that slot. Returns the return code of C_Sign, and ulDeviceError.
fn answer(p11: &P11, slot: CK_SLOT_ID) -> (CK_RV, CK_ULONG) {
    let session = p11.open(slot);
    let key = p11.private_key(session);
    let answer = p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"data");
    let mut info: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
    crate::c!(p11, C_GetSessionInfo(session, &mut info)).unwrap();
    (answer.err().unwrap_or(CKR_OK), info.ulDeviceError)
}

/// Returns the line of an error that was logged after position `before`, or an empty string. Panics if there is
/// more than one.
fn error_since(world: &World, before: usize) -> String {
    let log = world.log()[before..].to_owned();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("] error: ")).collect();
    match lines[..] {
        [] => String::new(),
        [line] => line.to_owned(),
        _ => panic!("more than one line: {log}"),
    }
}

/// Signs once. Returns the return code of C_Sign, ulDeviceError, and the line of the error.
fn sign(world: &World, p11: &P11, slot: CK_SLOT_ID) -> (CK_RV, CK_ULONG, String) {
    let before = world.log().len();
    let (rv, number) = answer(p11, slot);
    (rv, number, error_since(world, before))
}

/// Signs once, between C_Initialize and C_Finalize of its own. Returns the same as [`sign`].
fn signed(world: &World, slot: CK_SLOT_ID) -> (CK_RV, CK_ULONG, String) {
    let p11 = world.module();
    let outcome = sign(world, &p11, slot);
    p11.finalize().unwrap();
    outcome
}

fn assert_reported(outcome: &(CK_RV, CK_ULONG, String), rv: CK_RV, number: CK_ULONG, words: &[&str]) {
    let (found_rv, found_number, line) = outcome;
    assert_eq!((*found_rv, *found_number), (rv, number), "{line}");
    assert!(line.contains("C_Sign: ") && words.iter().all(|words| line.contains(words)), "{words:?}: {line}");
    let none = ["the service refused", "a defect", "panic", "rustls", "/.cargo/", "/registry/"];
    assert!(none.iter().all(|words| !line.contains(words)), "{line}");
}

fn set(name: &str, value: impl AsRef<std::ffi::OsStr>) {
    unsafe { std::env::set_var(name, value) };
}

module_test! {
    fn a_wrong_setting_is_not_reported_as_a_refusal(world) {
        let slots = slots(world);
        for (slot, options, words) in [
            (0, json!({ "aws_region": null }), &["the region is missing", "AWS_REGION"][..]),
            (0, json!({ "aws_region": "eu central", "aws_endpoint_url": null }), &["region", "must be a valid host label"]),
            (0, json!({ "ca_bundle": "/nowhere/ca.pem" }), &["ca_bundle /nowhere/ca.pem: No such file"]),
            (1, json!({ "ca_bundle": "/nowhere/ca.pem" }), &["ca_bundle /nowhere/ca.pem: No such file"]),
            (0, json!({ "proxy": "http://" }), &["the option \"proxy\" is not the URL of a proxy", "empty host"]),
            (1, json!({ "proxy": "http://" }), &["the option \"proxy\" is not the URL of a proxy", "empty host"]),
        ] {
            configure(world, &slots, options);
            let outcome = signed(world, slot);
            assert_reported(&outcome, CKR_FUNCTION_FAILED, 17, words);
            assert!(outcome.2.contains("a setting on this machine is missing or wrong"), "{}", outcome.2);
        }
        assert_eq!(world.requests(), 0);
    }
}

module_test! {
    fn a_program_without_authorities_says_so(world) {
        let slots = slots(world);
        let folder = world.home.join("certs");
        std::fs::create_dir(&folder).unwrap();
        configure(world, &slots, json!({ "ca_bundle": null }));
        let check = |words: &[&str]| {
            for slot in [0, 1] {
                let all = [&["the certificate of 127.0.0.1 can't be checked, because no certificate authorities were found"], words].concat();
                assert_reported(&signed(world, slot), CKR_FUNCTION_FAILED, 17, &all);
            }
        };
        set("SSL_CERT_DIR", &folder);
        check(&[&format!("SSL_CERT_DIR ({}) contains none that can be read", folder.display()), "\"ca_bundle\""]);
        unsafe { std::env::remove_var("SSL_CERT_DIR") };
        set("SSL_CERT_FILE", "/nowhere/ca.pem");
        check(&["SSL_CERT_FILE (/nowhere/ca.pem) contains none that can be read"]);
        // The certificate authorities that the configuration names are sufficient.
        configure(world, &slots, json!({}));
        assert_eq!(signed(world, 1).0, CKR_OK);
    }
}

module_test! {
    fn aws_uses_the_ca_bundle_that_its_tools_use(world) {
        let slots = slots(world);
        let stranger = Emulator::start().unwrap();
        let (good, bad) = (world.home.join("ca.pem"), world.home.join("other.pem"));
        stranger.write_ca(&bad).unwrap();
        let file = world.home.join("aws-config");
        set("AWS_CONFIG_FILE", &file);
        let own = "aws_access_key_id = emulator-access-key\naws_secret_access_key = emulator-secret-key\n";
        let profile = |more: &str| std::fs::write(&file, format!("[default]\n[profile p]\n{own}{more}")).unwrap();
        let ca_bundle = |path: &Path| format!("ca_bundle = {}\n", path.display());
        // The first that exists counts: the bundle of the slot, of the variable, of the profile.
        for (own, variable, shared, trusted) in [
            (None, Some(&good), None, true),
            (None, None, Some(&good), true),
            (None, Some(&good), Some(&bad), true),
            (None, Some(&bad), Some(&good), false),
            (Some(&good), Some(&bad), Some(&bad), true),
            (Some(&bad), Some(&good), Some(&good), false),
            (None, None, None, false),
        ] {
            match variable {
                Some(path) => set("AWS_CA_BUNDLE", path),
                None => unsafe { std::env::remove_var("AWS_CA_BUNDLE") },
            }
            profile(&shared.map(|path| ca_bundle(path)).unwrap_or_default());
            configure(world, &slots, json!({ "ca_bundle": own, "aws_profile": "p" }));
            let asked = world.count("kms.Sign");
            let (_, number, line) = signed(world, 0);
            assert_eq!(number != 15, trusted, "{own:?} {variable:?} {shared:?}: {line}");
            assert_eq!(world.count("kms.Sign") > asked, trusted, "{own:?} {variable:?} {shared:?}: {line}");
        }
        set("AWS_CA_BUNDLE", &good);
        configure(world, &slots, json!({ "ca_bundle": null }));
        assert_reported(&signed(world, 1), CKR_DEVICE_ERROR, 15, &["was issued by CN=Emulator CA"]);
        set("AWS_CA_BUNDLE", "/nowhere/ca.pem");
        assert_reported(&signed(world, 0), CKR_FUNCTION_FAILED, 17, &["AWS_CA_BUNDLE /nowhere/ca.pem: No such file"]);
        unsafe { std::env::remove_var("AWS_CA_BUNDLE") };
        profile(&ca_bundle(Path::new("/nowhere/ca.pem")));
        configure(world, &slots, json!({ "ca_bundle": null, "aws_profile": "p" }));
        let words = ["ca_bundle of the shared AWS configuration /nowhere/ca.pem: No such file"];
        assert_reported(&signed(world, 0), CKR_FUNCTION_FAILED, 17, &words);
    }
}

module_test! {
    fn each_tls_failure_is_reported_specifically(world) {
        let slots = slots(world);
        configure(world, &slots, json!({}));
        let clock = "and this machine's clock shows 20";
        for (action, number, words) in [
            (Action::Certificate(Flaw::Stranger), 15, &["was issued by CN=A Stranger", "\"ca_bundle\""][..]),
            (Action::Certificate(Flaw::SelfSigned), 15, &["is self-signed", "\"ca_bundle\""]),
            (Action::Certificate(Flaw::Authority), 15, &["is a CA certificate", "basicConstraints=CA:FALSE"]),
            (Action::Certificate(Flaw::OtherName), 15, &["is for other names: other.example"]),
            (Action::Certificate(Flaw::Expired), 15, &["expired on 2021-01-01T00:00:00Z", clock]),
            (Action::Certificate(Flaw::Future), 15, &["is not valid before 2049-01-01T00:00:00Z", clock]),
            (Action::TlsAlert { code: 70 }, 6, &["127.0.0.1 supports neither TLS 1.2 nor TLS 1.3"]),
            (Action::TlsAlert { code: 40 }, 6, &["shares no TLS parameters"]),
            (Action::NoTls, 6, &["does not use TLS at this port"]),
        ] {
            world.emulator.control().fault(Fault::new("connection", action));
            for slot in [0, 1] {
                assert_reported(&signed(world, slot), CKR_DEVICE_ERROR, number, words);
            }
            world.emulator.control().clear_faults();
        }
    }
}

module_test! {
    fn a_tls_failure_of_the_authority_is_reported_as_such(world) {
        let slots = slots(world);
        let authority = Emulator::start().unwrap();
        std::fs::write(world.home.join("both.pem"), format!("{}{}", world.emulator.ca_pem(), authority.ca_pem())).unwrap();
        set("AWS_ENDPOINT_URL_STS", authority.https_url());
        let more = json!({
            "azure_authority_host": authority.https_url(),
            "aws_role_arn": "arn:aws:iam::111122223333:role/signer",
            "ca_bundle": world.home.join("both.pem"),
            "retries": 2,
        });
        configure(world, &slots, more);
        for (slot, need) in [(0, "no credentials for this request: "), (1, "no token for this request: ")] {
            for (flaw, words) in [
                (Flaw::OtherName, "is for other names: other.example"),
                (Flaw::Expired, "expired on 2021-01-01T00:00:00Z, and this machine's clock shows 20"),
                (Flaw::Authority, "is a CA certificate"),
            ] {
                authority.control().fault(Fault::new("connection", Action::Certificate(flaw)));
                let before = authority.control().count("connections");
                assert_reported(&signed(world, slot), CKR_DEVICE_ERROR, 15, &[need, words]);
                assert_eq!(authority.control().count("connections"), before + 1, "the request is not repeated");
                authority.control().clear_faults();
            }
            assert_ne!(signed(world, slot).1, 15);
        }
    }
}

module_test! {
    fn a_proxy_failure_names_the_setting_that_configured_it(world) {
        let slots = slots(world);
        let proxy = Emulator::start().unwrap();
        proxy.control().fault(Fault::new("connect", Action::Page { status: 407, authenticate: Some("Basic".into()) }));
        let url = format!("http://user:the-password@127.0.0.1:{}", proxy.port());
        let check = |named_by: &str| {
            for slot in [0, 1] {
                let whose = format!("the proxy {} (from {named_by}) answered 407 Proxy Authentication Required to CONNECT", proxy.http_url());
                assert_reported(&signed(world, slot), CKR_DEVICE_ERROR, 14, &[&whose]);
            }
        };
        configure(world, &slots, json!({ "proxy": url }));
        check("the option \"proxy\"");
        configure(world, &slots, json!({}));
        for name in ["ALL_PROXY", "https_proxy", "HTTPS_PROXY"] {
            set(name, &url);
            check(name);
        }
        set("HTTPS_PROXY", "http://user:the-password@no host:1");
        check("ALL_PROXY");
        assert!(world.log().contains("warn: HTTPS_PROXY is not the URL of a proxy"), "{}", world.log());
        // Hosts in NO_PROXY are reached directly.
        set("NO_PROXY", "127.0.0.1");
        assert_eq!(signed(world, 1).0, CKR_OK);
        assert!(!world.log().contains("the-password"));
    }
}

/// Runs `body` in a child that runs as the user nobody instead of the superuser, so that resource limits apply to it.
fn limited(world: &World, body: impl FnOnce()) -> bool {
    for entry in std::fs::read_dir(&world.home).unwrap() {
        std::os::unix::fs::chown(entry.unwrap().path(), Some(NOBODY), None).unwrap_or_default();
    }
    std::os::unix::fs::chown(&world.home, Some(NOBODY), None).unwrap_or_default();
    in_child(|| {
        unsafe {
            // The limit on processes does not apply to the superuser.
            if libc::geteuid() == 0 {
                assert_eq!(libc::setresuid(NOBODY, NOBODY, NOBODY), 0);
            }
        }
        body();
    })
}

const NOBODY: u32 = 65534;

fn limit(resource: libc::__rlimit_resource_t, value: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
}

/// Returns the slots and a second pair of slots whose hosts have names, so that the names have to be resolved.
fn with_names(world: &World, slots: &Value) -> Value {
    let port = world.emulator.port();
    let mut all = slots.as_array().unwrap().clone();
    let [mut a, mut z] = [all[0].clone(), all[1].clone()];
    (a["label"], a["aws_endpoint_url"]) = (json!("named a"), json!(format!("https://localhost:{port}")));
    (z["label"], z["vault_url"]) = (json!("named z"), json!(format!("https://localhost:{port}")));
    all.extend([a, z]);
    Value::Array(all)
}

module_test! {
    fn a_thread_limit_is_reported(world) {
        let slots = with_names(world, &slots(world));
        configure(world, &slots, json!({ "retries": 1 }));
        let p11 = world.module();
        p11.finalize().unwrap();
        let check = |p11: &P11, slot| assert_reported(&sign(world, p11, slot), CKR_FUNCTION_FAILED, 18, &["this machine can't start another thread", "ulimit -u"]);
        assert!(limited(world, || {
            p11.initialize().unwrap();
            limit(libc::RLIMIT_NPROC, 0);
            check(&p11, 0);
            check(&p11, 1);
        }), "{}", world.log());
        // The runtime is running, but a name has to be resolved.
        assert!(limited(world, || {
            p11.initialize().unwrap();
            assert_eq!(sign(world, &p11, 1).0, CKR_OK);
            limit(libc::RLIMIT_NPROC, 0);
            check(&p11, 2);
            check(&p11, 3);
            assert_eq!(sign(world, &p11, 1).0, CKR_OK, "a call that needs no thread succeeds");
        }), "{}", world.log());
        assert!(!world.log().contains("a defect"), "{}", world.log());
    }
}

/// Opens files until no more can be opened, and then closes `spare` of them.
fn take_files(spare: usize) -> Vec<File> {
    let mut open: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    open.truncate(open.len() - spare);
    open
}

module_test! {
    fn a_descriptor_limit_is_reported(world) {
        let slots = with_names(world, &slots(world));
        configure(world, &slots, json!({ "retries": 1 }));
        let p11 = world.module();
        p11.finalize().unwrap();
        let expected = [CKR_FUNCTION_FAILED, 19];
        let words = ["this machine can't open another file or connection", "Too many open files", "ulimit -n"];
        // From no free descriptors, although the runtime itself needs some, to enough of them.
        for spare in 0..16 {
            for slot in 0..4 {
                assert!(limited(world, || {
                    p11.initialize().unwrap();
                    limit(libc::RLIMIT_NOFILE, 256);
                    let before = world.log().len();
                    let taken = take_files(spare);
                    let (rv, number) = answer(&p11, slot);
                    drop(taken);
                    let line = error_since(world, before);
                    if [rv, number] == expected {
                        assert_reported(&(rv, number, line), rv, number, &words);
                    } else {
                        assert!(spare >= 4 && (rv == CKR_OK || number == 10), "{spare}: {rv} {number} {line}");
                    }
                    // Files that could not be opened or read then are opened and read now.
                    assert_ne!(answer(&p11, slot).1, 19, "{spare}: {}", error_since(world, before));
                }), "{spare} {slot}: {}", world.log());
            }
        }
        assert!(!world.log().contains("a defect"), "{}", world.log());
    }
}
