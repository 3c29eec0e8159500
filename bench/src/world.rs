//! What a measurement needs: the fake service, a home directory with a configuration, and clients in their own
//! processes.

use crate::outcome::Outcome;
use crate::wire::Message;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A service, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    AwsPlain,
    Aws,
    Azure,
    Vault,
    Google,
}

impl Cloud {
    pub const TLS: [Self; 4] = [Self::Aws, Self::Azure, Self::Vault, Self::Google];

    pub fn name(self) -> &'static str {
        match self {
            Self::AwsPlain => "AWS without TLS",
            Self::Aws => "AWS",
            Self::Azure => "Azure",
            Self::Vault => "Vault",
            Self::Google => "Google",
        }
    }

    /// Returns the name in configurations and arguments.
    pub fn id(self) -> &'static str {
        self.select(["aws", "azure", "vault", "google"])
    }

    /// Returns the option that names a key.
    pub fn key_option(self) -> &'static str {
        self.select(["kms_key_id", "key_name", "transit_key", "google_key"])
    }

    /// Returns the name of a key in configurations. That of a key of Google has its version.
    pub fn key_name(self, name: &str) -> String {
        match self {
            Self::Google => format!("{}/cryptoKeyVersions/1", google_key(name)),
            _ => name.to_owned(),
        }
    }

    /// Returns this cloud's value of those of AWS, Azure, Vault and Google.
    pub fn select<T>(self, [aws, azure, vault, google]: [T; 4]) -> T {
        match self {
            Self::AwsPlain | Self::Aws => aws,
            Self::Azure => azure,
            Self::Vault => vault,
            Self::Google => google,
        }
    }
}

/// Returns the resource name of a key of Google, without a version.
fn google_key(name: &str) -> String {
    format!("{}/cryptoKeys/{name}", crate::service::KEY_RING)
}

/// A token of Vault, as long as a real one.
const TOKEN: &str = "hvs.CAESIJxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// The environment of a measurement. Dropping it stops the fake service and deletes the home directory.
pub struct World {
    pub module: String,
    pub home: PathBuf,
    service: Child,
    pub port: u16,
}

/// Whether the name of a key may mean another key later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNameKind {
    /// A key id, or a name with its version.
    Immutable,
    /// An alias, or a name without its version.
    Mutable,
}

impl KeyNameKind {
    pub const ALL: [Self; 2] = [Self::Immutable, Self::Mutable];

    /// Returns what the rows of a table say about the name.
    pub fn title(self, cloud: Cloud) -> &'static str {
        let without_version = "without the version, cached public key";
        match self {
            Self::Immutable => "cached public key",
            Self::Mutable => {
                cloud.select(["by alias, cached public key", without_version, without_version, without_version])
            }
        }
    }
}

impl World {
    pub fn new(module: &str) -> Outcome<Self> {
        let home = std::env::temp_dir().join(format!("cloud-kms-bench-{}", std::process::id()));
        std::fs::create_dir_all(&home)?;
        let ca = home.join("ca.pem");
        let mut service = Command::new(std::env::current_exe()?)
            .arg("service")
            .arg(&ca)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(service.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let port = line.trim().parse().map_err(|_| "the fake service does not start")?;
        Ok(Self { module: module.to_owned(), home, service, port })
    }

    /// Writes the file of a service account of Google, if there is none yet, and returns its path. Access tokens are made from
    /// its key, without a request.
    fn service_account(&self) -> Outcome<PathBuf> {
        let file = self.home.join("service-account.json");
        if !file.exists() {
            let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
            let key = AsDer::<Pkcs8V1Der>::as_der(&key)?;
            let pem = format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                Base64::encode_string(key.as_ref())
            );
            let account = json!({
                "type": "service_account", "project_id": "bench", "private_key_id": "0123456789abcdef", "private_key": pem,
                "client_email": "bench@bench.iam.gserviceaccount.com", "client_id": "1",
                "token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
            });
            std::fs::write(&file, account.to_string())?;
        }
        Ok(file)
    }

    fn ca(&self) -> String {
        self.home.join("ca.pem").display().to_string()
    }

