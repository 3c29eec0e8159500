//! What a certificate is for: keyUsage and extKeyUsage.

use const_oid::ObjectIdentifier;
use const_oid::db::DB;
use std::str::FromStr;
use x509_cert::ext::pkix::KeyUsages;

/// A bit of keyUsage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage(pub KeyUsages);

/// The names of RFC 5280 section 4.2.1.3.
const USAGES: [(&str, KeyUsages); 9] = [
    ("digitalSignature", KeyUsages::DigitalSignature),
    ("nonRepudiation", KeyUsages::NonRepudiation),
    ("keyEncipherment", KeyUsages::KeyEncipherment),
    ("dataEncipherment", KeyUsages::DataEncipherment),
    ("keyAgreement", KeyUsages::KeyAgreement),
    ("keyCertSign", KeyUsages::KeyCertSign),
    ("cRLSign", KeyUsages::CRLSign),
    ("encipherOnly", KeyUsages::EncipherOnly),
    ("decipherOnly", KeyUsages::DecipherOnly),
];

impl FromStr for Usage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = USAGES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found
            .map(|(_, usage)| Self(*usage))
            .ok_or_else(|| format!("use some of: {}", USAGES.map(|row| row.0).join(", ")))
    }
}

/// A purpose of extKeyUsage: a name of RFC 5280 section 4.2.1.12, such as `serverAuth`, or an object identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedUsage(pub ObjectIdentifier);

impl FromStr for ExtendedUsage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = DB.by_name(&format!("id-kp-{text}")).copied();
        named.map_or_else(|| ObjectIdentifier::new(text), Ok).map(Self).map_err(|_| {
            "use serverAuth, clientAuth, codeSigning, emailProtection, timeStamping, OCSPSigning or an object identifier"
                .into()
        })
    }
}
