//! AWS KMS and Azure Key Vault on loopback: real keys and signatures, the real services' errors and oddities, and faults on demand.
//!
//! ```no_run
//! use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault, VaultKey};
//! # fn main() -> std::io::Result<()> {
//! let emulator = Emulator::start()?;
//! let key = emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/release"))?;
//! emulator.vault("default").create_key("web", VaultKey::ec("P-256"))?;
//! emulator.control().fault(Fault::new("kms.Sign", Action::Throttle { retry_after: None }).times(2));
//! // Point a client to `emulator.http_url()`, then look at `emulator.control().count("kms.Sign")`.
//! # Ok(()) }
//! ```
//!
//! One port serves HTTP, HTTPS and, as a proxy, `CONNECT`: with `HTTPS_PROXY=http://127.0.0.1:PORT` and the emulator's CA
//! a client reaches `https://NAME.vault.azure.net` or `https://kms.REGION.amazonaws.com` under the real name.
//!
//! From the wire inwards: `server` (sockets, TLS, tunnels) > `router` (whose request, which faults) > `kms`, `sts`, `vault`,
//! `entra`, `control` (the services, plain functions from request to reply) > `keys` (cryptography). `delivery` is the way back.

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
mod http;
mod server;
mod state;

pub use api::{Aws, AwsKey, AwsKeyId, Control, EntraClients, Vault, VaultKeyId};
pub use azure::vault::{VaultCertificate, VaultKey};
pub use emulator::{Builder, Emulator};
pub use faults::{Action, Fault, Flaw};
pub use http::Handshake;
pub use state::{Entry, Switches};
