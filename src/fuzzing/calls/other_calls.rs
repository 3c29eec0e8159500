//! Calls other than signing, in any order: verification, encryption and decryption, messages, session objects and
//! secrets.
//!
//! Less is known of these calls than of signatures. The checks are that each result has the correct form, and that
//! no wrong input is accepted.

use super::caller::{Caller, call, service};
use super::memory::{GuardedMemory, InputBuffer};
use crate::fuzzing::fake::Behavior;
use cryptoki_sys::*;
use std::os::raw::c_void;

/// Attribute types of templates that are accepted now and then.
#[rustfmt::skip]
const TYPES: [CK_ATTRIBUTE_TYPE; 16] = [
    CKA_CLASS, CKA_KEY_TYPE, CKA_TOKEN, CKA_LABEL, CKA_ID, CKA_VALUE, CKA_VALUE_LEN, CKA_SENSITIVE, CKA_EXTRACTABLE,
    CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT, CKA_PARAMETER_SET, CKA_VERIFY, CKA_PRIVATE_EXPONENT,
];

/// The class and the key type with which a template begins. A template needs them to be accepted.
const KINDS: [(CK_OBJECT_CLASS, CK_KEY_TYPE); 7] = [
    (CKO_SECRET_KEY, CKK_GENERIC_SECRET),
    (CKO_SECRET_KEY, CKK_AES),
    (CKO_PUBLIC_KEY, CKK_RSA),
    (CKO_PUBLIC_KEY, CKK_EC),
    (CKO_PUBLIC_KEY, CKK_EC_EDWARDS),
    (CKO_PUBLIC_KEY, CKK_ML_DSA),
    (CKO_CERTIFICATE, CKK_RSA),
];

