//! Changes in the service: keys that a program creates, labels or destroys, and certificates that it stores with
//! them.
//!
//! PKCS#11 3.2 sections 5.7.1 (C_CreateObject), 5.7.3 (C_DestroyObject), 5.7.6 (C_SetAttributeValue), 5.18.1 and
//! 5.18.2.

use super::Token;
use super::errors::{invalid_handle, not_logged_in, session_read_only};
use super::key::{ObjectClasses, SlotKey};
use crate::certificate::Certificate;
use crate::cloud::{Cause, Failure, NewKey};
use crate::config::Right;
use crate::error::{Error, Result};
use crate::mechanism::{KeyGenMechanism, MechanismInput};
use crate::object::Object;
use crate::object::attribute::{Attribute, flag_in, number_in, value_in};
use crate::object::key_template;
use crate::{log_info, log_warn};
use cryptoki_sys::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Only the key objects, and only the certificates.
const KEYS: ObjectClasses = ObjectClasses { keys: true, certificates: false, only_to_sign: false };
const CERTIFICATES: ObjectClasses = ObjectClasses { keys: false, certificates: true, only_to_sign: false };

impl Token {
    /// C_GenerateKeyPair: returns the handles of the public and the private key.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID (also if the configuration does not allow programs to generate keys),
    /// CKR_MECHANISM_PARAM_INVALID, CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN, those of the templates, and
    /// those of the service.
    pub fn generate_pair(
        &self,
        request: &MechanismInput,
        public: &[Attribute],
        private: &[Attribute],
        read_write: bool,
    ) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let generation = self.find_generation(request, CKF_GENERATE_KEY_PAIR)?;
        self.check_right(Right::Generate, read_write || !is_of_token(private))?;
        let objects = self.create_key(generation, key_template::key_pair(generation, public, private)?)?;
        Ok((handle_of(&objects, CKO_PUBLIC_KEY)?, handle_of(&objects, CKO_PRIVATE_KEY)?))
    }

    /// C_GenerateKey: returns the handle of the secret key.
    ///
    /// # Errors
    /// As [`Token::generate_pair`].
    pub fn generate(
        &self,
        request: &MechanismInput,
        template: &[Attribute],
        read_write: bool,
    ) -> Result<CK_OBJECT_HANDLE> {
        let generation = self.find_generation(request, CKF_GENERATE)?;
        self.check_right(Right::Generate, read_write || !is_of_token(template))?;
        handle_of(&self.create_key(generation, key_template::secret(generation, template)?)?, CKO_SECRET_KEY)
    }

    /// C_DestroyObject of a token object. Destroying one half of a key pair also destroys the other half.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID, CKR_ACTION_PROHIBITED, CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN, and those
    /// of the service and the certificate store.
    pub fn destroy(&self, handle: CK_OBJECT_HANDLE, read_write: bool) -> Result<()> {
        let unknown = || invalid_handle(handle);
        let object = self.object(handle).ok_or_else(unknown)?;
        let right = if object.class == CKO_CERTIFICATE { Right::Certificates } else { Right::Destroy };
        self.check_right(right, read_write).map_err(|error| match error.rv {
            CKR_TOKEN_WRITE_PROTECTED => Error { rv: CKR_ACTION_PROHIBITED, ..error },
            _ => error,
        })?;
        self.confirm(handle)?;
        let key = self.slot_key(handle).ok_or_else(unknown)?;
        if object.class == CKO_CERTIFICATE {
            return key.remove_certificate(&object, self.deadline_for_calls(1));
        }
        let facts = key.facts().ok_or_else(unknown)?;
        let how = key.destroy(&facts, self.deadline_for_calls(2))?;
        self.remove_key(&key);
        log_warn!("{key}: the key was destroyed: {how}");
        Ok(())
    }

    /// C_CreateObject of a certificate that is a token object: the certificate of one of the token's keys, or the
    /// issuer of one. Returns the handle of the certificate.
    ///
    /// # Errors
    /// CKR_TOKEN_WRITE_PROTECTED, CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN, CKR_ACTION_PROHIBITED, those of
    /// the template, and those of the service and the certificate store.
    pub fn add_certificate(&self, template: &[Attribute], read_write: bool) -> Result<CK_OBJECT_HANDLE> {
        self.check_right(Right::Certificates, read_write)?;
        let certificate = certificate_in(template)?;
        let deadline = self.deadline_for_calls(3);
        let keys = self.keys(deadline);
        keys.iter().for_each(|key| key.start_loading(KEYS));
        let own = keys.iter().find(|key| key.public_key(deadline).is_some_and(|key| certificate.certifies(&key)));
        let key = match own.or_else(|| keys.iter().find(|key| key.is_issued_by(&certificate, deadline))) {
            Some(key) => {
                key.add_certificate(&certificate, deadline)?;
                key
            }
            None => complete_pending_certificate(&keys, &certificate, deadline)?,
        };
        let objects = self.load_objects(key, CERTIFICATES, deadline);
        let mut fresh = objects.iter().filter(|object| object.attributes.value(CKA_VALUE) == Some(&certificate.der));
        let object = fresh.next().ok_or_else(|| {
            Error::new(CKR_FUNCTION_FAILED, "the certificate was stored, but can't be read back").with_context(key)
        })?;
        warn_about_names(key, object, template);
        log_info!("{key}: the certificate was stored");
        Ok(object.handle)
    }

    /// C_SetAttributeValue: succeeds if the object already has all the values. The only value that can change is
    /// the label of a key, which all objects of the key share, where the service can store labels.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID, CKR_ACTION_PROHIBITED, CKR_SESSION_READ_ONLY, CKR_TOKEN_WRITE_PROTECTED,
    /// CKR_USER_NOT_LOGGED_IN, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID, and those of the service.
    pub fn set_attributes(&self, handle: CK_OBJECT_HANDLE, template: &[Attribute], read_write: bool) -> Result<()> {
        let object = self.object_with(handle, template.iter().map(|(kind, _)| *kind))?;
        if object.is_token_object() && !read_write {
            return Err(session_read_only());
        }
        if object.attributes.matches(template) {
            return Ok(());
        }
        let mut labels = template.iter().filter(|(kind, _)| *kind == CKA_LABEL);
        if labels.next().is_some_and(|first| labels.any(|other| other != first)) {
            return Err(Error::new(
                CKR_TEMPLATE_INCONSISTENT,
                "the template has CKA_LABEL twice, with different values",
            ));
        }
        let (Some(label), Some(key)) = (changed_label(template, &object), self.slot_key(handle)) else {
            let text = "this attribute can't be changed; CKA_LABEL of a key can, in a slot with \"discover\" and \
                        \"allow\": [\"labels\"]; otherwise it is \"label\" in the configuration; CKA_ID is the key's name";
            return Err(Error::new(CKR_ACTION_PROHIBITED, text));
        };
        self.check_right(Right::Labels, read_write)?;
        let label = std::str::from_utf8(label).ok().filter(|label| !label.is_empty()).ok_or_else(|| {
            Error::new(CKR_ATTRIBUTE_VALUE_INVALID, "CKA_LABEL must be UTF-8 and must not be empty").with_context(&key)
        })?;
        self.backend().check_label(label)?;
        key.relabel(label, self.deadline_for_calls(3))?;
        log_info!("{key}: the label is now \"{label}\"");
        Ok(())
    }

    /// Checks that a program may change this in a session of this kind. A read-only session is reported first,
    /// because it is read-only whatever the configuration allows.
    fn check_right(&self, right: Right, read_write: bool) -> Result<()> {
        if !read_write {
            return Err(session_read_only());
        }
        if !self.management().is_some_and(|own| own.allows(right)) {
            return Err(Error::new(CKR_TOKEN_WRITE_PROTECTED, self.not_allowed(right)));
        }
        if self.backend().is_ready() { Ok(()) } else { Err(not_logged_in()) }
    }

    fn not_allowed(&self, right: Right) -> String {
        let (label, name) = (self.label(), right.name());
        format!("token \"{label}\" does not allow this; add \"{name}\" to \"allow\" in its slot")
    }

    fn find_generation(&self, request: &MechanismInput, flag: CK_FLAGS) -> Result<&'static KeyGenMechanism> {
        let row = self.generation_mechanisms().find(|row| row.ckm == request.ckm && row.flag == flag);
        let row = row.ok_or_else(|| {
            let is_allowed = self.management().is_some_and(|own| own.allows(Right::Generate));
            let why = if is_allowed { String::new() } else { format!("; {}", self.not_allowed(Right::Generate)) };
            let text = format!("the token can't create a key with mechanism 0x{:x}{why}", request.ckm);
            Error::new(CKR_MECHANISM_INVALID, text)
        })?;
        match request.parameter.is_empty() {
            true => Ok(row),
            false => Err(Error::new(CKR_MECHANISM_PARAM_INVALID, format!("{} takes no parameters", row.name))),
        }
    }

    /// Creates a key in the service and returns its objects.
    fn create_key(&self, generation: &KeyGenMechanism, new: NewKey) -> Result<Vec<Arc<Object>>> {
        let (backend, deadline) = (self.backend(), self.deadline_for_calls(5));
        if !backend.can_create(new.kind) || self.hides(new.kind) {
            let who = if backend.can_create(new.kind) { "\"hide_keys\" hides" } else { "the service does not create" };
            let text = format!("{}: {who} keys of kind {}", generation.name, new.kind.name());
            return Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text));
        }
        backend.check_new(&new)?;
        let mut made = backend.create(&new).wait(deadline).map_err(|failure| {
            let what = new.label.as_deref().unwrap_or("a key without a name");
            Error::from(with_advice(failure))
                .with_context(format_args!("token \"{}\", new key \"{what}\"", self.label()))
        })?;
        let option = made.config_option.clone();
        // The configuration named this alias before a key had it. The new key is that configured key.
        if let Some(alias) = made.alias.take_if(|alias| self.has_key_named(alias)) {
            made.name.id = alias;
        }
        let key = self.add_key(|common| SlotKey::created(made, new.id, common));
        log_info!("{key}: the key was created; other programs find it in a slot with \"discover\", or by {option}");
        Ok(self.load_objects(&key, KEYS, deadline))
    }

    /// Returns the deadline of work that takes up to `calls` calls of the service, one after the other.
    fn deadline_for_calls(&self, calls: u32) -> Instant {
        Instant::now() + self.call_timeout().saturating_mul(calls).min(MAX_TIMEOUT)
    }
}

