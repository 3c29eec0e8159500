//! Serial numbers of tokens.
//!
//! Some programs identify a token by its manufacturer, model and serial number, and confuse tokens for which all
//! three are equal: asyncssh, and pkcs11-helper, hence OpenVPN and gnupg-pkcs11-scd.

use super::model::{Keys, Slot};
use crate::store::private_directory::hex_digest;

/// Returns CK_TOKEN_INFO.serialNumber (PKCS#11 3.2 section 3.2): 16 hexadecimal digits.
///
/// The digits are derived from the cloud, the place in the cloud (the region, endpoint or vault) and the key, or
/// the label if the token may have several keys; if these are listed, what limits the listing as well. The same
/// configuration results in the same serial number on every machine. Slots of the replaced modules' files keep the
/// serial numbers of those modules.
pub fn serial_number(slot: &Slot) -> String {
    if let Some(fixed) = slot.quirks.identity.serial_number() {
        return fixed.into();
    }
    let settings = slot.service.settings();
    let ((cloud, place), scope) = (settings.cloud_and_place(), settings.listing_scope());
    let name = match &slot.keys {
        Keys::Named(keys) if keys.len() == 1 => {
            let name = &keys[0].name;
            let version = name.version.as_deref().unwrap_or_default();
            // An alias names a different key in each account. Slots with the same alias differ by their labels.
            let label = if name.id.starts_with("alias/") { &slot.label } else { "" };
            ["key", &name.id, version, label]
        }
        Keys::Discovered => ["label", &slot.label, &scope, ""],
        _ => ["label", &slot.label, "", ""],
    };
    let parts: Vec<&str> = [cloud, &place].into_iter().chain(name).collect();
    let mut digits = hex_digest(parts.join("\0").as_bytes());
    digits.truncate(16);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{KeyName, aws, azure, google};
    use crate::config::model::{CertificateSource, Key, Service};
    use crate::config::quirks::{Quirks, SlotIdentity};
    use std::collections::HashSet;
    use std::sync::Arc;

    fn aws(region: &str) -> Service {
        Service::Aws(aws::Settings { region: Some(region.into()), ..Default::default() })
    }

    fn azure(vault: &str) -> Service {
        Service::Azure(azure::Settings { vault_url: vault.into(), ..Default::default() })
    }

    fn google(key_ring: Option<&str>) -> Service {
        Service::Google(google::Settings { key_ring: key_ring.map(Into::into), ..Default::default() })
    }

    fn slot(label: &str, service: Service, keys: &[&str]) -> Slot {
        let key = |id: &&str| Key {
            name: KeyName { id: (*id).into(), version: None },
            label: label.into(),
            certificate: CertificateSource::Service,
        };
        let keys = if keys.is_empty() { Keys::Discovered } else { Keys::Named(keys.iter().map(key).collect()) };
        let (quirks, hide_keys, management) = (Quirks::default(), Vec::new(), None);
        Slot { label: label.into(), service: Arc::new(service), keys, hide_keys, quirks, management }
    }

    #[test]
    fn tokens_that_differ_have_different_numbers() {
        let mut versioned = slot("a", azure("https://v"), &["k"]);
        if let Keys::Named(keys) = &mut versioned.keys {
            keys[0].name.version = Some("1".into());
        }
        let slots = [
            slot("a", aws("eu-west-1"), &["1234"]),
            slot("a", aws("eu-west-2"), &["1234"]),
            slot("a", aws("eu-west-1"), &["5678"]),
            slot("a", aws("eu-west-1"), &["alias/k"]),
            slot("b", aws("eu-west-1"), &["alias/k"]),
            slot("a", aws("eu-west-1"), &[]),
            slot("b", aws("eu-west-1"), &[]),
            slot("c", aws("eu-west-1"), &["1234", "5678"]),
            slot("a", azure("https://v"), &["k"]),
            slot("a", azure("https://w"), &["k"]),
            versioned,
            slot("a", google(None), &["k/cryptoKeyVersions/1"]),
            slot("a", google(None), &["k/cryptoKeyVersions/2"]),
            slot("a", google(Some("r")), &[]),
            slot("a", google(Some("s")), &[]),
        ];
        let numbers: Vec<String> = slots.iter().map(serial_number).collect();
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), slots.len(), "{numbers:?}");
        assert!(numbers.iter().all(|number| number.len() == 16), "CK_TOKEN_INFO.serialNumber has 16 characters");
    }

    #[test]
    fn the_same_token_has_the_same_number_everywhere() {
        // The serial numbers of a release: users' PKCS#11 URIs and caches contain them.
        assert_eq!(serial_number(&slot("a", aws("eu-west-1"), &["1234"])), "c6a52ea1c7db919c");
        assert_eq!(serial_number(&slot("another", aws("eu-west-1"), &["1234"])), "c6a52ea1c7db919c");
        assert_eq!(serial_number(&slot("a", azure("https://V.vault.azure.net"), &["k"])), "738314898e48043e");
        assert_eq!(serial_number(&slot("b", azure("https://v.vault.azure.net"), &["k"])), "738314898e48043e");
    }

    #[test]
    fn a_key_ring_does_not_change_the_number_of_a_named_key() {
        let numbers = [None, Some("r")].map(|ring| serial_number(&slot("a", google(ring), &["k"])));
        assert_eq!(numbers[0], numbers[1]);
    }

    #[test]
    fn slots_of_the_old_files_keep_theirs() {
        let mut old = slot("a", aws("eu-west-1"), &["1234"]);
        for (identity, number) in [(SlotIdentity::SerialZero, "0"), (SlotIdentity::Libkmsp11, "0000000000000000")] {
            old.quirks.identity = identity;
            assert_eq!(serial_number(&old), number);
        }
    }
}
