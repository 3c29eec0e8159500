//! Session objects: public keys, and secrets that a caller provides or that came out of a service.
//!
//! They live as long as their session. The public keys verify, encrypt and wrap. PKCS#11 3.2 sections 4.4, 5.7.1
//! (C_CreateObject), 5.18.4 (C_UnwrapKey), 5.18.5 (C_DeriveKey).

use super::attribute::{Attribute, Attributes, flag_in, number_in, value_in};
use super::{Names, Object, kind_with_parameter_set, next_handle};
use crate::cloud::SecretBytes;
use crate::error::{Error, Result};
use crate::key::{Curve, Kind, PointEncoding, PublicKey, Purpose, Unusable, unwrapped_point};
use cryptoki_sys::*;
use std::sync::Arc;

/// A session object.
#[derive(Debug)]
pub struct SessionObject {
    /// The object with its attributes.
    pub object: Arc<Object>,
    /// The session that owns the object. The object ends with the session.
    pub session: CK_SESSION_HANDLE,
    /// The key material of the object.
    pub content: Content,
}

impl SessionObject {
    /// Returns whether the attributes permit the public-key counterpart of `purpose`. Secrets permit no purpose.
    pub fn permits(&self, purpose: Purpose) -> bool {
        let flag = match purpose {
            Purpose::Sign => CKA_VERIFY,
            Purpose::Decrypt => CKA_ENCRYPT,
            Purpose::Unwrap => CKA_WRAP,
            Purpose::Derive => CKA_DERIVE,
        };
        self.object.attributes.value(flag) == Some(&[CK_TRUE])
    }

    /// Returns whether CKA_KEY_TYPE is CKK_GENERIC_SECRET.
    pub fn is_generic_secret(&self) -> bool {
        self.object.attributes.value(CKA_KEY_TYPE) == Some(&CKK_GENERIC_SECRET.to_ne_bytes())
    }
}

/// The key material of a session object.
#[derive(Debug)]
pub enum Content {
    /// A public key.
    Public(Arc<PublicKey>),
    /// A secret, and whether it is extractable (CKA_EXTRACTABLE).
    Secret(SecretBytes, bool),
}

/// The attributes that a template may contain. A template with any other attribute is refused; the attribute is
/// never ignored.
const SUPPORTED_ATTRIBUTES: [CK_ATTRIBUTE_TYPE; 34] = [
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_MODIFIABLE,
    CKA_COPYABLE,
    CKA_DESTROYABLE,
    CKA_LABEL,
    CKA_ID,
    CKA_SUBJECT,
    CKA_KEY_TYPE,
    CKA_START_DATE,
    CKA_END_DATE,
    CKA_DERIVE,
    CKA_ENCRYPT,
    CKA_VERIFY,
    CKA_VERIFY_RECOVER,
    CKA_WRAP,
    CKA_TRUSTED,
    CKA_SIGN,
    CKA_DECRYPT,
    CKA_UNWRAP,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_VALUE,
    CKA_VALUE_LEN,
    CKA_MODULUS,
    CKA_MODULUS_BITS,
    CKA_PUBLIC_EXPONENT,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_PARAMETER_SET,
    CKA_PUBLIC_KEY_INFO,
    CKA_ALLOWED_MECHANISMS,
    CKA_WRAP_WITH_TRUSTED,
];

/// Creates a public key or a secret from a template (C_CreateObject).
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID,
/// CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID.
pub fn create_object(template: &[Attribute], owner: CK_SESSION_HANDLE, form: PointEncoding) -> Result<SessionObject> {
    check_attribute_types(template)?;
    match number_in(template, CKA_CLASS) {
        Some(CKO_PUBLIC_KEY) => create_public_key(template, owner, form),
        Some(CKO_SECRET_KEY) => {
            let value = value_in(template, CKA_VALUE).ok_or_else(|| incomplete("CKA_VALUE"))?;
            number_in(template, CKA_KEY_TYPE).ok_or_else(|| incomplete("CKA_KEY_TYPE"))?;
            refuse_usage(template)?;
            create_secret(template, owner, value.to_vec().into())
        }
        Some(class) => Err(invalid(format!("the module can't create an object of class {class}"))),
        None => Err(incomplete("CKA_CLASS")),
    }
}

/// Refuses a template of C_CreateObject that asks for a use of the secret.
///
/// A secret that a caller provides can only be passed on, so any other requested use is an error. Templates of
/// C_UnwrapKey and C_DeriveKey usually ask for such uses; they are accepted, and the secret does not support the
/// uses.
fn refuse_usage(template: &[Attribute]) -> Result<()> {
    match SECRET_USES.iter().find(|(kind, _)| flag_in(template, *kind) == Some(true)) {
        Some((_, name)) => {
            Err(invalid(format!("{name} can't be true: a secret of a session can only be wrapped or read")))
        }
        None => Ok(()),
    }
}

