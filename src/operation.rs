//! A signature in the making: the part that needs no service. PKCS#11 3.1 sections 5.13, 6.1 and 6.3.
//!
//! Everything that can be refused before the data is there is refused at the beginning; what comes out is a scheme and
//! a digest of exactly its hash's length.

use crate::backend::KeyFacts;
use crate::error::{Error, Result};
use crate::hash::{Hash, Hasher};
use crate::key::{Curve, Family, Kind, Scheme};
use crate::mechanism::{Input, Mechanism, Request, parameters};
use cryptoki_sys::*;
use zeroize::Zeroizing;

/// A signature in the making: what was asked, and what was handed in so far.
#[derive(Clone)]
pub struct Operation {
    mechanism: &'static Mechanism,
    kind: Kind,
    schemes: Vec<Scheme>,
    /// The hash that the parameters name.
    hash: Option<Hash>,
    accept_bare_digest: bool,
    data: Data,
    signature_len: usize,
}

#[derive(Clone)]
enum Data {
    /// A digest or DigestInfo, as it is.
    Held(Bytes),
    /// A message: only its hash is kept.
    Hashed(Hasher),
}

/// What is signed is the caller's secret: overwritten when dropped.
type Bytes = Zeroizing<Vec<u8>>;

/// More than any digest or DigestInfo has.
const MOST_HELD: usize = 1024;

impl Operation {
    /// Begins: everything that can be refused before the data is there is refused here.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED.
    pub fn begin(request: &Request, key: &KeyFacts, accept_bare_digest: bool) -> Result<Self> {
        let mechanism = Mechanism::from_ckm(request.ckm).ok_or_else(|| {
            Error::new(CKR_MECHANISM_INVALID, format!("mechanism 0x{:x} is not one of this module's", request.ckm))
        })?;
        let kind = key.public_key.kind();
        fits(mechanism, kind)?;
        if let Some(refusal) = &key.refusal {
            return Err(Error::new(CKR_KEY_FUNCTION_NOT_PERMITTED, format!("the key can't sign: {refusal}")));
        }
        if !Mechanism::offered(kind, &key.schemes).any(|row| row == mechanism) {
            let text = format!("{} is not among what the service allows for this key", mechanism.name);
            return Err(Error::new(CKR_MECHANISM_INVALID, text));
        }
        let hash = parameters(mechanism, &request.parameter)?;
        if let Some(hash) = hash {
            allowed(&key.schemes, Scheme { family: mechanism.family, hash }, CKR_MECHANISM_PARAM_INVALID)?;
        }
        let data = match mechanism.input {
            Input::Message(hash) => Data::Hashed(Hasher::new(hash)),
            // Room for most: a vector that grows leaves a copy of what it held.
            Input::DigestInfo | Input::Digest => Data::Held(Vec::with_capacity(128).into()),
        };
        let signature_len = key.public_key.signature_len();
        Ok(Self { mechanism, kind, schemes: key.schemes.clone(), hash, accept_bare_digest, data, signature_len })
    }

    /// The length of the signature in bytes: known before anything is signed.
    pub fn signature_len(&self) -> usize {
        self.signature_len
    }

    /// The mechanism's name in the standard.
    pub fn name(&self) -> &'static str {
        self.mechanism.name
    }

    /// Takes a part of the data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE for more than any digest has, where a digest is due.
    pub fn update(&mut self, part: &[u8]) -> Result<()> {
        match &mut self.data {
            Data::Hashed(hasher) => hasher.update(part),
            Data::Held(held) if held.len() + part.len() <= MOST_HELD => held.extend_from_slice(part),
            Data::Held(_) => {
                let text = format!("{} takes a digest, not a message of over {MOST_HELD} bytes", self.mechanism.name);
                return Err(Error::new(CKR_DATA_LEN_RANGE, text));
            }
        }
        Ok(())
    }

    /// Ends the data: the scheme, and a digest of exactly its hash's length.
    ///
    /// # Errors
    /// CKR_DATA_INVALID, CKR_DATA_LEN_RANGE.
    pub fn finish(self) -> Result<(Scheme, Zeroizing<Vec<u8>>)> {
        let (held, hash) = match self.data {
            Data::Hashed(hasher) => (hasher.finish().into(), self.mechanism.input.hash()),
            Data::Held(held) => (held, self.hash),
        };
        let family = self.mechanism.family;
        let (hash, digest) = match (self.kind, self.mechanism.input, hash) {
            (Kind::Ec(curve), ..) => (curve.hash(), fit(curve, &held)?),
            (_, Input::DigestInfo, _) => digest_info(&held, self.accept_bare_digest)?,
            (_, _, Some(hash)) => (hash, whole(hash, held)?),
            (_, _, None) => return Err(Error::new(CKR_GENERAL_ERROR, "a digest without a hash")),
        };
        let scheme = Scheme { family, hash };
        allowed(&self.schemes, scheme, CKR_DATA_INVALID)?;
        Ok((scheme, digest))
    }
}

