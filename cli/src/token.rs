//! A token and its objects, as the C interface shows them.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::uri::uri;
use cloud_kms_pkcs11::config;
use cloud_kms_pkcs11::key::{Kind, PublicKey};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use std::rc::Rc;

/// A token, with a session that reads it.
pub struct Token {
    slot: Slot,
    label: String,
    info: TokenInfo,
    session: Session,
    /// Outlives the session: fields are dropped in this order.
    context: Rc<Context>,
}

/// An object of a token.
pub struct Object {
    /// The handle, in the session of its token.
    pub handle: ObjectHandle,
    /// CKA_CLASS.
    pub class: ObjectClass,
    /// CKA_LABEL.
    pub label: String,
    /// CKA_ID: in this module, the name of the key in its service.
    pub id: Vec<u8>,
    /// CKA_KEY_TYPE, of a key.
    pub key_type: Option<KeyType>,
    /// CKA_PUBLIC_KEY_INFO: the DER encoding of a SubjectPublicKeyInfo, of a key pair.
    pub public_key: Option<Vec<u8>>,
    /// CKA_VALUE, of a certificate: its DER encoding.
    pub certificate: Option<Vec<u8>>,
    /// What the key may do, by the names of the attributes: `sign`, `decrypt`, `derive`, ...
    pub uses: Vec<&'static str>,
}

const ATTRIBUTES: [AttributeType; 14] = [
    AttributeType::Class,
    AttributeType::Label,
    AttributeType::Id,
    AttributeType::KeyType,
    AttributeType::PublicKeyInfo,
    AttributeType::Value,
    AttributeType::Sign,
    AttributeType::Verify,
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::Wrap,
    AttributeType::Unwrap,
    AttributeType::Derive,
    AttributeType::SignRecover,
];

impl Token {
    pub(crate) fn new(context: &Rc<Context>, slot: Slot) -> Outcome<Self> {
        let (info, session) = (context.module.get_token_info(slot)?, context.module.open_rw_session(slot)?);
        let label = context.label(slot, info.label());
        Ok(Self { slot, label, info, session, context: Rc::clone(context) })
    }

    /// The full label: in this module, the label of the slot in the configuration.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The slot as the configuration describes it. None if the module has listed its keys without a configuration.
    pub fn configured_slot(&self) -> Option<config::Slot> {
        self.context.configured_slot(self.slot)
    }

    /// What C_GetTokenInfo tells. Its label has at most 32 bytes.
    pub fn info(&self) -> &TokenInfo {
        &self.info
    }

