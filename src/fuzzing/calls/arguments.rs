//! Valid and invalid arguments, as callers pass them.

use super::caller::Caller;
use super::memory::{GuardedMemory, InputBuffer, OutputBuffer};
use crate::key::hash::Hash;
use crate::mechanism::{MECHANISMS, ParameterLayout, WORD, shape};
use cryptoki_sys::*;

/// Lengths that no memory has. The module refuses them before it reads the memory.
const IMPOSSIBLE_LENGTHS: [CK_ULONG; 3] = [CK_ULONG::MAX, CK_ULONG::MAX - 1, CK_ULONG::MAX / 2 + 2];
/// More elements than any result in this target has.
const AMPLE_COUNT: usize = 600;

/// A CK_MECHANISM with its parameter.
pub struct MechanismArgument {
    mechanism: Option<Box<CK_MECHANISM>>,
    _parameter: InputBuffer,
}

impl MechanismArgument {
    /// Returns the pointer to pass to the module, or null.
    pub fn pointer(&mut self) -> *mut CK_MECHANISM {
        self.mechanism.as_mut().map_or(std::ptr::null_mut(), |mechanism| &mut **mechanism)
    }

    /// Returns whether the pointer is null.
    pub fn is_null(&self) -> bool {
        self.mechanism.is_none()
    }

    /// Returns the hash that C_DigestInit starts with this mechanism.
    pub fn hash(&self) -> Option<Hash> {
        self.mechanism.as_ref().and_then(|mechanism| Hash::from_ckm(mechanism.mechanism))
    }
}

