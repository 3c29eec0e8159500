//! Templates of keys to generate.
//!
//! Reads a template into a [`NewKey`]. The service generates the key, and the key never leaves the service. A
//! template that asks for anything else is refused, and so is an attribute that is not in the tables below.
//! PKCS#11 3.2 sections 4.4 to 4.10, 5.18.1 (C_GenerateKey) and 5.18.2 (C_GenerateKeyPair).

use super::attribute::{Attribute, flag_in, number_in, value_in};
use super::kind_with_parameter_set;
use crate::cloud::NewKey;
use crate::error::{Error, Result};
use crate::key::{Curve, Kind, Purpose, ec_params_error};
use crate::mechanism::KeyGenMechanism;
use cryptoki_sys::*;

/// The values that an attribute of a template may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AllowedValue {
    /// Any value. It is read where it is needed, or has no effect.
    Any,
    /// Only this value. The attribute may also be missing.
    Flag(bool),
    /// Only an empty value. The attribute may also be missing.
    Empty,
}

macro_rules! said {
    ($($kind:ident $said:expr;)*) => { &[$(($kind, stringify!($kind), $said)),*] };
}

/// The attributes that the template of a private or secret key may contain.
const PRIVATE_ATTRIBUTES: &[(CK_ATTRIBUTE_TYPE, &str, AllowedValue)] = said! {
    CKA_CLASS AllowedValue::Any;
    CKA_KEY_TYPE AllowedValue::Any;
    CKA_TOKEN AllowedValue::Flag(true);
    CKA_PRIVATE AllowedValue::Any;
    CKA_MODIFIABLE AllowedValue::Any;
    CKA_COPYABLE AllowedValue::Any;
    CKA_DESTROYABLE AllowedValue::Any;
    CKA_LABEL AllowedValue::Any;
    CKA_ID AllowedValue::Any;
    CKA_SUBJECT AllowedValue::Empty;
    CKA_START_DATE AllowedValue::Empty;
    CKA_END_DATE AllowedValue::Empty;
    CKA_SENSITIVE AllowedValue::Flag(true);
    CKA_EXTRACTABLE AllowedValue::Flag(false);
    CKA_ALWAYS_AUTHENTICATE AllowedValue::Flag(false);
    CKA_WRAP_WITH_TRUSTED AllowedValue::Flag(false);
    CKA_TRUSTED AllowedValue::Flag(false);
    CKA_SIGN AllowedValue::Any;
    CKA_VERIFY AllowedValue::Any;
    CKA_DECRYPT AllowedValue::Any;
    CKA_UNWRAP AllowedValue::Any;
    CKA_DERIVE AllowedValue::Any;
    CKA_ENCRYPT AllowedValue::Any;
    CKA_WRAP AllowedValue::Any;
    CKA_SIGN_RECOVER AllowedValue::Flag(false);
    CKA_VALUE_LEN AllowedValue::Any;
    CKA_EC_PARAMS AllowedValue::Any;
    CKA_PARAMETER_SET AllowedValue::Any;
};

/// The attributes that the template of a public key may contain.
const PUBLIC_ATTRIBUTES: &[(CK_ATTRIBUTE_TYPE, &str, AllowedValue)] = said! {
    CKA_CLASS AllowedValue::Any;
    CKA_KEY_TYPE AllowedValue::Any;
    CKA_TOKEN AllowedValue::Flag(true);
    CKA_PRIVATE AllowedValue::Any;
    CKA_MODIFIABLE AllowedValue::Any;
    CKA_COPYABLE AllowedValue::Any;
    CKA_DESTROYABLE AllowedValue::Any;
    CKA_LABEL AllowedValue::Any;
    CKA_ID AllowedValue::Any;
    CKA_SUBJECT AllowedValue::Empty;
    CKA_START_DATE AllowedValue::Empty;
    CKA_END_DATE AllowedValue::Empty;
    CKA_TRUSTED AllowedValue::Flag(false);
    CKA_VERIFY AllowedValue::Any;
    CKA_ENCRYPT AllowedValue::Any;
    CKA_WRAP AllowedValue::Any;
    CKA_DERIVE AllowedValue::Any;
    CKA_VERIFY_RECOVER AllowedValue::Flag(false);
    CKA_MODULUS_BITS AllowedValue::Any;
    CKA_PUBLIC_EXPONENT AllowedValue::Any;
    CKA_EC_PARAMS AllowedValue::Any;
    CKA_PARAMETER_SET AllowedValue::Any;
};