    /// The number of the slot.
    pub fn slot(&self) -> u64 {
        self.slot.id()
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Logs in as the user if the token needs a login.
    ///
    /// # Errors
    /// If the PIN is missing or wrong.
    pub fn log_in(&self, pin: Option<&AuthPin>) -> Outcome<()> {
        if !self.info.login_required() {
            return Ok(());
        }
        if pin.is_none() {
            return Err(Failure::new("the token needs a login")
                .fix("name a file with the PIN: --pin-file FILE")
                .of(self));
        }
        self.session.login(UserType::User, pin).map_err(|error| Failure::from(error).of(self))
    }

    /// Returns all keys and certificates. The module reports keys that can't be loaded in its log.
    ///
    /// # Errors
    /// If the module can't list them.
    pub fn objects(&self) -> Outcome<Vec<Object>> {
        let mut objects = self.find(&[])?;
        objects.retain(|object| object.class != ObjectClass::PROFILE);
        Ok(objects)
    }

    /// Returns the objects with these attributes.
    ///
    /// # Errors
    /// If the module can't list them.
    pub fn find(&self, template: &[Attribute]) -> Outcome<Vec<Object>> {
        let of_token = |error| Failure::from(error).of(self);
        let handles = self.session.find_objects(template).map_err(of_token)?;
        handles.into_iter().map(|handle| self.object(handle).map_err(of_token)).collect()
    }

    /// Returns the private or secret key with that label, or the only one.
    ///
    /// # Errors
    /// If there is none, or if there are several.
    pub fn key(&self, label: Option<&str>) -> Outcome<Object> {
        let mut keys: Vec<_> = self.objects()?.into_iter().filter(Object::is_own_key).collect();
        let names: Vec<_> = keys.iter().map(|key| format!("{:?}", key.label)).collect();
        let names = names.join(", ");
        if let Some(label) = label {
            keys.retain(|key| key.label == label);
        }
        match (keys.pop(), keys.is_empty(), label) {
            (Some(key), true, _) => Ok(key),
            (Some(_), false, None) => {
                Err(Failure::new("the token has several keys").fix(format!("choose one by --key: {names}")).of(self))
            }
            (Some(_), false, Some(label)) => {
                Err(Failure::new(format!("several keys have the label {label:?}")).of(self).fix(
                    "give each key a label of its own: by \"label\" in the configuration, or where the service stores labels",
                ))
            }
            (None, _, Some(label)) if !names.is_empty() => Err(Failure::new(format!("no key has the label {label:?}"))
                .fix(format!("use one of: {names}"))
                .of(self)),
            (None, ..) => Err(Failure::new("the token shows no key")
                .fix(format!("ask for the reason: cloud-kms-pkcs11 doctor --slot {:?}", self.label()))
                .of(self)),
        }
    }

    /// Checks that the service permits this use of a key.
    ///
    /// # Errors
    /// If it doesn't.
    pub fn check_use(&self, key: &Object, wanted: &'static str) -> Outcome<()> {
        if key.uses.contains(&wanted) {
            return Ok(());
        }
        let uses = if key.uses.is_empty() { "nothing".to_owned() } else { key.uses.join(", ") };
        Err(Failure::new(format!("key {:?} does not {wanted}; it is for: {uses}", key.label)).of(self))
    }

    /// Returns CKA_ALLOWED_MECHANISMS of a key, or None if the list has a mechanism that cryptoki does not know, such as those
    /// with SHA-224 and SHA-3. Such a list is long: it is that of a key whose service ties no hash to it.
    ///
    /// # Errors
    /// If the module can't tell it.
    pub fn allowed_mechanisms(&self, key: &Object) -> Outcome<Option<Vec<MechanismType>>> {
        match self.session.get_attributes(key.handle, &[AttributeType::AllowedMechanisms]) {
            Ok(attributes) => Ok(attributes.into_iter().find_map(|attribute| match attribute {
                Attribute::AllowedMechanisms(mechanisms) => Some(mechanisms),
                _ => None,
            })),
            Err(cryptoki::error::Error::NotSupported) => Ok(None),
            Err(error) => Err(Failure::from(error).of(self)),
        }
    }

    /// Returns the attributes of the path of a URI that select this token (RFC 7512 section 2.3).
    fn uri_attributes(&self) -> Vec<(&'static str, &[u8])> {
        vec![
            ("token", self.info.label().as_bytes()),
            ("manufacturer", self.info.manufacturer_id().as_bytes()),
            ("model", self.info.model().as_bytes()),
            ("serial", self.info.serial_number().as_bytes()),
        ]
    }

    /// Returns the URI of the token.
    pub fn uri(&self) -> String {
        uri(&self.uri_attributes())
    }

    /// Returns the URI of one of the token's objects. It is as short as it can be: labels select both. If other tokens show
    /// the same label, the serial number is needed, too.
    pub fn uri_of(&self, object: &Object) -> String {
        let class = object.class_name();
        let kind = match class {
            "public key" => "public",
            "private key" => "private",
            "secret key" => "secret-key",
            "certificate" => "cert",
            _ => "data",
        };
        let is_ambiguous = self.context.is_ambiguous(self.info.label());
        let serial = if is_ambiguous { self.info.serial_number() } else { "" };
        uri(&[
            ("token", self.info.label().as_bytes()),
            ("serial", serial.as_bytes()),
            ("object", object.label.as_bytes()),
            ("type", kind.as_bytes()),
        ])
    }

    /// Returns an object as it is now.
    ///
    /// # Errors
    /// If the module can't tell its attributes.
    pub fn object(&self, handle: ObjectHandle) -> Result<Object, cryptoki::error::Error> {
        let mut object = Object {
            handle,
            class: ObjectClass::DATA,
            label: String::new(),
            id: Vec::new(),
            key_type: None,
            public_key: None,
            certificate: None,
            uses: Vec::new(),
        };
        for attribute in self.session.get_attributes(handle, &ATTRIBUTES)? {
            match attribute {
                Attribute::Class(class) => object.class = class,
                Attribute::Label(label) => object.label = String::from_utf8_lossy(&label).into_owned(),
                Attribute::Id(id) => object.id = id,
                Attribute::KeyType(key_type) => object.key_type = Some(key_type),
                Attribute::PublicKeyInfo(spki) if !spki.is_empty() => object.public_key = Some(spki),
                Attribute::Value(der) if object.class == ObjectClass::CERTIFICATE => object.certificate = Some(der),
                Attribute::Sign(true) => object.uses.push("sign"),
                Attribute::Verify(true) => object.uses.push("verify"),
                Attribute::Encrypt(true) => object.uses.push("encrypt"),
                Attribute::Decrypt(true) => object.uses.push("decrypt"),
                Attribute::Wrap(true) => object.uses.push("wrap"),
                Attribute::Unwrap(true) => object.uses.push("unwrap"),
                Attribute::Derive(true) => object.uses.push("derive"),
                Attribute::SignRecover(true) => object.uses.push("sign-recover"),
                _ => {}
            }
        }
        Ok(object)
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "token {:?}", self.label())
    }
}

impl Object {
    /// Whether the object is a key that the service holds.
    pub fn is_own_key(&self) -> bool {
        [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY].contains(&self.class)
    }

    /// The class in words: `private key`.
    pub fn class_name(&self) -> &'static str {
        match self.class {
            ObjectClass::PRIVATE_KEY => "private key",
            ObjectClass::PUBLIC_KEY => "public key",
            ObjectClass::SECRET_KEY => "secret key",
            ObjectClass::CERTIFICATE => "certificate",
            _ => "object",
        }
    }

    /// The kind of the key. None for an object without a public key.
    pub fn kind(&self) -> Option<Kind> {
        Some(PublicKey::from_spki(self.public_key.as_deref()?).ok()?.kind())
    }
}
