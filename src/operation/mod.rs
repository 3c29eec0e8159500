//! The part of an operation that needs no service. PKCS#11 3.2 sections 5.8 to 5.17.
//!
//! Whatever can be refused without the data is refused when the operation begins. The result is a scheme and
//! exactly the data that the scheme takes: a digest of its hash's length, a DigestInfo, a mu, an M', or the data
//! unchanged.

pub mod cipher;
mod derivation;
pub mod init;
pub mod multi_part;
pub mod sign;

use crate::error::{Error, Result};
use crate::key::hash::{Hash, Hasher};
use crate::key::ml_dsa::Mu;
use crate::key::{Algorithm, Curve, Kind, PublicKey, PublicNumbers, Purpose, Salt, Scheme, formatted_message_prefix};
use crate::mechanism::{Input, Mechanism, MechanismInput, Parameters};
use cryptoki_sys::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What an operation has to know about its key.
#[derive(Clone, Copy, Debug)]
pub struct OperationKey<'a> {
    /// The kind of the key.
    pub kind: Kind,
    /// The public key, if the key has one.
    pub public_key: Option<&'a PublicKey>,
    /// The schemes that the key can be used with, by its service or locally.
    pub schemes: &'a [Scheme],
    /// Why the key cannot be used, or what the key is for instead. Quoted in error messages.
    pub refusal: Option<&'a Arc<str>>,
    /// The shortest and the longest message, in bytes, that can be passed on unchanged.
    pub message_lengths: (usize, usize),
    /// CKM_RSA_PKCS also accepts a digest without its DigestInfo.
    pub accept_bare_digest: bool,
}

/// An operation that has begun: its mechanism, its parameters, and the data so far.
#[derive(Clone)]
pub struct Operation {
    mechanism: &'static Mechanism,
    algorithm: Algorithm,
    kind: Kind,
    schemes: Vec<Scheme>,
    /// What the service reports about the use of the key.
    refusal: Option<Arc<str>>,
    parameters: Parameters,
    accept_bare_digest: bool,
    data: Data,
    /// The least number of bytes with which the operation can end.
    min_len: usize,
    /// The largest number of bytes that are kept.
    max_len: usize,
}

#[derive(Clone)]
enum Data {
    /// The data, unchanged.
    Held(Bytes),
    /// A message, of which only the hash is kept.
    Hashed(Hasher),
    /// A message from which a mu is computed.
    Mu(Mu),
    /// A message that is hashed. A mu is computed from the hash.
    HashedMu(Hasher, Mu),
    /// A digest from which a mu is computed.
    HeldMu(Bytes, Mu),
}

/// Data of an operation. The data are the caller's secret, so they are overwritten when dropped.
pub type Bytes = Zeroizing<Vec<u8>>;

/// The largest number of bytes that are kept, except of a message that the service signs unchanged. No digest,
/// DigestInfo or RSA modulus is longer.
const MAX_HELD_LEN: usize = 1024;

impl Operation {
    /// Begins an operation. Refuses whatever can be refused without the data.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_KEY_TYPE_INCONSISTENT,
    /// CKR_KEY_FUNCTION_NOT_PERMITTED.
    pub fn begin(request: &MechanismInput, purpose: Purpose, subject: OperationKey) -> Result<Self> {
        let mechanism = Mechanism::from_ckm(request.ckm, purpose).ok_or_else(|| {
            let text = format!("mechanism 0x{:x} is not one that this module has for {}", request.ckm, gerund(purpose));
            Error::new(CKR_MECHANISM_INVALID, text)
        })?;
        if !mechanism.family.supports(subject.kind) {
            let text = format!("{} can't be used with a key of kind {}", mechanism.name, subject.kind.name());
            return Err(Error::new(CKR_KEY_TYPE_INCONSISTENT, text));
        }
        check_permitted(purpose, subject)?;
        if !mechanism.is_offered(subject.kind, subject.schemes) {
            return Err(Error::new(CKR_MECHANISM_INVALID, refused_mechanism(mechanism, purpose, subject)));
        }
        let parameters = mechanism.parse_parameters(request)?;
        let algorithm = select_algorithm(mechanism, &parameters, subject.schemes)?;
        // If the context is part of the input, the hash is as well.
        let hash = parameters.hash.filter(|_| algorithm == mechanism.family);
        if let Some(hash) = hash {
            let scheme = algorithm.with_hash(hash).with_salt(parameters.salt);
            check_allowed(subject.schemes, scheme, subject.refusal, CKR_MECHANISM_PARAM_INVALID)?;
            check_salt(subject.kind, scheme)?;
        }
        let (least, most) = match (mechanism.input, purpose) {
            (Input::AsIs(_), Purpose::Sign) => subject.message_lengths,
            _ => (0, MAX_HELD_LEN),
        };
        Ok(Self {
            mechanism,
            algorithm,
            kind: subject.kind,
            schemes: subject.schemes.to_vec(),
            refusal: subject.refusal.cloned(),
            accept_bare_digest: subject.accept_bare_digest,
            data: data_state(mechanism, algorithm, &parameters, subject),
            parameters,
            min_len: least,
            max_len: most,
        })
    }

