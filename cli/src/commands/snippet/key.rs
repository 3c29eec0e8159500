//! What a snippet needs to know of a key: its kind and the values of the variables.

use crate::failure::Outcome;
use crate::token::{Object, Token};
use cloud_kms_pkcs11::key::{Curve, Kind};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::ObjectClass;

/// A token's key, for which a snippet is made.
pub struct SnippetKey {
    token: Token,
    object: Object,
    kind: Option<Kind>,
    /// CKA_ALLOWED_MECHANISMS of an RSA key.
    /// CKA_ALLOWED_MECHANISMS, as far as it is known.
    mechanisms: Option<Vec<MechanismType>>,
    /// Whether the token shows a certificate with the key's id.
    pub has_certificate: bool,
    /// Whether the token shows other private keys, too.
    pub has_neighbors: bool,
}

/// The hashes of OpenSSL's names, with the mechanism of RSA that is bound to each.
const HASHES: [(&str, MechanismType); 3] = [
    ("sha256", MechanismType::SHA256_RSA_PKCS),
    ("sha384", MechanismType::SHA384_RSA_PKCS),
    ("sha512", MechanismType::SHA512_RSA_PKCS),
];

impl SnippetKey {
    /// Reads the key with that label, or the only one.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn read(token: Token, label: Option<&str>) -> Outcome<Self> {
        let object = token.key(label)?;
        let objects = token.objects()?;
        let has_certificate =
            objects.iter().any(|other| other.class == ObjectClass::CERTIFICATE && other.id == object.id);
        let has_neighbors = objects.iter().any(|other| other.is_own_key() && other.label != object.label);
        let kind = object.kind();
        let mechanisms = token.allowed_mechanisms(&object)?;
        Ok(Self { token, object, kind, mechanisms, has_certificate, has_neighbors })
    }

    /// The kind in the words of the pages: an RSA key on which both paddings work is `rsa`, `pkcs1`, `pss` and `pkcs1-pss`.
    pub fn kinds(&self) -> Vec<&'static str> {
        let is_allowed = |mechanism| self.allows(mechanism);
        match self.kind {
            Some(Kind::Rsa(_)) => {
                let pkcs1 = HASHES.iter().any(|(_, mechanism)| is_allowed(*mechanism));
                let pss = is_allowed(MechanismType::RSA_PKCS_PSS) || is_allowed(MechanismType::SHA256_RSA_PKCS_PSS);
                let any = HASHES.iter().all(|(_, mechanism)| is_allowed(*mechanism));
                let words =
                    [("rsa", true), ("pkcs1", pkcs1), ("pkcs1-any", any), ("pss", pss), ("pkcs1-pss", pkcs1 && pss)];
                words.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word).collect()
            }
            Some(Kind::Ec(Curve::P256)) => vec!["ec", "p256"],
            Some(Kind::Ec(Curve::P384)) => vec!["ec", "p384"],
            Some(Kind::Ec(Curve::P521)) => vec!["ec", "p521"],
            Some(Kind::Ed25519) => vec!["ed25519"],
            Some(Kind::MlDsa(_)) => vec!["ml-dsa"],
            _ => Vec::new(),
        }
    }

    fn allows(&self, mechanism: MechanismType) -> bool {
        self.mechanisms.as_ref().is_none_or(|allowed| allowed.contains(&mechanism))
    }

    /// What the key is, for people: `key "web" (P-256) of token "web"`.
    pub fn description(&self) -> String {
        let kind = self.kind.map_or_else(|| "a secret key".to_owned(), Kind::name);
        format!("key {:?} ({kind}) of token {:?}", self.object.label, self.token.label())
    }

    /// What the key may do, by the names of the attributes.
    pub fn uses(&self) -> &[&'static str] {
        &self.object.uses
    }

    /// Whether the token needs a login.
    pub fn needs_login(&self) -> bool {
        self.token.info().login_required()
    }

    /// The values of the variables.
    pub fn values(&self) -> Vec<(String, String)> {
        let bits = if let Some(Kind::Rsa(bits)) = self.kind { bits.to_string() } else { String::new() };
        let values = [
            ("TOKEN", self.token.info().label().to_owned()),
            ("KEY", self.object.label.clone()),
            ("SLOT", self.token.slot().to_string()),
            ("HASH", self.hash().to_owned()),
            ("ALGORITHM", self.dnssec_algorithm().to_owned()),
            ("BITS", bits),
        ];
        values.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// The usual hash of the key, by OpenSSL's name.
    fn hash(&self) -> &'static str {
        match self.kind {
            Some(Kind::Ec(Curve::P384)) => "sha384",
            Some(Kind::Ec(Curve::P521)) => "sha512",
            Some(Kind::Rsa(_)) => {
                HASHES.into_iter().find(|(_, mechanism)| self.allows(*mechanism)).map_or("sha256", |(name, _)| name)
            }
            _ => "sha256",
        }
    }

    /// The algorithm of DNSSEC, by BIND's name.
    fn dnssec_algorithm(&self) -> &'static str {
        match self.kind {
            Some(Kind::Rsa(_)) => "RSASHA256",
            Some(Kind::Ec(Curve::P384)) => "ECDSAP384SHA384",
            _ => "ECDSAP256SHA256",
        }
    }
}
