//! How certificates and requests for certificates are made of a vault's key.

use crate::azure::vault::error::VaultError;
use crate::clock::civil;
use crate::crypto::{Curve, Family};
use crate::state::State;
use crate::state::azure::Version;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// `CN=me, O=mine`.
    pub(super) name: String,
    pub(super) dns_names: Vec<String>,
}

impl Subject {
    /// Signed with its own key, or by the emulator's authority.
    pub(super) fn certify(&self, state: &State, version: &Version, issued: bool) -> Result<Vec<u8>, VaultError> {
        let (key, mut params) = (pair(version)?, self.params()?);
        params.use_authority_key_identifier_extension = issued;
        let (year, month, day, ..) = civil(version.created);
        let year = i32::try_from(year).unwrap_or(2020);
        // A day that every year has, so that 29 February can be followed by a year.
        let day = day.min(28);
        (params.not_before, params.not_after) = (date_time_ymd(year, month, day), date_time_ymd(year + 1, month, day));
        let certificate =
            if issued { params.signed_by(&key, state.authority.issuer()) } else { params.self_signed(&key) };
        Ok(certificate.map_err(unfit)?.der().to_vec())
    }

    /// A request in PKCS#10.
    pub(super) fn request(&self, version: &Version) -> Result<Vec<u8>, VaultError> {
        let request = self.params()?.serialize_request(&pair(version)?).map_err(unfit)?;
        Ok(request.der().to_vec())
    }

    fn params(&self) -> Result<CertificateParams, VaultError> {
        let mut params = CertificateParams::new(self.dns_names.clone()).map_err(unfit)?;
        params.distinguished_name = distinguished(&self.name)
            .ok_or_else(|| VaultError::bad_parameter(format!("Property subject has invalid value: {}", self.name)))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params)
    }
}

fn unfit(_: rcgen::Error) -> VaultError {
    VaultError::bad_parameter("The key type is not supported for certificates.")
}

fn pair(version: &Version) -> Result<KeyPair, VaultError> {
    let algorithm = match version.material.family {
        Family::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
        Family::Ec(Curve::P256) => &rcgen::PKCS_ECDSA_P256_SHA256,
        Family::Ec(Curve::P384) => &rcgen::PKCS_ECDSA_P384_SHA384,
        Family::Ec(Curve::P521) => &rcgen::PKCS_ECDSA_P521_SHA512,
        _ => return Err(unfit(rcgen::Error::KeyGenerationUnavailable)),
    };
    let private = PrivatePkcs8KeyDer::from(version.material.private.as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&private, algorithm).map_err(unfit)
}

static ATTRIBUTES: [(&str, DnType); 6] = [
    ("CN", DnType::CommonName),
    ("O", DnType::OrganizationName),
    ("OU", DnType::OrganizationalUnitName),
    ("L", DnType::LocalityName),
    ("ST", DnType::StateOrProvinceName),
    ("C", DnType::CountryName),
];

/// RFC 4514, without its escapes.
fn distinguished(text: &str) -> Option<DistinguishedName> {
    let mut name = DistinguishedName::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (kind, value) = part.split_once('=')?;
        let row = ATTRIBUTES.iter().find(|row| row.0.eq_ignore_ascii_case(kind.trim()))?;
        name.push(row.1.clone(), value.trim());
    }
    Some(name)
}