    /// Sends a control request to the fake service and returns the JSON of the reply.
    pub fn control(&self, what: &str) -> Outcome<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(format!("GET /_bench/{what} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())?;
        let reply = Message::read(&mut BufReader::new(stream))?.ok_or("no reply")?;
        Ok(serde_json::from_slice(&reply.body)?)
    }

    pub fn delay_ms(&self, ms: u64) -> Outcome<()> {
        self.control(&format!("delay_us/{}", ms * 1000)).map(drop)
    }

    /// Returns the number of requests since the last call, by name.
    pub fn counts(&self) -> Outcome<Value> {
        self.control("counts/")
    }

    /// Writes a configuration with these slots. The cache on disk is off.
    pub fn configure(&self, cloud: Cloud, host: &str, slots: Value) -> Outcome<()> {
        self.configure_cached(cloud, host, slots, None)
    }

    /// Writes a configuration with these slots. If `cache` is given, public keys are cached in that directory.
    fn configure_cached(&self, cloud: Cloud, host: &str, slots: Value, cache: Option<&Path>) -> Outcome<()> {
        let secure = format!("https://{host}:{}", self.port);
        let aws = if cloud == Cloud::AwsPlain { format!("http://{host}:{}", self.port) } else { secure.clone() };
        let mut config = json!({
            "aws_region": "eu-central-1", "aws_endpoint_url": aws, "vault_url": secure,
            "azure_authority_host": secure, "verify_challenge_resource": false,
            "vault_address": secure, "vault_token": TOKEN, "google_endpoint_url": secure,
            "google_credentials_file": self.service_account()?,
            "ca_bundle": self.ca(), "slots": slots, "cache": cache.is_some(),
        });
        if let Some(folder) = cache {
            config["cache_folder"] = json!(folder);
        }
        Ok(std::fs::write(self.home.join("config.json"), config.to_string())?)
    }

    /// Returns a slot with one key.
    pub fn slot(cloud: Cloud, label: &str, key: &str) -> Value {
        json!({ "label": label, "cloud": cloud.id(), cloud.key_option(): cloud.key_name(key) })
    }

    /// Configures one slot with one key.
    pub fn configure_one(&self, cloud: Cloud, rsa: bool) -> Outcome<()> {
        let key = if rsa { "rsa" } else { "ec" };
        self.configure(cloud, "127.0.0.1", json!([Self::slot(cloud, "bench", key)]))
    }

    /// Configures one slot with one key and a cache.
    pub fn configure_one_cached(&self, cloud: Cloud, name: KeyNameKind) -> Outcome<()> {
        let (key, version) = match name {
            KeyNameKind::Immutable => cloud.select([
                ("1234abcd-12ab-34cd-56ef-1234567890ab", None),
                ("ec", Some(crate::service::VERSION)),
                ("ec", Some("1")),
                ("ec", None),
            ]),
            KeyNameKind::Mutable => (cloud.select(["alias/ec", "ec", "ec", "ec"]), None),
        };
        let mut slot = Self::slot(cloud, "bench", key);
        if let Some(version) = version {
            slot["key_version"] = json!(version);
        }
        if (cloud, name) == (Cloud::Google, KeyNameKind::Mutable) {
            slot[cloud.key_option()] = json!(google_key(key));
        }
        self.configure_cached(cloud, "127.0.0.1", json!([slot]), Some(&self.home.join("cache")))
    }

    /// Returns a command that has the configuration of this world and no other.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.home).envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AZURE_TENANT_ID", "00000000-0000-0000-0000-000000000001"),
            ("AZURE_CLIENT_ID", "bench"),
            ("AZURE_CLIENT_SECRET", "bench"),
        ]);
        command.env("CLOUD_KMS_PKCS11_CONFIG", self.home.join("config.json"));
        command
    }

    /// Runs this program as a client, and returns the JSON that it prints.
    pub fn client(&self, arguments: &[&str]) -> Outcome<Value> {
        self.client_with(arguments, &[])
    }

    pub fn client_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome<Value> {
        let own = std::env::current_exe()?;
        let mut command = self.command(&own.display().to_string());
        let output = command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Runs the client that signs with the module.
    pub fn warm(&self, threads: usize, ms: u64, rsa: bool) -> Outcome<Value> {
        let kind = if rsa { "RSA" } else { "EC" };
        self.client(&["warm", &self.module, &threads.to_string(), &ms.to_string(), kind])
    }

    /// Runs the minimal client with the last signing request that the module sent.
    pub fn floor(&self, cloud: Cloud, threads: usize, ms: u64) -> Outcome<Value> {
        let last = self.control(&format!("last/{}", cloud.id()))?;
        let file = self.home.join("request");
        std::fs::write(&file, last.as_str().unwrap_or_default())?;
        let ca = if cloud == Cloud::AwsPlain { "-".to_owned() } else { self.ca() };
        let (port, file) = (self.port.to_string(), file.display().to_string());
        self.client(&["floor", &port, &ca, &file, &threads.to_string(), &ms.to_string()])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
