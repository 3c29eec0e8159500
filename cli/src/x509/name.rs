//! Names of the subject: the distinguished name, and alternative names.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::{COMMON_NAME, COUNTRY_NAME};
use der::asn1::{Ia5String, Ia5StringRef, PrintableStringRef, Utf8StringRef};
use der::{Tag, Tagged};
use std::net::IpAddr;
use std::str::FromStr;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

/// A subject, from its form in RFC 4514.
#[derive(Clone, Debug)]
pub struct Subject(pub Name);

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = Name::from_str(text).map_err(
            |_| "this is not a name as RFC 4514 writes it; an example is CN=web,O=Acme (no spaces beside the commas)",
        )?;
        name.iter().try_for_each(check_attribute)?;
        Ok(Self(name))
    }
}

/// The upper bounds of RFC 5280 appendix A.1 that programs insist on.
const LONGEST: [(ObjectIdentifier, &str, usize); 2] = [(COMMON_NAME, "CN", 64), (COUNTRY_NAME, "C", 2)];

fn check_attribute(attribute: &AttributeTypeAndValue) -> Result<(), String> {
    let text = match attribute.value.tag() {
        Tag::PrintableString => PrintableStringRef::try_from(&attribute.value).ok().map(|text| text.as_str()),
        Tag::Ia5String => Ia5StringRef::try_from(&attribute.value).ok().map(|text| text.as_str()),
        Tag::Utf8String => Utf8StringRef::try_from(&attribute.value).ok().map(|text| text.as_str()),
        // A value in hexadecimal.
        _ => return Ok(()),
    };
    let text =
        text.ok_or_else(|| format!("{attribute}: the value has characters that this attribute can't contain"))?;
    if text.is_empty() {
        return Err("an attribute is empty; leave it out".into());
    }
    match LONGEST.iter().find(|row| row.0 == attribute.oid && text.chars().count() > row.2) {
        Some((_, name, longest)) => Err(format!("{name} has {longest} characters at most")),
        None => Ok(()),
    }
}

/// A subjectAltName, from `dns:`, `ip:`, `email:` or `uri:` and the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternativeName(pub GeneralName);

impl FromStr for AlternativeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or(KINDS)?;
        let ascii = || Ia5String::new(name).map_err(|_| format!("{name} is not ASCII; write its ASCII form (xn--...)"));
        let made = match kind.to_lowercase().as_str() {
            "dns" => GeneralName::DnsName(ascii()?),
            "email" => GeneralName::Rfc822Name(ascii()?),
            "uri" => GeneralName::UniformResourceIdentifier(ascii()?),
            "ip" => name.parse::<IpAddr>().map_err(|_| format!("{name} is not an IP address"))?.into(),
            _ => return Err(KINDS.into()),
        };
        Ok(Self(made))
    }
}

const KINDS: &str =
    "write the kind before the name: dns:web.example, ip:192.0.2.1, email:me@web.example or uri:urn:web";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_checked() {
        let parsed = Subject::from_str(r"CN=a\, b+OU=x,O=Acme,C=DE").map(|name| name.0.to_string());
        // DER sorts a set by the encodings of its items (X.690 section 11.6).
        assert_eq!(parsed.as_deref(), Ok(r"OU=x+CN=a\, b,O=Acme,C=DE"));
        for (text, part) in [
            ("web", "RFC 4514"),
            ("CN=web, O=Acme", "RFC 4514"),
            ("nonsense=web", "RFC 4514"),
            ("CN=", "empty"),
            ("C=DEU", "C has 2"),
            ("C=\u{c4}\u{d6}", "characters that"),
            ("emailAddress=\u{e4}@b", "characters that"),
            (&format!("CN={}", "a".repeat(65)), "CN has 64"),
        ] {
            let error = Subject::from_str(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn an_alternative_name_has_a_kind() {
        for text in ["dns:web", "DNS:web", "ip:::1", "ip:192.0.2.1", "email:a@b", "uri:urn:a:b"] {
            assert!(AlternativeName::from_str(text).is_ok(), "{text}");
        }
        for (text, part) in [
            ("web", "kind before"),
            ("dns:", "kind before"),
            ("upn:a", "kind before"),
            ("ip:web", "IP"),
            ("dns:\u{e4}", "xn--"),
        ] {
            let error = AlternativeName::from_str(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