    /// The mechanism's name in the standard.
    pub fn name(&self) -> &'static str {
        self.mechanism.name
    }

    /// The values of the mechanism's parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The scheme, for a mechanism whose scheme does not depend on the data.
    pub fn scheme(&self) -> Scheme {
        let hash = match self.mechanism.input {
            Input::AsIs(own) => own.or(self.parameters.hash),
            _ => None,
        };
        Scheme { family: self.algorithm, hash, salt: self.parameters.salt }
    }

    /// Adds a part of the data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE if the data become longer than what can be passed on.
    pub fn update(&mut self, part: &[u8]) -> Result<()> {
        match &mut self.data {
            Data::Hashed(hasher) | Data::HashedMu(hasher, _) => hasher.update(part),
            Data::Mu(mu) => mu.update(part),
            Data::Held(held) | Data::HeldMu(held, _) if held.len() + part.len() <= self.max_len => {
                held.extend_from_slice(part)
            }
            Data::Held(_) | Data::HeldMu(..) => {
                let name = self.mechanism.name;
                let text = match self.mechanism.input {
                    Input::AsIs(_) => format!(
                        "{name}: the message is longer than the {} bytes that the service accepts",
                        self.max_len
                    ),
                    _ => format!(
                        "{name} takes a digest, but the data has more than {} bytes; use a mechanism that hashes",
                        self.max_len
                    ),
                };
                return Err(Error::new(CKR_DATA_LEN_RANGE, text));
            }
        }
        Ok(())
    }

    /// Ends the operation. Returns the scheme and exactly the data that the scheme takes.
    ///
    /// # Errors
    /// CKR_DATA_INVALID, CKR_DATA_LEN_RANGE.
    pub fn finish(self) -> Result<(Scheme, Bytes)> {
        let (scheme, input) = (self.scheme(), self.mechanism.input);
        let hash = input.hash().or(self.parameters.hash);
        let held = match self.data {
            Data::Held(held) if held.len() < self.min_len => {
                let text =
                    format!("{}: the service does not accept a message of {} bytes", self.mechanism.name, held.len());
                return Err(Error::new(CKR_DATA_LEN_RANGE, text));
            }
            Data::Held(held) => held,
            Data::Hashed(hasher) => hasher.finish().into(),
            Data::Mu(mu) => mu.finish().into(),
            Data::HashedMu(hasher, mu) => mu_of(mu, &hasher.finish()),
            Data::HeldMu(held, mu) => match hash {
                Some(hash) => mu_of(mu, &check_digest_len(hash, held)?),
                None => return Err(Error::new(CKR_GENERAL_ERROR, "the digest has no hash")),
            },
        };
        let (scheme, data) = match (self.algorithm, self.kind, input, hash) {
            (Algorithm::Ecdsa, Kind::Ec(curve), ..) => {
                (Algorithm::Ecdsa.with_hash(curve.hash()), fit_digest(curve, &held)?)
            }
            (Algorithm::RsaPkcs1, _, Input::DigestInfo, _) => {
                parse_pkcs1_input(&self.schemes, held, self.accept_bare_digest)?
            }
            (Algorithm::RsaPkcs1, _, _, Some(hash)) => pkcs1_of_digest(&self.schemes, hash, held),
            (Algorithm::RsaPss, _, _, Some(hash)) => {
                let salt = self.parameters.salt;
                (Algorithm::RsaPss.with_hash(hash).with_salt(salt), check_digest_len(hash, held)?)
            }
            (Algorithm::SlhDsa, _, _, Some(hash)) => (self.algorithm.with_hash(hash), check_digest_len(hash, held)?),
            (Algorithm::SlhDsaInternal, ..) => (scheme, formatted_message(&self.parameters.context, hash, held)?),
            _ => (scheme, held),
        };
        check_allowed(&self.schemes, scheme, self.refusal.as_ref(), CKR_DATA_INVALID)?;
        match self.kind {
            // EMSA-PKCS1-v1_5 uses eleven bytes itself (RFC 8017 section 9.2).
            Kind::Rsa(bits) if scheme == RAW && data.len() + 11 > bits / 8 => {
                let text = format!("the data has {} bytes, but the key signs {} at most", data.len(), bits / 8 - 11);
                Err(Error::new(CKR_DATA_LEN_RANGE, text))
            }
            _ => Ok((scheme, data)),
        }
    }
}

