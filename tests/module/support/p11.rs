//! A C caller of the module, with results instead of return codes and buffers.

use cryptoki_sys::*;
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;

/// The value, or a CK_RV other than CKR_OK.
pub type Rv<T> = Result<T, CK_RV>;

/// A loaded module, as its function list. Its functions can be called after `initialize`.
#[derive(Clone, Copy)]
pub struct P11 {
    list: *mut CK_FUNCTION_LIST_3_2,
}

unsafe impl Send for P11 {}
unsafe impl Sync for P11 {}

/// Calls a function of the list.
#[macro_export]
macro_rules! c {
    ($p11:expr, $function:ident($($arg:expr),* $(,)?)) => {
        match unsafe { ((*$p11.list()).$function.unwrap())($($arg),*) } {
            cryptoki_sys::CKR_OK => Ok(()),
            rv => Err(rv),
        }
    };
}

impl P11 {
    /// Loads the module at `path`, with interface 3.2.
    pub fn load(path: &Path) -> Self {
        Self::load_version(path, Some(CK_VERSION { major: 3, minor: 2 }))
    }

    /// Loads the module with that version of the interface. With None, loads the default interface of the module,
    /// which does not have all functions.
    pub fn load_version(path: &Path, version: Option<CK_VERSION>) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            assert!(!handle.is_null(), "dlopen failed");
            let get: CK_C_GetInterface = std::mem::transmute(libc::dlsym(handle, c"C_GetInterface".as_ptr()));
            let mut interface: *mut CK_INTERFACE = null_mut();
            let version = version.as_ref().map_or(std::ptr::null(), std::ptr::from_ref).cast_mut();
            assert_eq!(get.unwrap()(null_mut(), version, &mut interface, 0), CKR_OK);
            Self { list: (*interface).pFunctionList.cast() }
        }
    }

    pub fn list(&self) -> *mut CK_FUNCTION_LIST_3_2 {
        self.list
    }

    pub fn initialize(&self) -> Rv<()> {
        c!(self, C_Initialize(null_mut()))
    }

    pub fn finalize(&self) -> Rv<()> {
        c!(self, C_Finalize(null_mut()))
    }

    pub fn slots(&self) -> Vec<CK_SLOT_ID> {
        let mut count = 0;
        c!(self, C_GetSlotList(CK_TRUE, null_mut(), &mut count)).unwrap();
        let mut slots = vec![0; count as usize];
        c!(self, C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &mut count)).unwrap();
        slots
    }

    pub fn token_label(&self, slot: CK_SLOT_ID) -> String {
        let mut info: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
        c!(self, C_GetTokenInfo(slot, &mut info)).unwrap();
        String::from_utf8_lossy(&info.label).trim_end().to_owned()
    }

    pub fn open(&self, slot: CK_SLOT_ID) -> CK_SESSION_HANDLE {
        let mut session = 0;
        c!(self, C_OpenSession(slot, CKF_SERIAL_SESSION, null_mut(), None, &mut session)).unwrap();
        session
    }

    pub fn find(&self, session: CK_SESSION_HANDLE, template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]) -> Vec<CK_OBJECT_HANDLE> {
        let mut template: Vec<CK_ATTRIBUTE> = template
            .iter()
            .map(|(kind, value)| CK_ATTRIBUTE {
                type_: *kind,
                pValue: value.as_ptr().cast_mut().cast(),
                ulValueLen: value.len() as CK_ULONG,
            })
            .collect();
        c!(self, C_FindObjectsInit(session, template.as_mut_ptr(), template.len() as CK_ULONG)).unwrap();
        let mut found = Vec::new();
        loop {
            let (mut batch, mut count) = ([0; 7], 0);
            c!(self, C_FindObjects(session, batch.as_mut_ptr(), 7, &mut count)).unwrap();
            found.extend_from_slice(&batch[..count as usize]);
            if count == 0 {
                break;
            }
        }
        c!(self, C_FindObjectsFinal(session)).unwrap();
        found
    }

    pub fn find_class(&self, session: CK_SESSION_HANDLE, class: CK_OBJECT_CLASS) -> Vec<CK_OBJECT_HANDLE> {
        self.find(session, &[(CKA_CLASS, class.to_ne_bytes().to_vec())])
    }

    /// Loads the keys of all slots. The module reads ahead if a caller searches the slots in order, and a test
    /// that counts requests would count the requests of the read-ahead.
    pub fn load_all(&self) {
        for slot in self.slots() {
            self.find(self.open(slot), &[]);
        }
    }

    /// Returns all objects except the profiles, which every token has.
    pub fn objects_without_profiles(&self, session: CK_SESSION_HANDLE) -> Vec<CK_OBJECT_HANDLE> {
        let profiles = self.find_class(session, CKO_PROFILE);
        self.find(session, &[]).into_iter().filter(|object| !profiles.contains(object)).collect()
    }

    pub fn private_key(&self, session: CK_SESSION_HANDLE) -> CK_OBJECT_HANDLE {
        let found = self.find_class(session, CKO_PRIVATE_KEY);
        assert_eq!(found.len(), 1, "one private key");
        found[0]
    }

    pub fn attribute(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        kind: CK_ATTRIBUTE_TYPE,
    ) -> Rv<Vec<u8>> {
        let mut attribute = CK_ATTRIBUTE { type_: kind, pValue: null_mut(), ulValueLen: 0 };
        c!(self, C_GetAttributeValue(session, object, &mut attribute, 1))?;
        let mut value = vec![0; attribute.ulValueLen as usize];
        attribute.pValue = value.as_mut_ptr().cast();
        c!(self, C_GetAttributeValue(session, object, &mut attribute, 1))?;
        value.truncate(attribute.ulValueLen as usize);
        Ok(value)
    }

    pub fn number(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        kind: CK_ATTRIBUTE_TYPE,
    ) -> Rv<CK_ULONG> {
        Ok(CK_ULONG::from_ne_bytes(self.attribute(session, object, kind)?.try_into().unwrap()))
    }

    pub fn mechanisms(&self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Vec<CK_MECHANISM_TYPE> {
        let bytes = self.attribute(session, object, CKA_ALLOWED_MECHANISMS).unwrap();
        bytes.chunks_exact(8).map(|chunk| CK_ULONG::from_ne_bytes(chunk.try_into().unwrap())).collect()
    }

    pub fn sign_init(
        &self,
        session: CK_SESSION_HANDLE,
        key: CK_OBJECT_HANDLE,
        ckm: CK_MECHANISM_TYPE,
        parameter: &[u8],
    ) -> Rv<()> {
        let mut mechanism = CK_MECHANISM {
            mechanism: ckm,
            pParameter: if parameter.is_empty() { null_mut() } else { parameter.as_ptr().cast_mut().cast::<c_void>() },
            ulParameterLen: parameter.len() as CK_ULONG,
        };
        c!(self, C_SignInit(session, &mut mechanism, key))
    }

    pub fn sign(
        &self,
        session: CK_SESSION_HANDLE,
        key: CK_OBJECT_HANDLE,
        ckm: CK_MECHANISM_TYPE,
        parameter: &[u8],
        data: &[u8],
    ) -> Rv<Vec<u8>> {
        self.sign_init(session, key, ckm, parameter)?;
        let (mut signature, mut length) = (vec![0; 8192], 8192);
        c!(
            self,
            C_Sign(session, data.as_ptr().cast_mut(), data.len() as CK_ULONG, signature.as_mut_ptr(), &mut length)
        )?;
        signature.truncate(length as usize);
        Ok(signature)
    }

    /// Verifies in one call: C_VerifyInit, C_Verify.
    pub fn verify(
        &self,
        session: CK_SESSION_HANDLE,
        key: CK_OBJECT_HANDLE,
        mechanism: &mut CK_MECHANISM,
        data: &[u8],
        signature: &[u8],
    ) -> Rv<()> {
        c!(self, C_VerifyInit(session, mechanism, key))?;
        let (data, length) = pointer_and_length(data);
        let (signature, signature_length) = pointer_and_length(signature);
        c!(self, C_Verify(session, data, length, signature, signature_length))
    }

    /// Decrypts in one call, into a buffer that is large enough: C_DecryptInit, C_Decrypt.
    pub fn decrypt(
        &self,
        session: CK_SESSION_HANDLE,
        key: CK_OBJECT_HANDLE,
        mechanism: &mut CK_MECHANISM,
        encrypted: &[u8],
    ) -> Rv<Vec<u8>> {
        c!(self, C_DecryptInit(session, mechanism, key))?;
        let (encrypted, length) = pointer_and_length(encrypted);
        output_of(|buffer, room| c!(self, C_Decrypt(session, encrypted, length, buffer, room)))
    }

    /// Encrypts in one call, into a buffer that is large enough: C_EncryptInit, C_Encrypt.
    pub fn encrypt(
        &self,
        session: CK_SESSION_HANDLE,
        key: CK_OBJECT_HANDLE,
        mechanism: &mut CK_MECHANISM,
        text: &[u8],
    ) -> Rv<Vec<u8>> {
        c!(self, C_EncryptInit(session, mechanism, key))?;
        let (text, length) = pointer_and_length(text);
        output_of(|buffer, room| c!(self, C_Encrypt(session, text, length, buffer, room)))
    }

    /// C_CreateObject.
    pub fn create(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)],
    ) -> Rv<CK_OBJECT_HANDLE> {
        let (mut attributes, mut object) = (attributes(template), 0);
        c!(self, C_CreateObject(session, attributes.as_mut_ptr(), attributes.len() as CK_ULONG, &mut object))?;
        Ok(object)
    }

    /// Returns the only object of that class.
    pub fn only(&self, session: CK_SESSION_HANDLE, class: CK_OBJECT_CLASS) -> CK_OBJECT_HANDLE {
        let found = self.find_class(session, class);
        assert_eq!(found.len(), 1, "one object of class {class}");
        found[0]
    }
}