/// Whether the template asks for a token object. A session object does not need CKF_RW_SESSION (section 4.4).
fn is_of_token(template: &[Attribute]) -> bool {
    flag_in(template, CKA_TOKEN) == Some(true)
}

/// Adds advice to a failure where C_Finalize or a fork has ended the call. The request may have created a key all
/// the same.
fn with_advice(failure: Failure) -> Failure {
    match failure.cause {
        Cause::Interrupted => {
            let message = format!("{}; the key may exist nevertheless; look for it in the service", failure.message);
            Failure { message, ..failure }
        }
        _ => failure,
    }
}

/// The longest time until a deadline. Not every platform's clock can represent a later instant.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 86_400);

fn handle_of(objects: &[Arc<Object>], class: CK_OBJECT_CLASS) -> Result<CK_OBJECT_HANDLE> {
    let object = objects.iter().find(|object| object.class == class);
    let missing = || Error::new(CKR_FUNCTION_FAILED, "the key was created, but it lacks this object");
    object.map(|object| object.handle).ok_or_else(missing)
}

/// Gives the certificate to the service of a key that waits for it, and returns that key. The key is not visible
/// before the service has its certificate.
fn complete_pending_certificate<'a>(
    keys: &'a [Arc<SlotKey>],
    certificate: &Certificate,
    deadline: Instant,
) -> Result<&'a Arc<SlotKey>> {
    for key in keys {
        if key.merge_certificate(certificate, deadline)? {
            return Ok(key);
        }
    }
    let text =
        "CKA_VALUE: the certificate belongs to no key of this token, and it issued none of the stored certificates";
    Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text))
}