/// Returns the algorithm that the operation leads to: the one whose input contains the context, if the key has it.
///
/// # Errors
/// CKR_MECHANISM_PARAM_INVALID for a context, if the key does not have that algorithm.
fn select_algorithm(mechanism: &Mechanism, parameters: &Parameters, schemes: &[Scheme]) -> Result<Algorithm> {
    match mechanism.family.with_context() {
        Some(own) if own.without_hash().is_offered(schemes) => Ok(own),
        Some(_) if !parameters.context.is_empty() => {
            let text = format!("{}: the service signs with this key only without a context", mechanism.name);
            Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text))
        }
        _ => Ok(mechanism.family),
    }
}

/// Returns the state that collects the data of the mechanism.
fn data_state(mechanism: &Mechanism, algorithm: Algorithm, parameters: &Parameters, subject: OperationKey) -> Data {
    let context = &parameters.context;
    let public_key = match subject.public_key.map(PublicKey::material) {
        Some(PublicNumbers::MlDsa { key, .. }) => &key[..],
        _ => &[],
    };
    let mu = |hash| Mu::new(public_key, context, hash);
    match (mechanism.input, parameters.hash, algorithm) {
        (Input::Message(hash), _, Algorithm::MlDsaMu) => Data::HashedMu(Hasher::new(hash), mu(Some(hash))),
        (Input::Digest, Some(hash), Algorithm::MlDsaMu) => Data::HeldMu(buffer(mechanism.input), mu(Some(hash))),
        (_, _, Algorithm::MlDsaMu) => Data::Mu(mu(None)),
        (Input::Message(hash), ..) => Data::Hashed(Hasher::new(hash)),
        _ => Data::Held(buffer(mechanism.input)),
    }
}

/// Allocates a vector that is large enough for most inputs. A vector that grows leaves a copy of its contents
/// behind, and the unused part of a vector that is too large is overwritten for nothing.
fn buffer(input: Input) -> Bytes {
    Vec::with_capacity(if matches!(input, Input::AsIs(_)) { 512 } else { 128 }).into()
}

/// Returns M' of a message, or of a digest by `hash`.
fn formatted_message(context: &[u8], hash: Option<Hash>, data: Bytes) -> Result<Bytes> {
    let data = match hash {
        Some(hash) => check_digest_len(hash, data)?,
        None => data,
    };
    Ok([&formatted_message_prefix(context, hash)[..], &data].concat().into())
}

fn mu_of(mut mu: Mu, digest: &[u8]) -> Bytes {
    mu.update(digest);
    mu.finish().into()
}

fn gerund(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Sign => "signing",
        Purpose::Decrypt => "decrypting",
        Purpose::Unwrap => "unwrapping",
        Purpose::Derive => "deriving",
    }
}

fn check_permitted(purpose: Purpose, subject: OperationKey) -> Result<()> {
    if subject.schemes.iter().any(|scheme| scheme.family.purpose() == purpose.scheme_purpose()) {
        return Ok(());
    }
    let why = subject.refusal.map_or("its service does not allow it", |why| why);
    Err(Error::new(CKR_KEY_FUNCTION_NOT_PERMITTED, format!("the key can't be used for {}: {why}", gerund(purpose))))
}

/// Returns why a key does not work with a mechanism, and which mechanisms it works with.
fn refused_mechanism(mechanism: &Mechanism, purpose: Purpose, subject: OperationKey) -> String {
    let why = quoted(subject.refusal);
    let others = Mechanism::supporting(subject.kind, subject.schemes);
    let others = others.filter(|other| other.family.purpose() == purpose.scheme_purpose()).map(|other| other.name);
    let others = others.collect::<Vec<_>>().join(", ");
    format!("the service does not allow {} with this key{why}; use {others}, or another key", mechanism.name)
}

fn quoted(refusal: Option<&Arc<str>>) -> String {
    refusal.map(|why| format!(" ({why})")).unwrap_or_default()
}

