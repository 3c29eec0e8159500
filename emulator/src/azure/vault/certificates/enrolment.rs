//! Certificates on their way: a request is made, an authority outside answers it, the answer is merged
//! (Key Vault REST API, "Create Certificate", "Get Certificate Operation", "Merge Certificate").
//!
//! Unlike in the real service the key of such a certificate is not visible before the merge.

use super::subject::Subject;
use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use crate::azure::vault::keys::VaultKey;
use crate::azure::vault::tags::tags;
use crate::encoding::{base64, base64_decode, der};
use crate::state::azure::{Certificate, Enrolment, Version};
use serde_json::{Value, json};

impl Call<'_> {
    /// With the issuer `Self` it is done at once; with `Unknown` someone has to merge a certificate.
    pub(crate) fn create_certificate(&self, name: &str) -> Result<Value, VaultError> {
        let body = self.body()?;
        self.check_not_deleted("Certificate", name)?;
        self.check_not_in_progress(name)?;
        let mut enrolment = self.enrolment(&body)?;
        if enrolment.certificate.issuer == SELF {
            let Enrolment { version, certificate, .. } = &mut enrolment;
            certificate.der = subject(&body)?.certify(self.state, version, false)?;
            let done = Version { certificate: Some(certificate.clone()), ..version.clone() };
            self.state.vaults.insert(&self.vault, name, done);
            enrolment.completed = true;
        }
        let reply = self.operation(name, &enrolment);
        self.state.vaults.set_enrolment(&self.vault, name, enrolment);
        Ok(reply)
    }

    fn enrolment(&self, body: &Value) -> Result<Enrolment, VaultError> {
        let policy = body.get("policy").filter(|policy| policy.is_object()).ok_or_else(invalid_policy)?;
        let issuer = at(policy, "/issuer/name").unwrap_or(UNKNOWN);
        let issuer = [SELF, UNKNOWN].into_iter().find(|known| known.eq_ignore_ascii_case(issuer));
        let issuer = issuer.ok_or_else(|| VaultError::bad_parameter("Issuer not found."))?;
        let subject = subject(body)?;
        let enabled = body.pointer("/attributes/enabled").and_then(Value::as_bool);
        let key = VaultKey { enabled: enabled != Some(false), ..key_of(policy) };
        let version = Version { tags: tags(body).unwrap_or_default(), ..key.make(self.state)? };
        let csr = subject.request(&version)?;
        let content_type = at(policy, "/secret_props/contentType").unwrap_or("application/x-pkcs12").to_owned();
        let certificate = Certificate { der: Vec::new(), issuer, subject: subject.name, content_type };
        Ok(Enrolment { version, certificate, csr, request_id: self.state.ids.hex(), completed: false })
    }

    pub(crate) fn pending(&self, name: &str) -> Result<Value, VaultError> {
        Ok(self.operation(name, &self.find_enrolment(name)?))
    }

    pub(crate) fn delete_pending(&self, name: &str) -> Result<Value, VaultError> {
        let reply = self.pending(name)?;
        self.state.vaults.forget_enrolment(&self.vault, name);
        Ok(reply)
    }

    pub(crate) fn merge(&self, name: &str) -> Result<Value, VaultError> {
        let body = self.body()?;
        let mut enrolment = self.find_enrolment(name)?;
        if enrolment.completed {
            return Err(VaultError::forbidden(
                "OperationNotAllowed",
                "Pending status must be in progress to allow update.",
            ));
        }
        let chain = body.get("x5c").and_then(Value::as_array).filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| VaultError::bad_parameter("Property 'x5c' is required.\r\n"))?;
        let chain: Option<Vec<Vec<u8>>> = chain.iter().map(|item| item.as_str().and_then(base64_decode)).collect();
        let chain = chain.ok_or_else(|| VaultError::bad_parameter("Property x5c has invalid value\r\n"))?;
        enrolment.certificate.der = leaf(&enrolment.version, chain)?;
        let mut done = Version { certificate: Some(enrolment.certificate.clone()), ..enrolment.version.clone() };
        done.tags = tags(&body).unwrap_or(done.tags);
        self.state.vaults.insert(&self.vault, name, done);
        enrolment.completed = true;
        self.state.vaults.set_enrolment(&self.vault, name, enrolment);
        self.get_certificate(name, "")
    }

    pub(crate) fn check_not_in_progress(&self, name: &str) -> Result<(), VaultError> {
        if self.find_enrolment(name).is_ok_and(|enrolment| !enrolment.completed) {
            let text = "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress.";
            return Err(VaultError::new(409, "Conflict", text));
        }
        Ok(())
    }

    fn find_enrolment(&self, name: &str) -> Result<Enrolment, VaultError> {
        let found = self.state.vaults.enrolment(&self.vault, name);
        found.ok_or_else(|| {
            VaultError::new(404, "PendingCertificateNotFound", format!("Pending certificate not found: {name}"))
        })
    }

    fn operation(&self, name: &str, enrolment: &Enrolment) -> Value {
        let mut operation = json!({
            "id": self.id("certificates", name, "pending"),
            "issuer": { "name": enrolment.certificate.issuer },
            "csr": base64(&enrolment.csr),
            "cancellation_requested": false,
            "status": if enrolment.completed { "completed" } else { "inProgress" },
            "request_id": enrolment.request_id,
        });
        if enrolment.completed {
            operation["target"] = json!(self.id("certificates", name, ""));
        } else {
            operation["status_details"] =
                json!("Pending certificate created. Please Perform Merge to complete the request.");
        }
        operation
    }
}

const SELF: &str = "Self";
pub(super) const UNKNOWN: &str = "Unknown";

/// The certificate in a chain that is for a key, wherever in the chain it is.
pub(super) fn leaf(version: &Version, chain: Vec<Vec<u8>>) -> Result<Vec<u8>, VaultError> {
    let fits = |certificate: &Vec<u8>| der::certificate_key(certificate).as_ref() == Some(&version.material.spki);
    chain.into_iter().find(fits).ok_or_else(|| {
        VaultError::bad_parameter(
            "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.",
        )
    })
}

fn key_of(policy: &Value) -> VaultKey {
    let size = policy.pointer("/key_props/key_size").and_then(Value::as_u64);
    VaultKey {
        size: size.map(|size| u16::try_from(size).unwrap_or(u16::MAX)),
        curve: at(policy, "/key_props/crv").map(str::to_owned),
        ..VaultKey::of_type(at(policy, "/key_props/kty").unwrap_or("RSA"))
    }
}

fn subject(body: &Value) -> Result<Subject, VaultError> {
    let properties = body.pointer("/policy/x509_props").ok_or_else(invalid_policy)?;
    let names = properties.pointer("/sans/dns_names").and_then(Value::as_array);
    let names: Vec<String> = names.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    match at(properties, "/subject") {
        None if names.is_empty() => Err(invalid_policy()),
        name => Ok(Subject { name: name.unwrap_or_default().to_owned(), dns_names: names }),
    }
}

fn invalid_policy() -> VaultError {
    VaultError::bad_parameter("Property policy has invalid value\r\n")
}

fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
