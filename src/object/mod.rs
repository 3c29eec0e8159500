//! Objects of a token as lists of attributes.
//!
//! Private, secret and public keys, certificates and profiles: PKCS#11 3.1 sections 4.4 to 4.10 and 4.13. Objects
//! are immutable snapshots. They know neither a service nor a session.

pub mod attribute;
pub mod key_template;
pub mod profile;
pub mod session_object;

use crate::certificate::Certificate;
use crate::cloud::KeyDescription;
use crate::error::{Error, Result};
use crate::key::hash::Hash;
use crate::key::{Kind, ParameterSet, PointEncoding, PublicKey, PublicNumbers, Purpose, Scheme, slh_dsa};
use crate::mechanism::Mechanism;
use attribute::Attributes;
use cryptoki_sys::*;
use der::Encode;
use der::asn1::OctetStringRef;
use std::sync::atomic::{AtomicU64, Ordering};

/// A token object or session object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The object's handle. It is unique in the process and never reused.
    pub handle: CK_OBJECT_HANDLE,
    /// CKO_PRIVATE_KEY, CKO_SECRET_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE or CKO_PROFILE.
    pub class: CK_OBJECT_CLASS,
    /// The attributes that C_GetAttributeValue returns.
    pub attributes: Attributes,
}

/// The names that the objects of one key have in common.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// CKA_LABEL.
    pub label: &'a str,
    /// CKA_ID.
    pub id: &'a [u8],
    /// CKA_SUBJECT: DER of the subject of the key's certificate, or empty if the subject is unknown.
    pub subject: &'a [u8],
}

impl Object {
    /// Creates the private key, or the secret key if `facts` has no public key.
    ///
    /// The usage attributes follow from the schemes that the service permits. The value of the key is never
    /// available.
    pub fn private_key(names: Names, facts: &KeyDescription, form: PointEncoding) -> Self {
        let (class, role) = match facts.public_key {
            Some(_) => (CKO_PRIVATE_KEY, "private"),
            None => (CKO_SECRET_KEY, "secret"),
        };
        let content = facts
            .public_key
            .as_ref()
            .map_or(facts.immutable_id.as_deref().unwrap_or_default().as_bytes(), PublicKey::spki);
        let mut object = Self::new(class, role, names, content);
        let attributes = &mut object.attributes;
        let has_purpose = |purpose| facts.permits(purpose);
        add_key_attributes(
            attributes,
            names,
            facts.kind,
            &allowed_mechanisms(facts.kind, &facts.permitted_schemes()),
            has_purpose(Purpose::Derive),
        );
        attributes
            .flag(CKA_SENSITIVE, true)
            .flag(CKA_ALWAYS_SENSITIVE, true)
            .flag(CKA_EXTRACTABLE, false)
            .flag(CKA_NEVER_EXTRACTABLE, true)
            .flag(CKA_WRAP_WITH_TRUSTED, false)
            .flag(CKA_SIGN, has_purpose(Purpose::Sign))
            .flag(CKA_DECRYPT, has_purpose(Purpose::Decrypt))
            .flag(CKA_UNWRAP, has_purpose(Purpose::Unwrap))
            .bytes(CKA_UNWRAP_TEMPLATE, []);
        match &facts.public_key {
            Some(public_key) => {
                attributes
                    .flag(CKA_ALWAYS_AUTHENTICATE, false)
                    .flag(CKA_SIGN_RECOVER, false)
                    .bytes(CKA_SUBJECT, names.subject)
                    .bytes(CKA_PUBLIC_KEY_INFO, public_key.spki());
                add_public_numbers(attributes, public_key, form, false);
            }
            None => add_secret_key_attributes(attributes, facts.kind, has_purpose(Purpose::Sign)),
        }
        object.attributes.shrink_to_fit();
        object
    }