fn check_allowed(schemes: &[Scheme], scheme: Scheme, refusal: Option<&Arc<str>>, otherwise: CK_RV) -> Result<()> {
    if scheme.is_offered(schemes) {
        return Ok(());
    }
    if let (Salt::Length(length), Some(hash)) = (scheme.salt, scheme.hash)
        && scheme.with_salt(Salt::Digest).is_offered(schemes)
    {
        let text = format!(
            "sLen is {length}, but the service only signs with a salt as long as the digest, {} bytes (openssl: rsa_pss_saltlen:digest)",
            hash.len()
        );
        return Err(Error::new(otherwise, text));
    }
    let why = quoted(refusal);
    Err(Error::new(otherwise, format!("the service does not offer {} with this key{why}", scheme.name())))
}

/// Checks that an RSA key is long enough for the salt (RFC 8017 section 9.1.1, step 3).
fn check_salt(kind: Kind, scheme: Scheme) -> Result<()> {
    let (Kind::Rsa(bits), Salt::Length(length), Some(hash)) = (kind, scheme.salt, scheme.hash) else { return Ok(()) };
    let longest = (bits - 1).div_ceil(8).saturating_sub(hash.len() + 2);
    match usize::from(length) > longest {
        true => {
            let text = format!("sLen is {length}, but this key and {} have room for {longest} bytes", hash.name());
            Err(Error::new(CKR_MECHANISM_PARAM_INVALID, text))
        }
        false => Ok(()),
    }
}

fn check_digest_len(hash: Hash, digest: Bytes) -> Result<Bytes> {
    if digest.len() == hash.len() {
        return Ok(digest);
    }
    let text = format!("the data has {} bytes, but a {} digest has {}", digest.len(), hash.name(), hash.len());
    Err(Error::new(CKR_DATA_LEN_RANGE, text))
}

const RAW: Scheme = Algorithm::RsaPkcs1.without_hash();

/// Returns the scheme for a digest that was computed locally. The service signs with this hash itself where it
/// offers the hash, and otherwise signs the DigestInfo.
fn pkcs1_of_digest(schemes: &[Scheme], hash: Hash, digest: Bytes) -> (Scheme, Bytes) {
    match Algorithm::RsaPkcs1.with_hash(hash) {
        own if schemes.contains(&own) || !schemes.contains(&RAW) => (own, digest),
        _ => (RAW, hash.digest_info(&digest).into()),
    }
}

fn parse_pkcs1_input(schemes: &[Scheme], data: Bytes, accept_bare_digest: bool) -> Result<(Scheme, Bytes)> {
    let raw = schemes.contains(&RAW);
    let info = Hash::parse_digest_info(&data).map(|(hash, digest)| (Algorithm::RsaPkcs1.with_hash(hash), digest));
    if let Some((scheme, digest)) = info.filter(|(scheme, _)| !raw || schemes.contains(scheme)) {
        return Ok((scheme, digest.to_vec().into()));
    }
    let bare = [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(|hash| hash.len() == data.len());
    match bare {
        Some(hash) if accept_bare_digest => Ok(pkcs1_of_digest(schemes, hash, data)),
        _ if raw => Ok((RAW, data)),
        Some(hash) => Err(Error::new(
            CKR_DATA_INVALID,
            format!(
                "CKM_RSA_PKCS needs a DigestInfo, but these {} bytes look like a bare {} digest; name the hash to the \
                 program (openssl pkeyutl -pkeyopt digest:...), or set \"accept_bare_digest\" in the slot",
                data.len(),
                hash.name()
            ),
        )),
        None => Err(Error::new(
            CKR_DATA_INVALID,
            format!("CKM_RSA_PKCS needs the DigestInfo of a SHA-2 hash, but these {} bytes are not one", data.len()),
        )),
    }
}

/// Fits a digest of any length to the length that the service requires. The signature stays the same.
///
/// FIPS 186-5 section 6.4.1: of a longer digest the leftmost bits are used. A shorter digest is used as a number,
/// which zeros in front do not change.
fn fit_digest(curve: Curve, digest: &[u8]) -> Result<Bytes> {
    let (wanted, width) = (curve.hash().len(), curve.field_len());
    let refuse = |text: &str| Err(Error::new(CKR_DATA_LEN_RANGE, format!("{text} ({} bytes)", digest.len())));
    match digest.len() {
        0 => refuse("the digest is empty"),
        length if length <= wanted => Ok([&vec![0; wanted - length][..], digest].concat().into()),
        // Only P-521 has more bits than its hash. A digest that is longer than the hash does not fit into the
        // request.
        _ if width > wanted => refuse("the digest is longer than the 64 bytes that the services sign with P-521"),
        _ => Ok(digest[..wanted].to_vec().into()),
    }
}

#[cfg(test)]
mod single_scheme_tests;
#[cfg(test)]
mod tests;
