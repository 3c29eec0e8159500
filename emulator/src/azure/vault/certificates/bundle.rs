//! Descriptions of a certificate: the CertificateBundle and the CertificateItem of the REST API.

use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use crate::azure::vault::keys::curve::curve_name;
use crate::crypto::{Family, Hash};
use crate::encoding::{base64, base64url};
use crate::state::azure::{Certificate, Version};
use serde_json::{Value, json};

impl Call<'_> {
    pub(super) fn find_certificate(&self, name: &str, version: &str) -> Result<(Version, Certificate), VaultError> {
        let found = self.state.vaults.find(&self.vault, name, version).ok();
        let found = found.and_then(|version| version.certificate.clone().map(|certificate| (version, certificate)));
        found.ok_or_else(|| {
            let id = if version.is_empty() { name.to_owned() } else { format!("{name}/{version}") };
            VaultError::new(404, "CertificateNotFound", format!(
                "A certificate with (name/id) {id} was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
            ))
        })
    }

    pub(super) fn certificate_bundle(&self, name: &str, key: &Version, certificate: &Certificate) -> Value {
        let mut bundle = self.certificate_item(name, &key.version, key, certificate);
        bundle["kid"] = json!(self.id("keys", name, &key.version));
        bundle["sid"] = json!(self.id("secrets", name, &key.version));
        bundle["cer"] = json!(base64(&certificate.der));
        bundle
    }

    pub(super) fn policy(&self, name: &str, key: &Version, certificate: &Certificate) -> Value {
        let mut props = json!({ "exportable": false, "kty": key.kty, "reuse_key": false });
        match key.material.family {
            Family::Rsa(bits) => props["key_size"] = json!(bits),
            family => props["crv"] = json!(curve_name(family)),
        }
        json!({
            "id": self.id("certificates", name, "policy"),
            "key_props": props,
            "secret_props": { "contentType": certificate.content_type },
            "x509_props": {
                "subject": certificate.subject, "validity_months": 12, "basic_constraints": { "ca": false },
            },
            "issuer": { "name": certificate.issuer },
        })
    }

    pub(super) fn certificate_item(
        &self,
        name: &str,
        version: &str,
        key: &Version,
        certificate: &Certificate,
    ) -> Value {
        let mut item = json!({
            "id": self.id("certificates", name, version),
            "x5t": base64url(&Hash::Sha1.of(&certificate.der)),
            "attributes": key.attributes(),
        });
        if !key.tags.is_empty() {
            item["tags"] = json!(key.tags);
        }
        item
    }
}
