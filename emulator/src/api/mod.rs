//! The handles of a running emulator, for Rust tests.

mod aws;
mod aws_key;
mod control;
mod entra;
mod vault;

pub use aws::{Aws, AwsKeyId};
pub use aws_key::AwsKey;
pub use control::Control;
pub use entra::EntraClients;
pub use vault::{Vault, VaultKeyId};
