//! Determines which process used which connection, from the emulator's log: the digests that the tests sign
//! contain the process id.

use crate::support::p11::P11;
use crate::support::world::World;
use cloud_kms_emulator::{Action, AwsKey, Entry, Fault, Handshake, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// A module with a session and a private key of each cloud.
#[derive(Clone, Copy)]
pub struct Signer {
    pub p11: P11,
    sessions: [CK_SESSION_HANDLE; 2],
    keys: [CK_OBJECT_HANDLE; 2],
}

/// Configures a P-256 key of each cloud. Both services are reached by TLS, under a name that has to be resolved.
/// Slots 2 and 3 have two more keys, with which signing is denied.
pub fn configure(world: &World) {
    for name in ["a", "denied"] {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias(&format!("alias/{name}"))).unwrap();
        world.emulator.vault("default").create_key(name, VaultKey::ec("P-256")).unwrap();
    }
    for operation in ["kms.Sign", "vault.keys.sign"] {
        world.emulator.control().fault(Fault::new(operation, Action::Deny).key("denied"));
    }
    let url = format!("https://localhost:{}", world.emulator.port());
    world.configure_with(
        json!([
            { "label": "a", "kms_key_id": "alias/a" },
            { "label": "z", "key_name": "a" },
            { "label": "c", "kms_key_id": "alias/denied" },
            { "label": "d", "key_name": "denied" },
        ]),
        json!({ "aws_endpoint_url": url, "vault_url": url, "azure_authority_host": url }),
    );
}

/// Returns the digest that a process signs: the process id, and a new number each time.
fn digest(process: u32) -> [u8; 32] {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut digest = [0x5a; 32];
    digest[..4].copy_from_slice(&process.to_be_bytes());
    digest[4..8].copy_from_slice(&count.to_be_bytes());
    digest
}

impl Signer {
    /// Opens a session for each cloud and finds the key.
    pub fn new(p11: P11) -> Self {
        let sessions = [p11.open(0), p11.open(1)];
        Self { p11, sessions, keys: sessions.map(|session| p11.private_key(session)) }
    }

    /// Signs once, in a session for this signature.
    pub fn one(p11: P11, cloud: usize) {
        let session = p11.open(cloud as CK_SLOT_ID % 2);
        p11.sign(session, p11.private_key(session), CKM_ECDSA, &[], &digest(std::process::id())).unwrap();
        crate::c!(p11, C_CloseSession(session)).unwrap();
    }

    /// Signs with the key of one cloud.
    pub fn sign(&self, cloud: usize) -> Result<(), CK_RV> {
        self.sign_as(cloud, std::process::id())
    }

    /// Signs with the key of one cloud, under the id of a given process.
    pub fn sign_as(&self, cloud: usize, process: u32) -> Result<(), CK_RV> {
        let (session, key) = (self.sessions[cloud % 2], self.keys[cloud % 2]);
        let signature = self.p11.sign(session, key, CKM_ECDSA, &[], &digest(process))?;
        assert_eq!(signature.len(), 64);
        Ok(())
    }

    /// Signs with both keys, starting with cloud `first`.
    pub fn sign_both(&self, first: usize) {
        self.sign(first).unwrap();
        self.sign(first + 1).unwrap();
    }

    /// Signs with both keys, in new sessions.
    pub fn sign_anew(&self, first: usize) {
        Self::new(self.p11).sign_both(first);
    }
}

/// Asserts that signing with the denied key of one cloud fails.
pub fn sign_denied(p11: P11, cloud: usize) {
    let session = p11.open(cloud as CK_SLOT_ID % 2 + 2);
    let signed = p11.sign(session, p11.private_key(session), CKM_ECDSA, &[], &digest(std::process::id()));
    assert_eq!(signed, Err(CKR_FUNCTION_REJECTED));
    crate::c!(p11, C_CloseSession(session)).unwrap();
}

/// The process of each connection, and the earlier connection on which its TLS session began.
#[derive(Default)]
pub struct Connections(BTreeMap<u64, Connection>);

#[derive(Default)]
struct Connection {
    process: Option<u32>,
    resumed: Option<u64>,
}

impl Connections {
    /// Reads the emulator's log so far. Asserts that no connection and no TLS session belongs to two processes.
    pub fn check(&mut self, world: &World) {
        for entry in world.emulator.control().log() {
            self.add(&entry);
        }
        let session_owner = |mut number: u64| loop {
            let connection = self.0.get(&number)?;
            match (connection.process, connection.resumed) {
                (Some(process), _) => return Some(process),
                (None, earlier) => number = earlier?,
            }
        };
        for (number, connection) in &self.0 {
            let (Some(process), Some(earlier)) = (connection.process, connection.resumed) else { continue };
            let owner = session_owner(earlier);
            assert!(
                owner.is_none_or(|owner| owner == process),
                "connection {number} of {process}: session of {owner:?}"
            );
        }
    }

    /// Returns the number of processes that signed.
    pub fn processes(&self) -> usize {
        let all: std::collections::BTreeSet<_> = self.0.values().filter_map(|connection| connection.process).collect();
        all.len()
    }

    fn add(&mut self, entry: &Entry) {
        let connection = self.0.entry(entry.connection).or_default();
        if let Some(Handshake::Resumed(earlier)) = entry.handshake {
            connection.resumed = Some(earlier);
        }
        let Some(digest) = &entry.digest else { return };
        assert!(entry.handshake.is_some() && digest[16..] == "5a".repeat(24), "{entry:?}");
        let process = u32::from_str_radix(&digest[..8], 16).unwrap();
        let owner = *connection.process.get_or_insert(process);
        assert_eq!(owner, process, "both spoke on connection {}", entry.connection);
    }
}