    /// Creates the public key, whose usage attributes follow from `schemes`.
    ///
    /// Operations on public keys run locally, without a request. Even so, the public key of a token has only the
    /// schemes whose counterpart the private key supports: see [`public_schemes`].
    pub fn public_key(names: Names, public_key: &PublicKey, schemes: &[Scheme], form: PointEncoding) -> Self {
        let mut object = Self::new(CKO_PUBLIC_KEY, "public", names, public_key.spki());
        let attributes = &mut object.attributes;
        let does = |purpose| schemes.iter().any(|scheme| scheme.family.purpose() == purpose);
        add_key_attributes(
            attributes,
            names,
            public_key.kind(),
            &allowed_mechanisms(public_key.kind(), schemes),
            false,
        );
        attributes
            .bytes(CKA_SUBJECT, names.subject)
            .bytes(CKA_PUBLIC_KEY_INFO, public_key.spki())
            .flag(CKA_TRUSTED, false)
            .flag(CKA_VERIFY, does(Purpose::Sign))
            .flag(CKA_VERIFY_RECOVER, false)
            .flag(CKA_ENCRYPT, does(Purpose::Decrypt))
            .flag(CKA_WRAP, does(Purpose::Decrypt))
            .bytes(CKA_WRAP_TEMPLATE, []);
        add_public_numbers(attributes, public_key, form, true);
        object.attributes.shrink_to_fit();
        object
    }

    /// Creates a certificate: the key's own, or one of its certificate chain.
    pub fn certificate(names: Names, certificate: &Certificate) -> Self {
        let mut object = Self::new(CKO_CERTIFICATE, "certificate", names, &certificate.der);
        let digest = Hash::Sha1.digest(&certificate.der);
        let category =
            if certificate.is_ca { CK_CERTIFICATE_CATEGORY_AUTHORITY } else { CK_CERTIFICATE_CATEGORY_TOKEN_USER };
        object
            .attributes
            .bytes(CKA_ID, names.id)
            .number(CKA_CERTIFICATE_TYPE, CKC_X_509)
            .number(CKA_CERTIFICATE_CATEGORY, category)
            .flag(CKA_TRUSTED, false)
            .bytes(CKA_CHECK_VALUE, &digest[..3])
            .date(CKA_START_DATE, certificate.not_before)
            .date(CKA_END_DATE, certificate.not_after)
            .bytes(CKA_PUBLIC_KEY_INFO, &certificate.spki)
            .bytes(CKA_SUBJECT, &certificate.subject)
            .bytes(CKA_ISSUER, &certificate.issuer)
            .bytes(CKA_SERIAL_NUMBER, &certificate.serial)
            .bytes(CKA_VALUE, &certificate.der)
            .bytes(CKA_URL, [])
            .bytes(CKA_HASH_OF_SUBJECT_PUBLIC_KEY, [])
            .bytes(CKA_HASH_OF_ISSUER_PUBLIC_KEY, [])
            .number(CKA_NAME_HASH_ALGORITHM, CKM_SHA_1)
            .number(CKA_JAVA_MIDP_SECURITY_DOMAIN, CK_SECURITY_DOMAIN_UNSPECIFIED);
        object.attributes.shrink_to_fit();
        object
    }

    /// Creates the object of a profile that the token implements (section 4.13).
    pub fn profile(id: CK_PROFILE_ID, name: &str) -> Self {
        let names = Names { label: name, id: &[], subject: &[] };
        let mut object = Self::new(CKO_PROFILE, "profile", names, &[]);
        // Programs that list all objects read the CKA_ID of each, and give up at an object without one.
        object.attributes.bytes(CKA_ID, names.id).number(CKA_PROFILE_ID, id);
        object.attributes.shrink_to_fit();
        object
    }

    /// Returns whether the object is a token object and not a session object (CKA_TOKEN).
    pub fn is_token_object(&self) -> bool {
        self.attributes.value(CKA_TOKEN) == Some(&[CK_TRUE])
    }

    /// Returns the object with CKA_DESTROYABLE set to `is_destroyable`.
    pub fn with_destroyable(mut self, is_destroyable: bool) -> Self {
        self.attributes.set(CKA_DESTROYABLE, &[if is_destroyable { CK_TRUE } else { CK_FALSE }]);
        self
    }

    /// Returns the object without the uses whose counterpart the service withholds: nothing could decrypt the
    /// result.
    pub fn without_purposes(mut self, withheld: &[Purpose]) -> Self {
        for (purpose, attribute) in [(Purpose::Decrypt, CKA_ENCRYPT), (Purpose::Unwrap, CKA_WRAP)] {
            if withheld.contains(&purpose) {
                self.attributes.set(attribute, &[CK_FALSE]);
            }
        }
        self
    }

