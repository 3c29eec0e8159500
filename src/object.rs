//! Private key, public key and certificate objects as attributes. PKCS#11 3.1 sections 4.4 to 4.9.
//!
//! Objects are immutable snapshots; they know no service and no session.

use crate::attribute::Attributes;
use crate::backend::KeyFacts;
use crate::certificate::Certificate;
use crate::hash::Hash;
use crate::key::{Material, PublicKey};
use crate::mechanism::Mechanism;
use cryptoki_sys::*;
use der::Encode;
use der::asn1::OctetStringRef;
use std::sync::atomic::{AtomicU64, Ordering};

/// An object of a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Object {
    /// Its handle: unique in the process, never used again.
    pub handle: CK_OBJECT_HANDLE,
    /// CKO_PRIVATE_KEY, CKO_PUBLIC_KEY or CKO_CERTIFICATE.
    pub class: CK_OBJECT_CLASS,
    /// All that C_GetAttributeValue can tell.
    pub attributes: Attributes,
}

/// What the objects of one key have in common.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// CKA_LABEL.
    pub label: &'a str,
    /// CKA_ID.
    pub id: &'a [u8],
    /// DER of the subject of the key's certificate, where that is known; else empty.
    pub subject: &'a [u8],
}

impl Object {
    /// The private key: it signs by what its key's service has, and is never seen.
    pub fn private_key(names: Names, facts: &KeyFacts) -> Self {
        let mechanisms = mechanisms(facts);
        let mut object = Self::new(CKO_PRIVATE_KEY, "private", names, facts.public_key.spki());
        let attributes = &mut object.attributes;
        key(attributes, names, &facts.public_key, &mechanisms);
        attributes
            .flag(CKA_SENSITIVE, true)
            .flag(CKA_ALWAYS_SENSITIVE, true)
            .flag(CKA_EXTRACTABLE, false)
            .flag(CKA_NEVER_EXTRACTABLE, true)
            .flag(CKA_ALWAYS_AUTHENTICATE, false)
            .flag(CKA_WRAP_WITH_TRUSTED, false)
            .flag(CKA_SIGN, !mechanisms.is_empty())
            .flag(CKA_SIGN_RECOVER, false)
            .flag(CKA_DECRYPT, false)
            .flag(CKA_UNWRAP, false)
            .bytes(CKA_UNWRAP_TEMPLATE, []);
        if let Material::Rsa { modulus, exponent } = facts.public_key.material() {
            attributes.bytes(CKA_MODULUS, modulus).bytes(CKA_PUBLIC_EXPONENT, exponent);
        }
        object.attributes.complete();
        object
    }

    /// The public key.
    pub fn public_key(names: Names, facts: &KeyFacts) -> Self {
        let mut object = Self::new(CKO_PUBLIC_KEY, "public", names, facts.public_key.spki());
        let attributes = &mut object.attributes;
        key(attributes, names, &facts.public_key, &mechanisms(facts));
        attributes
            .flag(CKA_TRUSTED, false)
            .flag(CKA_VERIFY, true)
            .flag(CKA_VERIFY_RECOVER, false)
            .flag(CKA_ENCRYPT, false)
            .flag(CKA_WRAP, false)
            .bytes(CKA_WRAP_TEMPLATE, []);
        match facts.public_key.material() {
            Material::Rsa { modulus, exponent } => {
                let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
                attributes
                    .bytes(CKA_MODULUS, modulus)
                    .number(CKA_MODULUS_BITS, bits as CK_ULONG)
                    .bytes(CKA_PUBLIC_EXPONENT, exponent);
            }
            // PKCS#11 3.1 section 6.3.3: DER of an OCTET STRING that holds the point.
            Material::Ec { point, .. } => {
                let wrapped = OctetStringRef::new(point).and_then(|point| point.to_der()).unwrap_or_default();
                attributes.bytes(CKA_EC_POINT, wrapped);
            }
        }
        object.attributes.complete();
        object
    }

    /// A certificate: that of the key, or one of its chain.
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
        object.attributes.complete();
        object
    }

    /// The attributes of every object of a token (section 4.4): `content` is what makes CKA_UNIQUE_ID unique in it.
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

/// A number for an object or session, unique in the process and its children. 0 is CK_INVALID_HANDLE.
pub fn next_handle() -> CK_ULONG {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) as CK_ULONG
}

/// The mechanisms that a key offers, the value of CKA_ALLOWED_MECHANISMS.
pub fn mechanisms(facts: &KeyFacts) -> Vec<CK_MECHANISM_TYPE> {
    Mechanism::offered(facts.public_key.kind(), &facts.schemes).map(|row| row.ckm).collect()
}

/// The attributes of both halves (sections 4.7 and 4.8).
fn key(attributes: &mut Attributes, names: Names, public_key: &PublicKey, mechanisms: &[CK_MECHANISM_TYPE]) {
    let key_type = match public_key.material() {
        Material::Rsa { .. } => CKK_RSA,
        Material::Ec { .. } => CKK_EC,
    };
    attributes
        .bytes(CKA_ID, names.id)
        .number(CKA_KEY_TYPE, key_type)
        .bytes(CKA_START_DATE, [])
        .bytes(CKA_END_DATE, [])
        .flag(CKA_DERIVE, false)
        // Whether the key was made in the service or imported into it is not told with the public half.
        .flag(CKA_LOCAL, false)
        .number(CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION)
        .numbers(CKA_ALLOWED_MECHANISMS, mechanisms)
        .bytes(CKA_SUBJECT, names.subject)
        .bytes(CKA_PUBLIC_KEY_INFO, public_key.spki());
    if let Material::Ec { curve, .. } = public_key.material() {
        attributes.bytes(CKA_EC_PARAMS, curve.params());
    }
}

/// CKA_UNIQUE_ID (section 4.4.1): the same in every process, as long as name and content stay.
fn unique_id(role: &str, names: Names, content: &[u8]) -> String {
    let parts = [role.as_bytes(), b"\0", names.id, b"\0", names.label.as_bytes(), b"\0", content];
    let digest = Hash::Sha256.digest(&parts.concat());
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
