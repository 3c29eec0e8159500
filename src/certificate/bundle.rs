//! The certificates that a configuration gives for a key.
//!
//! These are the key's own certificate and those of its issuers, in any order: many portals write the root first.
//! The key's own certificate is the one that has issued no other. Where this is ambiguous, the public key decides.

use super::Certificate;
use crate::key::PublicKey;

/// The certificates for one key in any order: its own, and those of its issuers.
#[derive(Clone, Debug, Default)]
pub struct Bundle(Vec<Certificate>);

impl Bundle {
    /// Creates a bundle of certificates in any order.
    pub fn new(certificates: Vec<Certificate>) -> Self {
        Self(certificates)
    }

    /// Returns whether the bundle has no certificates.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of certificates.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the key's own certificate, or None if the bundle does not make clear which one it is. If the
    /// certificate was renewed for the same key, returns the newest.
    pub fn leaf(&self) -> Option<&Certificate> {
        let is_leaf = |own: &&Certificate| !self.0.iter().any(|other| other != *own && own.is_issuer_of(other));
        let leaves: Vec<&Certificate> = self.0.iter().filter(is_leaf).collect();
        let newest = leaves.iter().copied().max_by_key(|own| own.not_before)?;
        leaves.iter().all(|own| own.spki == newest.spki).then_some(newest)
    }

    /// Returns the certificate chain of `key`: the newest certificate of the key, then those of its issuers that
    /// the bundle contains. Returns an empty chain if no certificate is of the key.
    pub fn chain_of(&self, key: &PublicKey) -> Vec<Certificate> {
        let own = self.0.iter().filter(|own| own.certifies(key)).max_by_key(|own| own.not_before);
        let mut chain: Vec<Certificate> = own.into_iter().cloned().collect();
        let mut at = 0;
        // Several issuers may have the same name, for example if a root is cross-signed.
        while at < chain.len() {
            let issuers = self.0.iter().filter(|other| other.is_issuer_of(&chain[at]) && !chain.contains(other));
            let issuers: Vec<_> = issuers.cloned().collect();
            chain.extend(issuers);
            at += 1;
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Makes a root, an intermediate and a leaf, a renewed leaf of the same key, and an unrelated certificate with
    /// openssl.
    fn certificates() -> [Certificate; 5] {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &str| {
            let output =
                Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output().unwrap();
            assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout";
        run(&format!("req -x509 {key} root.key -out root.pem -subj /CN=root -days 9"));
        run(&format!("req -x509 {key} stranger.key -out stranger.pem -subj /CN=stranger -days 9"));
        run(&format!("req -new {key} middle.key -out middle.csr -subj /CN=middle"));
        run("x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -out middle.pem -days 9");
        run(&format!("req -new {key} leaf.key -out leaf.csr -subj /CN=leaf"));
        run("x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -CAcreateserial -out leaf.pem -days 9");
        run("x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -CAcreateserial -out renewed.pem -days 99");
        ["root", "middle", "leaf", "renewed", "stranger"].map(|name| {
            let bytes = std::fs::read(folder.path().join(format!("{name}.pem"))).unwrap();
            Certificate::parse_all(&bytes).unwrap().0.remove(0)
        })
    }

    #[test]
    fn the_order_of_a_file_does_not_matter() {
        let [root, middle, leaf, mut renewed, stranger] = certificates();
        renewed.not_before = leaf.not_before + 1;
        let key = leaf.public_key().unwrap();
        let chain = [leaf.clone(), middle.clone(), root.clone()];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let bundle = Bundle::new(order.map(|index| chain[index].clone()).into());
            assert_eq!(bundle.leaf(), Some(&leaf), "{order:?}");
            assert_eq!(bundle.chain_of(&key), chain, "{order:?}");
        }
        let one = |certificate: &Certificate| Bundle::new(vec![certificate.clone()]);
        assert_eq!(one(&root).leaf(), Some(&root), "one that has issued itself");
        assert_eq!(one(&root).chain_of(&key), []);
        let both = Bundle::new(vec![leaf.clone(), renewed.clone(), middle.clone()]);
        assert_eq!(both.leaf(), Some(&renewed));
        assert_eq!(both.chain_of(&key)[0], renewed);
        let unclear = Bundle::new(vec![stranger.clone(), leaf.clone(), middle.clone()]);
        assert_eq!(unclear.leaf(), None, "two keys' own");
        assert_eq!(unclear.chain_of(&key), [leaf, middle]);
        assert_eq!(unclear.chain_of(&stranger.public_key().unwrap()), [stranger]);
        assert_eq!(Bundle::default().leaf(), None);
    }
}
