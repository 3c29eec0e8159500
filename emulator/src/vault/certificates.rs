//! Certificates of a vault: each has a key and a secret of the same name and version (Key Vault REST API, "Certificates").

use super::keys::VaultKey;
use super::store::Version;
use super::{Call, VaultError};
use crate::clock::civil;
use crate::keys::{Curve, Family, Hash};
use crate::state::State;
use crate::wire::{base64, base64url};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// A certificate that is to be made, with its key. As JSON: `{"key": {"kty": "RSA"}, "subject": "me", "issued": true}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultCertificate {
    /// The key to make for it; P-256K has no certificates here.
    pub key: VaultKey,
    /// The common name: that of the certificate, unless said.
    #[serde(default)]
    pub subject: Option<String>,
    /// Issued by the emulator's own authority instead of self-signed.
    #[serde(default)]
    pub issued: bool,
}

impl VaultCertificate {
    /// A self-signed certificate for a new key.
    pub fn new(key: VaultKey) -> Self {
        Self { key, subject: None, issued: false }
    }

    /// Issued by the emulator's authority, whose certificate is [`crate::Emulator::ca_pem`].
    #[must_use]
    pub fn issued(mut self) -> Self {
        self.issued = true;
        self
    }

    /// With this common name.
    #[must_use]
    pub fn subject(mut self, name: &str) -> Self {
        self.subject = Some(name.to_owned());
        self
    }

    /// Makes the key and the certificate; the version is both.
    pub(crate) fn make(&self, state: &State, name: &str) -> Result<Version, VaultError> {
        let mut version = self.key.make(state)?;
        let subject = self.subject.as_deref().unwrap_or(name);
        let certificate = certify(state, &version, subject, self.issued)
            .map_err(|_| VaultError::bad_parameter("The key type is not supported for certificates."))?;
        (version.certificate, version.self_signed) = (Some(certificate), !self.issued);
        Ok(version)
    }
}

fn certify(state: &State, version: &Version, subject: &str, issued: bool) -> Result<Vec<u8>, rcgen::Error> {
    let algorithm = match version.material.family {
        Family::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
        Family::Ec(Curve::P256) => &rcgen::PKCS_ECDSA_P256_SHA256,
        Family::Ec(Curve::P384) => &rcgen::PKCS_ECDSA_P384_SHA384,
        Family::Ec(Curve::P521) => &rcgen::PKCS_ECDSA_P521_SHA512,
        _ => return Err(rcgen::Error::KeyGenerationUnavailable),
    };
    let private = PrivatePkcs8KeyDer::from(version.material.private.as_slice());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&private, algorithm)?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = issued;
    let (year, month, day, ..) = civil(version.created);
    let year = i32::try_from(year).unwrap_or(2020);
    // A day that every year has, so that 29 February can be followed by a year.
    let day = day.min(28);
    (params.not_before, params.not_after) = (date_time_ymd(year, month, day), date_time_ymd(year + 1, month, day));
    let certificate =
        if issued { params.signed_by(&key, state.authority.issuer())? } else { params.self_signed(&key)? };
    Ok(certificate.der().to_vec())
}

impl Call<'_> {
    fn find_certificate(&self, name: &str, version: &str) -> Result<(Version, Vec<u8>), VaultError> {
        let found = self.state.vaults.find(&self.vault, name, version).ok();
        let found = found.and_then(|version| version.certificate.clone().map(|der| (version, der)));
        found.ok_or_else(|| {
            let id = if version.is_empty() { name.to_owned() } else { format!("{name}/{version}") };
            VaultError::new(404, "CertificateNotFound", format!(
                "A certificate with (name/id) {id} was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
            ))
        })
    }

    pub(super) fn get_certificate(&self, name: &str, version: &str) -> Result<Value, VaultError> {
        let (key, certificate) = self.find_certificate(name, version)?;
        let mut reply = self.certificate_item(name, &key.version, &key, &certificate);
        reply["kid"] = json!(self.id("keys", name, &key.version));
        reply["sid"] = json!(self.id("secrets", name, &key.version));
        reply["cer"] = json!(base64(&certificate));
        if version.is_empty() {
            reply["policy"] = self.policy(name, &key);
            reply["pending"] = json!({ "id": self.id("certificates", name, "pending") });
        }
        Ok(reply)
    }

    fn policy(&self, name: &str, key: &Version) -> Value {
        let mut props = json!({ "exportable": false, "kty": key.kty, "reuse_key": false });
        match key.material.family {
            Family::Rsa(bits) => props["key_size"] = json!(bits),
            family => props["crv"] = json!(super::store::curve_name(family)),
        }
        json!({
            "id": self.id("certificates", name, "policy"),
            "key_props": props,
            "secret_props": { "contentType": "application/x-pkcs12" },
            "x509_props": { "subject": format!("CN={name}"), "validity_months": 12, "basic_constraints": { "ca": false } },
            "issuer": { "name": if key.self_signed { "Self" } else { "Unknown" } },
        })
    }

    fn certificate_item(&self, name: &str, version: &str, key: &Version, certificate: &[u8]) -> Value {
        json!({
            "id": self.id("certificates", name, version),
            "x5t": base64url(&Hash::Sha1.of(certificate)),
            "attributes": key.attributes(),
        })
    }

    pub(super) fn list_certificates(&self) -> Result<Value, VaultError> {
        let found: Vec<(String, Version)> = {
            let vaults = self.state.vaults.vaults();
            let keys = vaults.get(&self.vault).map(|vault| vault.keys.iter());
            keys.into_iter()
                .flatten()
                .filter_map(|(name, versions)| Some((name.clone(), versions.last()?.clone())))
                .collect()
        };
        let items = found.into_iter().filter_map(|(name, key)| {
            let item = self.certificate_item(&name, "", &key, key.certificate.as_deref()?);
            Some((name, item))
        });
        self.page(items.collect())
    }

    pub(super) fn certificate_versions(&self, name: &str) -> Result<Value, VaultError> {
        self.find_certificate(name, "")?;
        let versions = {
            let vaults = self.state.vaults.vaults();
            vaults.get(&self.vault).and_then(|vault| vault.keys.get(&name.to_ascii_lowercase()).cloned())
        };
        let mut versions = versions.unwrap_or_default();
        versions.sort_by(|one, other| one.version.cmp(&other.version));
        let items = versions.iter().filter_map(|key| {
            Some((key.version.clone(), self.certificate_item(name, &key.version, key, key.certificate.as_deref()?)))
        });
        self.page(items.collect())
    }
}
