//! The start of operations with a key.
//!
//! Finds the key of a handle, checks that the key can be used with the mechanism, and refuses whatever can be
//! refused at once.
//!
//! PKCS#11 3.2 sections 5.8 (C_EncryptInit), 5.10 (C_DecryptInit), 5.13 (C_SignInit), 5.15 (C_VerifyInit), 5.18.

use super::cipher::{DecryptionOperation, EncryptionOperation};
use super::derivation::derive_key;
use super::multi_part::MultiPartOperation;
use super::sign::{SigningOperation, VerificationOperation, Verifier};
use super::{Operation, OperationKey};
use crate::cloud::KeyDescription;
use crate::error::{Error, Result};
use crate::key::{Algorithm, PublicKey, Purpose, Scheme};
use crate::mechanism::{Mechanism, MechanismInput};
use crate::object::attribute::Attribute;
use crate::object::public_schemes;
use crate::object::session_object;
use crate::object::session_object::{Content, SessionObject};
use crate::token::key::SlotKey;
use crate::token::{Token, UsedKey};
use cryptoki_sys::*;
use std::sync::Arc;
use std::time::Instant;

/// A function that uses a key: its flag in CK_MECHANISM_INFO, the purpose of the key, the half of the key pair
/// that the function takes, and a verb for messages.
struct Function {
    flag: CK_FLAGS,
    purpose: Purpose,
    half: Half,
    verb: &'static str,
}

/// The half of a key pair that a function takes. A secret key serves as both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Private,
    Public,
}

macro_rules! functions {
    ($($name:ident $flag:ident $purpose:ident $half:ident $verb:literal;)*) => {
        $(const $name: Function =
            Function { flag: $flag, purpose: Purpose::$purpose, half: Half::$half, verb: $verb };)*
    };
}

functions! {
    SIGN CKF_SIGN Sign Private "sign";
    VERIFY CKF_VERIFY Sign Public "verify";
    ENCRYPT CKF_ENCRYPT Decrypt Public "encrypt";
    DECRYPT CKF_DECRYPT Decrypt Private "decrypt";
    WRAP CKF_WRAP Unwrap Public "wrap";
    UNWRAP CKF_UNWRAP Unwrap Private "unwrap";
    DERIVE CKF_DERIVE Derive Private "derive";
}

/// The operations that a token begins with one of its keys.
///
/// All functions check in the same order: first the mechanism, if the token does not list it for the function;
/// then the handle, the type of the key, its class and permissions, whether its service allows the mechanism for
/// this key, and the parameters. (Section 5.1.7 leaves the order to the module. Programs try a mechanism and go on
/// if the mechanism is what is wrong.) docs/conformance.md lists the order.
impl Token {
    /// Begins signing with a private key, or a MAC with a secret key.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID, CKR_KEY_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN, CKR_KEY_TYPE_INCONSISTENT,
    /// CKR_KEY_FUNCTION_NOT_PERMITTED, those of [`Operation::begin`], and those of the service.
    pub fn sign_init(&self, handle: CK_OBJECT_HANDLE, request: &MechanismInput) -> Result<SigningOperation> {
        let begun = self.signing(handle, request);
        // A public key that may be out of date must not refuse anything.
        if begun.is_err() && self.confirm(handle)? { self.signing(handle, request) } else { begun }
    }

    fn signing(&self, handle: CK_OBJECT_HANDLE, request: &MechanismInput) -> Result<SigningOperation> {
        let (key, facts) = self.private_key_for(handle, request, &SIGN)?;
        let operation = self.begin_operation(request, Purpose::Sign, &key, &facts)?;
        Ok(SigningOperation { key, facts, operation, call_timeout: self.call_timeout() })
    }

    /// Begins a verification. A public key verifies locally. A secret key verifies in its service.
    ///
    /// # Errors
    /// As [`Token::sign_init`].
    pub fn verify_init(&self, handle: CK_OBJECT_HANDLE, request: &MechanismInput) -> Result<VerificationOperation> {
        let used = self.key_for_function(handle, request, &VERIFY)?;
        if let UsedKey::Token { key, facts, class: CKO_SECRET_KEY } = used {
            let operation = self.begin_operation(request, Purpose::Sign, &key, &facts)?;
            return Ok(VerificationOperation {
                verifier: Verifier::Secret(key, facts),
                operation,
                call_timeout: self.call_timeout(),
            });
        }
        let (public_key, operation) = self.public_key_operation(used, request, &VERIFY)?;
        Ok(VerificationOperation {
            verifier: Verifier::Public(public_key),
            operation,
            call_timeout: self.call_timeout(),
        })
    }