    /// Returns the object with `label` as CKA_LABEL. CKA_UNIQUE_ID does not change.
    pub fn with_label(mut self, label: &str) -> Self {
        self.attributes.set(CKA_LABEL, label.as_bytes());
        self
    }

    /// Returns the object with CKA_MODIFIABLE set to `is_modifiable`.
    pub fn with_modifiable(mut self, is_modifiable: bool) -> Self {
        self.attributes.set(CKA_MODIFIABLE, &[if is_modifiable { CK_TRUE } else { CK_FALSE }]);
        self
    }

    /// Creates an object with the attributes that every token object has (section 4.4). CKA_UNIQUE_ID is derived
    /// from the role, the names and `content`.
    fn new(class: CK_OBJECT_CLASS, role: &str, names: Names, content: &[u8]) -> Self {
        let mut attributes = Attributes::default();
        attributes
            .number(CKA_CLASS, class)
            .flag(CKA_TOKEN, true)
            .flag(CKA_PRIVATE, false)
            .flag(CKA_MODIFIABLE, false)
            .flag(CKA_COPYABLE, false)
            .flag(CKA_DESTROYABLE, false)
            .bytes(CKA_LABEL, names.label)
            .bytes(CKA_UNIQUE_ID, unique_id(role, names, content));
        Self { handle: next_handle(), class, attributes }
    }
}

/// Returns a new handle for an object or a session. Handles are unique in the process and its child processes.
/// They begin at 1, because 0 is CK_INVALID_HANDLE.
pub fn next_handle() -> CK_ULONG {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) as CK_ULONG
}

/// Returns the mechanisms that a key offers, which is the value of CKA_ALLOWED_MECHANISMS. A mechanism that serves
/// two purposes appears once.
pub fn allowed_mechanisms(kind: Kind, schemes: &[Scheme]) -> Vec<CK_MECHANISM_TYPE> {
    let mut mechanisms: Vec<_> = Mechanism::supporting(kind, schemes).map(|row| row.ckm).collect();
    mechanisms.sort_unstable();
    mechanisms.dedup();
    mechanisms
}

/// Returns the schemes that the public key of a key supports locally.
///
/// These are the schemes for the purposes that the private key has in the service, or all local schemes if `facts`
/// has no schemes. Only what the service can decrypt is encrypted.
pub fn public_schemes(facts: &KeyDescription) -> Vec<Scheme> {
    let opposite = |scheme: &Scheme| match scheme.family.purpose() {
        _ if facts.schemes.is_empty() => true,
        Purpose::Decrypt => facts.schemes.contains(scheme),
        purpose => facts.schemes.iter().any(|own| own.family.purpose() == purpose),
    };
    facts.kind.local_schemes().into_iter().filter(opposite).collect()
}

/// Returns the CKA_KEY_TYPE of a kind of key.
fn key_type(kind: Kind) -> CK_KEY_TYPE {
    match kind {
        Kind::Rsa(_) => CKK_RSA,
        Kind::Ec(_) => CKK_EC,
        Kind::Ed25519 => CKK_EC_EDWARDS,
        Kind::MlDsa(_) => CKK_ML_DSA,
        Kind::SlhDsa(_) => CKK_SLH_DSA,
        // Section 6.21: HMAC accepts two key types. This is the one that callers know.
        Kind::Hmac(_) => CKK_GENERIC_SECRET,
    }
}

/// Adds the attributes that every key has (sections 4.7 to 4.10).
fn add_key_attributes(
    attributes: &mut Attributes,
    names: Names,
    kind: Kind,
    mechanisms: &[CK_MECHANISM_TYPE],
    derives: bool,
) {
    attributes
        .bytes(CKA_ID, names.id)
        .number(CKA_KEY_TYPE, key_type(kind))
        .bytes(CKA_START_DATE, [])
        .bytes(CKA_END_DATE, [])
        .flag(CKA_DERIVE, derives)
        // The service does not report with the public key whether the key was generated in the service or
        // imported.
        .flag(CKA_LOCAL, false)
        .number(CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION)
        .numbers(CKA_ALLOWED_MECHANISMS, mechanisms);
    match kind {
        Kind::Ec(curve) => drop(attributes.bytes(CKA_EC_PARAMS, curve.ec_params())),
        Kind::Ed25519 => drop(attributes.bytes(CKA_EC_PARAMS, EDWARDS25519)),
        _ => {}
    }
    if let Some(number) = parameter_set(kind) {
        attributes.number(CKA_PARAMETER_SET, number);
    }
}

