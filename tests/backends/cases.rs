//! What every server has to fulfil.

use crate::openssl;
use crate::server::{Known, Server, wait};
use cloud_kms_pkcs11::backend::{Cause, KeyFacts};
use std::collections::HashSet;

/// All of them.
pub fn run(server: &Server) {
    eprintln!("{}: {:?}", server.name, server.backend);
    let facts: Vec<_> = server.keys.iter().map(|known| described(server, known)).collect();
    for (known, facts) in server.keys.iter().zip(&facts) {
        signs_with_every_scheme(server, known, facts);
    }
    many_requests_at_once(server);
    failures_are_told_apart(server);
    every_key_is_listed(server);
}

fn described(server: &Server, known: &Known) -> KeyFacts {
    let facts = wait(server.backend.describe(&known.key)).unwrap();
    assert_eq!(facts.public_key.spki(), known.spki, "{:?}", known.key);
    assert_eq!(facts.public_key.kind(), known.kind);
    assert!(facts.immutable_id.is_some() && facts.refusal.is_none());
    let sorted = |schemes: &[_]| schemes.iter().map(|scheme| format!("{scheme:?}")).collect::<HashSet<_>>();
    assert_eq!(sorted(&facts.schemes), sorted(&server.backend.schemes(known.kind)));
    facts
}

fn signs_with_every_scheme(server: &Server, known: &Known, facts: &KeyFacts) {
    assert!(!facts.schemes.is_empty());
    for scheme in &facts.schemes {
        let digest = scheme.hash.digest(format!("{scheme:?}").as_bytes());
        for id in [facts.immutable_id.as_deref(), None] {
            let signature = wait(server.backend.sign(&known.key, known.kind, id, *scheme, &digest)).unwrap();
            assert_eq!(signature.bytes.len(), facts.public_key.signature_len());
            assert_eq!(Some(&signature.immutable_id), facts.immutable_id.as_ref());
            assert!(openssl::verifies(&known.spki, *scheme, &digest, &signature.bytes), "{:?} {scheme:?}", known.key);
            let mut other = digest.clone();
            other[0] ^= 1;
            assert!(!openssl::verifies(&known.spki, *scheme, &other, &signature.bytes), "the oracle is blind");
        }
    }
}

fn many_requests_at_once(server: &Server) {
    let keys: Vec<_> = server.keys.iter().cycle().take(100).collect();
    let under_way: Vec<_> = keys.iter().map(|known| server.backend.describe(&known.key)).collect();
    for (known, pending) in keys.iter().zip(under_way) {
        assert_eq!(wait(pending).unwrap().public_key.spki(), known.spki);
    }
}

fn failures_are_told_apart(server: &Server) {
    let failure = wait(server.backend.describe(&server.missing)).unwrap_err();
    assert_eq!(failure.cause, Cause::Missing, "{failure}");
    if let Some(key) = &server.disabled {
        // A service tells of a disabled key that it is (Key Vault), or only of its public half (KMS), or nothing.
        match wait(server.backend.describe(key)) {
            Ok(facts) => assert!(facts.refusal.is_none_or(|refusal| refusal.contains("disabled"))),
            Err(failure) => assert_eq!(failure.cause, Cause::Disabled, "{failure}"),
        }
        let Known { kind, .. } = server.keys[0];
        let scheme = server.backend.schemes(kind)[0];
        let digest = scheme.hash.digest(b"");
        let failure = wait(server.backend.sign(key, kind, None, scheme, &digest)).unwrap_err();
        assert_eq!(failure.cause, Cause::Disabled, "{failure}");
    }
    if let Some((key, word)) = &server.other_use {
        let facts = wait(server.backend.describe(key)).unwrap();
        assert!(facts.schemes.is_empty());
        assert!(facts.refusal.as_ref().unwrap().contains(word), "{facts:?}");
    }
    if let Some(key) = &server.no_public_half {
        let failure = wait(server.backend.describe(key)).unwrap_err();
        assert_eq!(failure.cause, Cause::Unsupported, "{failure}");
    }
}

fn every_key_is_listed(server: &Server) {
    let listed = wait(server.backend.list()).unwrap();
    let listed: HashSet<_> = listed.iter().map(|key| &key.id).collect();
    for known in server.keys.iter().filter(|known| !known.key.id.starts_with("alias/") && !known.key.id.contains(':')) {
        assert!(listed.contains(&known.key.id), "{:?} in {listed:?}", known.key);
    }
}
