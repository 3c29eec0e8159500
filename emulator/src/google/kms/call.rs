//! One authorized call, and what it is for.

use super::input::Input;
use crate::encoding::base64;
use crate::faults::Tamper;
use crate::google::status::Status;
use crate::state::State;
use crate::state::google::{CryptoKey, Version, VersionState, crypto_key_of, ring_of};
use crc32c::crc32c;
use serde_json::{Map, Value, json};

/// What a method returns: a message as JSON. Members that have their default value are left out, as Google does.
pub(super) type Answer = Result<Value, Status>;

/// One authorized call.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    /// The resource in the path, without the verb: `projects/...`.
    pub(super) name: String,
    pub(super) input: Input,
    pub(super) tamper: Tamper,
    pub(super) now: f64,
}

impl Call<'_> {
    /// The resource whose collection the path names.
    pub(super) fn parent(&self) -> &str {
        self.name.rsplit_once('/').map_or(&self.name, |(parent, _)| parent)
    }

    pub(super) fn key_ring(&self, name: &str) -> Result<(), Status> {
        let known = self.state.google.keys.rings().contains_key(name);
        if known { Ok(()) } else { Err(Status::not_found(format!("KeyRing {name} not found."))) }
    }

    pub(super) fn crypto_key(&self, name: &str) -> Result<CryptoKey, Status> {
        if let Some((ring, _)) = ring_of(name) {
            self.key_ring(ring)?;
        }
        self.state.google.keys.key(name).ok_or_else(|| Status::not_found(format!("CryptoKey {name} not found.")))
    }

    pub(super) fn version(&self) -> Result<Version, Status> {
        self.crypto_key(crypto_key_of(&self.name).0)?;
        let version = self.state.google.keys.version(&self.name);
        version.ok_or_else(|| Status::not_found(format!("CryptoKeyVersion {} not found.", self.name)))
    }

    /// A version that may be used.
    pub(super) fn enabled_version(&self) -> Result<Version, Status> {
        let version = self.version()?;
        if version.state == VersionState::Enabled { Ok(version) } else { Err(not_enabled(&self.name, version.state)) }
    }

    /// A version that may be used and whose key has the purpose of this method.
    pub(super) fn usable_version(&self, purpose: &str, use_: &str) -> Result<Version, Status> {
        let version = self.enabled_version()?;
        if version.algorithm.purpose() != purpose {
            let text = format!("Keys with algorithm {} may not be used for {use_}.", version.algorithm.name);
            return Err(Status::failed_precondition(text));
        }
        Ok(version)
    }

    /// `name` and `protectionLevel` of the reply of a cryptographic method.
    pub(super) fn used(&self, version: &Version) -> Map<String, Value> {
        let name = if self.tamper.wrong_name { format!("{}0", self.name) } else { self.name.clone() };
        let mut reply = Map::new();
        reply.insert("name".to_owned(), json!(name));
        reply.insert("protectionLevel".to_owned(), json!(version.protection_level));
        reply
    }

    /// Bytes of the reply, and their checksum.
    pub(super) fn checksummed(&self, reply: &mut Map<String, Value>, member: &str, checksum: &str, bytes: &[u8]) {
        reply.insert(member.to_owned(), json!(base64(bytes)));
        reply.insert(checksum.to_owned(), json!(self.checksum(bytes)));
    }

    pub(super) fn checksum(&self, bytes: &[u8]) -> String {
        (crc32c(bytes) ^ u32::from(self.tamper.wrong_checksum)).to_string()
    }

    /// Says that the checksum of what was sent has been checked, if there was one.
    pub(super) fn verified(&self, reply: &mut Map<String, Value>, member: &str, verified: bool) {
        if verified && !self.tamper.unverified {
            reply.insert(member.to_owned(), json!(true));
        }
    }
}

/// The error for a version that may not be used (Cloud KMS, "Key states").
fn not_enabled(name: &str, state: VersionState) -> Status {
    let text = format!("{name} is not enabled, current state is: {}.", state.name());
    let violation = json!({ "type": format!("KEY_{}", state.name()), "subject": name, "description": text });
    Status::failed_precondition(text).with("PreconditionFailure", json!({ "violations": [violation] }))
}