/// The attributes that a certificate's template may contain. Only some of these attributes are read: the
/// certificate itself states the rest.
const CERTIFICATE_ATTRIBUTES: [CK_ATTRIBUTE_TYPE; 24] = [
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_MODIFIABLE,
    CKA_COPYABLE,
    CKA_DESTROYABLE,
    CKA_LABEL,
    CKA_ID,
    CKA_CERTIFICATE_TYPE,
    CKA_CERTIFICATE_CATEGORY,
    CKA_TRUSTED,
    CKA_CHECK_VALUE,
    CKA_START_DATE,
    CKA_END_DATE,
    CKA_PUBLIC_KEY_INFO,
    CKA_SUBJECT,
    CKA_ISSUER,
    CKA_SERIAL_NUMBER,
    CKA_VALUE,
    CKA_URL,
    CKA_HASH_OF_SUBJECT_PUBLIC_KEY,
    CKA_HASH_OF_ISSUER_PUBLIC_KEY,
    CKA_NAME_HASH_ALGORITHM,
    CKA_JAVA_MIDP_SECURITY_DOMAIN,
];

fn certificate_in(template: &[Attribute]) -> Result<Certificate> {
    if let Some((kind, _)) = template.iter().find(|(kind, _)| !CERTIFICATE_ATTRIBUTES.contains(kind)) {
        let text = format!("attribute 0x{kind:x} is not an attribute of a certificate");
        return Err(Error::new(CKR_ATTRIBUTE_TYPE_INVALID, text));
    }
    let invalid = |text: String| Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text);
    if number_in(template, CKA_CERTIFICATE_TYPE).is_some_and(|number| number != CKC_X_509) {
        return Err(invalid("CKA_CERTIFICATE_TYPE must be CKC_X_509".into()));
    }
    if flag_in(template, CKA_TRUSTED) == Some(true) {
        return Err(invalid("CKA_TRUSTED can't be true: the module marks no certificate as trusted".into()));
    }
    let der = value_in(template, CKA_VALUE)
        .ok_or_else(|| Error::new(CKR_TEMPLATE_INCOMPLETE, "the template has no CKA_VALUE"))?;
    Certificate::from_der(der).map_err(|unusable| invalid(format!("CKA_VALUE: {}", unusable.0)))
}

/// Warns if the template asks for another CKA_ID or CKA_LABEL. A certificate is found by the CKA_ID and CKA_LABEL
/// of its key, whatever the program that wrote the certificate intended.
fn warn_about_names(key: &SlotKey, object: &Object, template: &[Attribute]) {
    for (kind, name) in [(CKA_ID, "CKA_ID"), (CKA_LABEL, "CKA_LABEL")] {
        let wanted = value_in(template, kind).filter(|value| !value.is_empty());
        if wanted.is_some_and(|wanted| object.attributes.value(kind) != Some(wanted)) {
            log_warn!("{key}: the certificate got the {name} of the key, not the one in the template");
        }
    }
}

/// Returns the new CKA_LABEL, if the object is modifiable and its label is all that the template changes.
fn changed_label<'a>(template: &'a [Attribute], object: &Object) -> Option<&'a [u8]> {
    let label = value_in(template, CKA_LABEL).filter(|_| object.attributes.matches(&[(CKA_MODIFIABLE, vec![CK_TRUE])]));
    let others: Vec<_> = template.iter().filter(|(kind, _)| *kind != CKA_LABEL).cloned().collect();
    label.filter(|_| object.attributes.matches(&others))
}
