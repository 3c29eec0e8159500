//! The mechanisms of a token. PKCS#11 3.2 section 5.5.

use super::Token;
use crate::config::Right;
use crate::key::Kind;
use crate::mechanism::{KEY_GEN_MECHANISMS, KeyGenMechanism, MECHANISMS};
use cryptoki_sys::*;

impl Token {
    /// Returns all mechanisms of the token: those of the service, those that run locally, and those that generate
    /// keys. The result is the same before and after keys are loaded.
    pub fn mechanisms(&self) -> Vec<CK_MECHANISM_TYPE> {
        let mut mechanisms: Vec<_> = self.listed_mechanisms().iter().map(|(ckm, _)| *ckm).collect();
        mechanisms.extend(self.generation_mechanisms().map(|row| row.ckm));
        mechanisms.sort_unstable();
        mechanisms
    }

    /// Returns the CK_MECHANISM_INFO of a mechanism, if the token has the mechanism.
    pub fn mechanism_info(&self, ckm: CK_MECHANISM_TYPE) -> Option<CK_MECHANISM_INFO> {
        if let Some(row) = self.generation_mechanisms().find(|row| row.ckm == ckm) {
            return Some(row.info());
        }
        let (smallest, largest, more) = MECHANISMS.iter().find(|row| row.ckm == ckm)?.key_sizes();
        let flags = self.mechanism_flags(ckm);
        let info = CK_MECHANISM_INFO { ulMinKeySize: smallest, ulMaxKeySize: largest, flags: flags | more };
        (flags != 0).then_some(info)
    }

    /// Returns the flags of CK_MECHANISM_INFO for what some key of the token can do with the mechanism. Returns 0
    /// if the mechanism is not listed.
    pub fn mechanism_flags(&self, ckm: CK_MECHANISM_TYPE) -> CK_FLAGS {
        let listed = self.listed_mechanisms();
        listed.binary_search_by_key(&ckm, |(own, _)| *own).map_or(0, |index| listed[index].1)
    }

    /// Returns the mechanisms that use keys, with their flags, sorted by number.
    fn listed_mechanisms(&self) -> &[(CK_MECHANISM_TYPE, CK_FLAGS)] {
        self.listed_mechanisms.get_or_init(|| {
            let schemes = |kind: Kind| (kind, self.slot_context.backend.schemes(kind), kind.local_schemes());
            let kinds: Vec<_> = Kind::all().map(schemes).collect();
            let mut listed: Vec<(CK_MECHANISM_TYPE, CK_FLAGS)> = Vec::with_capacity(MECHANISMS.len());
            for row in MECHANISMS {
                let of = |(kind, service, local): &(Kind, Vec<_>, Vec<_>)| row.flags(*kind, service, local);
                match (
                    kinds.iter().map(of).fold(0, |all, own| all | own),
                    listed.iter_mut().find(|own| own.0 == row.ckm),
                ) {
                    (0, _) => {}
                    // A mechanism that both signs and decrypts has two rows.
                    (flags, Some(own)) => own.1 |= flags,
                    (flags, None) => listed.push((row.ckm, flags)),
                }
            }
            listed.sort_unstable();
            listed.into()
        })
    }

    /// Returns the mechanisms that generate keys, if the configuration allows programs to generate keys.
    pub fn generation_mechanisms(&self) -> impl Iterator<Item = &'static KeyGenMechanism> {
        let made: Vec<Kind> = match self.management().is_some_and(|own| own.allows(Right::Generate)) {
            true => Kind::all().filter(|kind| self.slot_context.backend.can_create(*kind)).collect(),
            false => Vec::new(),
        };
        KEY_GEN_MECHANISMS.iter().filter(move |row| made.iter().any(|kind| row.generates(*kind)))
    }
}
