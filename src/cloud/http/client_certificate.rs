//! The certificate with which this module identifies itself in TLS, from files that another program may replace at any
//! time.

use crate::cloud::credentials::file;
use crate::log_warn;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;
use rustls::{Error, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// A PEM file with the certificate, followed by its chain.
    pub certificate: PathBuf,
    /// A PEM file with the private key, which is not encrypted. It may be the same file.
    pub key: PathBuf,
}

/// The certificate that rustls uses in handshakes. The files are read again if they have changed: certificates that a
/// program renews by itself are valid for days or hours.
#[derive(Debug)]
pub(crate) struct RenewedCertificate {
    files: ClientCertificate,
    provider: Arc<CryptoProvider>,
    current: Mutex<(Versions, Arc<CertifiedKey>)>,
}

/// The times at which the two files were last changed.
type Versions = [Option<SystemTime>; 2];

impl RenewedCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence with the path, which says what to do.
    pub(crate) fn read(files: &ClientCertificate, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let current = (files.versions(), Arc::new(files.read(&provider)?));
        Ok(Self { files: files.clone(), provider, current: Mutex::new(current) })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = self.files.versions();
        if versions != current.0 {
            match self.files.read(&self.provider) {
                Ok(new) => *current = (versions, Arc::new(new)),
                // Perhaps only one of the two files has been replaced so far.
                Err(why) => log_warn!("the new client certificate is not used yet: {why}"),
            }
        }
        current.1.clone()
    }
}

impl ResolvesClientCert for RenewedCertificate {
    fn resolve(&self, _authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        current.key.choose_scheme(schemes).is_some().then_some(current)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ClientCertificate {
    fn versions(&self) -> Versions {
        [&self.certificate, &self.key].map(|path| file::modified(path))
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
        let chain = CertificateDer::pem_slice_iter(&file::bytes(&self.certificate)?).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| problem(&self.certificate, &error))?;
        if chain.is_empty() {
            return Err(format!("{}: the file contains no certificate in PEM", self.certificate.display()));
        }
        let key = PrivateKeyDer::from_pem_slice(&file::private_bytes(&self.key)?);
        let key = key.map_err(|error| match error {
            pem::Error::NoItemsFound => format!("{}: {NO_KEY}", self.key.display()),
            error => problem(&self.key, &error),
        })?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                let (key, certificate) = (self.key.display(), self.certificate.display());
                format!("{key}: the private key does not belong to the certificate in {certificate}")
            }
            error => format!("{}: {error}", self.key.display()),
        })
    }
}

const NO_KEY: &str =
    "the file contains no private key in PEM that is not encrypted (openssl pkey -in FILE -out NEW decrypts one)";

fn problem(path: &Path, error: &pem::Error) -> String {
    format!("{}: the file is not valid PEM ({error:?})", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs::default_provider;
    use std::process::Command;

    /// Makes a certificate and its key, each in a file of its own, with openssl.
    fn make(folder: &Path) -> ClientCertificate {
        let files = ClientCertificate { certificate: folder.join("own.pem"), key: folder.join("own.key") };
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/CN=own",
            ])
            .args(["-keyout".as_ref(), files.key.as_os_str(), "-out".as_ref(), files.certificate.as_os_str()])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        files
    }

    #[test]
    fn replaced_files_are_used_once_both_fit() {
        let [folder, other] = [0; 2].map(|_| tempfile::tempdir().unwrap());
        let (files, new) = (make(folder.path()), make(other.path()));
        let own = RenewedCertificate::read(&files, Arc::new(default_provider())).unwrap();
        let first = own.current().cert.clone();
        // The clock of the file system may not have advanced since the files were written.
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        let replace = |from: &Path, to: &Path| {
            std::fs::copy(from, to).unwrap();
            std::fs::File::open(to).unwrap().set_modified(later).unwrap();
        };
        replace(&new.certificate, &files.certificate);
        assert_eq!(own.current().cert, first, "the key is still the old one");
        replace(&new.key, &files.key);
        assert_ne!(own.current().cert, first);
    }

    #[test]
    fn unusable_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = make(folder.path());
        let why = |certificate: &Path, key: &Path| {
            let files = ClientCertificate { certificate: certificate.to_owned(), key: key.to_owned() };
            RenewedCertificate::read(&files, Arc::new(default_provider())).unwrap_err()
        };
        let shown = files.key.display();
        assert!(why(&files.key, &files.key).ends_with("the file contains no certificate in PEM"));
        assert_eq!(why(&files.certificate, &files.certificate), format!("{}: {NO_KEY}", files.certificate.display()));
        std::fs::remove_file(&files.key).unwrap();
        assert_eq!(why(&files.certificate, &files.key), format!("{shown}: the file does not exist"));
        let other = tempfile::tempdir().unwrap();
        let other = make(other.path());
        assert!(why(&files.certificate, &other.key).contains("does not belong to the certificate in"));
    }
}
