//! No secret is ever logged, or written to the audit trail or the metrics: with every kind of credentials, in success and in
//! failure, at the most detailed log level.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, module_path, redirected};
use base64ct::{Base64, Base64Url, Encoding};
use cloud_kms_emulator::{Action, Aws, AwsKey, EntraClients, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const PIN: &str = "the-users-own-PIN";
pub(super) const MESSAGE: &[u8] = b"the plain text of a contract that nobody is to read";
const TOKEN: &str = "a-federated-token-of-the-cluster";
const PROFILE: &str = "the-profile-of-the-login";
const AUDIT: &str = "audit.jsonl";
const METRICS: &str = "metrics.prom";
const PASSWORD: &str = "the-password-of-the-proxy";

/// One way to supply credentials, valid or invalid.
#[derive(Default)]
struct Setting {
    name: &'static str,
    /// Changes to the environment that every test has. None removes a variable.
    environment: Vec<(&'static str, Option<String>)>,
    /// Options of the whole file, of the slot in KMS, and of the slot in Key Vault.
    options: [Value; 3],
    /// Secrets of this setting only.
    secrets: Vec<String>,
    /// The PINs that the tokens of the two clouds get at C_Login.
    pins: [&'static str; 2],
    /// Whether the keys of the two clouds can sign.
    works: [bool; 2],
}

fn setting(name: &'static str, works: [bool; 2]) -> Setting {
    Setting { name, works, pins: [PIN, PIN], options: [json!({}), json!({}), json!({})], ..Setting::default() }
}

impl Setting {
    fn with(mut self, variable: &'static str, value: impl Into<Option<String>>) -> Self {
        self.environment.push((variable, value.into()));
        self
    }

    fn file(mut self, options: Value) -> Self {
        self.options[0] = options;
        self
    }

    fn aws(mut self, options: Value) -> Self {
        self.options[1] = options;
        self
    }

    fn azure(mut self, options: Value) -> Self {
        self.options[2] = options;
        self
    }

    fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Configures tokens whose credential is the PIN.
    fn logins(mut self, aws: Value, pins: [&'static str; 2]) -> Self {
        (self.options[1], self.options[2]) = (aws, json!({ "login": "azure_client_secret" }));
        self.pins = pins;
        self.secrets.extend(pins.map(str::to_owned));
        self.bare()
    }

    /// Removes the variables that every test has, so that other sources of credentials are used.
    fn bare(self) -> Self {
        let own = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET"];
        own.into_iter().fold(self, |setting, variable| setting.with(variable, None))
    }
}

fn file(world: &World, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = world.home.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Returns a command that prints `text` to standard output.
fn program(world: &World, name: &str, text: &str) -> String {
    format!("cat {}", file(world, name, text).display())
}

fn process_credentials(id: &str, secret: &str, token: &str) -> String {
    json!({ "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": token }).to_string()
}

/// Writes a profile to the home directory whose credentials come from `command`. Returns the path of the file.
fn profile(world: &World, command: &str) -> Option<String> {
    let path =
        file(world, &format!("profile-{}", command.len()), format!("[default]\ncredential_process = {command}\n"));
    Some(path.display().to_string())
}

/// Writes the profile that a login names. Returns the path of the file.
fn profile_of_login(world: &World) -> Option<String> {
    let (id, secret) = (Aws::ACCESS_KEY, Aws::SECRET_KEY);
    let text = format!("[profile {PROFILE}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
    Some(file(world, "profiles", text).display().to_string())
}

/// Creates an application's key and certificate in one file. The base64 lines of the key are the secret.
fn client_certificate(world: &World) -> (PathBuf, Vec<String>) {
    let (key, certificate) = (world.home.join("app.key"), world.home.join("app.pem"));
    let run = |arguments: &[&str]| assert!(Command::new("openssl").args(arguments).output().unwrap().status.success());
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    run(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=app",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        certificate,
    ]);
    run(&["x509", "-in", certificate, "-outform", "DER", "-out", &format!("{certificate}.der")]);
    let der = std::fs::read(format!("{certificate}.der")).unwrap();
    world.emulator.entra().register_certificate(EntraClients::TENANT, EntraClients::CLIENT, &der);
    let text = std::fs::read_to_string(key).unwrap();
    let both = [std::fs::read_to_string(certificate).unwrap(), text.clone()].concat();
    let lines = text.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect();
    (file(world, "application.pem", both), lines)
}

/// Returns all ways to supply credentials.
#[allow(clippy::too_many_lines, reason = "one list of cases")]
fn settings(world: &World) -> Vec<Setting> {
    let aws = world.emulator.aws();
    aws.allow_session("ASIASESSION", "secret-key-of-the-session", "token-of-the-session");
    aws.allow_session("ASIAPROCESS", "secret-key-of-the-process", "token-of-the-process");
    aws.allow_web_identity(TOKEN);
    world.emulator.entra().allow_federated_token(TOKEN);
    let (tenant, client) = (EntraClients::TENANT, EntraClients::CLIENT);
    let auth = |password: &str| json!({ "tenant": tenant, "appId": client, "password": password }).to_string();
    let (certificate, key_lines) = client_certificate(world);
    let token_file = file(world, "federated", TOKEN).display().to_string();
    let printed = process_credentials("ASIAPROCESS", "secret-key-of-the-process", "token-of-the-process");
    let broken = printed.replace("\"Version\":1", "\"Version\":\"oops\"");
    let mut with_key = setting("client certificate", [true, true])
        .bare()
        .azure(json!({ "azure_client_certificate_path": certificate }));
    with_key.secrets = key_lines;
    let with_key = with_key.with(
        "AWS_SHARED_CREDENTIALS_FILE",
        Some(
            file(
                world,
                "credentials",
                format!(
                    "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                    Aws::ACCESS_KEY,
                    Aws::SECRET_KEY
                ),
            )
            .display()
            .to_string(),
        ),
    );
    let web_identity =
        json!({ "login": "aws_web_identity_token", "aws_role_arn": "arn:aws:iam::111122223333:role/signer" });
    vec![
        setting("the environment", [true, true]),
        setting("session in the environment", [true, true])
            .with("AWS_ACCESS_KEY_ID", Some("ASIASESSION".into()))
            .with("AWS_SECRET_ACCESS_KEY", Some("secret-key-of-the-session".into()))
            .with("AWS_SESSION_TOKEN", Some("token-of-the-session".into()))
            .secret("secret-key-of-the-session")
            .secret("token-of-the-session"),
        setting("credential_process, auth file", [true, true])
            .bare()
            .with("AWS_CONFIG_FILE", profile(world, &program(world, "printed.json", &printed)))
            .azure(json!({ "azure_auth_file": file(world, "azureauth.json", auth(EntraClients::SECRET)) }))
            .secret("secret-key-of-the-process")
            .secret("token-of-the-process"),
        setting("web identity, workload identity", [true, true])
            .bare()
            .with("AWS_WEB_IDENTITY_TOKEN_FILE", Some(token_file.clone()))
            .with("AWS_ROLE_ARN", Some("arn:aws:iam::111122223333:role/signer".into()))
            .with("AWS_ENDPOINT_URL_STS", Some(world.emulator.http_url()))
            .with("AZURE_FEDERATED_TOKEN_FILE", Some(token_file)),
        with_key,
        setting("secret in the configuration and in a file", [true, true])
            .with("AZURE_CLIENT_SECRET", None)
            .azure(json!({ "azure_client_secret": EntraClients::SECRET })),
        setting("a proxy with a password", [true, true])
            .file(json!({ "proxy": format!("http://user:{PASSWORD}@127.0.0.1:{}", world.emulator.port()) })),
        setting("a proxy that is not there", [false, false])
            .file(json!({ "proxy": format!("http://user:{PASSWORD}@127.0.0.1:1") })),
        setting("a proxy that is no URL", [false, false])
            .file(json!({ "proxy": format!("http://user:{PASSWORD}@host name:x") })),
        setting("all wrong", [false, false])
            .with("AWS_SECRET_ACCESS_KEY", Some("a-wrong-secret-key".into()))
            .with("AZURE_CLIENT_SECRET", Some("a-wrong-client-secret".into()))
            .secret("a-wrong-secret-key")
            .secret("a-wrong-client-secret"),
        setting("a program that prints no credentials, an auth file that is none", [false, false])
            .bare()
            .with("AWS_CONFIG_FILE", profile(world, &program(world, "a-broken-printed.json", &broken)))
            .azure(json!({ "azure_auth_file": file(world, "broken.json", auth("a-lost-password").replace("appId", "appid")) }))
            .secret("secret-key-of-the-process")
            .secret("a-lost-password"),
        setting("a program that fails, an unknown federated token", [false, false])
            .bare()
            .with("AWS_CONFIG_FILE", profile(world, &format!("{}; exit 3", program(world, "printed-too.json", &printed))))
            .with("AZURE_FEDERATED_TOKEN_FILE", Some(file(world, "unknown", "a-token-that-nobody-knows").display().to_string()))
            .secret("secret-key-of-the-process")
            .secret("a-token-that-nobody-knows"),
        setting("logins", [true, true])
            .with("AWS_ENDPOINT_URL_STS", Some(world.emulator.http_url()))
            .logins(web_identity.clone(), [TOKEN, EntraClients::SECRET]),
        setting("logins with wrong PINs", [false, false])
            .with("AWS_ENDPOINT_URL_STS", Some(world.emulator.http_url()))
            .logins(web_identity, ["a-web-identity-that-nobody-knows", "a-wrong-client-secret"]),
        setting("a login with a profile", [true, false])
            .with("AWS_CONFIG_FILE", profile_of_login(world))
            .logins(json!({ "login": "aws_profile" }), [PROFILE, PIN]),
        setting("a login with a profile that has no credentials", [false, false])
            .with("AWS_CONFIG_FILE", Some(file(world, "empty", format!("[profile {PROFILE}]\nregion = r\n")).display().to_string()))
            .logins(json!({ "login": "aws_profile" }), [PROFILE, PIN]),
        setting("an option of a wrong name", [false, false])
            .azure(json!({ "azure_client_secrets": "a-misplaced-secret" }))
            .secret("a-misplaced-secret"),
        setting("an option of the other cloud", [false, false])
            .aws(json!({ "azure_client_secret": "a-misplaced-secret" }))
            .secret("a-misplaced-secret"),
        setting("an option of a wrong kind", [false, false])
            .azure(json!({ "azure_client_secret": ["a-misplaced-secret"] }))
            .secret("a-misplaced-secret"),
    ]
}

const SIGN: [&str; 2] = ["kms.Sign", "vault.keys.sign"];

/// Returns all faults of a service, at each place where they can occur.
fn faults() -> Vec<Fault> {
    let error = Action::Error { status: 500, code: "Oops".into(), message: "oops".into(), innererror: None };
    let actions = [
        error,
        Action::Deny,
        Action::ExpiredToken,
        Action::GarbageBody,
        Action::EmptyBody,
        Action::TruncatedBody,
        Action::WrongSignature,
        Action::Throttle { retry_after: None },
        Action::ResetBeforeReply,
        Action::ClaimsChallenge,
        Action::ClockSkew,
    ];
    let places = ["kms.Sign", "vault.keys.sign", "token", "sts.AssumeRoleWithWebIdentity"];
    let all = actions.iter().flat_map(|action| places.map(|place| Fault::new(place, action.clone()).times(2)));
    let page = Action::Page { status: 407, authenticate: Some("Basic".into()) };
    all.chain(["connect", "token", "kms.Sign"].map(|place| Fault::new(place, page.clone()).times(4))).collect()
}

/// Initializes the module, logs in and signs, without and with faults, and finalizes the module. Returns whether
/// each cloud signed at all.
fn log_in_and_sign(world: &World, p11: P11, pins: [&str; 2]) -> [bool; 2] {
    if p11.initialize().is_err() {
        return [false, false];
    }
    let signs = |slot: CK_SLOT_ID| {
        let session = p11.open(slot);
        let mut pin = pins[slot as usize].as_bytes().to_vec();
        let _ = crate::c!(p11, C_Login(session, CKU_USER, pin.as_mut_ptr(), pin.len() as CK_ULONG));
        let keys = p11.find_class(session, CKO_PRIVATE_KEY);
        let Some(key) = keys.first() else { return false };
        let signed = p11.sign(session, *key, CKM_ECDSA_SHA256, &[], MESSAGE).is_ok();
        let _ = p11.sign(session, *key, CKM_ECDSA, &[], MESSAGE);
        let _ = p11.sign(session, *key, CKM_RSA_PKCS, &[], MESSAGE);
        signed
    };
    let signed = [signs(0), signs(1)];
    if signed != [false, false] {
        for fault in faults() {
            world.emulator.control().fault(fault.clone());
            // After C_Finalize and C_Initialize the token is fetched again.
            if !SIGN.contains(&fault.operation.as_str()) {
                p11.finalize().unwrap();
                p11.initialize().unwrap();
            }
            let _ = [signs(0), signs(1)];
            world.emulator.control().clear_faults();
        }
    }
    p11.finalize().unwrap();
    signed
}

/// Returns the forms in which a secret may be written: as it is, in hexadecimal, and in base64, at any position in
/// a longer text.
pub(super) fn encodings_of(secret: &[u8]) -> Vec<String> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![String::from_utf8_lossy(secret).into_owned(), hex.to_uppercase(), hex];
    for before in 0..3 {
        // Characters that also depend on the bytes before and after the secret are left out.
        let padded = [&vec![0; before], secret].concat();
        let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        all.extend(
            [Base64::encode_string(&padded), Base64Url::encode_string(&padded)].map(|text| text[from..to].to_owned()),
        );
    }
    all
}

module_test! {
    fn no_secret_is_logged(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        let common = [Aws::SECRET_KEY, EntraClients::SECRET, PIN, TOKEN, PASSWORD];
        let digest = cloud_kms_pkcs11::key::hash::Hash::Sha256.digest(MESSAGE);
        let p11 = P11::load(&module_path());
        for setting in settings(world) {
            let mut kept = Vec::new();
            for (variable, value) in &setting.environment {
                kept.push((*variable, std::env::var(variable).ok()));
                match value {
                    Some(value) => unsafe { std::env::set_var(variable, value) },
                    None => unsafe { std::env::remove_var(variable) },
                }
            }
            let mut slots = [json!({ "label": "a", "kms_key_id": "alias/a" }), json!({ "label": "z", "key_name": "z" })];
            for (slot, own) in slots.iter_mut().zip(&setting.options[1..]) {
                slot.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
            }
            let mut options = json!({ "retries": 0, "call_timeout_ms": 5000, "connect_timeout_ms": 2000, "cache": false });
            options.as_object_mut().unwrap().extend(json!({ "audit_file": AUDIT, "metrics_file": METRICS }).as_object().unwrap().clone());
            options.as_object_mut().unwrap().extend(setting.options[0].as_object().unwrap().clone());
            let before = world.log().len();
            world.configure_with(json!(slots), options);
            let stderr = world.home.join("stderr");
            let signed = redirected(&stderr, || log_in_and_sign(world, p11, setting.pins));
            let log = world.log()[before..].to_owned() + &std::fs::read_to_string(&stderr).unwrap();
            std::fs::remove_file(&stderr).unwrap();
            assert_eq!(signed, setting.works, "{}: {log}", setting.name);
            assert!(log.lines().count() > if signed[0] { 100 } else { 0 }, "{}: the log has too few lines for level debug: {log}", setting.name);
            let own = setting.secrets.iter().map(String::as_bytes);
            let all = common.iter().map(|secret| secret.as_bytes()).chain(own).chain([MESSAGE, &MESSAGE[..32]]);
            // The beginnings of tokens. They are too short to be searched for in hexadecimal, because any request
            // id may contain them.
            let beginnings = ["Bearer ", "eyJ"].map(str::to_owned);
            let forms: Vec<_> = all.flat_map(encodings_of).chain(beginnings).collect();
            // The audit trail has digests, which the log does not have.
            for form in forms.iter().chain(&encodings_of(&digest)) {
                let line = log.lines().find(|line| line.contains(form));
                assert_eq!(line, None, "{}: {form}", setting.name);
            }
            let recorded = [AUDIT, METRICS].map(|name| std::fs::read_to_string(world.home.join(name)).unwrap_or_default()).concat();
            assert!(recorded.contains("CKR_OK") || signed == [false, false], "{}: {recorded}", setting.name);
            for form in &forms {
                let line = recorded.lines().find(|line| line.contains(form));
                assert_eq!(line, None, "{}: {form}", setting.name);
            }
            for (variable, value) in kept {
                match value {
                    Some(value) => unsafe { std::env::set_var(variable, value) },
                    None => unsafe { std::env::remove_var(variable) },
                }
            }
        }
    }
}

#[test]
fn the_search_finds_encoded_secrets() {
    for before in 0..5 {
        let whole = [&vec![b'x'; before], &b"a-secret"[..], b"yz"].concat();
        for text in [Base64::encode_string(&whole), String::from_utf8_lossy(&whole).into_owned()] {
            assert!(encodings_of(b"a-secret").iter().any(|form| text.contains(form)), "{text}");
        }
    }
}