/// The usage attributes of secret keys. They are all false for a secret of a session.
const SECRET_USES: [(CK_ATTRIBUTE_TYPE, &str); 7] = [
    (CKA_SIGN, "CKA_SIGN"),
    (CKA_VERIFY, "CKA_VERIFY"),
    (CKA_ENCRYPT, "CKA_ENCRYPT"),
    (CKA_DECRYPT, "CKA_DECRYPT"),
    (CKA_WRAP, "CKA_WRAP"),
    (CKA_UNWRAP, "CKA_UNWRAP"),
    (CKA_DERIVE, "CKA_DERIVE"),
];

/// The usage attributes that a template can set to false for a public key of a session.
const PUBLIC_USES: [CK_ATTRIBUTE_TYPE; 3] = [CKA_VERIFY, CKA_ENCRYPT, CKA_WRAP];

/// The operations that a public key does not support, with the attributes that request them.
const UNSUPPORTED_PUBLIC_USES: [(CK_ATTRIBUTE_TYPE, &str); 2] =
    [(CKA_VERIFY_RECOVER, "CKA_VERIFY_RECOVER"), (CKA_DERIVE, "CKA_DERIVE")];

fn create_public_key(template: &[Attribute], owner: CK_SESSION_HANDLE, form: PointEncoding) -> Result<SessionObject> {
    check_is_session_object(template)?;
    if let Some((_, name)) = UNSUPPORTED_PUBLIC_USES.iter().find(|(kind, _)| flag_in(template, *kind) == Some(true)) {
        return Err(invalid(format!("{name} can't be true for a public key of this module")));
    }
    let key = public_key(template)?;
    let names = Names { label: &label(template), id: value_in(template, CKA_ID).unwrap_or_default(), subject: &[] };
    let mut object = Object::public_key(names, &key, &key.kind().local_schemes(), form);
    object.attributes.set(CKA_TOKEN, &[CK_FALSE]);
    object.attributes.set(CKA_DESTROYABLE, &[CK_TRUE]);
    for kind in PUBLIC_USES.into_iter().filter(|kind| flag_in(template, *kind) == Some(false)) {
        object.attributes.set(kind, &[CK_FALSE]);
    }
    Ok(SessionObject { object: Arc::new(object), session: owner, content: Content::Public(Arc::new(key)) })
}

/// Returns the public key that a template describes.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_ATTRIBUTE_VALUE_INVALID, CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID.
pub fn public_key(template: &[Attribute]) -> Result<PublicKey> {
    let part = |kind, name: &'static str| value_in(template, kind).ok_or_else(|| incomplete(name));
    let made = match number_in(template, CKA_KEY_TYPE).ok_or_else(|| incomplete("CKA_KEY_TYPE"))? {
        CKK_RSA => PublicKey::rsa(part(CKA_MODULUS, "CKA_MODULUS")?, part(CKA_PUBLIC_EXPONENT, "CKA_PUBLIC_EXPONENT")?),
        CKK_EC => {
            let params = part(CKA_EC_PARAMS, "CKA_EC_PARAMS")?;
            PublicKey::ec(Curve::from_params(params)?, unwrapped_point(part(CKA_EC_POINT, "CKA_EC_POINT")?))
        }
        CKK_EC_EDWARDS => PublicKey::ed25519(unwrapped_point(part(CKA_EC_POINT, "CKA_EC_POINT")?)),
        key_type @ (CKK_ML_DSA | CKK_SLH_DSA) => {
            let kind = kind_with_parameter_set(key_type, number_in(template, CKA_PARAMETER_SET))?;
            let value = part(CKA_VALUE, "CKA_VALUE")?;
            match kind {
                Kind::MlDsa(set) => PublicKey::ml_dsa(set, value),
                Kind::SlhDsa(set) => PublicKey::slh_dsa(set, value),
                other => Err(Unusable(format!("a key of kind {} has no parameter set", other.name()))),
            }
        }
        other => return Err(invalid(format!("the module can't create a public key of CKA_KEY_TYPE {other}"))),
    };
    made.map_err(|Unusable(text)| invalid(text))
}

