//! The emulator as a program, for scripts and for trying things out.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program's output is its interface")]

use cloud_kms_emulator::{Aws, AwsKey, Emulator, EntraClients, Google, GoogleKey, VaultCertificate, VaultKey};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cloud-kms-emulator: AWS KMS, Azure Key Vault and Google Cloud KMS on 127.0.0.1

  --port N                     the port (default: a free port)
  --seed N                     the same key ids in every run
  --ca-file PATH               write the certificate of the certificate authority to this file
  --ready-file PATH            also write the line of standard output to this file
  --aws-key [ALIAS=]SPEC[:USAGE]  make a KMS key: ECC_NIST_P256, alias/demo=ML_DSA_65, alias/old=RSA_2048:ENCRYPT_DECRYPT
  --aws-region REGION          the region of the keys that follow (eu-central-1)
  --vault NAME                 the vault of the keys that follow (default: the one at 127.0.0.1)
  --managed-hsm NAME           the Managed HSM of the keys that follow
  --vault-key NAME=TYPE        make a key: RSA-2048, RSA-3072, RSA-4096, P-256, P-384, P-521 or P-256K
  --vault-certificate NAME=TYPE   make a self-signed certificate and its key
  --google-key NAME=ALGORITHM  make a key of Google Cloud KMS with protection level HSM: EC_SIGN_P256_SHA256, HMAC_SHA256
  --google-key-ring RING       the key ring of the keys that follow (projects/P/locations/L/keyRings/R)
  --google-credentials-file PATH  write the key file of Google's service account to this file
  --exit-with-parent           end when standard input is closed
  --help                       this text

The program ends on SIGTERM. When it is ready, it writes one line of JSON with its addresses and credentials to standard output.";

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cloud-kms-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Default)]
struct Options {
    port: u16,
    seed: Option<u64>,
    ca_file: Option<PathBuf>,
    ready_file: Option<PathBuf>,
    google_credentials_file: Option<PathBuf>,
    exit_with_parent: bool,
    help: bool,
    keys: Vec<NewKey>,
}

/// A key to make before the emulator is ready.
enum NewKey {
    Aws(AwsKey),
    Vault(Place, String, VaultKey),
    Certificate(Place, String, VaultKey),
    Google(String, GoogleKey),
}

/// Where the keys that follow belong.
#[derive(Clone)]
enum Place {
    Vault(String),
    Hsm(String),
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut options = Self::default();
        let mut region = AwsKey::REGION.to_owned();
        let mut key_ring = GoogleKey::KEY_RING.to_owned();
        let mut place = Place::Vault("default".to_owned());
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| invalid(format!("{argument} needs a value; see --help")));
            match argument.as_str() {
                "--port" => options.port = number(&argument, &value()?)?,
                "--seed" => options.seed = Some(number(&argument, &value()?)?),
                "--ca-file" => options.ca_file = Some(value()?.into()),
                "--ready-file" => options.ready_file = Some(value()?.into()),
                "--aws-region" => region = value()?,
                "--vault" => place = Place::Vault(value()?),
                "--managed-hsm" => place = Place::Hsm(value()?),
                "--aws-key" => options.keys.push(NewKey::Aws(aws_key(&value()?).region(&region))),
                "--vault-key" => {
                    let (name, key) = vault_key(&value()?, &place)?;
                    options.keys.push(NewKey::Vault(place.clone(), name, key));
                }
                "--vault-certificate" => {
                    let (name, key) = vault_key(&value()?, &place)?;
                    options.keys.push(NewKey::Certificate(place.clone(), name, key));
                }
                "--google-key-ring" => key_ring = value()?,
                "--google-key" => {
                    let (id, algorithm) = name_and_type(&value()?)?;
                    options.keys.push(NewKey::Google(id, GoogleKey::new(&algorithm).key_ring(&key_ring)));
                }
                "--google-credentials-file" => options.google_credentials_file = Some(value()?.into()),
                "--exit-with-parent" => options.exit_with_parent = true,
                "--help" | "-h" => options.help = true,
                _ => return Err(invalid(format!("unknown option {argument}; see --help"))),
            }
        }
        Ok(options)
    }
}

