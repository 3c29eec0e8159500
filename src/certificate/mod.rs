//! X.509 certificates (RFC 5280): from base64, PEM or DER to the parts that PKCS#11 objects contain.
//!
//! This module knows no slots. Whether a certificate belongs to a key is determined by comparing
//! [`Certificate::spki`].

pub mod bundle;
pub mod file;
pub mod generated;
pub mod pem;

use crate::key::{PublicKey, Purpose, Unusable};
use base64ct::{Base64, Encoding};
use der::flagset::FlagSet;
use der::{Decode, Encode};
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

/// A certificate, parsed into the values of a CKO_CERTIFICATE object (PKCS#11 3.1 section 4.6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it; all but the key are DER")]
pub struct Certificate {
    /// DER of the certificate.
    pub der: Vec<u8>,
    /// DER of the subject.
    pub subject: Vec<u8>,
    /// DER of the issuer.
    pub issuer: Vec<u8>,
    /// DER of the serial number.
    pub serial: Vec<u8>,
    /// DER of the SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Whether the certificate may issue others (basicConstraints).
    pub is_ca: bool,
    /// The purposes that keyUsage permits, or None if the certificate has no keyUsage.
    pub usage: Option<Vec<Purpose>>,
    /// The last commonName of the subject.
    pub common_name: Option<String>,
    /// The start of validity, in seconds since the start of 1970.
    pub not_before: u64,
    /// The end of validity, in seconds since the start of 1970.
    pub not_after: u64,
}

