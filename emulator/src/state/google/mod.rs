//! What one emulator holds for Google Cloud: key rings, and the identities with their tokens.

mod algorithm;
mod enums;
mod identities;
mod key_ring;
mod key_store;
mod names;
mod version;

pub(crate) use algorithm::{ALGORITHMS, Algorithm, Use};
pub(crate) use enums::{PROTECTION_LEVELS, PUBLIC_KEY_FORMATS, PURPOSES, named, number_of};
pub(crate) use identities::{
    BadToken, CLIENT_ID, CLIENT_SECRET, Identities, OTHER_ACCOUNT, REFRESH_TOKEN, SERVICE_ACCOUNT, SUBJECT_TOKEN,
};
pub(crate) use key_ring::{CryptoKey, DESTROY_SCHEDULED_SECONDS, KeyRing};
pub(crate) use key_store::KeyStore;
pub(crate) use names::{KEY_RING, PROJECT, PROJECT_NUMBER, VERSIONS, crypto_key_of, ring_of};
pub(crate) use version::{Version, VersionState};

/// Google Cloud, as one emulator holds it.
#[derive(Default)]
pub(crate) struct Google {
    pub(crate) keys: KeyStore,
    pub(crate) identities: Identities,
}
