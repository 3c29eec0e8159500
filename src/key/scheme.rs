//! What can be done with keys, and by which schemes.

use super::hash::Hash;
use super::kind::Kind;

/// What is done with a key; the other half of it does the opposite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing, and verifying.
    Sign,
    /// Decrypting, and encrypting.
    Decrypt,
    /// Decrypting a secret key, and encrypting one: by the same schemes, but some services permit one and not the other.
    Unwrap,
    /// Agreeing on a secret.
    Derive,
}

impl Purpose {
    /// Each of them.
    pub const ALL: [Purpose; 4] = [Purpose::Sign, Purpose::Decrypt, Purpose::Unwrap, Purpose::Derive];

    /// Whose schemes and mechanisms serve it.
    pub fn of_schemes(self) -> Self {
        match self {
            Self::Unwrap => Self::Decrypt,
            own => own,
        }
    }
}

/// How it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// RSASSA-PKCS1-v1_5, RFC 8017 section 8.2, of a digest; without a hash, of a DigestInfo as it stands.
    RsaPkcs1,
    /// RSASSA-PSS with salt as long as the digest and MGF1 with the same hash, RFC 8017 section 8.1.
    RsaPss,
    /// ECDSA, FIPS 186-5 section 6; as PKCS#11 has it: r and s, each padded to the curve's width.
    Ecdsa,
    /// Ed25519 of the message itself, RFC 8032 section 5.1.
    Eddsa,
    /// ML-DSA of a mu, FIPS 204 section 6.2.
    MlDsa,
    /// HMAC of the message itself, FIPS 198-1.
    Hmac,
    /// RSAES-PKCS1-v1_5, RFC 8017 section 7.2.
    RsaesPkcs1,
    /// RSAES-OAEP with MGF1 with the same hash and an empty label, RFC 8017 section 7.1.
    RsaesOaep,
    /// The x coordinate of the shared point, SEC 1 section 3.3.1 (without cofactor: it is 1 on all curves here).
    Ecdh,
}

impl Family {
    /// What it is for.
    pub fn purpose(self) -> Purpose {
        match self {
            Family::RsaesPkcs1 | Family::RsaesOaep => Purpose::Decrypt,
            Family::Ecdh => Purpose::Derive,
            _ => Purpose::Sign,
        }
    }

    /// Whether a key of that kind can be used so.
    pub fn suits(self, kind: Kind) -> bool {
        match kind {
            Kind::Rsa(_) => matches!(self, Self::RsaPkcs1 | Self::RsaPss | Self::RsaesPkcs1 | Self::RsaesOaep),
            Kind::Ec(_) => matches!(self, Self::Ecdsa | Self::Ecdh),
            Kind::Ed25519 => self == Self::Eddsa,
            Kind::MlDsa(_) => self == Self::MlDsa,
            Kind::Hmac(_) => self == Self::Hmac,
        }
    }

    /// The scheme of this family with that hash.
    pub const fn with(self, hash: Hash) -> Scheme {
        Scheme { family: self, hash: Some(hash) }
    }

    /// The scheme of this family without a hash.
    pub const fn alone(self) -> Scheme {
        Scheme { family: self, hash: None }
    }
}

/// A way to use a key as the services name it: a family, with a hash where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Scheme {
    pub family: Family,
    pub hash: Option<Hash>,
}

impl Scheme {
    /// Whether a key of that kind can be used so. The services tie a hash to each curve.
    pub fn suits(self, kind: Kind) -> bool {
        self.family.suits(kind)
            && match kind {
                Kind::Ec(curve) if self.family == Family::Ecdsa => self.hash == Some(curve.hash()),
                Kind::Hmac(hash) => self.hash == Some(hash),
                _ => true,
            }
    }

    /// Its name in messages.
    pub fn name(self) -> String {
        match self.hash {
            Some(hash) => format!("{:?} with {}", self.family, hash.name()),
            None => format!("{:?}", self.family),
        }
    }
}
