//! Certificates that programs have written for keys whose service stores none.
//!
//! They are PEM files in a directory of the slot. The name of a file is derived from the public key, so the file
//! can't be taken for that of another key, whatever the name of that key is.

use super::private_directory::{PrivateDirectory, hex_digest};
use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::key::PublicKey;
use cryptoki_sys::CKR_DEVICE_ERROR;
use std::io;
use std::path::Path;

/// A directory of certificate chains, one file for each public key.
#[derive(Debug)]
pub struct CertificateStore(PrivateDirectory);

impl CertificateStore {
    /// Returns the store in that directory. Does not access the file system.
    pub fn new(folder: &Path) -> Self {
        Self(PrivateDirectory::new(folder.to_owned()))
    }

    /// Returns the key's certificate, followed by its certificate chain. Returns an empty vector if there is no
    /// file. Also returns an empty vector, and logs a warning, if the file is not exclusively this user's.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the directory can't be read or is not exclusively this user's, or if the file can't be
    /// read or contains no certificate.
    pub fn chain(&self, key: &PublicKey) -> Result<Vec<Certificate>> {
        match self.0.check() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            checked => checked.map_err(|error| self.store_error(&error))?,
        }
        let Some(bytes) = self.0.read(&file_name(key)).map_err(|error| self.store_error(&error))? else {
            return Ok(Vec::new());
        };
        Certificate::parse_all(&bytes).map(|(chain, _)| chain).map_err(|error| self.store_error(&error.0))
    }

    /// Replaces the key's certificate chain. An empty `chain` removes the file.
    ///
    /// # Errors
    /// CKR_DEVICE_ERROR if the directory can't be created or is not exclusively this user's, or if the file can't
    /// be written, or removed because there is none.
    pub fn replace(&self, key: &PublicKey, chain: &[Certificate]) -> Result<()> {
        let text: String = chain.iter().map(Certificate::to_pem).collect();
        let written = self.0.create().and_then(|()| match chain.is_empty() {
            true => self.0.remove(&file_name(key)),
            false => self.0.write(&file_name(key), text.as_bytes()),
        });
        written.map_err(|error| self.store_error(&error))
    }

    fn store_error(&self, error: &dyn std::fmt::Display) -> Error {
        Error::new(CKR_DEVICE_ERROR, format!("the directory for certificates {}: {error}", self.0))
    }
}

fn file_name(key: &PublicKey) -> String {
    format!("{}.pem", hex_digest(key.spki()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::fake;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_stored_chain_is_found_by_its_public_key() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("store");
        let store = CertificateStore::new(&folder);
        let (own, other) = (fake::public_key("p256").unwrap(), fake::public_key("p384").unwrap());
        assert_eq!(store.chain(&own), Ok(Vec::new()), "a missing directory contains no certificates");
        let chain = [fake::certificate_of(&own), fake::example().clone()];
        store.replace(&own, &chain).unwrap();
        assert_eq!(store.chain(&own).as_deref(), Ok(&chain[..]));
        assert_eq!(store.chain(&other), Ok(Vec::new()));
        let too_large = vec![fake::example().clone(); 200];
        assert!(store.replace(&own, &too_large).is_err(), "the end of the file would not be read");
        assert_eq!(store.chain(&own).as_deref(), Ok(&chain[..]));
        store.replace(&own, &[]).unwrap();
        assert_eq!(store.chain(&own), Ok(Vec::new()));
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(store.chain(&own).is_err_and(|error| error.message.contains("chmod 700")));
        assert!(store.replace(&own, &chain).is_err());
    }
}