/// The purpose that each usage flag of the private or public key requests for the key.
const USES: [(CK_ATTRIBUTE_TYPE, Purpose); 7] = [
    (CKA_SIGN, Purpose::Sign),
    (CKA_VERIFY, Purpose::Sign),
    (CKA_DECRYPT, Purpose::Decrypt),
    (CKA_UNWRAP, Purpose::Decrypt),
    (CKA_ENCRYPT, Purpose::Decrypt),
    (CKA_WRAP, Purpose::Decrypt),
    (CKA_DERIVE, Purpose::Derive),
];

/// Returns the key pair that two templates describe.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID,
/// CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID.
pub fn key_pair(generation: &KeyGenMechanism, public: &[Attribute], private: &[Attribute]) -> Result<NewKey> {
    check(generation, public, PUBLIC_ATTRIBUTES, CKO_PUBLIC_KEY)?;
    check(generation, private, PRIVATE_ATTRIBUTES, CKO_PRIVATE_KEY)?;
    new_key(kind(generation, public, private)?, &[private, public])
}

/// Returns the secret key that a template describes.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID.
pub fn secret(generation: &KeyGenMechanism, template: &[Attribute]) -> Result<NewKey> {
    check(generation, template, PRIVATE_ATTRIBUTES, CKO_SECRET_KEY)?;
    new_key(hmac(template)?, &[template])
}

fn check(
    generation: &KeyGenMechanism,
    template: &[Attribute],
    known: &[(CK_ATTRIBUTE_TYPE, &str, AllowedValue)],
    class: CK_OBJECT_CLASS,
) -> Result<()> {
    for (kind, value) in template {
        let Some((_, name, said)) = known.iter().find(|row| row.0 == *kind) else {
            let text = format!("attribute 0x{kind:x} can't be set for a key that a service creates");
            return Err(Error::new(CKR_ATTRIBUTE_TYPE_INVALID, text));
        };
        let fits = match said {
            AllowedValue::Any => true,
            AllowedValue::Flag(wanted) => value[..] == [u8::from(*wanted)],
            AllowedValue::Empty => value.is_empty(),
        };
        if !fits {
            let text = match said {
                AllowedValue::Flag(wanted) => {
                    format!("{name} must be {wanted}: the service creates the key, and the key stays there")
                }
                _ => format!("{name} can't be set"),
            };
            return Err(inconsistent(text));
        }
    }
    // Section 4.4: without CKA_TOKEN, the key would be a session object.
    if class != CKO_PUBLIC_KEY && flag_in(template, CKA_TOKEN) != Some(true) {
        return Err(inconsistent("CKA_TOKEN must be true: the service stores the key that it creates".into()));
    }
    for (kind, name, wanted) in [(CKA_CLASS, "CKA_CLASS", class), (CKA_KEY_TYPE, "CKA_KEY_TYPE", generation.key_type)] {
        if value_in(template, kind).is_some() && number_in(template, kind) != Some(wanted) {
            return Err(inconsistent(format!("{name} does not match the mechanism {}", generation.name)));
        }
    }
    Ok(())
}

fn kind(generation: &KeyGenMechanism, public: &[Attribute], private: &[Attribute]) -> Result<Kind> {
    let either = |kind| value_in(public, kind).or_else(|| value_in(private, kind));
    match generation.key_type {
        CKK_RSA => rsa(public),
        CKK_EC => {
            let params = either(CKA_EC_PARAMS).ok_or_else(|| incomplete("CKA_EC_PARAMS"))?;
            Curve::from_params(params).map(Kind::Ec)
        }
        CKK_EC_EDWARDS => match either(CKA_EC_PARAMS) {
            Some(params) if EDWARDS25519.contains(&params) => Ok(Kind::Ed25519),
            Some(params) => Err(ec_params_error(params)),
            None => Err(incomplete("CKA_EC_PARAMS")),
        },
        key_type => {
            let number = number_in(public, CKA_PARAMETER_SET).or_else(|| number_in(private, CKA_PARAMETER_SET));
            kind_with_parameter_set(key_type, number)
        }
    }
}

