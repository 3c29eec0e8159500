//! Certificates in the cache on disk, with which a program that starts often does not request a certificate each time.
//!
//! Only certificates of AWS Private CA are cached: their ARN contains the serial number, so it never means another
//! certificate. An ARN of AWS Certificate Manager keeps its name when the certificate is renewed or imported again, at any
//! time, so such a certificate is requested once in every process. A cached certificate is trusted no more than a local
//! one: it is shown only with the key whose public half it contains.

use super::private_directory::hex_digest;
use super::public_keys::PublicKeyCache;
use crate::certificate::Certificate;
use crate::cloud::CertificateName;
use crate::log_debug;

impl PublicKeyCache {
    /// Returns the cached certificate of that name, followed by its chain. Returns `None` if there is none, or if the
    /// name may come to mean another certificate.
    pub fn certificate_chain(&self, name: &CertificateName) -> Option<Vec<Certificate>> {
        let file = file_name(name).filter(|_| self.is_usable())?;
        let (chain, _) = Certificate::parse_all(&self.folder.read(&file).ok()??).ok()?;
        log_debug!("{}: the certificate is cached", name.id);
        Some(chain)
    }

    /// Caches a certificate and its chain, if the name always means this certificate. Failures are logged at debug
    /// level.
    pub fn insert_certificate_chain(&self, name: &CertificateName, chain: &[Certificate]) {
        let Some(file) = file_name(name).filter(|_| self.is_usable()) else { return };
        let text: String = chain.iter().map(Certificate::to_pem).collect();
        let is_cached = self.folder.read(&file).is_ok_and(|bytes| bytes.is_some_and(|bytes| bytes == text.as_bytes()));
        if !is_cached && let Err(error) = self.folder.write(&file, text.as_bytes()) {
            log_debug!("the cache in {}: {error}", self.folder);
        }
    }
}

/// Returns the name of the file, or `None` if the certificate must not be cached.
fn file_name(name: &CertificateName) -> Option<String> {
    let authority = name.authority.as_ref()?;
    Some(format!("{}.pem", hex_digest(format!("certificate\0{authority}\0{}", name.id).as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::fake;

    #[test]
    fn only_private_certificates_are_cached() {
        let home = tempfile::tempdir().unwrap();
        let cache = PublicKeyCache::new(home.path().join("cache"));
        let name =
            |authority: Option<&str>| CertificateName { id: "c".into(), authority: authority.map(str::to_owned) };
        let chain = [fake::certificate_of(&fake::public_key("p256").unwrap()), fake::example().clone()];
        for authority in [None, Some("a")] {
            cache.insert_certificate_chain(&name(authority), &chain);
            let expected = authority.map(|_| chain.to_vec());
            assert_eq!(cache.certificate_chain(&name(authority)), expected);
        }
        assert_eq!(cache.certificate_chain(&name(Some("b"))), None);
    }
}