/// Returns a pointer and a length, as C functions take them.
pub fn pointer_and_length(bytes: &[u8]) -> (*mut CK_BYTE, CK_ULONG) {
    (bytes.as_ptr().cast_mut(), bytes.len() as CK_ULONG)
}

/// Returns what a C function writes into a buffer of 8192 bytes.
pub fn output_of(call: impl FnOnce(*mut CK_BYTE, *mut CK_ULONG) -> Rv<()>) -> Rv<Vec<u8>> {
    let (mut buffer, mut length) = (vec![0; 8192], 8192);
    call(buffer.as_mut_ptr(), &mut length)?;
    buffer.truncate(length as usize);
    Ok(buffer)
}

/// Returns a template as C functions take it.
pub fn attributes(template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]) -> Vec<CK_ATTRIBUTE> {
    let attribute = |(kind, value): &(CK_ATTRIBUTE_TYPE, Vec<u8>)| CK_ATTRIBUTE {
        type_: *kind,
        pValue: value.as_ptr().cast_mut().cast(),
        ulValueLen: value.len() as CK_ULONG,
    };
    template.iter().map(attribute).collect()
}

/// Returns an attribute whose value is a number.
pub fn number(kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> (CK_ATTRIBUTE_TYPE, Vec<u8>) {
    (kind, value.to_ne_bytes().to_vec())
}

/// Returns a mechanism without parameters.
pub fn plain(ckm: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM { mechanism: ckm, pParameter: null_mut(), ulParameterLen: 0 }
}

/// Returns a mechanism that points to its parameters.
pub fn with<T>(ckm: CK_MECHANISM_TYPE, parameter: &mut T) -> CK_MECHANISM {
    let length = std::mem::size_of::<T>() as CK_ULONG;
    CK_MECHANISM { mechanism: ckm, pParameter: (parameter as *mut T).cast(), ulParameterLen: length }
}

/// Returns CK_RSA_PKCS_OAEP_PARAMS with that hash and without a label.
pub fn oaep(hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE) -> CK_RSA_PKCS_OAEP_PARAMS {
    CK_RSA_PKCS_OAEP_PARAMS {
        hashAlg: hash,
        mgf,
        source: CKZ_DATA_SPECIFIED,
        pSourceData: null_mut(),
        ulSourceDataLen: 0,
    }
}

/// Returns CK_RSA_PKCS_PSS_PARAMS for a hash of `length` bytes.
pub fn pss(length: usize) -> Vec<u8> {
    let (hash, mgf) = match length {
        32 => (CKM_SHA256, CKG_MGF1_SHA256),
        48 => (CKM_SHA384, CKG_MGF1_SHA384),
        _ => (CKM_SHA512, CKG_MGF1_SHA512),
    };
    [hash, mgf, length as CK_ULONG].iter().flat_map(|number| number.to_ne_bytes()).collect()
}