impl Certificate {
    /// Parses DER of exactly one certificate.
    ///
    /// # Errors
    /// Fails if the bytes are not a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Unusable> {
        let parsed = x509_cert::Certificate::from_der(der).map_err(unusable)?;
        let tbs = parsed.tbs_certificate();
        let constraints = tbs.get_extension::<x509_cert::ext::pkix::BasicConstraints>().map_err(unusable)?;
        let usage = tbs.get_extension::<KeyUsage>().map_err(unusable)?.map(|(_, usage)| usage);
        Ok(Self {
            der: der.to_vec(),
            subject: tbs.subject().to_der().map_err(unusable)?,
            issuer: tbs.issuer().to_der().map_err(unusable)?,
            serial: tbs.serial_number().to_der().map_err(unusable)?,
            spki: tbs.subject_public_key_info().to_der().map_err(unusable)?,
            common_name: common_name(tbs.subject()),
            usage: usage.map(|usage| purposes(usage.0)),
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            not_before: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
        })
    }

    /// Returns the PEM encoding (RFC 7468 section 5).
    pub fn to_pem(&self) -> String {
        let text = Base64::encode_string(&self.der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// Returns all certificates of a file or of an option of the configuration, in any form, in their order, each
    /// one once. Also returns what else the file contains, with its line.
    ///
    /// # Errors
    /// Fails if there is no certificate, with the reason.
    pub fn parse_all(bytes: &[u8]) -> Result<(Vec<Self>, Vec<String>), Unusable> {
        let mut found = file::find(bytes);
        let mut certificates: Vec<Self> = Vec::new();
        for (line, der) in std::mem::take(&mut found.certificates) {
            match Self::from_der(&der) {
                Ok(own) if certificates.contains(&own) => {}
                Ok(own) => certificates.push(own),
                Err(why) if line == 0 => found.other_contents.push(why.0),
                Err(why) => found.other_contents.push(format!("line {line}: {}", why.0)),
            }
        }
        match (certificates.is_empty(), found.other_contents.is_empty()) {
            (true, true) => Err(Unusable(file::NO_CERTIFICATE.into())),
            (true, false) => Err(Unusable(format!("it contains no certificate: {}", found.other_contents.join("; ")))),
            (false, _) => Ok((certificates, found.other_contents)),
        }
    }

    /// Returns the public key.
    ///
    /// # Errors
    /// Fails if the public key is not of a kind that this module supports.
    pub fn public_key(&self) -> Result<PublicKey, Unusable> {
        PublicKey::from_spki(&self.spki)
    }

    /// Returns whether this certificate is the issuer of `other`, judged by their names.
    pub fn is_issuer_of(&self, other: &Self) -> bool {
        self.subject == other.issuer
    }

    /// Returns whether this certificate certifies `key`.
    pub fn certifies(&self, key: &PublicKey) -> bool {
        self.public_key().is_ok_and(|own| own == *key)
    }
}

/// Returns the purposes that keyUsage permits (RFC 5280 section 4.2.1.3).
fn purposes(usage: FlagSet<KeyUsages>) -> Vec<Purpose> {
    let signs = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation | KeyUsages::KeyCertSign | KeyUsages::CRLSign;
    let rows = [
        (Purpose::Sign, signs),
        (Purpose::Decrypt, KeyUsages::KeyEncipherment | KeyUsages::DataEncipherment),
        (Purpose::Derive, KeyUsages::KeyAgreement.into()),
    ];
    rows.into_iter().filter(|(_, bits)| !usage.is_disjoint(*bits)).map(|(purpose, _)| purpose).collect()
}

fn common_name(name: &x509_cert::name::Name) -> Option<String> {
    let mut found = None;
    for attribute in name.iter() {
        if attribute.oid == const_oid::db::rfc4519::CN {
            // The contents of UTF8String, PrintableString and IA5String are all UTF-8.
            found = std::str::from_utf8(attribute.value.value()).ok().map(str::to_owned);
        }
    }
    found
}

fn unusable(error: impl std::fmt::Display) -> Unusable {
    Unusable(format!("it is not an X.509 certificate: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Curve, Kind};

    /// A self-signed certificate made with openssl: P-256, CN "cloud-kms-pkcs11 example", a CA.
    const EXAMPLE: &str = "MIIBnTCCAUOgAwIBAgIUckAdFDE5iHsdV/Q2g/QFwFJb/bYwCgYIKoZIzj0EAwIwIzEhMB8GA1UEAwwYY2xvdWQta21zLXBrY3MxMSBleGFtcGxlMCAXDTI2MTEyMDIxNDkxM1oYDzIxMjYxMDI3MjE0OTEzWjAjMSEwHwYDVQQDDBhjbG91ZC1rbXMtcGtjczExIGV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ1LNmIAbTEij5LDyS7n/1jh/oRiHfWj3Zqhp9oCT7/rCI880zkM0XwTs313FJ7vqpLn5aTb8+yaCqaZenHR1FOo1MwUTAdBgNVHQ4EFgQULIHNrLq1993I2CjPpqBn5SrCmqgwHwYDVR0jBBgwFoAULIHNrLq1993I2CjPpqBn5SrCmqgwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBE0KHbnuBPYi+jaC4ZJMJOh7w2vYzeM+s94fRfTt4V/wIhAOivksEEV8XWsuAwqBtAM5U9encNG283uGNpq7GMh+Sr";

    #[test]
    fn base64_is_accepted_in_every_form() {
        let certificate = Certificate::parse_all(EXAMPLE.as_bytes()).unwrap().0.remove(0);
        assert_eq!(certificate.public_key().map(|key| key.kind()), Ok(Kind::Ec(Curve::P256)));
        assert_eq!(certificate.common_name.as_deref(), Some("cloud-kms-pkcs11 example"));
        assert_eq!(certificate.subject, certificate.issuer);
        assert!(certificate.is_ca && certificate.not_before < certificate.not_after);
        assert!(certificate.certifies(&certificate.public_key().unwrap()));
        let lines = EXAMPLE.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
        let pem = format!("-----BEGIN CERTIFICATE-----\r\n{}\r\n-----END CERTIFICATE-----\r\n", lines.join("\r\n"));
        for text in [lines.join("\n"), format!(" {EXAMPLE}== \n"), EXAMPLE.trim_end_matches('=').to_owned(), pem] {
            assert_eq!(Certificate::parse_all(text.as_bytes()), Ok((vec![certificate.clone()], Vec::new())), "{text}");
        }
    }

    #[test]
    fn all_certificates_of_a_file_are_taken_once_and_the_rest_is_named() {
        let block = |name: &str, body: &str| format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n");
        let text = [
            "subject=me\n".to_owned(),
            block("EC PRIVATE KEY", "AAAA"),
            block("CERTIFICATE", "AAAA"),
            block("CERTIFICATE", "MAMCAQE="),
            block("CERTIFICATE", EXAMPLE),
            block("CERTIFICATE", EXAMPLE),
        ];
        let (certificates, others) = Certificate::parse_all(text.concat().as_bytes()).unwrap();
        assert_eq!(certificates.len(), 1);
        assert_eq!(others[..2], ["line 2: EC PRIVATE KEY", "line 5: CERTIFICATE that can't be read"]);
        assert!(others[2].starts_with("line 8: it is not an X.509 certificate"), "{others:?}");
        let why = |text: &str| Certificate::parse_all(text.as_bytes()).unwrap_err().0;
        assert_eq!(why(""), "it contains no certificate, neither as PEM nor as DER");
        assert_eq!(why("no base64!"), "it contains no certificate, neither as PEM nor as DER");
        assert_eq!(why(&block("PUBLIC KEY", EXAMPLE)), "it contains no certificate: line 1: PUBLIC KEY");
        assert!(why(&block("CERTIFICATE", "MAMCAQE=")).contains("line 1: it is not an X.509 certificate"));
    }
}