    /// Begins an encryption, which needs no service.
    ///
    /// # Errors
    /// As [`Token::sign_init`].
    pub fn encrypt_init(&self, handle: CK_OBJECT_HANDLE, request: &MechanismInput) -> Result<EncryptionOperation> {
        self.encrypting(handle, request, &ENCRYPT)
    }

    /// Begins a decryption.
    ///
    /// # Errors
    /// As [`Token::sign_init`].
    pub fn decrypt_init(&self, handle: CK_OBJECT_HANDLE, request: &MechanismInput) -> Result<DecryptionOperation> {
        self.decrypting(handle, request, &DECRYPT)
    }

    /// C_UnwrapKey: decrypts a secret key, which becomes a session object. Returns the handle of the object.
    ///
    /// # Errors
    /// As [`Token::decrypt_init`], with CKR_UNWRAPPING_KEY_HANDLE_INVALID and CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT
    /// for the unwrapping key; CKR_WRAPPED_KEY_INVALID, CKR_WRAPPED_KEY_LEN_RANGE; those of the template.
    pub fn unwrap(
        &self,
        handle: CK_OBJECT_HANDLE,
        request: &MechanismInput,
        wrapped: &[u8],
        template: &[Attribute],
        owner: CK_SESSION_HANDLE,
    ) -> Result<CK_OBJECT_HANDLE> {
        let to_unwrap_error = |error: Error| match error.rv {
            CKR_ENCRYPTED_DATA_INVALID => Error { rv: CKR_WRAPPED_KEY_INVALID, ..error },
            CKR_ENCRYPTED_DATA_LEN_RANGE => Error { rv: CKR_WRAPPED_KEY_LEN_RANGE, ..error },
            CKR_KEY_HANDLE_INVALID if error.device_error == 0 => {
                Error { rv: CKR_UNWRAPPING_KEY_HANDLE_INVALID, ..error }
            }
            CKR_KEY_TYPE_INCONSISTENT => Error { rv: CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, ..error },
            _ => error,
        };
        // The template is checked before any request to the service.
        session_object::check_secret(template)?;
        let mut decrypting = self.decrypting(handle, request, &UNWRAP).map_err(to_unwrap_error)?;
        let made = decrypting.update(wrapped).and_then(|()| decrypting.finish()).map_err(to_unwrap_error)?;
        Ok(self.add_session_object(session_object::create_secret(template, owner, made)?))
    }

    /// C_WrapKey: encrypts a secret key of a session under a public key. The result of the returned operation is the
    /// wrapped key.
    ///
    /// # Errors
    /// As [`Token::encrypt_init`], with CKR_WRAPPING_KEY_HANDLE_INVALID and CKR_WRAPPING_KEY_TYPE_INCONSISTENT for
    /// the wrapping key; CKR_KEY_HANDLE_INVALID, CKR_KEY_NOT_WRAPPABLE, CKR_KEY_UNEXTRACTABLE for the secret key.
    pub fn wrap(
        &self,
        handle: CK_OBJECT_HANDLE,
        request: &MechanismInput,
        secret: CK_OBJECT_HANDLE,
    ) -> Result<EncryptionOperation> {
        let mut encrypting = self.encrypting(handle, request, &WRAP).map_err(|error| match error.rv {
            CKR_KEY_HANDLE_INVALID => Error { rv: CKR_WRAPPING_KEY_HANDLE_INVALID, ..error },
            CKR_KEY_TYPE_INCONSISTENT => Error { rv: CKR_WRAPPING_KEY_TYPE_INCONSISTENT, ..error },
            _ => error,
        })?;
        match self.key(secret)? {
            UsedKey::Session(own) => match &own.content {
                Content::Secret(value, true) => encrypting.update(value)?,
                Content::Secret(_, false) => {
                    return Err(Error::new(
                        CKR_KEY_UNEXTRACTABLE,
                        "the secret can't be wrapped, because its CKA_EXTRACTABLE is false",
                    ));
                }
                Content::Public(_) => return Err(not_wrappable()),
            },
            UsedKey::Token { .. } => return Err(not_wrappable()),
        }
        Ok(encrypting)
    }

