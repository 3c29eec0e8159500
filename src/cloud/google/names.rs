//! Names of the resources of Cloud KMS.
//!
//! "Getting a Cloud KMS resource ID" of Google's documentation.

/// What comes before a name in a "full resource name" and in the URL of a resource.
const PREFIXES: [&str; 2] = ["//cloudkms.googleapis.com/", "https://cloudkms.googleapis.com/v1/"];

/// The form of the name of a key ring, for messages.
pub const KEY_RING_FORM: &str = "projects/PROJECT/locations/LOCATION/keyRings/RING";

/// A collection of resources: its name, and the ids that its members can have.
struct Collection {
    name: &'static str,
    characters: u8,
    max_len: usize,
}

/// The collections in the name of a version of a key, from the outside in.
#[rustfmt::skip]
const COLLECTIONS: [Collection; 5] = [
    Collection { name: "projects", characters: PLAIN | DOMAIN, max_len: usize::MAX },
    Collection { name: "locations", characters: PLAIN, max_len: usize::MAX },
    Collection { name: "keyRings", characters: PLAIN | UNDERSCORE, max_len: 63 },
    Collection { name: "cryptoKeys", characters: PLAIN | UNDERSCORE, max_len: 63 },
    Collection { name: "cryptoKeyVersions", characters: DIGIT, max_len: usize::MAX },
];

/// Letters, digits and the hyphen.
const PLAIN: u8 = 1;
const DIGIT: u8 = 2;
const UNDERSCORE: u8 = 4;
/// What else is in the id of an old project, which contains a domain: "example.com:project".
const DOMAIN: u8 = 8;

/// The kinds of each character. A file can have thousands of names, so each character is looked up once.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut character = 0;
    while character < 256 {
        kinds[character] = match character as u8 {
            b'0'..=b'9' => PLAIN | DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'-' => PLAIN,
            b'_' => UNDERSCORE,
            b'.' | b':' => DOMAIN,
            _ => 0,
        };
        character += 1;
    }
    kinds
};

/// Returns the name of a resource without what a "full resource name" or a URL has before it.
pub fn relative_name(text: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)
}

/// Returns whether this is the relative name of a key ring.
pub fn is_key_ring(name: &str) -> bool {
    depth(name) == Some(3)
}

/// Returns whether this is the relative name of a key, or of a version of a key.
pub fn is_key(name: &str) -> bool {
    matches!(depth(name), Some(4 | 5))
}

/// Returns whether this is the relative name of a key without a version.
pub(crate) fn is_crypto_key(name: &str) -> bool {
    depth(name) == Some(4)
}

/// Returns whether this is the relative name of a version of a key.
pub(crate) fn is_version(name: &str) -> bool {
    depth(name) == Some(5)
}

/// Returns whether a key can have this id, which is the last part of its name.
pub(crate) fn is_crypto_key_id(id: &str) -> bool {
    COLLECTIONS[3].can_have(id.as_bytes())
}

/// Returns the number in the name of a version.
pub(crate) fn version_number(name: &str) -> Option<u64> {
    name.rsplit_once("/cryptoKeyVersions/")?.1.parse().ok()
}

/// Returns the name of the key in the name of a key or of a version.
pub(crate) fn crypto_key_name(name: &str) -> &str {
    name.split_once("/cryptoKeyVersions/").map_or(name, |(key, _)| key)
}

/// Returns the name of the location in the name of a key ring or of something in it: `projects/P/locations/L`.
pub(crate) fn location_name(name: &str) -> &str {
    name.match_indices('/').nth(3).map_or(name, |(end, _)| &name[..end])
}

/// Returns whether both names mean the same resource. A project has an id and a number, and a reply may contain the other
/// one.
pub(crate) fn is_same_name(one: &str, other: &str) -> bool {
    fn parts(name: &str) -> Option<(&str, &str)> {
        name.strip_prefix("projects/")?.split_once('/')
    }
    let is_number = |project: &str| project.bytes().all(|byte| byte.is_ascii_digit());
    let is_same = |(a, x): (&str, &str), (b, y): (&str, &str)| x == y && is_number(a) != is_number(b);
    one == other || parts(one).zip(parts(other)).is_some_and(|(one, other)| is_same(one, other))
}

