//! What is recorded of each use of a key: a line of the audit trail, and a number of the metrics.

use super::SlotKey;
use crate::audit;
use crate::audit::KeyUse;
use crate::cloud::KeyDescription;
use crate::error::{Error, Result, rv_label, rv_of};
use crate::key::hash::{Hash, hex};
use crate::key::{Algorithm, Scheme};
use crate::metrics;
use cryptoki_sys::*;

/// A use of a key, as far as it is known before the request.
pub(super) struct Use<'a> {
    /// What the key is used for: `sign`, `verify`, `decrypt`, `unwrap` or `derive`.
    pub(super) operation: &'static str,
    /// The standard's name of the mechanism.
    pub(super) mechanism: &'static str,
    pub(super) data: UsedData<'a>,
}

/// What a key signs.
#[derive(Clone, Copy)]
pub struct SignRequest<'a> {
    /// The standard's name of the mechanism.
    pub mechanism: &'static str,
    /// The scheme to which the mechanism leads.
    pub scheme: Scheme,
    /// Exactly what the scheme takes.
    pub data: &'a [u8],
    /// Whether `data` is a digest, if the scheme takes one. A program can have any other data signed in place of a digest.
    pub is_digest: bool,
}

/// The data that a key is used with.
pub(super) enum UsedData<'a> {
    /// What is signed.
    Signed(SignRequest<'a>),
    /// A ciphertext.
    Ciphertext(&'a [u8]),
    /// The public point of the other party of a key agreement.
    Point(&'a [u8]),
}

/// The service's id of a request.
pub(super) type RequestId = Option<String>;

impl UsedData<'_> {
    /// Returns a digest of the data, and what it is.
    fn digest(&self) -> (String, &'static str) {
        let (Self::Signed(SignRequest { data, .. }) | Self::Ciphertext(data) | Self::Point(data)) = self;
        let sha256 = || hex(&Hash::Sha256.digest(data));
        match self {
            Self::Signed(SignRequest { is_digest: false, .. }) => (sha256(), "data"),
            Self::Signed(SignRequest { scheme, .. }) => match (scheme.family, scheme.hash) {
                (Algorithm::MlDsaMu, _) => (hex(data), "mu"),
                (Algorithm::RsaPkcs1 | Algorithm::RsaPss | Algorithm::Ecdsa | Algorithm::SlhDsa, Some(hash)) => {
                    (hex(data), hash.name())
                }
                (Algorithm::RsaPkcs1, None) => match Hash::parse_digest_info(data) {
                    Some((hash, digest)) => (hex(digest), hash.name()),
                    None => (sha256(), "data"),
                },
                _ => (sha256(), "data"),
            },
            Self::Ciphertext(_) => (sha256(), "ciphertext"),
            Self::Point(_) => (sha256(), "point"),
        }
    }
}

impl SlotKey {
    /// Runs a call that uses the key, and records it. `run` reports the id of its last request.
    ///
    /// # Errors
    /// Those of `run`; CKR_FUNCTION_FAILED if the use must be recorded and can't be.
    pub(super) fn recorded<T>(
        &self,
        facts: &KeyDescription,
        used: Use,
        run: impl FnOnce(&mut RequestId) -> Result<T>,
    ) -> Result<T> {
        self.check_login()?;
        let mut request_id = None;
        let result = run(&mut request_id);
        if metrics::is_enabled() {
            metrics::count_key_use(used.operation, used.mechanism, rv_label(rv_of(&result)));
        }
        if !audit::is_enabled() {
            return result;
        }
        let recorded = self.audit(facts, &used, &result, request_id.as_deref());
        match recorded {
            Err(why) if result.is_ok() => Err(Error::new(CKR_FUNCTION_FAILED, why).with_context(self)),
            _ => result,
        }
    }

    fn audit<T>(
        &self,
        facts: &KeyDescription,
        used: &Use,
        result: &Result<T>,
        request_id: Option<&str>,
    ) -> std::result::Result<(), String> {
        let id = self.shown().immutable_id.clone().or_else(|| facts.immutable_id.clone());
        let (digest, digest_type) = used.data.digest();
        audit::record(KeyUse {
            slot: &self.common.label,
            key: id.as_deref().unwrap_or(&self.key.name.id),
            operation: used.operation,
            mechanism: used.mechanism,
            digest: &digest,
            digest_type,
            result: rv_label(rv_of(result)),
            error: result.as_ref().err().map(|error| &*error.message),
            request_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_data_in_the_form_that_is_signed() {
        let digest = Hash::Sha256.digest(b"abc");
        let (own, again) = (hex(&digest), hex(&Hash::Sha256.digest(&digest)));
        let signed = |scheme, data: &[u8], is_digest| {
            UsedData::Signed(SignRequest { mechanism: "CKM", scheme, data, is_digest }).digest()
        };
        for family in [Algorithm::RsaPkcs1, Algorithm::RsaPss, Algorithm::Ecdsa, Algorithm::SlhDsa] {
            assert_eq!(signed(family.with_hash(Hash::Sha256), &digest, true), (own.clone(), "SHA-256"));
        }
        let raw = Algorithm::RsaPkcs1.without_hash();
        assert_eq!(signed(raw, &Hash::Sha256.digest_info(&digest), true), (own.clone(), "SHA-256"));
        assert_eq!(signed(Algorithm::MlDsaMu.without_hash(), &digest, true), (own, "mu"));
        // The message of an HMAC may be as long as a digest.
        for scheme in [raw, Algorithm::Hmac.with_hash(Hash::Sha256), Algorithm::Eddsa.without_hash()] {
            assert_eq!(signed(scheme, &digest, true), (again.clone(), "data"));
        }
        assert_eq!(signed(Algorithm::Ecdsa.with_hash(Hash::Sha256), &digest, false), (again.clone(), "data"));
        assert_eq!(UsedData::Ciphertext(&digest).digest(), (again.clone(), "ciphertext"));
        assert_eq!(UsedData::Point(&digest).digest(), (again, "point"));
    }
}