    /// C_DeriveKey: agrees on a shared secret, which becomes a session object. Returns the handle of the object.
    ///
    /// # Errors
    /// As [`Token::sign_init`]; CKR_MECHANISM_PARAM_INVALID, CKR_KEY_SIZE_RANGE, and those of the template.
    pub fn derive(
        &self,
        handle: CK_OBJECT_HANDLE,
        request: &MechanismInput,
        template: &[Attribute],
        owner: CK_SESSION_HANDLE,
    ) -> Result<CK_OBJECT_HANDLE> {
        let (key, facts) = self.private_key_for(handle, request, &DERIVE)?;
        let operation = self.begin_operation(request, Purpose::Derive, &key, &facts)?;
        session_object::check_secret(template)?;
        let Some(agreement) = &operation.parameters().agreement else {
            return Err(Error::new(CKR_GENERAL_ERROR, "the derivation has no key agreement"));
        };
        let deadline = Instant::now() + self.call_timeout();
        let shared = key.derive(&facts, operation.name(), &agreement.public_data, deadline)?;
        Ok(self.add_session_object(session_object::create_secret(
            template,
            owner,
            derive_key(agreement, shared, template)?,
        )?))
    }

    fn encrypting(
        &self,
        handle: CK_OBJECT_HANDLE,
        request: &MechanismInput,
        function: &Function,
    ) -> Result<EncryptionOperation> {
        let used = self.key_for_function(handle, request, function)?;
        let (key, operation) = self.public_key_operation(used, request, function)?;
        Ok(EncryptionOperation { key, operation })
    }

    fn decrypting(
        &self,
        handle: CK_OBJECT_HANDLE,
        request: &MechanismInput,
        function: &Function,
    ) -> Result<DecryptionOperation> {
        let (key, facts) = self.private_key_for(handle, request, function)?;
        let purpose = function.purpose;
        let operation = self.begin_operation(request, purpose, &key, &facts)?;
        Ok(DecryptionOperation { key, facts, purpose, operation, call_timeout: self.call_timeout() })
    }

    /// Returns the key of the handle, if the token lists the mechanism for the function, and the type and the half
    /// of the key fit both.
    fn key_for_function(
        &self,
        handle: CK_OBJECT_HANDLE,
        request: &MechanismInput,
        function: &Function,
    ) -> Result<UsedKey> {
        let (ckm, verb) = (request.ckm, function.verb);
        let row = Mechanism::from_ckm(ckm, function.purpose);
        let row = row.filter(|_| self.mechanism_flags(ckm) & function.flag != 0).ok_or_else(|| {
            let name = Mechanism::name_of(ckm).map_or_else(|| format!("mechanism 0x{ckm:x}"), str::to_owned);
            let text = format!("token \"{}\" does not {verb} with {name}{}", self.label(), self.quoted_usage(handle));
            Error::new(CKR_MECHANISM_INVALID, text)
        })?;
        if function.flag != CKF_SIGN {
            self.confirm(handle)?;
        }
        let used = self.key(handle)?;
        let name = || match &used {
            UsedKey::Token { key, .. } => key.to_string(),
            UsedKey::Session(_) => "a session object".to_owned(),
        };
        if !used.has_type_of(row) {
            let text = format!("{}: {} can't be used with this type of key", name(), row.name);
            return Err(Error::new(CKR_KEY_TYPE_INCONSISTENT, text));
        }
        match (used.half(), function.half) {
            (Some(own), wanted) if own != wanted => {
                let half = if wanted == Half::Private { "private" } else { "public" };
                let text = format!("{}: only the {half} key can {verb}; pass its handle", name());
                Err(Error::new(CKR_KEY_FUNCTION_NOT_PERMITTED, text))
            }
            _ => Ok(used),
        }
    }

    /// Returns what the service reports about the use of a key, in parentheses.
    fn quoted_usage(&self, handle: CK_OBJECT_HANDLE) -> String {
        match self.key(handle) {
            Ok(UsedKey::Token { facts, .. }) => {
                facts.usage.as_ref().map_or_else(String::new, |usage| format!(" (the key: {usage})"))
            }
            _ => String::new(),
        }
    }

    fn private_key_for(
        &self,
        handle: CK_OBJECT_HANDLE,
        request: &MechanismInput,
        function: &Function,
    ) -> Result<(Arc<SlotKey>, Arc<KeyDescription>)> {
        match self.key_for_function(handle, request, function)? {
            UsedKey::Token { key, facts, .. } => {
                let facts = key.facts_for(function.purpose, facts, Instant::now() + self.call_timeout())?;
                Ok((key, facts))
            }
            UsedKey::Session(_) => Err(key_cannot_operate()),
        }
    }

