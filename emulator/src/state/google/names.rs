//! Resource names: `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`.

/// The project of the service account, and of keys that name no key ring.
pub(crate) const PROJECT: &str = "emulator-project";
pub(crate) const PROJECT_NUMBER: &str = "123456789012";
/// The key ring of keys that name none.
pub(crate) const KEY_RING: &str = "projects/emulator-project/locations/europe-west3/keyRings/emulator";

/// What stands between a crypto key and the number of its version.
pub(crate) const VERSIONS: &str = "/cryptoKeyVersions/";
const KEYS: &str = "/cryptoKeys/";

/// The crypto key of a name of it or of a version, and the version.
pub(crate) fn crypto_key_of(name: &str) -> (&str, Option<&str>) {
    name.split_once(VERSIONS).map_or((name, None), |(key, version)| (key, Some(version)))
}

/// The key ring of a crypto key, and its id there.
pub(crate) fn ring_of(crypto_key: &str) -> Option<(&str, &str)> {
    crypto_key.split_once(KEYS)
}
