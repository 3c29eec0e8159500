//! Certificates that come with their key, in PEM (Key Vault REST API, "Import Certificate").

use super::enrolment::{UNKNOWN, leaf};
use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use crate::azure::vault::keys::VaultKey;
use crate::azure::vault::keys::curve::curve_name;
use crate::azure::vault::tags::tags;
use crate::crypto::{Family, Material};
use crate::encoding::{base64_decode, pem};
use crate::state::azure::Certificate;
use serde_json::Value;
use std::sync::Arc;

impl Call<'_> {
    pub(crate) fn import_certificate(&self, name: &str) -> Result<Value, VaultError> {
        let body = self.body()?;
        self.check_not_deleted("Certificate", name)?;
        self.check_not_in_progress(name)?;
        let value = body.get("value").and_then(Value::as_str);
        let value = value.ok_or_else(|| VaultError::bad_parameter("Property 'value' is required.\r\n"))?;
        let (material, chain) = parts(&text(value)?).ok_or_else(unexpected)?;
        let enabled = body.pointer("/attributes/enabled").and_then(Value::as_bool) != Some(false);
        let version = VaultKey { enabled, ..described(material.family).ok_or_else(unexpected)? };
        let mut version = version.of_material(self.state, Arc::new(material))?;
        let der = leaf(&version, chain)?;
        let (subject, content_type) = (format!("CN={name}"), "application/x-pem-file".to_owned());
        version.certificate = Some(Certificate { der, issuer: UNKNOWN, subject, content_type });
        version.tags = tags(&body).unwrap_or_default();
        self.state.vaults.insert(&self.vault, name, version);
        self.get_certificate(name, "")
    }
}

/// Clients send PEM as it is or in base64; PKCS#12 is not read here.
fn text(value: &str) -> Result<String, VaultError> {
    let decoded = || base64_decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = if value.contains(BEGIN) { Some(value.to_owned()) } else { decoded() };
    text.filter(|text| text.contains(BEGIN)).ok_or_else(|| {
        VaultError::bad_parameter(
            "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format.",
        )
    })
}

const BEGIN: &str = "-----BEGIN ";

fn parts(text: &str) -> Option<(Material, Vec<Vec<u8>>)> {
    let blocks = pem::read(text)?;
    let (_, private) = blocks.iter().find(|(label, _)| label == "PRIVATE KEY")?;
    let material = Material::import(private).ok()?;
    let chain: Vec<Vec<u8>> =
        blocks.into_iter().filter(|(label, _)| label == "CERTIFICATE").map(|(_, der)| der).collect();
    (!chain.is_empty()).then_some((material, chain))
}

fn unexpected() -> VaultError {
    VaultError::bad_parameter(
        "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format.",
    )
}

fn described(family: Family) -> Option<VaultKey> {
    match family {
        Family::Rsa(size) => Some(VaultKey::rsa(size)),
        family => curve_name(family).map(VaultKey::ec),
    }
}