impl Caller<'_> {
    /// Makes one of the calls.
    pub fn other_call(&mut self) {
        let choice = self.source.byte();
        match choice % 16 {
            0 | 1 => self.verify(),
            2 => self.verify_signature(),
            3..=5 => self.encrypt_or_decrypt(true),
            6..=8 => self.encrypt_or_decrypt(false),
            9 => self.messages(),
            10 => self.message_parts(),
            11 => self.create(),
            12 => self.destroy(),
            13 => self.unwrap_or_derive(true),
            14 => self.unwrap_or_derive(false),
            _ if choice < 0x80 => self.wrap(),
            _ => self.relabel(),
        }
    }

    fn verify(&mut self) {
        let ((index, handle), mut asked, key) = (self.session(), self.mechanism(), self.object());
        let rv = call!(self, C_VerifyInit(handle, asked.pointer(), key));
        self.check_session(index, rv);
        if self.source.byte() < 0x40 {
            let mut part = self.input_buffer();
            let rv = call!(self, C_VerifyUpdate(handle, part.pointer(), part.length));
            self.check_session(index, rv);
        }
        let (mut data, mut signature) = (self.input_buffer(), self.signature());
        let rv = match self.source.byte() % 3 {
            0 => call!(self, C_VerifyFinal(handle, signature.pointer(), signature.length)),
            _ => call!(self, C_Verify(handle, data.pointer(), data.length, signature.pointer(), signature.length)),
        };
        self.check_session(index, rv);
        // Applies to keys of the service only. A key that belongs to a session may be one under which anybody can
        // make a signature.
        assert!(
            rv != CKR_OK || self.is_session_object(key) || self.was_signed(&signature),
            "a made-up signature verifies"
        );
    }

    fn verify_signature(&mut self) {
        let ((index, handle), mut asked, key) = (self.session(), self.mechanism(), self.object());
        let (mut data, mut signature) = (self.input_buffer(), self.signature());
        let rv =
            call!(self, C_VerifySignatureInit(handle, asked.pointer(), key, signature.pointer(), signature.length));
        self.check_session(index, rv);
        let rv = match self.source.byte() % 4 {
            0 => call!(self, C_VerifySignatureFinal(handle)),
            1 => call!(self, C_VerifySignatureUpdate(handle, data.pointer(), data.length)),
            _ => call!(self, C_VerifySignature(handle, data.pointer(), data.length)),
        };
        self.check_session(index, rv);
    }

    /// Returns the last signature that the service has made, or arbitrary bytes.
    fn signature(&mut self) -> InputBuffer {
        match self.source.byte() {
            0..0x80 => {
                let last = service().last_signature.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
                InputBuffer { length: last.len() as CK_ULONG, bytes: Some(last.into_boxed_slice()) }
            }
            _ => self.input_buffer(),
        }
    }

    fn was_signed(&self, signature: &InputBuffer) -> bool {
        let last = service().last_signature.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        !last.is_empty() && signature.read() == &last[..]
    }

    fn is_session_object(&self, object: CK_OBJECT_HANDLE) -> bool {
        self.session_objects.contains(&object)
    }

    fn encrypt_or_decrypt(&mut self, encrypt: bool) {
        let ((index, handle), mut asked, key) = (self.session(), self.mechanism(), self.object());
        let rv = match encrypt {
            true => call!(self, C_EncryptInit(handle, asked.pointer(), key)),
            false => call!(self, C_DecryptInit(handle, asked.pointer(), key)),
        };
        self.check_session(index, rv);
        for _ in 0..=self.source.byte() % 3 {
            let (mut data, mut answer) = (self.ciphertext(), self.output_buffer(1));
            let (data, length, out, room) = (data.pointer(), data.length, answer.buffer(), answer.length());
            let rv = match (encrypt, self.source.byte() % 4) {
                (true, 0) => call!(self, C_EncryptUpdate(handle, data, length, out, room)),
                (true, 1) => call!(self, C_EncryptFinal(handle, out, room)),
                (true, _) => call!(self, C_Encrypt(handle, data, length, out, room)),
                (false, 0) => call!(self, C_DecryptUpdate(handle, data, length, out, room)),
                (false, 1) => call!(self, C_DecryptFinal(handle, out, room)),
                (false, _) => call!(self, C_Decrypt(handle, data, length, out, room)),
            };
            self.check_session(index, rv);
            answer.check("C_Encrypt or C_Decrypt", rv);
        }
    }

    /// Returns a ciphertext as long as that of an RSA key, or arbitrary bytes.
    fn ciphertext(&mut self) -> InputBuffer {
        match self.source.byte() {
            byte @ 0..0x80 => InputBuffer { bytes: Some(vec![byte; 256].into()), length: 256 },
            _ => self.input_buffer(),
        }
    }

    fn messages(&mut self) {
        let ((index, handle), mut asked, key) = (self.session(), self.mechanism(), self.object());
        let (mut data, mut signature, mut answer) = (self.input_buffer(), self.signature(), self.output_buffer(1));
        let nothing = std::ptr::null_mut::<c_void>();
        let rv = call!(self, C_MessageSignInit(handle, asked.pointer(), key));
        self.check_session(index, rv);
        let (message, length) = (data.pointer(), data.length);
        let rv = call!(self, C_SignMessage(handle, nothing, 0, message, length, answer.buffer(), answer.length()));
        self.check_session(index, rv);
        if answer.check("C_SignMessage", rv).is_some() {
            assert_eq!(service().mood(), Behavior::Success, "a signature that is not the key's reached the caller");
        }
        let rv = call!(self, C_MessageVerifyInit(handle, asked.pointer(), key));
        self.check_session(index, rv);
        let (own, own_length) = (signature.pointer(), signature.length);
        let rv = call!(self, C_VerifyMessage(handle, nothing, 0, message, length, own, own_length));
        self.check_session(index, rv);
    }

    fn message_parts(&mut self) {
        let ((index, handle), mut part, mut answer) = (self.session(), self.input_buffer(), self.output_buffer(1));
        let mut parameter = self.input_buffer();
        let (own, own_length) = (parameter.pointer::<c_void>(), parameter.length);
        let rv = match self.source.byte() % 6 {
            0 => call!(self, C_SignMessageBegin(handle, own, own_length)),
            1 => call!(self, C_VerifyMessageBegin(handle, own, own_length)),
            2 => {
                let (part, length) = (part.pointer(), part.length);
                let rv = call!(
                    self,
                    C_SignMessageNext(handle, own, own_length, part, length, answer.buffer(), answer.length())
                );
                if answer.length.is_some() {
                    answer.check("C_SignMessageNext", rv);
                }
                rv
            }
            3 => {
                let mut signature = self.signature();
                let (part, length) = (part.pointer(), part.length);
                let (own_signature, signature_length) = (signature.pointer(), signature.length);
                call!(self, C_VerifyMessageNext(handle, own, own_length, part, length, own_signature, signature_length))
            }
            4 => call!(self, C_MessageSignFinal(handle)),
            _ => call!(self, C_MessageVerifyFinal(handle)),
        };
        self.check_session(index, rv);
    }

    /// Returns a template: the values, which must outlive the attributes, and the attributes that point to the
    /// values.
    fn template(&mut self) -> (Vec<Vec<u8>>, Vec<CK_ATTRIBUTE>) {
        let (class, key_type) = self.source.pick(&KINDS);
        let mut values = vec![class.to_ne_bytes().to_vec(), key_type.to_ne_bytes().to_vec()];
        let mut kinds = vec![CKA_CLASS, CKA_KEY_TYPE];
        for _ in 0..self.source.below(6) {
            kinds.push(self.source.pick(&TYPES));
            values.push(match self.source.byte() {
                0..0x40 => vec![CK_TRUE],
                0x40..0x80 => CK_ULONG::from(self.source.byte()).to_ne_bytes().to_vec(),
                0x80..0xa0 => vec![0xff; 256],
                _ => self.source.length_prefixed().to_vec(),
            });
        }
        let attribute = |(kind, value): (CK_ATTRIBUTE_TYPE, &mut Vec<u8>)| CK_ATTRIBUTE {
            type_: kind,
            pValue: value.as_mut_ptr().cast(),
            ulValueLen: value.len() as CK_ULONG,
        };
        let attributes = kinds.into_iter().zip(&mut values).map(attribute).collect();
        (values, attributes)
    }

    fn create(&mut self) {
        let ((index, handle), (_values, mut template)) = (self.session(), self.template());
        let mut made = GuardedMemory::of::<CK_OBJECT_HANDLE>();
        let count = template.len() as CK_ULONG;
        let rv = call!(self, C_CreateObject(handle, template.as_mut_ptr(), count, made.pointer()));
        self.check_session(index, rv);
        self.check_created(&made, rv);
    }

    fn check_created(&mut self, made: &GuardedMemory, rv: CK_RV) {
        match rv {
            CKR_OK => {
                made.check_written(size_of::<CK_OBJECT_HANDLE>());
                self.objects.push(made.number());
                self.session_objects.push(made.number());
            }
            _ => assert!(made.is_untouched()),
        }
    }

    fn destroy(&mut self) {
        let ((index, handle), object) = (self.session(), self.object());
        let rv = call!(self, C_DestroyObject(handle, object));
        self.check_session(index, rv);
        assert!(rv != CKR_OK || self.is_session_object(object), "an object of the token was destroyed");
    }

    /// Sets a label, and sometimes another attribute, which cannot be changed.
    fn relabel(&mut self) {
        let ((index, handle), object, mut label) = (self.session(), self.object(), self.input_buffer());
        let mut more = vec![CK_TRUE; self.source.length_prefixed().len()];
        let attribute =
            |kind, value: *mut c_void, length| CK_ATTRIBUTE { type_: kind, pValue: value, ulValueLen: length };
        let mut template = vec![attribute(CKA_LABEL, label.pointer(), label.length)];
        if !more.is_empty() {
            let (kind, length) = (self.source.pick(&TYPES), more.len() as CK_ULONG);
            template.push(attribute(kind, more.as_mut_ptr().cast(), length));
        }
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let rv = call!(self, C_SetAttributeValue(handle, object, first, count));
        self.check_session(index, rv);
        if rv == CKR_OK {
            let mut value = vec![0u8; label.read().len() + 1];
            let mut asked = attribute(CKA_LABEL, value.as_mut_ptr().cast(), value.len() as CK_ULONG);
            let rv = call!(self, C_GetAttributeValue(handle, object, &mut asked, 1));
            assert_eq!((rv, &value[..asked.ulValueLen as usize]), (CKR_OK, label.read()), "it has another label");
        }
    }

    fn unwrap_or_derive(&mut self, unwrap: bool) {
        let ((index, handle), mut asked, key) = (self.session(), self.mechanism(), self.object());
        let ((_values, mut template), mut wrapped) = (self.template(), self.ciphertext());
        let mut made = GuardedMemory::of::<CK_OBJECT_HANDLE>();
        let (first, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        let rv = match unwrap {
            true => {
                let (bytes, length) = (wrapped.pointer(), wrapped.length);
                call!(self, C_UnwrapKey(handle, asked.pointer(), key, bytes, length, first, count, made.pointer()))
            }
            false => call!(self, C_DeriveKey(handle, asked.pointer(), key, first, count, made.pointer())),
        };
        self.check_session(index, rv);
        self.check_created(&made, rv);
    }

    fn wrap(&mut self) {
        let ((index, handle), mut asked) = (self.session(), self.mechanism());
        let (wrapping, key, mut answer) = (self.object(), self.object(), self.output_buffer(1));
        let (out, room) = (answer.buffer(), answer.length());
        let rv = call!(self, C_WrapKey(handle, asked.pointer(), wrapping, key, out, room));
        self.check_session(index, rv);
        answer.check("C_WrapKey", rv);
    }
}