/// The encodings that name edwards25519: id-Ed25519 of RFC 8410, the name as a PrintableString (PKCS#11 3.1
/// section 6.3.3), and the object identifier that was in use before the RFC.
const EDWARDS25519: [&[u8]; 3] = [
    &[0x06, 0x03, 0x2b, 0x65, 0x70],
    b"\x13\x0cedwards25519",
    &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01],
];

fn rsa(public: &[Attribute]) -> Result<Kind> {
    let exponent = value_in(public, CKA_PUBLIC_EXPONENT).unwrap_or(&[1, 0, 1]);
    if exponent.iter().copied().skip_while(|byte| *byte == 0).ne([1, 0, 1]) {
        return Err(invalid("CKA_PUBLIC_EXPONENT must be 65537: the services create no other keys".into()));
    }
    match number_in(public, CKA_MODULUS_BITS) {
        Some(bits @ (2048 | 3072 | 4096)) => Ok(Kind::Rsa(bits as usize)),
        Some(bits) => Err(invalid(format!(
            "CKA_MODULUS_BITS {bits} is not supported: the services create keys of 2048, 3072 and 4096 bits"
        ))),
        None => Err(incomplete("CKA_MODULUS_BITS")),
    }
}

fn hmac(template: &[Attribute]) -> Result<Kind> {
    let length = number_in(template, CKA_VALUE_LEN).ok_or_else(|| incomplete("CKA_VALUE_LEN"))?;
    let hash = Kind::HMAC_HASHES.into_iter().find(|hash| hash.len() as CK_ULONG == length);
    hash.map(Kind::Hmac).ok_or_else(|| {
        invalid(format!(
            "CKA_VALUE_LEN {length} is not supported: the services create HMAC keys of 20, 28, 32, 48 and 64 bytes"
        ))
    })
}

/// Returns the key for which the templates ask. Without a requested purpose, the key is for signing. The first
/// template is that of the private or secret key, which the service uses.
fn new_key(kind: Kind, templates: &[&[Attribute]]) -> Result<NewKey> {
    let mut purposes = Vec::new();
    for (flag, purpose) in USES {
        if templates.iter().any(|template| flag_in(template, flag) == Some(true)) && !purposes.contains(&purpose) {
            purposes.push(purpose);
        }
    }
    if purposes.is_empty() {
        purposes.push(Purpose::Sign);
    }
    check_uses(kind, templates[0], &purposes)?;
    let label =
        common_value(templates, CKA_LABEL, "CKA_LABEL")?.map(|label| String::from_utf8_lossy(label).into_owned());
    let id = common_value(templates, CKA_ID, "CKA_ID")?.map(<[u8]>::to_vec);
    if id.as_ref().is_some_and(|id| id.len() > MAX_ID_LEN) {
        return Err(invalid(format!(
            "CKA_ID has more than {MAX_ID_LEN} bytes, the limit of the tag in which the service stores it"
        )));
    }
    Ok(NewKey { kind, purposes, label, id })
}

/// Refuses a usage flag that is false although the purposes of the key imply it. A service knows purposes, not
/// attributes: a key that signs does so for every caller, and an HMAC key that computes MACs also verifies them.
fn check_uses(kind: Kind, template: &[Attribute], purposes: &[Purpose]) -> Result<()> {
    let verifies = matches!(kind, Kind::Hmac(_)).then_some((CKA_VERIFY, "CKA_VERIFY", Purpose::Sign));
    let uses = [
        (CKA_SIGN, "CKA_SIGN", Purpose::Sign),
        (CKA_DECRYPT, "CKA_DECRYPT", Purpose::Decrypt),
        (CKA_DERIVE, "CKA_DERIVE", Purpose::Derive),
    ];
    for (flag, name, purpose) in uses.into_iter().chain(verifies) {
        if flag_in(template, flag) == Some(false) && purposes.contains(&purpose) {
            return Err(inconsistent(format!(
                "{name} can't be false: the service creates a key that has this ability"
            )));
        }
    }
    Ok(())
}