/// Returns the id of the key in the name of a key or of a version: the part after `cryptoKeys/`. Returns the whole name
/// if it has no such part.
pub fn crypto_key_id(name: &str) -> &str {
    let id = name.split_once("/cryptoKeys/").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    id.unwrap_or(name)
}

/// Returns the number of collections in a name, or `None` if the name is not one of a resource of Cloud KMS.
fn depth(name: &str) -> Option<usize> {
    let mut parts = name.as_bytes().split(|byte| *byte == b'/');
    for depth in 0.. {
        let Some(part) = parts.next() else { return Some(depth) };
        let collection = COLLECTIONS.get(depth).filter(|collection| collection.name.as_bytes() == part)?;
        parts.next().filter(|id| collection.can_have(id))?;
    }
    None
}

impl Collection {
    /// Returns whether a resource of this collection can have this id.
    fn can_have(&self, id: &[u8]) -> bool {
        let is_allowed = |character: &u8| KINDS[usize::from(*character)] & self.characters != 0;
        (1..=self.max_len).contains(&id.len()) && id.iter().all(is_allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: &str = "projects/example.com:p-1/locations/europe-west3/keyRings/R_1";

    #[test]
    fn names_are_recognized() {
        let key = format!("{RING}/cryptoKeys/k-1");
        let version = format!("{key}/cryptoKeyVersions/12");
        assert!(is_key_ring(RING) && !is_key(RING));
        assert!(is_key(&key) && is_key(&version) && !is_key_ring(&key) && !is_key_ring(&version));
        assert_eq!((crypto_key_id(&key), crypto_key_id(&version), crypto_key_id("k")), ("k-1", "k-1", "k"));
        for prefix in PREFIXES {
            assert_eq!(relative_name(&format!("{prefix}{version}")), version);
        }
        assert_eq!(relative_name(&key), key);
    }

    #[test]
    fn other_texts_are_not() {
        let long = "k".repeat(64);
        for wrong in [
            "".to_owned(),
            "k".to_owned(),
            format!("/{RING}/cryptoKeys/k"),
            format!("{RING}/"),
            format!("{RING}/cryptoKeys"),
            format!("{RING}/cryptoKeys/"),
            format!("{RING}/cryptoKeys/a b"),
            format!("{RING}/cryptoKeys/{long}"),
            format!("{RING}/cryptoKeys/k/versions/1"),
            format!("{RING}/cryptoKeys/k/cryptoKeyVersions/one"),
            format!("{RING}/cryptoKeys/k/cryptoKeyVersions/1/publicKey"),
            format!("{RING}/cryptoKeys/k/cryptoKeyVersions/1/publicKey/x"),
            RING.replace("locations", "regions"),
            RING.replace("europe", "../x"),
        ] {
            assert!(!is_key(&wrong) && !is_key_ring(&wrong), "{wrong}");
        }
        assert!(is_key(&format!("{RING}/cryptoKeys/{}", &long[1..])));
    }

    #[test]
    fn a_name_contains_the_names_of_what_it_is_in() {
        let key = format!("{RING}/cryptoKeys/k-1");
        let version = format!("{key}/cryptoKeyVersions/12");
        assert!(is_crypto_key(&key) && !is_crypto_key(&version) && is_version(&version) && !is_version(&key));
        assert_eq!((crypto_key_name(&version), crypto_key_name(&key)), (&key[..], &key[..]));
        assert_eq!((version_number(&version), version_number(&key)), (Some(12), None));
        let location = "projects/example.com:p-1/locations/europe-west3";
        for name in [RING, &key, &version, location] {
            assert_eq!(location_name(name), location);
        }
    }

    #[test]
    fn a_project_has_an_id_and_a_number() {
        assert!(is_same_name(RING, RING) && is_same_name("projects/7/a/b", "projects/p/a/b"));
        assert!(is_same_name("projects/p/a/b", "projects/7/a/b"));
        for other in ["projects/q/a/b", "projects/7/a/c", "projects/7", ""] {
            assert!(!is_same_name("projects/p/a/b", other), "{other}");
        }
        assert!(!is_same_name("projects/7/a/b", "projects/8/a/b"));
    }
}