/// DER of id-Ed25519, RFC 8410 section 3.
const EDWARDS25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];

/// Returns the CKA_PARAMETER_SET of a kind of key, or None if keys of this kind have none.
fn parameter_set(kind: Kind) -> Option<CK_ULONG> {
    match kind {
        Kind::MlDsa(ParameterSet::MlDsa44) => Some(CKP_ML_DSA_44),
        Kind::MlDsa(ParameterSet::MlDsa65) => Some(CKP_ML_DSA_65),
        Kind::MlDsa(ParameterSet::MlDsa87) => Some(CKP_ML_DSA_87),
        Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s) => Some(CKP_SLH_DSA_SHA2_128S),
        Kind::Rsa(_) | Kind::Ec(_) | Kind::Ed25519 | Kind::Hmac(_) => None,
    }
}

/// Returns the kind of the keys with this CKA_KEY_TYPE and this CKA_PARAMETER_SET.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE without a number, CKR_ATTRIBUTE_VALUE_INVALID.
pub fn kind_with_parameter_set(wanted: CK_KEY_TYPE, number: Option<CK_ULONG>) -> Result<Kind> {
    let number = number.ok_or_else(|| Error::new(CKR_TEMPLATE_INCOMPLETE, "the template has no CKA_PARAMETER_SET"))?;
    let kinds: Vec<_> = Kind::all().filter(|kind| key_type(*kind) == wanted).collect();
    kinds.iter().copied().find(|kind| parameter_set(*kind) == Some(number)).ok_or_else(|| {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let text = format!("CKA_PARAMETER_SET {number} is not supported: the module has {}", names.join(", "));
        Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text)
    })
}

/// Adds the attributes that only a secret key has (section 4.10). If `macs` is true, the service computes and
/// verifies MACs with the key.
fn add_secret_key_attributes(attributes: &mut Attributes, kind: Kind, macs: bool) {
    attributes
        .flag(CKA_VERIFY, macs)
        .flag(CKA_ENCRYPT, false)
        .flag(CKA_WRAP, false)
        .flag(CKA_TRUSTED, false)
        .bytes(CKA_WRAP_TEMPLATE, [])
        .number(CKA_VALUE_LEN, kind.signature_len() as CK_ULONG);
}

/// Adds the numbers of a public key: all of them, or without `all` those that the private key also has.
fn add_public_numbers(attributes: &mut Attributes, public_key: &PublicKey, form: PointEncoding, all: bool) {
    match public_key.material() {
        PublicNumbers::Rsa { modulus, exponent } => {
            let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
            attributes.bytes(CKA_MODULUS, modulus).bytes(CKA_PUBLIC_EXPONENT, exponent);
            if all {
                attributes.number(CKA_MODULUS_BITS, bits as CK_ULONG);
            }
        }
        // PKCS#11 3.1 section 6.3.3: DER of an OCTET STRING that contains the point. The standard defines this
        // attribute for public keys. The private key also has it, because asyncssh builds the public key from it.
        PublicNumbers::Ec { point, .. } => drop(attributes.bytes(CKA_EC_POINT, wrapped(point))),
        PublicNumbers::Ed25519 { point } => match form {
            PointEncoding::OctetString => drop(attributes.bytes(CKA_EC_POINT, wrapped(point))),
            PointEncoding::Raw => drop(attributes.bytes(CKA_EC_POINT, point)),
        },
        PublicNumbers::MlDsa { key, .. } | PublicNumbers::SlhDsa { key, .. } if all => {
            attributes.bytes(CKA_VALUE, key);
        }
        _ => {}
    }
}

fn wrapped(point: &[u8]) -> Vec<u8> {
    OctetStringRef::new(point).and_then(|point| point.to_der()).unwrap_or_default()
}

/// Returns CKA_UNIQUE_ID (section 4.4.1). It is the same in every process while the names and the content stay the
/// same.
fn unique_id(role: &str, names: Names, content: &[u8]) -> String {
    let parts = [role.as_bytes(), b"\0", names.id, b"\0", names.label.as_bytes(), b"\0", content];
    let digest = Hash::Sha256.digest(&parts.concat());
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