/// A tag of AWS KMS has at most 256 characters, and each byte of the ID takes two.
const MAX_ID_LEN: usize = 128;

/// Returns the value that the templates have in common. An empty value counts as a missing attribute.
fn common_value<'a>(templates: &[&'a [Attribute]], kind: CK_ATTRIBUTE_TYPE, name: &str) -> Result<Option<&'a [u8]>> {
    let mut given: Vec<_> = templates.iter().filter_map(|template| value_in(template, kind)).collect();
    given.retain(|value| !value.is_empty());
    given.dedup();
    match given[..] {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(inconsistent(format!(
            "{name} differs between the public and the private template; they are one key, so it must be the same"
        ))),
    }
}

fn incomplete(name: &str) -> Error {
    Error::new(CKR_TEMPLATE_INCOMPLETE, format!("the template has no {name}"))
}

fn inconsistent(text: String) -> Error {
    Error::new(CKR_TEMPLATE_INCONSISTENT, text)
}

fn invalid(text: String) -> Error {
    Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ParameterSet;
    use crate::key::hash::Hash;
    use crate::mechanism::KEY_GEN_MECHANISMS;

    fn generation(ckm: CK_MECHANISM_TYPE) -> &'static KeyGenMechanism {
        KEY_GEN_MECHANISMS.iter().find(|row| row.ckm == ckm).unwrap()
    }

    fn flag(kind: CK_ATTRIBUTE_TYPE, value: bool) -> Attribute {
        (kind, vec![u8::from(value)])
    }

    fn number(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Attribute {
        (kind, value.to_ne_bytes().to_vec())
    }

    fn rsa(public: &[Attribute], private: &[Attribute]) -> std::result::Result<NewKey, CK_RV> {
        let public = [&[number(CKA_MODULUS_BITS, 2048)], public].concat();
        let private = [&[flag(CKA_TOKEN, true)], private].concat();
        key_pair(generation(CKM_RSA_PKCS_KEY_PAIR_GEN), &public, &private).map_err(|error| error.rv)
    }

    #[test]
    fn purposes_follow_from_both_templates() {
        let purposes = |public: &[Attribute], private: &[Attribute]| rsa(public, private).unwrap().purposes;
        assert_eq!(purposes(&[], &[]), [Purpose::Sign]);
        assert_eq!(purposes(&[flag(CKA_VERIFY, true)], &[flag(CKA_SIGN, true)]), [Purpose::Sign]);
        assert_eq!(purposes(&[flag(CKA_ENCRYPT, true)], &[flag(CKA_UNWRAP, true)]), [Purpose::Decrypt]);
        assert_eq!(rsa(&[], &[flag(CKA_SIGN, false)]), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(rsa(&[flag(CKA_VERIFY, true)], &[flag(CKA_SIGN, false)]), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(rsa(&[], &[flag(CKA_DECRYPT, false), flag(CKA_UNWRAP, true)]), Err(CKR_TEMPLATE_INCONSISTENT));
        let both = purposes(&[], &[flag(CKA_SIGN, true), flag(CKA_DECRYPT, true), flag(CKA_DERIVE, false)]);
        assert_eq!(both, [Purpose::Sign, Purpose::Decrypt]);
    }

    #[test]
    fn names_are_the_same_for_both_halves() {
        let label = |text: &str| (CKA_LABEL, text.as_bytes().to_vec());
        assert_eq!(rsa(&[label("a")], &[label("a")]).unwrap().label.as_deref(), Some("a"));
        assert_eq!(rsa(&[label("")], &[label("a")]).unwrap().label.as_deref(), Some("a"));
        assert_eq!(rsa(&[label("a")], &[label("b")]), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(rsa(&[(CKA_ID, vec![1])], &[]).unwrap().id, Some(vec![1]));
        assert_eq!(rsa(&[], &[(CKA_ID, vec![1; 129])]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
    }

    #[test]
    fn unsupported_attributes_are_refused() {
        for (attribute, rv) in [
            (flag(CKA_EXTRACTABLE, true), CKR_TEMPLATE_INCONSISTENT),
            (flag(CKA_SENSITIVE, false), CKR_TEMPLATE_INCONSISTENT),
            (flag(CKA_SIGN_RECOVER, true), CKR_TEMPLATE_INCONSISTENT),
            (number(CKA_KEY_TYPE, CKK_EC), CKR_TEMPLATE_INCONSISTENT),
            (number(CKA_CLASS, CKO_PUBLIC_KEY), CKR_TEMPLATE_INCONSISTENT),
            ((CKA_START_DATE, b"20260101".to_vec()), CKR_TEMPLATE_INCONSISTENT),
            ((CKA_VALUE, vec![1]), CKR_ATTRIBUTE_TYPE_INVALID),
            (number(CKA_MODULUS_BITS, 2048), CKR_ATTRIBUTE_TYPE_INVALID),
        ] {
            assert_eq!(rsa(&[], std::slice::from_ref(&attribute)), Err(rv), "{attribute:x?}");
        }
        for (attribute, rv) in [
            ((CKA_PUBLIC_EXPONENT, vec![3]), CKR_ATTRIBUTE_VALUE_INVALID),
            (flag(CKA_TOKEN, false), CKR_TEMPLATE_INCONSISTENT),
        ] {
            assert_eq!(rsa(std::slice::from_ref(&attribute), &[]), Err(rv), "{attribute:x?}");
        }
        assert!(rsa(&[(CKA_PUBLIC_EXPONENT, vec![0, 1, 0, 1])], &[]).is_ok());
        let session = key_pair(generation(CKM_RSA_PKCS_KEY_PAIR_GEN), &[number(CKA_MODULUS_BITS, 2048)], &[]);
        assert_eq!(session.map_err(|error| error.rv), Err(CKR_TEMPLATE_INCONSISTENT));
    }

    #[test]
    fn each_mechanism_names_its_kinds() {
        let token = [flag(CKA_TOKEN, true)];
        let made = |ckm, attribute: Attribute| {
            key_pair(generation(ckm), &[attribute], &token).map(|new| new.kind).map_err(|error| error.rv)
        };
        for curve in Curve::all() {
            assert_eq!(made(CKM_EC_KEY_PAIR_GEN, (CKA_EC_PARAMS, curve.ec_params())), Ok(Kind::Ec(curve)));
        }
        assert_eq!(made(CKM_EC_KEY_PAIR_GEN, (CKA_EC_PARAMS, vec![6, 1, 1])), Err(CKR_CURVE_NOT_SUPPORTED));
        for ckm in [CKM_EC_KEY_PAIR_GEN, CKM_EC_EDWARDS_KEY_PAIR_GEN] {
            assert_eq!(made(ckm, (CKA_EC_PARAMS, vec![6, 2, 1])), Err(CKR_DOMAIN_PARAMS_INVALID));
        }
        for params in EDWARDS25519 {
            let edwards = made(CKM_EC_EDWARDS_KEY_PAIR_GEN, (CKA_EC_PARAMS, params.to_vec()));
            assert_eq!(edwards, Ok(Kind::Ed25519));
        }
        let set = made(CKM_ML_DSA_KEY_PAIR_GEN, number(CKA_PARAMETER_SET, CKP_ML_DSA_65));
        assert_eq!(set, Ok(Kind::MlDsa(ParameterSet::MlDsa65)));
        let long = |length| {
            let template = [flag(CKA_TOKEN, true), number(CKA_VALUE_LEN, length)];
            secret(generation(CKM_GENERIC_SECRET_KEY_GEN), &template).map(|new| new.kind).map_err(|error| error.rv)
        };
        assert_eq!(long(48), Ok(Kind::Hmac(Hash::Sha384)));
        assert_eq!(long(16), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        for use_of_it in [CKA_SIGN, CKA_VERIFY] {
            let template = [flag(CKA_TOKEN, true), number(CKA_VALUE_LEN, 32), flag(use_of_it, false)];
            let made = secret(generation(CKM_GENERIC_SECRET_KEY_GEN), &template);
            assert_eq!(made.map_err(|error| error.rv), Err(CKR_TEMPLATE_INCONSISTENT));
        }
    }
}