fn fits(mechanism: &Mechanism, kind: Kind) -> Result<()> {
    let fits = match kind {
        Kind::Rsa(_) => mechanism.family != Family::Ecdsa,
        Kind::Ec(_) => mechanism.family == Family::Ecdsa,
    };
    let text = || format!("{} is no mechanism for a key of kind {}", mechanism.name, kind.name());
    if fits { Ok(()) } else { Err(Error::new(CKR_KEY_TYPE_INCONSISTENT, text())) }
}

fn allowed(schemes: &[Scheme], scheme: Scheme, otherwise: CK_RV) -> Result<()> {
    if schemes.contains(&scheme) {
        return Ok(());
    }
    Err(Error::new(otherwise, format!("the service does not sign with {} under this key", scheme.hash.name())))
}

fn whole(hash: Hash, digest: Bytes) -> Result<Bytes> {
    if digest.len() == hash.len() {
        return Ok(digest);
    }
    let text = format!("{} bytes are no {} digest, which has {}", digest.len(), hash.name(), hash.len());
    Err(Error::new(CKR_DATA_LEN_RANGE, text))
}

fn digest_info(data: &[u8], accept_bare_digest: bool) -> Result<(Hash, Bytes)> {
    if let Some((hash, digest)) = Hash::parse_digest_info(data) {
        return Ok((hash, digest.to_vec().into()));
    }
    let bare = [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(|hash| hash.len() == data.len());
    match (bare, accept_bare_digest) {
        (Some(hash), true) => Ok((hash, data.to_vec().into())),
        (Some(hash), false) => Err(Error::new(
            CKR_DATA_INVALID,
            format!(
                "CKM_RSA_PKCS wants a DigestInfo; these {} bytes look like a bare {} digest: give the hash to the \
                 program (openssl pkeyutl -pkeyopt digest:...), or set accept_bare_digest for the slot",
                data.len(),
                hash.name()
            ),
        )),
        (None, _) => Err(Error::new(
            CKR_DATA_INVALID,
            format!("CKM_RSA_PKCS wants the DigestInfo of a SHA-2 hash, exactly; these {} bytes are none", data.len()),
        )),
    }
}

/// Fits a digest of any length to the one that the service wants: the signature is the same.
///
/// FIPS 186-5 section 6.4.1: the leftmost bits of a longer digest count; a shorter one is a number as it stands.
fn fit(curve: Curve, digest: &[u8]) -> Result<Bytes> {
    let (wanted, width) = (curve.hash().len(), curve.width());
    let refuse = |text: &str| Err(Error::new(CKR_DATA_LEN_RANGE, format!("{text} ({} bytes)", digest.len())));
    match digest.len() {
        0 => refuse("an empty digest"),
        length if length <= wanted => Ok([&vec![0; wanted - length][..], digest].concat().into()),
        // P-521 alone has more bits than its hash: what is longer than the hash does not fit into the request.
        _ if width > wanted => refuse("the services sign at most 64 bytes with P-521"),
        _ => Ok(digest[..wanted].to_vec().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PublicKey;
    use crate::mechanism::MECHANISMS;

    /// A key with every scheme of its kind, as both services have them.
    fn key(kind: Kind) -> KeyFacts {
        let public_key = match kind {
            Kind::Rsa(bits) => PublicKey::rsa(&vec![0xff; bits / 8], &[1, 0, 1]),
            Kind::Ec(curve) => PublicKey::ec(curve, &[&[4], &vec![1; 2 * curve.width()][..]].concat()),
        };
        let sha2 = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
        let schemes = match kind {
            Kind::Rsa(_) => [Family::RsaPkcs1, Family::RsaPss]
                .into_iter()
                .flat_map(|family| sha2.map(|hash| Scheme { family, hash }))
                .collect(),
            Kind::Ec(curve) => vec![Scheme { family: Family::Ecdsa, hash: curve.hash() }],
        };
        KeyFacts { immutable_id: None, public_key: public_key.unwrap(), schemes, refusal: None, hardware: false }
    }

    fn rsa() -> KeyFacts {
        key(Kind::Rsa(2048))
    }

    fn request(ckm: CK_MECHANISM_TYPE) -> Request {
        Request { ckm, parameter: Vec::new() }
    }

    fn pss(ckm: CK_MECHANISM_TYPE, hash: CK_ULONG, mgf: CK_ULONG, salt: CK_ULONG) -> Request {
        Request { ckm, parameter: [hash, mgf, salt].iter().flat_map(|number| number.to_ne_bytes()).collect() }
    }

    fn sign(request: &Request, key: &KeyFacts, data: &[u8]) -> std::result::Result<(Scheme, Vec<u8>), CK_RV> {
        let mut operation = Operation::begin(request, key, false).map_err(|error| error.rv)?;
        operation.update(data).map_err(|error| error.rv)?;
        operation.finish().map(|(scheme, digest)| (scheme, digest.to_vec())).map_err(|error| error.rv)
    }

    #[test]
    fn every_row_gives_what_its_service_wants_or_refuses() {
        let curves = [Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1];
        for kind in curves.into_iter().map(Kind::Ec).chain([2048, 3072, 4096].map(Kind::Rsa)) {
            let key = key(kind);
            for row in &MECHANISMS {
                let offered = Mechanism::offered(kind, &key.schemes).any(|other| other == row);
                let hash = row.input.hash().unwrap_or(Hash::Sha256);
                let request = match row.family {
                    Family::RsaPss => pss(row.ckm, hash.ckm(), hash.mgf(), hash.len() as CK_ULONG),
                    _ => request(row.ckm),
                };
                let data = match row.input {
                    Input::DigestInfo => hash.digest_info(&hash.digest(b"abc")),
                    Input::Digest => hash.digest(b"abc"),
                    Input::Message(_) => b"abc".to_vec(),
                };
                match sign(&request, &key, &data) {
                    Ok((scheme, digest)) => {
                        assert!(offered, "{} for {kind:?}", row.name);
                        assert!(key.schemes.contains(&scheme));
                        assert_eq!(digest.len(), scheme.hash.len());
                    }
                    Err(rv) => {
                        assert!(!offered, "{} for {kind:?}", row.name);
                        assert_eq!(rv, CKR_KEY_TYPE_INCONSISTENT);
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_key_cannot_do_is_refused_at_the_beginning() {
        let decrypts =
            KeyFacts { schemes: Vec::new(), refusal: Some("its KeyUsage is ENCRYPT_DECRYPT".into()), ..rsa() };
        assert_eq!(sign(&request(CKM_SHA256_RSA_PKCS), &decrypts, b""), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        let one = Scheme { family: Family::RsaPss, hash: Hash::Sha256 };
        let bound = KeyFacts { schemes: vec![one], ..rsa() };
        assert_eq!(sign(&request(CKM_RSA_PKCS), &bound, b""), Err(CKR_MECHANISM_INVALID));
        assert_eq!(sign(&request(CKM_AES_GCM), &bound, b""), Err(CKR_MECHANISM_INVALID));
        let other_hash = pss(CKM_RSA_PKCS_PSS, CKM_SHA512, CKG_MGF1_SHA512, 64);
        assert_eq!(sign(&other_hash, &bound, &[0; 64]), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(Mechanism::offered(Kind::Rsa(2048), &bound.schemes).count(), 2);
    }

    #[test]
    fn only_pss_parameters_that_the_services_honour_are_taken() {
        let hashes =
            [(CKM_SHA256, CKG_MGF1_SHA256, 32), (CKM_SHA384, CKG_MGF1_SHA384, 48), (CKM_SHA512, CKG_MGF1_SHA512, 64)];
        for (hash, mgf, length) in hashes {
            for (other, _, _) in hashes.into_iter().chain([(CKM_SHA_1, 0, 0), (CKM_SHA224, 0, 0), (0, 0, 0)]) {
                for other_mgf in 0..=CKG_MGF1_SHA3_512 {
                    for salt in [0, 20, length - 1, length, length + 1, CK_ULONG::MAX] {
                        let asked = pss(CKM_RSA_PKCS_PSS, other, other_mgf, salt);
                        let right = other == hash && other_mgf == mgf && salt == length;
                        let taken = Operation::begin(&asked, &rsa(), false);
                        if right {
                            assert!(taken.is_ok());
                        } else if other == hash {
                            assert_eq!(taken.err().map(|error| error.rv), Some(CKR_MECHANISM_PARAM_INVALID));
                        }
                    }
                }
            }
        }
        for parameter in [Vec::new(), vec![0; 23], vec![0; 25], vec![0xff; 24]] {
            let asked = Request { ckm: CKM_RSA_PKCS_PSS, parameter };
            assert_eq!(sign(&asked, &rsa(), &[0; 32]), Err(CKR_MECHANISM_PARAM_INVALID));
        }
        let mismatch = pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384, CKG_MGF1_SHA384, 48);
        assert_eq!(sign(&mismatch, &rsa(), b""), Err(CKR_MECHANISM_PARAM_INVALID));
        let sha1 = pss(CKM_RSA_PKCS_PSS, CKM_SHA_1, CKG_MGF1_SHA1, 20);
        assert_eq!(sign(&sha1, &rsa(), &[0; 20]), Err(CKR_MECHANISM_PARAM_INVALID));
        let surplus = Request { ckm: CKM_ECDSA, parameter: vec![0] };
        assert_eq!(sign(&surplus, &key(Kind::Ec(Curve::P256)), &[0; 32]), Err(CKR_MECHANISM_PARAM_INVALID));
    }

    #[test]
    fn a_digest_is_fitted_to_the_curve() {
        let long: Vec<u8> = (1..=66).collect();
        let fitted =
            |curve, length: usize| sign(&request(CKM_ECDSA), &key(Kind::Ec(curve)), &long[..length]).map(|(_, d)| d);
        assert_eq!(fitted(Curve::P256, 64), Ok(long[..32].to_vec()), "leftmost bits");
        assert_eq!(fitted(Curve::P384, 20), Ok([&[0; 28], &long[..20]].concat()), "zeros in front");
        assert_eq!(fitted(Curve::P521, 64), Ok(long[..64].to_vec()));
        assert_eq!(fitted(Curve::P521, 65), Err(CKR_DATA_LEN_RANGE), "does not fit into the request");
        assert_eq!(fitted(Curve::Secp256k1, 1), Ok([&[0; 31], &long[..1]].concat()));
        assert_eq!(fitted(Curve::P256, 0), Err(CKR_DATA_LEN_RANGE));
    }

    #[test]
    fn rsa_pkcs_takes_a_digest_info_and_nothing_else() {
        let ask = request(CKM_RSA_PKCS);
        let info = Hash::Sha384.digest_info(&[7; 48]);
        assert_eq!(
            sign(&ask, &rsa(), &info).map(|(scheme, digest)| (scheme.hash, digest)),
            Ok((Hash::Sha384, vec![7; 48]))
        );
        for wrong in [&info[..66], &[&info[..], &[0]].concat(), b"", &[7; 32], &Hash::Sha1.digest_info(&[7; 20])] {
            assert_eq!(sign(&ask, &rsa(), wrong), Err(CKR_DATA_INVALID));
        }
        assert_eq!(sign(&ask, &rsa(), &[0; 5000]), Err(CKR_DATA_LEN_RANGE));
        let mut bare = Operation::begin(&ask, &rsa(), true).unwrap();
        bare.update(&[7; 32]).unwrap();
        assert_eq!(bare.finish().map(|(scheme, _)| scheme.hash), Ok(Hash::Sha256));
    }

    #[test]
    fn a_pss_digest_has_its_hash_s_length() {
        let ask = pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32);
        assert!(sign(&ask, &rsa(), &[0; 32]).is_ok());
        assert_eq!(sign(&ask, &rsa(), &[0; 31]), Err(CKR_DATA_LEN_RANGE));
        assert_eq!(sign(&ask, &rsa(), &[0; 48]), Err(CKR_DATA_LEN_RANGE));
    }
}
