//! Single-part and multiple-part digests and signatures, whose lengths and states the caller knows.

use super::caller::{Caller, call, service};
use super::memory::OutputBuffer;
use super::model::SessionModel;
use crate::fuzzing::fake::Behavior;
use cryptoki_sys::*;
use std::sync::PoisonError;

impl Caller<'_> {
    /// Calls C_DigestInit.
    pub fn digest_init(&mut self) {
        let ((index, handle), mut asked) = (self.session(), self.mechanism());
        let rv = call!(self, C_DigestInit(handle, asked.pointer()));
        self.check_session(index, rv);
        let Some(known) = index.map(|index| &mut self.sessions[index]).filter(|known| known.is_open) else { return };
        match (rv, asked.hash()) {
            (CKR_OK, _) if asked.is_null() => known.digest = None,
            (CKR_OK, Some(hash)) => assert!(known.digest.replace((hash, Vec::new())).is_none()),
            (CKR_OPERATION_ACTIVE, _) => assert!(known.digest.is_some()),
            (other, _) => assert!([CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID].contains(&other), "0x{other:x}"),
        }
    }

    /// Calls C_DigestUpdate.
    pub fn digest_update(&mut self) {
        let ((index, handle), mut part) = (self.session(), self.input_buffer());
        let rv = call!(self, C_DigestUpdate(handle, part.pointer(), part.length));
        self.check_session(index, rv);
        let Some(known) = index.map(|index| &mut self.sessions[index]).filter(|known| known.is_open) else { return };
        assert_eq!(part.must_be_refused(), rv == CKR_ARGUMENTS_BAD);
        let goes_on = SessionModel::check_continuation(known.digest.is_some(), rv, false);
        known.digest = known.digest.take().filter(|_| goes_on);
        if let (CKR_OK, Some((_, message))) = (rv, &mut known.digest) {
            message.extend_from_slice(part.read());
        }
    }

    /// Calls C_Digest, or C_DigestFinal if `whole` is false.
    pub fn digest(&mut self, whole: bool) {
        let ((index, handle), mut data, mut answer) = (self.session(), self.input_buffer(), self.output_buffer(1));
        let rv = match whole {
            true => call!(self, C_Digest(handle, data.pointer(), data.length, answer.buffer(), answer.length())),
            false => call!(self, C_DigestFinal(handle, answer.buffer(), answer.length())),
        };
        self.check_session(index, rv);
        let digest = answer.check("C_Digest", rv);
        let Some(known) = index.map(|index| &mut self.sessions[index]).filter(|known| known.is_open) else { return };
        let active = known.digest.take();
        let goes_on = SessionModel::check_continuation(active.is_some(), rv, !answer.is_query());
        if let (Some(digest), Some((hash, message))) = (digest, &active) {
            let data = if whole { data.read() } else { &[] };
            assert_eq!(digest, hash.digest(&[message, data].concat()));
        }
        known.digest = active.filter(|_| goes_on);
    }

    /// Calls C_SignInit, and reads the length of the signature by a size query.
    pub fn sign_init(&mut self) {
        let ((index, handle), mut asked, key) = (self.session(), self.mechanism(), self.object());
        let rv = call!(self, C_SignInit(handle, asked.pointer(), key));
        self.check_session(index, rv);
        let Some(index) = index.filter(|index| self.sessions[*index].is_open) else { return };
        match rv {
            CKR_OK if asked.is_null() => self.sessions[index].signature_length = None,
            CKR_OK => {
                let mut length = 0;
                let query = call!(self, C_SignFinal(handle, std::ptr::null_mut(), &mut length));
                assert!(query == CKR_OK && self.sessions[index].signature_length.is_none());
                (self.sessions[index].signature_length, self.sessions[index].is_multi_part) =
                    (Some(length as usize), false);
            }
            CKR_OPERATION_ACTIVE => assert!(self.sessions[index].signature_length.is_some()),
            other => assert!(REFUSALS.contains(&other), "0x{other:x}"),
        }
    }

    /// Calls C_SignUpdate.
    pub fn sign_update(&mut self) {
        let ((index, handle), mut part) = (self.session(), self.input_buffer());
        let rv = call!(self, C_SignUpdate(handle, part.pointer(), part.length));
        self.check_session(index, rv);
        let Some(known) = index.map(|index| &mut self.sessions[index]).filter(|known| known.is_open) else { return };
        assert_eq!(part.must_be_refused(), rv == CKR_ARGUMENTS_BAD);
        let goes_on = SessionModel::check_continuation(known.signature_length.is_some(), rv, false);
        known.signature_length = known.signature_length.filter(|_| goes_on);
        known.is_multi_part |= rv == CKR_OK;
    }

    /// Calls C_Sign, or C_SignFinal if `whole` is false.
    pub fn sign(&mut self, whole: bool) {
        let ((index, handle), mut data, mut answer) = (self.session(), self.input_buffer(), self.output_buffer(1));
        let rv = match whole {
            true => call!(self, C_Sign(handle, data.pointer(), data.length, answer.buffer(), answer.length())),
            false => call!(self, C_SignFinal(handle, answer.buffer(), answer.length())),
        };
        self.check_session(index, rv);
        let signature = answer.check("C_Sign", rv);
        let Some(known) = index.map(|index| &mut self.sessions[index]).filter(|known| known.is_open) else { return };
        if let Some(signature) = signature {
            assert_eq!(service().mood(), Behavior::Success, "a signature that is not the key's reached the caller");
            assert_eq!(Some(signature.len()), known.signature_length, "the length that the size query returned");
            assert_eq!(signature, *service().last_signature.lock().unwrap_or_else(PoisonError::into_inner));
        }
        self.check_length(index, rv, &answer);
        let Some(known) = index.map(|index| &mut self.sessions[index]) else { return };
        if whole && known.is_multi_part && known.signature_length.is_some() {
            assert!([CKR_OPERATION_ACTIVE, CKR_ARGUMENTS_BAD].contains(&rv), "0x{rv:x}");
        }
        let goes_on = SessionModel::check_continuation(known.signature_length.is_some(), rv, !answer.is_query());
        known.signature_length = known.signature_length.filter(|_| goes_on);
    }

    /// Checks that a size query and a buffer that is too small return the length that the signature will have.
    fn check_length(&self, index: Option<usize>, rv: CK_RV, answer: &OutputBuffer) {
        let told = rv == CKR_BUFFER_TOO_SMALL || rv == CKR_OK && answer.is_query();
        if let Some(known) = index.map(|index| &self.sessions[index]).filter(|_| told) {
            assert_eq!(Some(answer.reported_length() as usize), known.signature_length);
        }
    }
}

/// The codes with which C_SignInit refuses its arguments.
const REFUSALS: [CK_RV; 5] = [
    CKR_MECHANISM_INVALID,
    CKR_MECHANISM_PARAM_INVALID,
    CKR_KEY_HANDLE_INVALID,
    CKR_KEY_TYPE_INCONSISTENT,
    CKR_KEY_FUNCTION_NOT_PERMITTED,
];
