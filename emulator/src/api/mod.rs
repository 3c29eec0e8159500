//! The handles of a running emulator, for Rust tests.

mod aws;
mod aws_key;
mod control;
mod entra;
mod google;
mod google_credentials;
mod google_key;
mod vault;

pub use aws::{Aws, AwsKeyId};
pub use aws_key::AwsKey;
pub use control::Control;
pub use entra::EntraClients;
pub use google::{Google, GoogleKeyId};
pub use google_key::GoogleKey;
pub use vault::{Vault, VaultKeyId};
