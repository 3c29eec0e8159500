//! X.509 certificates: from base64, PEM or DER to the parts that PKCS#11 shows. RFC 5280.
//!
//! Knows no slot; whether a certificate belongs to a key is asked by comparing [`Certificate::spki`].

use crate::key::{PublicKey, Unusable};
use base64ct::Encoding;
use der::flagset::FlagSet;
use der::{Decode, Encode};
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

/// A certificate, taken apart into what CKO_CERTIFICATE objects show (PKCS#11 3.1 section 4.6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it; all but the key are DER")]
pub struct Certificate {
    pub der: Vec<u8>,
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    pub serial: Vec<u8>,
    pub spki: Vec<u8>,
    /// Whether it may issue others (basicConstraints).
    pub is_ca: bool,
    /// Whether its key may sign (keyUsage): not so where it may only decrypt or agree.
    pub signs: bool,
    /// The last commonName of the subject.
    pub common_name: Option<String>,
    /// Validity, as seconds since 1970.
    pub not_before: u64,
    /// End of validity, as seconds since 1970.
    pub not_after: u64,
}

impl Certificate {
    /// From exactly one certificate in DER.
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
            signs: usage.is_none_or(|usage| !usage.0.is_disjoint(signing())),
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            not_before: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
        })
    }

    /// From the text of a PEM file: the first block that is a certificate and parses, then the rest as its chain.
    /// Blocks of other names (keys, trusted certificates) are passed over.
    pub fn chain_from_pem(text: &str) -> Result<Vec<Self>, Unusable> {
        let blocks = pem_blocks(text, "CERTIFICATE");
        let parsed: Vec<_> = blocks.iter().filter_map(|der| Self::from_der(der).ok()).collect();
        match (blocks.len(), parsed.is_empty()) {
            (0, _) => Err(Unusable("no PEM block named CERTIFICATE".into())),
            (_, true) => Err(Unusable("no PEM block named CERTIFICATE that is an X.509 certificate".into())),
            _ => Ok(parsed),
        }
    }

    /// From a configuration's text: base64 of DER with or without line breaks and padding, or PEM.
    pub fn chain_from_text(text: &str) -> Result<Vec<Self>, Unusable> {
        if text.contains("-----BEGIN") {
            return Self::chain_from_pem(text);
        }
        let der = base64_tolerant(text).ok_or_else(|| Unusable("neither base64 nor PEM".into()))?;
        Ok(vec![Self::from_der(&der)?])
    }

    /// Its public key, if it is of a kind that this module can serve.
    pub fn public_key(&self) -> Result<PublicKey, Unusable> {
        PublicKey::from_spki(&self.spki)
    }

    /// Whether `key` is the key that it certifies.
    pub fn certifies(&self, key: &PublicKey) -> bool {
        self.public_key().is_ok_and(|own| own == *key)
    }
}

fn signing() -> FlagSet<KeyUsages> {
    KeyUsages::DigitalSignature | KeyUsages::NonRepudiation | KeyUsages::KeyCertSign | KeyUsages::CRLSign
}

fn common_name(name: &x509_cert::name::Name) -> Option<String> {
    let mut found = None;
    for attribute in name.iter() {
        if attribute.oid == const_oid::db::rfc4519::CN {
            // UTF8String, PrintableString and IA5String all are UTF-8.
            found = std::str::from_utf8(attribute.value.value()).ok().map(str::to_owned);
        }
    }
    found
}

fn unusable(error: impl std::fmt::Display) -> Unusable {
    Unusable(format!("no X.509 certificate: {error}"))
}

/// The contents of all blocks of that exact name, whatever stands between and around them.
pub(crate) fn pem_blocks(text: &str, name: &str) -> Vec<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {name}-----"), format!("-----END {name}-----"));
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(&begin) {
        rest = &rest[start + begin.len()..];
        let Some(stop) = rest.find(&end) else { break };
        blocks.extend(base64_tolerant(&rest[..stop]));
        rest = &rest[stop + end.len()..];
    }
    blocks
}

fn base64_tolerant(text: &str) -> Option<Vec<u8>> {
    let letters: String = text.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=').collect();
    base64ct::Base64Unpadded::decode_vec(&letters).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Curve, Kind};

    /// Self-signed, by openssl: P-256, CN "cloud-kms-pkcs11 example", a CA.
    const EXAMPLE: &str = "MIIBnTCCAUOgAwIBAgIUckAdFDE5iHsdV/Q2g/QFwFJb/bYwCgYIKoZIzj0EAwIwIzEhMB8GA1UEAwwYY2xvdWQta21zLXBrY3MxMSBleGFtcGxlMCAXDTI2MTEyMDIxNDkxM1oYDzIxMjYxMDI3MjE0OTEzWjAjMSEwHwYDVQQDDBhjbG91ZC1rbXMtcGtjczExIGV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ1LNmIAbTEij5LDyS7n/1jh/oRiHfWj3Zqhp9oCT7/rCI880zkM0XwTs313FJ7vqpLn5aTb8+yaCqaZenHR1FOo1MwUTAdBgNVHQ4EFgQULIHNrLq1993I2CjPpqBn5SrCmqgwHwYDVR0jBBgwFoAULIHNrLq1993I2CjPpqBn5SrCmqgwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBE0KHbnuBPYi+jaC4ZJMJOh7w2vYzeM+s94fRfTt4V/wIhAOivksEEV8XWsuAwqBtAM5U9encNG283uGNpq7GMh+Sr";

    #[test]
    fn base64_is_taken_in_every_shape_that_people_paste() {
        let certificate = Certificate::chain_from_text(EXAMPLE).unwrap().remove(0);
        assert_eq!(certificate.public_key().map(|key| key.kind()), Ok(Kind::Ec(Curve::P256)));
        assert_eq!(certificate.common_name.as_deref(), Some("cloud-kms-pkcs11 example"));
        assert_eq!(certificate.subject, certificate.issuer);
        assert!(certificate.is_ca && certificate.not_before < certificate.not_after);
        assert!(certificate.certifies(&certificate.public_key().unwrap()));
        let lines = EXAMPLE.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
        let pem = format!("-----BEGIN CERTIFICATE-----\r\n{}\r\n-----END CERTIFICATE-----\r\n", lines.join("\r\n"));
        for text in [lines.join("\n"), format!(" {EXAMPLE}== \n"), EXAMPLE.trim_end_matches('=').to_owned(), pem] {
            assert_eq!(Certificate::chain_from_text(&text), Ok(vec![certificate.clone()]), "{text}");
        }
    }

    #[test]
    fn of_a_file_the_first_certificate_counts_and_the_rest_is_its_chain() {
        let block = |name: &str, body: &str| format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n");
        let text = [
            "subject=me\n".to_owned(),
            block("EC PRIVATE KEY", "AAAA"),
            block("TRUSTED CERTIFICATE", EXAMPLE),
            block("CERTIFICATE", "AAAA"),
            block("CERTIFICATE", EXAMPLE),
            block("CERTIFICATE", EXAMPLE),
        ];
        assert_eq!(Certificate::chain_from_pem(&text.concat()).map(|chain| chain.len()), Ok(2));
        for text in
            ["", "-----BEGIN CERTIFICATE-----\nAAAA", &block("CERTIFICATE", "AAAA"), &block("PUBLIC KEY", EXAMPLE)]
        {
            assert!(Certificate::chain_from_pem(text).is_err(), "{text}");
        }
        assert!(Certificate::chain_from_text("no base64!").is_err());
        assert!(Certificate::chain_from_text("").is_err());
    }
}
