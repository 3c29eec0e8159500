//! Names that services make up: key ids, key versions, request ids. With a seed they are the same in every run.

use crate::encoding::hex;
use aws_lc_rs::{digest, rand};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Ids {
    seed: [u8; 8],
    next: AtomicU64,
}

impl Ids {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        let mut bytes = seed.unwrap_or(0).to_be_bytes();
        if seed.is_none() && rand::fill(&mut bytes).is_err() {
            bytes = u64::from(std::process::id()).to_be_bytes();
        }
        Self { seed: bytes, next: AtomicU64::new(0) }
    }

    /// 32 hexadecimal digits: a Key Vault version, the body of a multi-Region key id.
    pub(crate) fn hex(&self) -> String {
        let count = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let hash = digest::digest(&digest::SHA256, &[self.seed, count].concat());
        hex(hash.as_ref().get(..16).unwrap_or_default())
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&self) -> String {
        let hex = self.hex();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself() {
        let (one, two, other) = (Ids::new(Some(7)), Ids::new(Some(7)), Ids::new(None));
        let first = one.uuid();
        assert_eq!(first, two.uuid());
        assert_ne!(first, one.uuid());
        assert_ne!(first, other.uuid());
        assert_eq!(first.len(), 36);
    }
}
