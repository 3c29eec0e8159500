//! Purposes of keys, and the schemes that serve them.

use super::hash::Hash;
use super::kind::Kind;

/// A purpose of a private or secret key. The public key serves the counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Signing, and verification as its counterpart.
    Sign,
    /// Decryption, and encryption as its counterpart.
    Decrypt,
    /// Decryption of a secret key, and encryption of a secret key as its counterpart. The schemes are the same as
    /// for [`Purpose::Decrypt`], but some services permit only one of the two purposes.
    Unwrap,
    /// Agreement on a secret.
    Derive,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 4] = [Purpose::Sign, Purpose::Decrypt, Purpose::Unwrap, Purpose::Derive];

    /// Returns the purpose whose schemes and mechanisms also serve this one.
    pub fn scheme_purpose(self) -> Self {
        match self {
            Self::Unwrap => Self::Decrypt,
            own => own,
        }
    }
}

/// An algorithm that uses a key, without the choice of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 of a digest, RFC 8017 section 8.2. Without a hash: of a DigestInfo as is.
    RsaPkcs1,
    /// RSASSA-PSS, RFC 8017 section 8.1. MGF1 uses the same hash.
    RsaPss,
    /// ECDSA, FIPS 186-5 section 6. Signatures have PKCS#11's form: r and s, each padded to the curve's width.
    Ecdsa,
    /// Ed25519 of the message itself, RFC 8032 section 5.1.
    Eddsa,
    /// ML-DSA of the message itself, with an empty context, FIPS 204 algorithm 2.
    MlDsa,
    /// ML-DSA of mu, FIPS 204 section 6.2. Mu contains the context, and in HashML-DSA the digest.
    MlDsaMu,
    /// SLH-DSA of the message itself, with an empty context, FIPS 205 algorithm 22. With a hash: HashSLH-DSA of a
    /// digest, algorithm 23.
    SlhDsa,
    /// SLH-DSA of M', FIPS 205 section 9. M' contains the context, and in HashSLH-DSA the digest. No service offers
    /// it; public keys verify with it.
    SlhDsaInternal,
    /// HMAC of the message itself, FIPS 198-1.
    Hmac,
    /// RSAES-PKCS1-v1_5, RFC 8017 section 7.2.
    RsaesPkcs1,
    /// RSAES-OAEP, RFC 8017 section 7.1. MGF1 uses the same hash, and the label is empty.
    RsaesOaep,
    /// ECDH, SEC 1 section 3.3.1: the x coordinate of the shared point. The cofactor is left out, because it is 1 on
    /// all supported curves.
    Ecdh,
}

impl Algorithm {
    /// Returns the purpose that the family serves.
    pub fn purpose(self) -> Purpose {
        match self {
            Algorithm::RsaesPkcs1 | Algorithm::RsaesOaep => Purpose::Decrypt,
            Algorithm::Ecdh => Purpose::Derive,
            _ => Purpose::Sign,
        }
    }

    /// Returns the family of the mechanisms that can lead to this one.
    pub fn mechanism_family(self) -> Self {
        match self {
            Self::MlDsaMu => Self::MlDsa,
            Self::SlhDsaInternal => Self::SlhDsa,
            own => own,
        }
    }

    /// Returns the algorithm whose input contains the context and the hash, so that it serves every parameter of the
    /// mechanisms of this family. Families without contexts have none.
    pub fn with_context(self) -> Option<Self> {
        match self {
            Self::MlDsa => Some(Self::MlDsaMu),
            Self::SlhDsa => Some(Self::SlhDsaInternal),
            _ => None,
        }
    }

    /// Returns whether a key of this kind can be used with the family.
    pub fn supports(self, kind: Kind) -> bool {
        match kind {
            Kind::Rsa(_) => matches!(self, Self::RsaPkcs1 | Self::RsaPss | Self::RsaesPkcs1 | Self::RsaesOaep),
            Kind::Ec(_) => matches!(self, Self::Ecdsa | Self::Ecdh),
            Kind::Ed25519 => self == Self::Eddsa,
            Kind::MlDsa(_) => self.mechanism_family() == Self::MlDsa,
            Kind::SlhDsa(_) => self.mechanism_family() == Self::SlhDsa,
            Kind::Hmac(_) => self == Self::Hmac,
        }
    }

    /// Returns the scheme of this family with `hash`.
    pub const fn with_hash(self, hash: Hash) -> Scheme {
        Scheme { family: self, hash: Some(hash), salt: Salt::Digest }
    }

    /// Returns the scheme of this family without a hash.
    pub const fn without_hash(self) -> Scheme {
        Scheme { family: self, hash: None, salt: Salt::Digest }
    }
}

/// A scheme as the services name it: a family, and a hash if the family has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Scheme {
    /// The family.
    pub family: Algorithm,
    /// The hash, or None if the family has none or signs a DigestInfo.
    pub hash: Option<Hash>,
    /// The salt of RSASSA-PSS. Other families have none.
    pub salt: Salt,
}

/// The length of the salt of RSASSA-PSS (RFC 8017 section 9.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Salt {
    /// As long as the digest.
    #[default]
    Digest,
    /// Another length, in bytes.
    Length(u16),
    /// Any length. Only in lists of what a service offers.
    Any,
}

impl Scheme {
    /// Returns the scheme with a salt of another length.
    pub const fn with_salt(self, salt: Salt) -> Self {
        Self { salt, ..self }
    }

    /// Returns whether the scheme is in a list of offered schemes.
    pub fn is_offered(self, schemes: &[Self]) -> bool {
        let has = |own| schemes.contains(&own);
        has(self) || (self.salt != Salt::Digest && has(self.with_salt(Salt::Any)))
    }

    /// Returns whether a key of this kind can be used with the scheme. The services tie a hash to each curve.
    pub fn suits(self, kind: Kind) -> bool {
        self.family.supports(kind)
            && match kind {
                Kind::Ec(curve) if self.family == Algorithm::Ecdsa => self.hash == Some(curve.hash()),
                Kind::Hmac(hash) => self.hash == Some(hash),
                _ => true,
            }
    }

    /// Returns the name of the scheme in messages.
    pub fn name(self) -> String {
        match (self.hash, self.salt) {
            (Some(hash), Salt::Length(bytes)) => {
                format!("{:?} with {} and a salt of {bytes} bytes", self.family, hash.name())
            }
            (Some(hash), _) => format!("{:?} with {}", self.family, hash.name()),
            (None, _) => format!("{:?}", self.family),
        }
    }
}