impl Caller<'_> {
    /// Returns a session handle, and its index in `sessions` if the session is one of them.
    pub fn session(&mut self) -> (Option<usize>, CK_SESSION_HANDLE) {
        match self.source.byte() {
            byte @ 0..0xf0 if !self.sessions.is_empty() => {
                // Usually the latest session.
                let last = self.sessions.len() - 1;
                let index = if byte < 0xb0 { last } else { usize::from(byte) % self.sessions.len() };
                (Some(index), self.sessions[index].handle)
            }
            byte => {
                (None, [0, CK_SESSION_HANDLE::MAX, self.objects.last().copied().unwrap_or(7)][usize::from(byte) % 3])
            }
        }
    }

    /// Returns the handle of a known object, or an invalid handle.
    pub fn object(&mut self) -> CK_OBJECT_HANDLE {
        match self.source.byte() {
            byte @ 0..0xf0 if !self.objects.is_empty() => self.objects[usize::from(byte) % self.objects.len()],
            byte => {
                [0, CK_OBJECT_HANDLE::MAX, self.sessions.last().map_or(7, |known| known.handle)][usize::from(byte) % 3]
            }
        }
    }

    /// Returns the id of a slot, which may not exist.
    pub fn slot(&mut self) -> CK_SLOT_ID {
        match self.source.byte() {
            byte @ 0..0xf0 => CK_SLOT_ID::from(byte % 14),
            byte => [CK_SLOT_ID::MAX, 1 << 32, 255, 1000][usize::from(byte) % 4],
        }
    }

    /// Returns a buffer for the result of a call, with elements of `element` bytes.
    pub fn output_buffer(&mut self, element: usize) -> OutputBuffer {
        let (room, claimed) = match self.source.byte() % 9 {
            0 => (None, Some(0)),
            1 => (None, Some(CK_ULONG::MAX)),
            2 => (Some(16), None),
            3 => (None, None),
            4 => (Some(0), Some(0)),
            5 => {
                let room = self.source.byte().into();
                (Some(room), Some(room as CK_ULONG))
            }
            6 => {
                let room = self.source.pick(&[20, 28, 32, 48, 63, 64, 96, 132, 255, 256]);
                (Some(room), Some(room as CK_ULONG))
            }
            7 => (Some(AMPLE_COUNT), Some(self.source.pick(&IMPOSSIBLE_LENGTHS))),
            _ => (Some(AMPLE_COUNT), Some(AMPLE_COUNT as CK_ULONG)),
        };
        OutputBuffer::new(element, room, claimed)
    }

    /// Returns a buffer for the module to read.
    pub fn input_buffer(&mut self) -> InputBuffer {
        let (bytes, length) = match self.source.byte() {
            0 => (None, 0),
            1 => (None, 1),
            2 => (None, self.source.pick(&IMPOSSIBLE_LENGTHS)),
            3 => (Some(vec![0]), self.source.pick(&IMPOSSIBLE_LENGTHS)),
            4 => (Some(vec![7; 3000]), 3000),
            5..=12 => {
                let hash = self.source.pick(&[Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1]);
                let info = hash.digest_info(&hash.digest(b"abc"));
                let length = info.len() as CK_ULONG;
                (Some(info), length)
            }
            13..=24 => (Some(vec![9; 32]), 32),
            _ => {
                let bytes = self.source.length_prefixed().to_vec();
                let length = bytes.len() as CK_ULONG;
                (Some(bytes), length)
            }
        };
        InputBuffer { bytes: bytes.map(Vec::into_boxed_slice), length }
    }

    /// Returns memory for a structure, or `None` for a null pointer.
    pub fn output_structure<T>(&mut self) -> Option<GuardedMemory> {
        (self.source.byte() < 0xf0).then(GuardedMemory::of::<T>)
    }

    /// Returns a mechanism with its parameter, or a null pointer.
    pub fn mechanism(&mut self) -> MechanismArgument {
        let choice = self.source.byte();
        if choice == 0xff {
            let nothing = InputBuffer { bytes: None, length: 0 };
            return MechanismArgument { mechanism: None, _parameter: nothing };
        }
        let hashes: Vec<_> = Hash::with_digest_mechanism().map(Hash::ckm).collect();
        let ckm = match (MECHANISMS.get(usize::from(choice)), choice) {
            (Some(row), _) => row.ckm,
            (None, ..0x60) => hashes[usize::from(choice) % hashes.len()],
            _ => self.source.number() as CK_MECHANISM_TYPE,
        };
        let row = MECHANISMS.iter().find(|row| row.ckm == ckm);
        let hash = row.and_then(|row| row.input.hash()).unwrap_or(Hash::Sha256);
        let needs_pss = row.is_some_and(|row| row.name.ends_with("PSS"));
        let mut parameter = match self.source.byte() {
            0..0xc0 if needs_pss => {
                let numbers = [hash.ckm(), hash.mgf(), hash.len() as CK_ULONG];
                given(numbers.iter().flat_map(|number| number.to_ne_bytes()).collect())
            }
            0..0xc0 => InputBuffer { bytes: None, length: 0 },
            0xc0..0xd0 => InputBuffer { bytes: Some(Box::from([0])), length: self.source.pick(&[4097, CK_ULONG::MAX]) },
            0xd0..0xe0 => InputBuffer { bytes: None, length: 24 },
            0xe0..0xf0 => given(vec![0; shape(ckm).words * WORD]),
            _ => given(self.source.length_prefixed().to_vec()),
        };
        self.set_pointers(&mut parameter, shape(ckm));
        let (pointer, length) = (parameter.pointer(), parameter.length);
        let mechanism = CK_MECHANISM { mechanism: ckm, pParameter: pointer, ulParameterLen: length };
        MechanismArgument { mechanism: Some(Box::new(mechanism)), _parameter: parameter }
    }
}

/// The memory that pointers inside of parameters point to.
static POINTED_MEMORY: [u8; 300] = [4; 300];

impl Caller<'_> {
    /// Sets the pointers inside of a parameter. The parameter of a caller may contain anything, but its pointers
    /// must be valid or null.
    fn set_pointers(&mut self, parameter: &mut InputBuffer, shape: ParameterLayout) {
        let Some(bytes) = parameter.bytes.as_mut().filter(|bytes| bytes.len() == shape.words * WORD) else { return };
        for (pointer, length) in shape.pointers {
            let (address, room) = match self.source.byte() % 4 {
                0 => (0, 0),
                1 => (0, CK_ULONG::MAX),
                _ => (POINTED_MEMORY.as_ptr().expose_provenance() as CK_ULONG, CK_ULONG::from(self.source.byte())),
            };
            bytes[pointer * WORD..][..WORD].copy_from_slice(&address.to_ne_bytes());
            bytes[length * WORD..][..WORD].copy_from_slice(&room.to_ne_bytes());
        }
    }
}

fn given(bytes: Vec<u8>) -> InputBuffer {
    InputBuffer { length: bytes.len() as CK_ULONG, bytes: Some(bytes.into_boxed_slice()) }
}

/// Returns the pointer to a structure, or null.
pub fn pointer<T>(place: &mut Option<GuardedMemory>) -> *mut T {
    place.as_mut().map_or(std::ptr::null_mut(), GuardedMemory::pointer)
}
