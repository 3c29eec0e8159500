//! What the vaults and the directory at Azure hold.

mod directory;
mod enrolment;
mod vault_store;
mod version;

pub(crate) use directory::{BadToken, CLIENT, Client, Directory, SECRET, TENANT, Token};
pub(crate) use enrolment::Enrolment;
pub(crate) use vault_store::{Deleted, HSM, NoSuchKey, VaultStore};
pub(crate) use version::{Certificate, Tags, Version};
