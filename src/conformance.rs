//! The tables of docs/conformance.md.
//!
//! The tables are generated from the tables that the module runs on, so the document states what the module does.
//! `WRITE_DOCS=1 cargo test --lib conformance` writes them. Without the variable, the test compares them with the
//! document. The prose between the tables is written by hand.

use crate::cloud::{SharedBackend, aws, azure, google, vault};
use crate::ffi::ROWS;
use crate::key::hash::Hash;
use crate::key::{Algorithm, Kind, Purpose, Scheme};
use crate::mechanism::MECHANISMS;
use crate::object::profile::PROFILES;
use cryptoki_sys::*;
use std::path::Path;

/// The name of a table, and the function that returns its lines.
type Table = (&'static str, fn() -> Vec<String>);

#[test]
fn the_document_matches_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    let current = std::fs::read_to_string(&path).unwrap();
    let tables: [Table; 5] = [
        ("profiles", profiles),
        ("functions", functions),
        ("mechanisms", mechanisms),
        ("hashes", hashes),
        ("digests", digests),
    ];
    let generated =
        tables.iter().fold(current.clone(), |document, (name, lines)| replace_table(&document, name, &lines()));
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    } else {
        assert!(current == generated, "docs/conformance.md is out of date: WRITE_DOCS=1 cargo test --lib conformance");
    }
}

/// A signature that can't be verified here is never returned to a program.
#[test]
fn signatures_of_every_scheme_can_be_verified_here() {
    for (backend, cloud) in clouds().iter().zip(CLOUDS) {
        for kind in Kind::all().filter(|kind| !matches!(kind, Kind::Hmac(_))) {
            let signed = backend.schemes(kind).into_iter().filter(|scheme| scheme.family.purpose() == Purpose::Sign);
            for scheme in signed {
                assert!(kind.local_schemes().contains(&scheme), "{cloud}: {} with {}", kind.name(), scheme.name());
            }
        }
    }
}

#[test]
fn the_document_states_the_message_limits() {
    let document = include_str!("../docs/conformance.md");
    for backend in clouds() {
        let (_, longest) = backend.message_lengths();
        assert!(document.contains(&format!("{longest} bytes")), "of Ed25519 and HMAC");
    }
}