fn aws_key(text: &str) -> AwsKey {
    let (alias, kind) = text.split_once('=').map_or((None, text), |(alias, kind)| (Some(alias), kind));
    let (spec, usage) = kind.split_once(':').map_or((kind, None), |(spec, usage)| (spec, Some(usage)));
    let mut key = AwsKey::new(spec);
    (key.alias, key.usage) = (alias.map(str::to_owned), usage.map(str::to_owned));
    key
}

fn vault_key(text: &str, place: &Place) -> io::Result<(String, VaultKey)> {
    let (name, kind) = name_and_type(text)?;
    let key = VaultKey::named(&kind).ok_or_else(|| {
        invalid(format!("expected RSA-2048, RSA-3072, RSA-4096, P-256, P-384, P-521 or P-256K, found {kind}"))
    })?;
    let key = if matches!(place, Place::Hsm(_)) { key.hsm() } else { key };
    Ok((name, key))
}

fn name_and_type(text: &str) -> io::Result<(String, String)> {
    let parts = text.split_once('=').map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    parts.ok_or_else(|| invalid(format!("expected NAME=TYPE, found {text}; see --help")))
}

fn number<T: std::str::FromStr>(argument: &str, value: &str) -> io::Result<T> {
    value.parse().map_err(|_| invalid(format!("{argument} needs a number, found {value}")))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn run(options: Options) -> io::Result<()> {
    if options.help {
        println!("{USAGE}");
        return Ok(());
    }
    let mut builder = Emulator::builder().port(options.port);
    if let Some(seed) = options.seed {
        builder = builder.seed(seed);
    }
    let emulator = builder.start()?;
    let keys = options.keys.iter().map(|key| create(&emulator, key)).collect::<io::Result<Vec<Value>>>()?;
    if let Some(path) = &options.ca_file {
        emulator.write_ca(path)?;
    }
    if let Some(path) = &options.google_credentials_file {
        std::fs::write(path, emulator.google().service_account_file()?.to_string())?;
    }
    let line = ready(&emulator, options.ca_file.as_deref(), keys).to_string();
    if let Some(path) = &options.ready_file {
        write_whole(path, &line)?;
    }
    println!("{line}");
    io::stdout().flush()?;
    wait(options.exit_with_parent)
}

fn create(emulator: &Emulator, key: &NewKey) -> io::Result<Value> {
    let vault = |place: &Place| match place {
        Place::Vault(name) => emulator.vault(name),
        Place::Hsm(name) => emulator.managed_hsm(name),
    };
    match key {
        NewKey::Aws(key) => {
            let made = emulator.aws().create_key(key.clone())?;
            Ok(json!({ "id": made.id, "arn": made.arn, "alias": key.alias }))
        }
        NewKey::Google(id, key) => Ok(json!(emulator.google().create_key(id, key.clone())?)),
        NewKey::Vault(place, name, key) => Ok(json!(vault(place).create_key(name, key.clone())?)),
        NewKey::Certificate(place, name, key) => {
            Ok(json!(vault(place).create_certificate(name, VaultCertificate::new(key.clone()))?))
        }
    }
}

fn ready(emulator: &Emulator, ca_file: Option<&Path>, keys: Vec<Value>) -> Value {
    json!({
        "port": emulator.port(),
        "http_url": emulator.http_url(),
        "https_url": emulator.https_url(),
        "control_url": format!("{}/_control", emulator.http_url()),
        "ca_file": ca_file,
        "aws": {
            "region": AwsKey::REGION,
            "access_key_id": Aws::ACCESS_KEY,
            "secret_access_key": Aws::SECRET_KEY,
        },
        "azure": {
            "tenant_id": EntraClients::TENANT,
            "client_id": EntraClients::CLIENT,
            "client_secret": EntraClients::SECRET,
            "authority_host": emulator.https_url(),
        },
        "google": {
            "project": Google::PROJECT,
            "key_ring": GoogleKey::KEY_RING,
            "service_account": Google::SERVICE_ACCOUNT,
        },
        "keys": keys,
    })
}

/// All or nothing: whoever waits for the file never reads half of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    std::fs::write(&part, format!("{text}\n"))?;
    std::fs::rename(&part, path)
}

fn wait(exit_with_parent: bool) -> io::Result<()> {
    if exit_with_parent {
        let mut rest = Vec::new();
        io::stdin().read_to_end(&mut rest)?;
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}
