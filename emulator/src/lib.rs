//! AWS KMS, Azure Key Vault and Google Cloud KMS on loopback: real keys and signatures, the real services' errors and oddities, and faults on demand.
//!
//! ```no_run
//! use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault, GoogleKey, VaultKey};
//! # fn main() -> std::io::Result<()> {
//! let emulator = Emulator::start()?;
//! let key = emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/release"))?;
//! emulator.vault("default").create_key("web", VaultKey::ec("P-256"))?;
//! emulator.google().create_key("signer", GoogleKey::new("RSA_SIGN_PSS_2048_SHA256"))?;
//! emulator.control().fault(Fault::new("kms.Sign", Action::Throttle { retry_after: None }).times(2));
//! // Point a client to `emulator.http_url()`, then look at `emulator.control().count("kms.Sign")`.
//! # Ok(()) }
//! ```
//!
//! One port serves HTTP, HTTPS and, as a proxy, `CONNECT`: with `HTTPS_PROXY=http://127.0.0.1:PORT` and the emulator's CA
//! a client reaches `https://NAME.vault.azure.net`, `https://kms.REGION.amazonaws.com` or `https://cloudkms.googleapis.com` under the real name.
//!
//! The folders and files, each of which uses only those after it:
//!
//! ```text
//! emulator > server > control > api > aws, azure, google > state > authority > faults > crypto, http > encoding, clock
//! ```
//!
//! `server` has sockets, TLS and tunnels, finds the service of a request, and carries out its faults. `control` is the control
//! interface over HTTP, `api` the same for Rust. The services in `aws`, `azure` and `google` are plain functions from a request to a
//! reply. `state` is what one emulator holds; it uses no service.

mod api;
mod authority;
mod aws;
mod azure;
mod clock;
mod control;
mod crypto;
mod emulator;
mod encoding;
mod faults;
mod google;
mod http;
mod server;
mod state;

pub use api::{Aws, AwsKey, AwsKeyId, Control, EntraClients, Google, GoogleKey, GoogleKeyId, Vault, VaultKeyId};
pub use azure::vault::{VaultCertificate, VaultKey};
pub use emulator::{Builder, Emulator};
pub use faults::{Action, Fault, Flaw};
pub use http::Handshake;
pub use state::{Entry, Switches};