/// Checks whether a template can describe a secret. Called before the service receives a request.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID.
pub fn check_secret(template: &[Attribute]) -> Result<()> {
    check_attribute_types(template)?;
    if number_in(template, CKA_CLASS).is_some_and(|class| class != CKO_SECRET_KEY) {
        return Err(Error::new(CKR_TEMPLATE_INCONSISTENT, "CKA_CLASS of a secret must be CKO_SECRET_KEY"));
    }
    check_is_session_object(template)
}

fn check_is_session_object(template: &[Attribute]) -> Result<()> {
    if flag_in(template, CKA_TOKEN) == Some(true) {
        let text = "CKA_TOKEN can't be true: this object exists only as long as its session";
        return Err(Error::new(CKR_TEMPLATE_INCONSISTENT, text));
    }
    match [(CKA_TRUSTED, "CKA_TRUSTED"), (CKA_WRAP_WITH_TRUSTED, "CKA_WRAP_WITH_TRUSTED")]
        .into_iter()
        .find(|(kind, _)| flag_in(template, *kind) == Some(true))
    {
        Some((_, name)) => Err(invalid(format!("{name} can't be true: the module marks no key as trusted"))),
        None => Ok(()),
    }
}

/// Creates a secret that a caller provides or that came out of a service (C_UnwrapKey, C_DeriveKey).
///
/// # Errors
/// As [`check_secret`]; also CKR_TEMPLATE_INCONSISTENT if CKA_VALUE_LEN is not the length of `value`.
pub fn create_secret(template: &[Attribute], owner: CK_SESSION_HANDLE, value: SecretBytes) -> Result<SessionObject> {
    check_secret(template)?;
    if number_in(template, CKA_VALUE_LEN).is_some_and(|length| length != value.len() as CK_ULONG) {
        return Err(Error::new(
            CKR_TEMPLATE_INCONSISTENT,
            format!("CKA_VALUE_LEN must be {}, the length of the value", value.len()),
        ));
    }
    let extractable = flag_in(template, CKA_EXTRACTABLE).unwrap_or(true);
    let sensitive = flag_in(template, CKA_SENSITIVE).unwrap_or(false);
    let key_type = number_in(template, CKA_KEY_TYPE).unwrap_or(CKK_GENERIC_SECRET);
    let mut attributes = Attributes::with_capacity(512);
    attributes
        .number(CKA_CLASS, CKO_SECRET_KEY)
        .flag(CKA_TOKEN, false)
        .flag(CKA_PRIVATE, false)
        .flag(CKA_MODIFIABLE, false)
        .flag(CKA_COPYABLE, false)
        .flag(CKA_DESTROYABLE, true)
        .bytes(CKA_LABEL, label(template))
        .bytes(CKA_ID, value_in(template, CKA_ID).unwrap_or_default())
        .bytes(CKA_UNIQUE_ID, [])
        .number(CKA_KEY_TYPE, key_type)
        .bytes(CKA_START_DATE, [])
        .bytes(CKA_END_DATE, [])
        .flag(CKA_LOCAL, false)
        .number(CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION)
        .flag(CKA_SENSITIVE, sensitive)
        .flag(CKA_ALWAYS_SENSITIVE, false)
        .flag(CKA_EXTRACTABLE, extractable)
        .flag(CKA_NEVER_EXTRACTABLE, false)
        .flag(CKA_WRAP_WITH_TRUSTED, false)
        .flag(CKA_TRUSTED, false)
        .number(CKA_VALUE_LEN, value.len() as CK_ULONG);
    // Such a key can only be passed on: by its value, or wrapped.
    for (kind, _) in SECRET_USES {
        attributes.flag(kind, false);
    }
    if extractable && !sensitive {
        attributes.bytes(CKA_VALUE, &value);
    }
    let object = Object { handle: next_handle(), class: CKO_SECRET_KEY, attributes };
    Ok(SessionObject { object: Arc::new(object), session: owner, content: Content::Secret(value, extractable) })
}

fn check_attribute_types(template: &[Attribute]) -> Result<()> {
    match template.iter().find(|(kind, _)| !SUPPORTED_ATTRIBUTES.contains(kind)) {
        Some((kind, _)) => Err(Error::new(
            CKR_ATTRIBUTE_TYPE_INVALID,
            format!("attribute 0x{kind:x} is not an attribute of this object"),
        )),
        None => Ok(()),
    }
}

fn label(template: &[Attribute]) -> String {
    String::from_utf8_lossy(value_in(template, CKA_LABEL).unwrap_or_default()).into_owned()
}

fn incomplete(name: &str) -> Error {
    Error::new(CKR_TEMPLATE_INCOMPLETE, format!("the template has no {name}"))
}

fn invalid(text: String) -> Error {
    Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text)
}
