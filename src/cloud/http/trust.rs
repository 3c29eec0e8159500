//! The certificate authorities that the clients of all clouds trust in TLS: those of the system, and those of
//! `ca_bundle`.
//!
//! The authorities of the system are read and parsed once in a process. This takes the largest part of a short
//! program's time.

use super::client_certificate::RenewedCertificate;
use super::network::Network;
use super::verifier::Verifier;
use crate::certificate::Certificate;
use crate::cloud::failure::Cause;
use crate::cloud::failure::obstacle::Obstacle;
use crate::host::permissions::FileWithMetadata;
use crate::log_warn;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::CertificateResult;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The certificate authorities of the system, read when first needed. Authorities that cannot be parsed are left
/// out.
#[derive(Default)]
pub(crate) struct SystemRoots(OnceLock<RootCertStore>);

impl SystemRoots {
    /// Returns the authorities of the system. The result may be empty, which is an obstacle only if a certificate
    /// has to be verified.
    ///
    /// # Errors
    /// The resource that this machine lacked while it read the authorities, if none were read. The next call tries
    /// again.
    pub(crate) fn authorities(&self) -> Result<RootCertStore, Obstacle> {
        if let Some(roots) = self.0.get() {
            return Ok(roots.clone());
        }
        let found = load_system_certificates();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        let shortage = found.errors.iter().find_map(|error| Obstacle::missing_resource(error));
        match shortage {
            Some(lack) if roots.is_empty() => Err(lack),
            _ => Ok(self.0.get_or_init(|| roots).clone()),
        }
    }
}

/// Returns the TLS settings: the authorities of the system and those of `ca_bundle`, and the client certificate.
///
/// # Errors
/// An obstacle if `ca_bundle` cannot be read, if others can write to a file of it, or if it contains no usable
/// certificate; and if the client certificate cannot be read.
pub(crate) fn client_config(system: &RootCertStore, network: &Network) -> Result<ClientConfig, Obstacle> {
    let mut roots = system.clone();
    if let Some(path) = &network.ca_bundle {
        let is_directory = path.is_dir();
        let files = if is_directory { files_in(path, network)? } else { vec![path.clone()] };
        let mut count = 0;
        for file in files {
            match add_authorities(&mut roots, &file, network) {
                Ok(added) => count += added,
                // Directories for OpenSSL also contain other files: revocation lists, notes.
                Err(why) if is_directory && why.cause == Cause::Settings => log_warn!("{why}; this file is ignored"),
                Err(why) => return Err(why),
            }
        }
        if count == 0 {
            return Err(unusable_bundle(network, path, "it contains no certificate that can be used as an authority"));
        }
    }
    let provider = Arc::new(default_provider());
    let name = network.server_name.clone().map(ServerName::try_from).transpose().map_err(|_| {
        let name = network.server_name.as_deref().unwrap_or_default();
        format!("{name:?} is neither a host name nor an IP address; correct the server's name for TLS")
    })?;
    let verifier = Verifier::new(roots, provider.clone(), name)?;
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    // This is safe despite the method's name: the verifier applies rustls's own checks, and adds words to the
    // refusals.
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(match &network.client_certificate {
        None => config.with_no_client_auth(),
        Some(files) => config.with_client_cert_resolver(Arc::new(RenewedCertificate::read(files, provider)?)),
    })
}

fn unusable_bundle(network: &Network, path: &Path, why: &str) -> Obstacle {
    format!("{} {}: {why}", network.ca_bundle_named_by, path.display()).into()
}

/// Returns the files of a directory with authorities, in the order of their names.
fn files_in(folder: &Path, network: &Network) -> Result<Vec<PathBuf>, Obstacle> {
    let failed = |error: io::Error| unusable_bundle(network, folder, &error.to_string());
    let entries = folder.read_dir().map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let mut files: Vec<_> = entries.iter().map(std::fs::DirEntry::path).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// Adds the authorities in a file, and returns their number.
fn add_authorities(roots: &mut RootCertStore, path: &Path, network: &Network) -> Result<usize, Obstacle> {
    let failed = |why: &str| unusable_bundle(network, path, why);
    let file = FileWithMetadata::read(path)
        .map_err(|error| Obstacle::missing_resource(&error).unwrap_or_else(|| failed(&error.to_string())))?;
    // A user who can write to the file decides which authorities are trusted.
    if let Some(what) = file.writable_by_others() {
        return Err(failed(&format!("refused, because it decides which authorities are trusted: {what}")));
    }
    let (bundle, others) = Certificate::parse_all(&file.bytes).map_err(|unusable| failed(&unusable.0))?;
    for other in others {
        log_warn!("{} {}: {other}; this entry is ignored", network.ca_bundle_named_by, path.display());
    }
    Ok(roots.add_parsable_certificates(bundle.into_iter().map(|own| CertificateDer::from(own.der))).0)
}

/// The files in which distributions keep all certificates: Debian and Alpine, Red Hat (two), SUSE.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Returns the certificates of SSL_CERT_FILE and SSL_CERT_DIR, if one of these variables is set. Otherwise reads
/// the one file that has all certificates, as GnuTLS does. The directory beside that file is not read, because it
/// contains the same certificates again, each in a file of its own.
fn load_system_certificates() -> CertificateResult {
    let read = |path| rustls_native_certs::load_certs_from_paths(Some(Path::new(path)), None);
    let bundle = || BUNDLES.into_iter().map(read).find(|found| !found.certs.is_empty());
    let found = if variable_with_roots().is_some() { None } else { bundle() };
    found.unwrap_or_else(rustls_native_certs::load_native_certs)
}

/// Returns the variable that names authorities instead of the system's, with its value.
pub(crate) fn variable_with_roots() -> Option<String> {
    let of = |name: &str| Some(format!("{name} ({})", std::env::var_os(name)?.display()));
    ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_needs_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let failure = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let network = Network { ca_bundle: Some(file.clone()), ..Network::default() };
            client_config(&RootCertStore::empty(), &network).unwrap_err()
        };
        assert!(failure("").message.ends_with("it contains no certificate, neither as PEM nor as DER"));
        let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(failure(block).message.ends_with("it contains no certificate: line 1: CERTIFICATE that can't be read"));
    }

    #[test]
    fn a_directory_needs_one_usable_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes"), "not a certificate").unwrap();
        let network = Network { ca_bundle: Some(folder.path().to_owned()), ..Network::default() };
        let failure = client_config(&RootCertStore::empty(), &network).unwrap_err();
        assert!(failure.message.ends_with("it contains no certificate that can be used as an authority"), "{failure}");
        let system = load_system_certificates().certs.into_iter().next().unwrap();
        std::fs::write(folder.path().join("zz.der"), &system).unwrap();
        assert!(client_config(&RootCertStore::empty(), &network).is_ok());
    }
}