/// Returns the document with these lines between the markers of the table `name`.
fn replace_table(document: &str, name: &str, lines: &[String]) -> String {
    let begin = format!("<!-- {name}: made by src/conformance.rs -->\n");
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("no mark for {name}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("no end of {name}"));
    format!("{before}{begin}\n{}\n\n<!-- end -->{after}", lines.join("\n"))
}

const CLOUDS: [&str; 4] = ["AWS KMS", "Azure Key Vault", "Vault Transit", "Google Cloud KMS"];

/// Returns one backend for each cloud, in the order of `CLOUDS`.
fn clouds() -> [SharedBackend; 4] {
    [
        aws::Settings::default().open(),
        azure::Settings::default().open(),
        vault::Settings::default().open(),
        google::Settings::default().open(),
    ]
}

fn profiles() -> Vec<String> {
    let head = ["| CKA_PROFILE_ID | profile | section | because |", "|---|---|---|---|"].map(str::to_owned);
    let line = |row: &crate::object::profile::Profile| {
        format!("| {} | {} | {} | {} |", row.constant, row.name, row.section, row.rationale)
    };
    head.into_iter().chain(PROFILES.iter().map(line)).collect()
}

/// The functions that are implemented but fail always or often, with their CKR_ code and the reason.
#[rustfmt::skip]
const REFUSALS: [(&str, &str); 7] = [
    ("C_GetOperationState", "CKR_STATE_UNSAVEABLE: a key's service has no part of an operation"),
    ("C_SetOperationState", "CKR_SAVED_STATE_INVALID: none was saved here"),
    ("C_SeedRandom", "CKR_RANDOM_SEED_NOT_SUPPORTED"),
    ("C_WaitForSlotEvent", "CKR_NO_EVENT with CKF_DONT_BLOCK, else CKR_FUNCTION_NOT_SUPPORTED: slots never change"),
    ("C_AsyncComplete", "CKR_SESSION_ASYNC_NOT_SUPPORTED"),
    ("C_AsyncGetID", "CKR_SESSION_ASYNC_NOT_SUPPORTED"),
    ("C_AsyncJoin", "CKR_SESSION_ASYNC_NOT_SUPPORTED"),
];

fn functions() -> Vec<String> {
    assert!(REFUSALS.iter().all(|(name, _)| ROWS.iter().any(|row| row.name == *name)));
    let mut lines = ["| function | since | answer |", "|---|---|---|"].map(str::to_owned).to_vec();
    for row in ROWS {
        let refusal = REFUSALS.iter().find(|(name, _)| *name == row.name);
        let answer = match (row.body, refusal) {
            ("NOT_SUPPORTED" | "NOT_PARALLEL", _) => format!("CKR_FUNCTION_{}", row.body),
            (_, Some((_, refusal))) => (*refusal).to_owned(),
            _ => "supported".to_owned(),
        };
        lines.push(format!("| {} | {}.{} | {answer} |", row.name, row.since.major, row.since.minor));
    }
    lines
}

fn mechanisms() -> Vec<String> {
    let clouds = clouds();
    let mut lines = vec![
        format!("| mechanism | key | {} |", CLOUDS.join(" | ")),
        format!("|---|---|{}", "---|".repeat(CLOUDS.len())),
    ];
    let mut listed_types: Vec<CK_MECHANISM_TYPE> = Vec::new();
    for row in MECHANISMS {
        if listed_types.contains(&row.ckm) {
            continue;
        }
        listed_types.push(row.ckm);
        // Kinds of keys with the same cells share a line.
        let mut groups: Vec<(Vec<String>, String)> = Vec::new();
        for kind in Kind::all() {
            let cells = clouds.each_ref().map(|cloud| uses(row.ckm, kind, cloud)).join(" | ");
            match groups.iter_mut().find(|(_, own)| *own == cells) {
                Some((kinds, _)) => kinds.push(kind.name()),
                None => groups.push((vec![kind.name()], cells)),
            }
        }
        let useful = groups.into_iter().filter(|(_, cells)| cells.chars().any(char::is_alphabetic));
        lines.extend(useful.map(|(kinds, cells)| format!("| {} | {} | {cells} |", row.name, kind_names(&kinds))));
    }
    lines
}

/// Returns the uses of a mechanism with a key of this kind. A use that runs locally, without the service, is in
/// italics.
fn uses(ckm: CK_MECHANISM_TYPE, kind: Kind, cloud: &SharedBackend) -> String {
    const USES: [(CK_FLAGS, &str); 7] = [
        (CKF_SIGN, "sign"),
        (CKF_VERIFY, "verify"),
        (CKF_ENCRYPT, "encrypt"),
        (CKF_DECRYPT, "decrypt"),
        (CKF_WRAP, "wrap"),
        (CKF_UNWRAP, "unwrap"),
        (CKF_DERIVE, "derive"),
    ];
    let rows = || MECHANISMS.iter().filter(|row| row.ckm == ckm);
    let flags =
        |service: &[_], local: &[_]| rows().map(|row| row.flags(kind, service, local)).fold(0, |all, own| all | own);
    let (service, local) = (flags(&cloud.schemes(kind), &[]), flags(&[], &kind.local_schemes()));
    let words = USES.iter().filter_map(|(flag, word)| match (service & flag, local & flag) {
        (0, 0) => None,
        (0, _) => Some(format!("*{word}*")),
        _ => Some((*word).to_owned()),
    });
    let words: Vec<_> = words.collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// Returns the names of kinds. Those of all sizes of RSA keys become one.
fn kind_names(kinds: &[String]) -> String {
    let all = kinds.join(", ");
    let sizes = Kind::all().filter(|kind| matches!(kind, Kind::Rsa(_))).map(Kind::name).collect::<Vec<_>>().join(", ");
    all.replace(&sizes, "RSA")
}

/// Returns the supported hashes of the mechanisms whose hash is named by the data or the parameters.
fn hashes() -> Vec<String> {
    // The largest keys have every hash.
    let rsa = Kind::Rsa(4096);
    let of = |schemes: &[Scheme], family: Algorithm| {
        let hashes = Hash::all().filter(|hash| schemes.contains(&family.with_hash(*hash)));
        hashes.map(Hash::name).collect::<Vec<_>>().join(", ")
    };
    let head = [
        format!("| mechanism | {} | *here* |", CLOUDS.join(" | ")),
        format!("|---|{}---|", "---|".repeat(CLOUDS.len())),
    ];
    let rows = [
        ("CKM_RSA_PKCS, to sign or verify", Algorithm::RsaPkcs1),
        ("CKM_RSA_PKCS_PSS", Algorithm::RsaPss),
        ("CKM_RSA_PKCS_OAEP", Algorithm::RsaesOaep),
    ];
    let line = |(name, family)| {
        let cells = clouds().map(|cloud| of(&cloud.schemes(rsa), family)).join(" | ");
        // A scheme without a hash of its own accepts a DigestInfo of any hash.
        let any = rsa.local_schemes().contains(&family.without_hash());
        let here = if any { "any".to_owned() } else { of(&rsa.local_schemes(), family) };
        format!("| {name} | {cells} | *{here}* |")
    };
    head.into_iter().chain(rows.map(line)).collect()
}

fn digests() -> Vec<String> {
    let names: Vec<_> = Hash::with_digest_mechanism().map(Hash::name).collect();
    vec![format!("Digests, all here: {}.", names.join(", "))]
}
