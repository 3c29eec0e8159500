//! A read-write session that creates, changes and destroys objects of a token.

use super::p11::{P11, Rv};
use super::world::World;
use crate::c;
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::ptr::null_mut;

pub type Attribute = (CK_ATTRIBUTE_TYPE, Vec<u8>);

pub fn flag(kind: CK_ATTRIBUTE_TYPE, value: bool) -> Attribute {
    (kind, vec![u8::from(value)])
}

pub fn number(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> Attribute {
    (kind, value.to_ne_bytes().to_vec())
}

pub fn label(text: &str) -> Attribute {
    (CKA_LABEL, text.as_bytes().to_vec())
}

pub fn p256() -> Attribute {
    (CKA_EC_PARAMS, b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07".to_vec())
}

/// Returns CKA_EC_PARAMS with the DER encoding of the curve named edwards25519.
pub fn edwards() -> Attribute {
    (CKA_EC_PARAMS, vec![0x06, 0x03, 0x2b, 0x65, 0x70])
}

pub fn c_template(template: &[Attribute]) -> Vec<CK_ATTRIBUTE> {
    let one = |(kind, value): &Attribute| CK_ATTRIBUTE {
        type_: *kind,
        pValue: value.as_ptr().cast_mut().cast(),
        ulValueLen: value.len() as CK_ULONG,
    };
    template.iter().map(one).collect()
}

/// A read-write session.
pub struct Writer {
    pub p11: P11,
    pub session: CK_SESSION_HANDLE,
}

impl Writer {
    pub fn new(p11: P11, slot: CK_SLOT_ID) -> Self {
        let mut session = 0;
        let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
        c!(p11, C_OpenSession(slot, flags, null_mut(), None, &mut session)).unwrap();
        Self { p11, session }
    }

    pub fn pair(
        &self,
        ckm: CK_MECHANISM_TYPE,
        public: &[Attribute],
        private: &[Attribute],
    ) -> Rv<[CK_OBJECT_HANDLE; 2]> {
        let mut mechanism = CK_MECHANISM { mechanism: ckm, pParameter: null_mut(), ulParameterLen: 0 };
        let private = [&[flag(CKA_TOKEN, true)], private].concat();
        let (mut public, mut private) = (c_template(public), c_template(&private));
        let (public_count, private_count) = (public.len() as CK_ULONG, private.len() as CK_ULONG);
        let mut keys = [0; 2];
        let [public_key, private_key] = &mut keys;
        c!(
            self.p11,
            C_GenerateKeyPair(
                self.session,
                &mut mechanism,
                public.as_mut_ptr(),
                public_count,
                private.as_mut_ptr(),
                private_count,
                public_key,
                private_key
            )
        )?;
        Ok(keys)
    }

    pub fn secret(&self, template: &[Attribute]) -> Rv<CK_OBJECT_HANDLE> {
        let ckm = CKM_GENERIC_SECRET_KEY_GEN;
        let mut mechanism = CK_MECHANISM { mechanism: ckm, pParameter: null_mut(), ulParameterLen: 0 };
        let template = [&[flag(CKA_TOKEN, true)], template].concat();
        let (mut template, mut key) = (c_template(&template), 0);
        let count = template.len() as CK_ULONG;
        c!(self.p11, C_GenerateKey(self.session, &mut mechanism, template.as_mut_ptr(), count, &mut key))?;
        Ok(key)
    }

    pub fn create(&self, template: &[Attribute]) -> Rv<CK_OBJECT_HANDLE> {
        let (mut template, mut object) = (c_template(template), 0);
        let count = template.len() as CK_ULONG;
        c!(self.p11, C_CreateObject(self.session, template.as_mut_ptr(), count, &mut object))?;
        Ok(object)
    }

    pub fn certificate(&self, der: &[u8]) -> Rv<CK_OBJECT_HANDLE> {
        self.create(&[number(CKA_CLASS, CKO_CERTIFICATE), flag(CKA_TOKEN, true), (CKA_VALUE, der.to_vec())])
    }

    pub fn destroy(&self, object: CK_OBJECT_HANDLE) -> Rv<()> {
        c!(self.p11, C_DestroyObject(self.session, object))
    }

    pub fn set(&self, object: CK_OBJECT_HANDLE, template: &[Attribute]) -> Rv<()> {
        let mut template = c_template(template);
        let count = template.len() as CK_ULONG;
        c!(self.p11, C_SetAttributeValue(self.session, object, template.as_mut_ptr(), count))
    }

    pub fn value(&self, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Vec<u8> {
        self.p11.attribute(self.session, object, kind).unwrap()
    }

    pub fn all(&self) -> Vec<CK_OBJECT_HANDLE> {
        self.p11.objects_without_profiles(self.session)
    }
}

/// Returns one slot per cloud with an existing key, the rights in `allow`, and a confirmation for destroying keys.
pub fn slots(allow: Value) -> Value {
    json!([
        { "label": "a", "keys": [{ "kms_key_id": "alias/old" }], "allow": allow, "confirm_destroy": "a" },
        { "label": "z", "keys": [{ "key_name": "old" }], "allow": allow, "confirm_destroy": "z" },
    ])
}

pub fn writers(world: &World, slots: Value, more: Value) -> [Writer; 2] {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/old")).unwrap();
    world.emulator.vault("default").create_key("old", VaultKey::ec("P-256")).unwrap();
    world.configure_with(slots, more);
    let p11 = world.module();
    [Writer::new(p11, 0), Writer::new(p11, 1)]
}

pub fn all() -> Value {
    json!(["generate", "destroy", "certificates"])
}