    fn begin_operation(
        &self,
        request: &MechanismInput,
        purpose: Purpose,
        key: &SlotKey,
        facts: &KeyDescription,
    ) -> Result<Operation> {
        let subject = OperationKey {
            kind: facts.kind,
            public_key: facts.public_key.as_ref(),
            schemes: if facts.permits(purpose) { &facts.schemes } else { &[] },
            refusal: facts.unusable_reason.as_ref().or(facts.usage.as_ref()),
            message_lengths: self.backend().message_lengths(),
            accept_bare_digest: self.quirks().accept_bare_digest,
        };
        Operation::begin(request, purpose, subject).map_err(|error| error.with_context(key))
    }

    /// Returns the public key, of the token or of a session, and the operation that begins with it. Needs no
    /// service.
    fn public_key_operation(
        &self,
        used: UsedKey,
        request: &MechanismInput,
        function: &Function,
    ) -> Result<(Arc<PublicKey>, Operation)> {
        let purpose = function.purpose;
        let (key, schemes, usage): (_, Vec<Scheme>, _) = match used {
            UsedKey::Token { facts, .. } => {
                let key = facts.public_key.clone().ok_or_else(key_cannot_operate)?;
                // If nothing can decrypt the result, encryption is refused. Signatures can still be verified.
                let cannot_be_decrypted = purpose != Purpose::Sign && facts.forbidden_purposes.contains(&purpose);
                let schemes = if cannot_be_decrypted { Vec::new() } else { public_schemes(&facts) };
                (Arc::new(key), schemes, facts.usage.clone())
            }
            UsedKey::Session(own) => match &own.content {
                Content::Public(key) if own.permits(purpose) => (key.clone(), key.kind().local_schemes(), None),
                Content::Public(key) => (key.clone(), Vec::new(), Some("its template does not allow it".into())),
                Content::Secret(..) => return Err(key_cannot_operate()),
            },
        };
        let subject = OperationKey {
            kind: key.kind(),
            public_key: Some(&key),
            schemes: &schemes,
            refusal: usage.as_ref(),
            message_lengths: (0, MAX_LOCAL_MESSAGE_LEN),
            accept_bare_digest: self.quirks().accept_bare_digest,
        };
        let operation = Operation::begin(request, purpose, subject)?;
        Ok((key, operation))
    }
}

impl UsedKey {
    /// Whether the mechanism is for keys of this CKA_KEY_TYPE. A secret key of a session has the type that its
    /// template names.
    fn has_type_of(&self, row: &Mechanism) -> bool {
        match self {
            UsedKey::Token { facts, .. } => row.family.supports(facts.kind),
            UsedKey::Session(own) => match &own.content {
                Content::Public(key) => row.family.supports(key.kind()),
                Content::Secret(..) => row.family == Algorithm::Hmac && own.is_generic_secret(),
            },
        }
    }

    /// Returns which half of a key pair this is, or `None` for a secret key, which serves as both.
    fn half(&self) -> Option<Half> {
        match self {
            UsedKey::Token { class: CKO_PRIVATE_KEY, .. } => Some(Half::Private),
            UsedKey::Token { class: CKO_PUBLIC_KEY, .. } => Some(Half::Public),
            UsedKey::Token { .. } => None,
            UsedKey::Session(own) => match &own.content {
                Content::Public(_) => Some(Half::Public),
                Content::Secret(..) => None,
            },
        }
    }
}

fn key_cannot_operate() -> Error {
    let text = "a secret of a session can only be wrapped or read";
    Error::new(CKR_KEY_FUNCTION_NOT_PERMITTED, text)
}

/// The longest message, in bytes, that is kept for a local operation. Ed25519 needs the whole message.
const MAX_LOCAL_MESSAGE_LEN: usize = 64 << 20;

fn not_wrappable() -> Error {
    Error::new(CKR_KEY_NOT_WRAPPABLE, "only a secret of a session can be wrapped")
}

/// Creates a session object from a template (C_CreateObject).
///
/// # Errors
/// Those of [`session_object::create_object`].
pub fn create_object(token: &Token, template: &[Attribute], owner: CK_SESSION_HANDLE) -> Result<CK_OBJECT_HANDLE> {
    let object: SessionObject = session_object::create_object(template, owner, token.quirks().edwards_point)?;
    Ok(token.add_session_object(object))
}
