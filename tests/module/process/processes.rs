//! Which process spoke on which connection, by the emulator's log: what the tests sign carries the process's id.

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

/// A P-256 key of each cloud, both services by TLS and under a name that has to be looked up; and, in slots 2 and 3,
/// two more, with which nobody is allowed to sign.
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

/// What a process signs: its id, and something new each time.
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

    /// One signature, in a session for it.
    pub fn one(p11: P11, cloud: usize) {
        let session = p11.open(cloud as CK_SLOT_ID % 2);
        p11.sign(session, p11.private_key(session), CKM_ECDSA, &[], &digest(std::process::id())).unwrap();
        crate::c!(p11, C_CloseSession(session)).unwrap();
    }

    /// Signs with the key of one cloud.
    pub fn sign(&self, cloud: usize) -> Result<(), CK_RV> {
        self.sign_as(cloud, std::process::id())
    }

    /// The same, in the name of a process.
    pub fn sign_as(&self, cloud: usize, process: u32) -> Result<(), CK_RV> {
        let (session, key) = (self.sessions[cloud % 2], self.keys[cloud % 2]);
        let signature = self.p11.sign(session, key, CKM_ECDSA, &[], &digest(process))?;
        assert_eq!(signature.len(), 64);
        Ok(())
    }

    /// Signs with both, in this order or the other.
    pub fn sign_both(&self, first: usize) {
        self.sign(first).unwrap();
        self.sign(first + 1).unwrap();
    }

    /// The same with sessions of its own.
    pub fn sign_anew(&self, first: usize) {
        Self::new(self.p11).sign_both(first);
    }
}

/// Fails to sign, with the key of one cloud with which nobody may.
pub fn sign_denied(p11: P11, cloud: usize) {
    let session = p11.open(cloud as CK_SLOT_ID % 2 + 2);
    let signed = p11.sign(session, p11.private_key(session), CKM_ECDSA, &[], &digest(std::process::id()));
    assert_eq!(signed, Err(CKR_FUNCTION_REJECTED));
    crate::c!(p11, C_CloseSession(session)).unwrap();
}

/// Whose each connection is, and on which earlier one its TLS session began.
#[derive(Default)]
pub struct Connections(BTreeMap<u64, Connection>);

#[derive(Default)]
struct Connection {
    process: Option<u32>,
    resumed: Option<u64>,
}

impl Connections {
    /// Takes in the emulator's log so far, and asserts that no connection and no TLS session is of two processes.
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

    /// The processes that signed.
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
