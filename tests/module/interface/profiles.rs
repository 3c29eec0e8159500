//! CKO_PROFILE objects, and the mandatory test cases of PKCS#11 Profiles 3.2: BL-M-1-32 (section 5.1), EXT-M-1-32
//! (5.3), AUTH-M-1-32 (5.4) and CERT-M-1-32 (5.5), each with a token of each cloud.
//!
//! The calls are those of the cases in the committee's repository (oasis-tcs/pkcs11, working/doc/profiles), in the
//! same order. The document's section on permitted variations (names, versions, handles, labels of the token,
//! data, values of attributes, the order of lists) and the symbols of the cases say in what a result may differ.
//! The tests assert the rest. Where a result of this module differs although neither source permits it, a comment
//! says so and gives the reason.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, module_path, openssl_verifies};
use crate::support::writer::Writer;
use cloud_kms_emulator::{AwsKey, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::ptr::null_mut;

const ALL: [CK_ULONG; 4] =
    [CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER, CKP_AUTHENTICATION_TOKEN, CKP_PUBLIC_CERTIFICATES_TOKEN];

module_test! {
    fn a_token_shows_its_profiles_without_any_request(world) {
        world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/a")).unwrap();
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "vault_url": world.emulator.https_url(), "discover": true }]));
        let p11 = world.module();
        for slot in p11.slots() {
            let session = p11.open(slot);
            let found = p11.find_class(session, CKO_PROFILE);
            let ids: Vec<_> = found.iter().map(|object| p11.number(session, *object, CKA_PROFILE_ID).unwrap()).collect();
            assert_eq!(ids, ALL);
            assert_eq!(p11.find_class(session, CKO_PROFILE), found, "the same handles");
            let class = (CKA_CLASS, CKO_PROFILE.to_ne_bytes().to_vec());
            assert_eq!(p11.find(session, &[class, (CKA_PROFILE_ID, CKP_AUTHENTICATION_TOKEN.to_ne_bytes().to_vec())]), [found[2]]);
            let one = |kind| p11.attribute(session, found[3], kind).unwrap();
            assert_eq!(one(CKA_LABEL), b"Public Certificates Token");
            assert_eq!(one(CKA_UNIQUE_ID).len(), 32);
            assert_eq!(one(CKA_ID), b"", "profiles have this attribute, because programs request it of every object");
            assert_eq!([CKA_TOKEN, CKA_PRIVATE, CKA_MODIFIABLE, CKA_DESTROYABLE].map(one), [[CK_TRUE], [CK_FALSE], [CK_FALSE], [CK_FALSE]]);
            assert_eq!(p11.sign_init(session, found[0], CKM_SHA256_RSA_PKCS, &[]), Err(CKR_KEY_HANDLE_INVALID));
            assert_eq!(crate::c!(p11, C_DestroyObject(session, found[0])), Err(CKR_SESSION_READ_ONLY));
            assert_eq!(Writer::new(p11, slot).destroy(found[0]), Err(CKR_ACTION_PROHIBITED));
        }
        assert_eq!(world.requests(), 0, "{}", world.log());
        let session = p11.open(0);
        let classes: Vec<_> = p11.find(session, &[]).iter().map(|object| p11.number(session, *object, CKA_CLASS).unwrap()).collect();
        assert_eq!(classes, [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_PROFILE, CKO_PROFILE, CKO_PROFILE, CKO_PROFILE], "the profiles follow the keys");
        assert_eq!(p11.find(session, &[(CKA_LABEL, b"a".to_vec())]).len(), 2, "a search for the key's label finds no profile");
    }
}

module_test! {
    fn bl_m_1_32_aws(world) {
        baseline(&Case::begin(world, aws_key(world)));
    }
}

module_test! {
    fn bl_m_1_32_azure(world) {
        baseline(&Case::begin(world, azure_key(world)));
    }
}

module_test! {
    fn ext_m_1_32_aws(world) {
        // KMS decrypts with OAEP only, so CKM_RSA_PKCS lacks the other flags. The profile itself names no mechanism.
        extended(&Case::begin(world, aws_key(world)), CKF_SIGN | CKF_VERIFY);
    }
}

module_test! {
    fn ext_m_1_32_azure(world) {
        extended(&Case::begin(world, azure_key(world)), CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP);
    }
}

module_test! {
    fn auth_m_1_32_aws(world) {
        let slots = aws_key(world);
        let spki = world.emulator.aws().public_key_spki("alias/a").unwrap();
        authentication(world, &Case::begin(world, slots), &spki);
    }
}

module_test! {
    fn auth_m_1_32_azure(world) {
        let slots = azure_key(world);
        let spki = world.emulator.vault("default").public_key_spki("z", "").unwrap();
        authentication(world, &Case::begin(world, slots), &spki);
    }
}

module_test! {
    fn cert_m_1_32_aws(world) {
        world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/a")).unwrap();
        let spki = world.emulator.aws().public_key_spki("alias/a").unwrap();
        let (der, path) = certified(&world.home, &spki);
        let keys = json!([{ "kms_key_id": "alias/a", "label": LABEL, "certificate_path": path }]);
        certificates(&Case::begin(world, json!([{ "label": "token1", "keys": keys }])), &der);
    }
}

module_test! {
    fn cert_m_1_32_azure(world) {
        let vault = world.emulator.vault("default");
        vault.create_certificate("z", VaultCertificate::new(VaultKey::rsa(2048))).unwrap();
        let der = vault.certificate_der("z", "").unwrap();
        let keys = json!([{ "key_name": "z", "label": LABEL }]);
        certificates(&Case::begin(world, json!([{ "label": "token1", "keys": keys }])), &der);
    }
}

/// CKA_LABEL of the first object of CERT-M-1-32. The case gives its length as 22, but the unpadded string has 21 bytes.
const LABEL: &str = "Mozilla Builtin Roots";

/// Returns slots with one RSA key under both labels that AUTH-M-1-32 looks for.
fn under_both_names(key: &Value) -> Value {
    let named = |label: &str| {
        let mut key = key.clone();
        key["label"] = label.into();
        key
    };
    json!([{ "label": "token1", "keys": [named("testrsa-pub"), named("testrsa-pri")] }])
}

fn aws_key(world: &World) -> Value {
    world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/a")).unwrap();
    under_both_names(&json!({ "kms_key_id": "alias/a" }))
}

fn azure_key(world: &World) -> Value {
    world.emulator.vault("default").create_key("z", VaultKey::rsa(2048)).unwrap();
    under_both_names(&json!({ "key_name": "z" }))
}

/// Issues a certificate for that public key by a certificate authority. Returns the certificate, and the path of a
/// file with both certificates.
fn certified(home: &Path, spki: &[u8]) -> (Vec<u8>, String) {
    std::fs::write(home.join("key.der"), spki).unwrap();
    let openssl = |words: &str| {
        let output = Command::new("openssl").current_dir(home).args(words.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    };
    openssl("pkey -pubin -inform DER -in key.der -out key.pem");
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.pem -subj /CN=Root");
    openssl("x509 -new -subj /CN=z -force_pubkey key.pem -CA own.pem -CAkey own.key -out z.pem -days 2");
    openssl("x509 -in z.pem -outform DER -out z.der");
    let chain = [std::fs::read(home.join("z.pem")).unwrap(), std::fs::read(home.join("own.pem")).unwrap()].concat();
    std::fs::write(home.join("chain.pem"), chain).unwrap();
    (std::fs::read(home.join("z.der")).unwrap(), home.join("chain.pem").to_str().unwrap().to_owned())
}

/// The calls with which all four cases begin and end.
struct Case {
    p11: P11,
    slot: CK_SLOT_ID,
}

impl Case {
    /// C_Initialize, C_GetInfo, C_GetSlotList twice.
    fn begin(world: &World, slots: Value) -> Self {
        world.configure(slots);
        let p11 = P11::load(&module_path());
        p11.initialize().unwrap();
        let mut info: CK_INFO = unsafe { std::mem::zeroed() };
        crate::c!(p11, C_GetInfo(&mut info)).unwrap();
        assert_eq!((info.cryptokiVersion.major, info.cryptokiVersion.minor, info.flags), (3, 2, 0));
        let mut count = 0;
        crate::c!(p11, C_GetSlotList(CK_TRUE, null_mut(), &mut count)).unwrap();
        let mut slots = vec![CK_ULONG::MAX; count as usize];
        crate::c!(p11, C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &mut count)).unwrap();
        Self { p11, slot: slots[0] }
    }

    /// C_GetSlotInfo and C_GetTokenInfo.
    fn slot_and_token(&self) {
        let mut slot: CK_SLOT_INFO = unsafe { std::mem::zeroed() };
        crate::c!(self.p11, C_GetSlotInfo(self.slot, &mut slot)).unwrap();
        assert_eq!(slot.flags, CKF_TOKEN_PRESENT);
        let mut token: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
        crate::c!(self.p11, C_GetTokenInfo(self.slot, &mut token)).unwrap();
        // These values of the case are not required: CKF_LOGIN_REQUIRED and CKF_RESTORE_KEY_NOT_NEEDED (this token
        // needs no login, and no state can be saved), the minimum PIN length of 4 (no PIN is needed), and sizes
        // and counts of 0.
        let demanded = CKF_RNG | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED;
        assert_eq!(token.flags & demanded, demanded);
        assert_eq!(&token.label, b"token1                          ");
        assert_eq!((token.ulMaxPinLen, token.ulSessionCount, token.ulRwSessionCount), (255, 0, 0));
    }

    fn open(&self, flags: CK_FLAGS) -> CK_SESSION_HANDLE {
        let mut session = 0;
        crate::c!(self.p11, C_OpenSession(self.slot, flags, null_mut(), None, &mut session)).unwrap();
        session
    }

    fn log_in(&self, session: CK_SESSION_HANDLE) {
        let mut pin = *b"123456";
        crate::c!(self.p11, C_Login(session, CKU_USER, pin.as_mut_ptr(), 6)).unwrap();
    }

    /// C_FindObjectsInit, and one C_FindObjects for `most` objects.
    fn search(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[(CK_ATTRIBUTE_TYPE, &[u8])],
        most: usize,
    ) -> Vec<CK_OBJECT_HANDLE> {
        let attribute = |(kind, value): &(CK_ATTRIBUTE_TYPE, &[u8])| CK_ATTRIBUTE {
            type_: *kind,
            pValue: value.as_ptr().cast_mut().cast(),
            ulValueLen: value.len() as CK_ULONG,
        };
        let mut template: Vec<_> = template.iter().map(attribute).collect();
        crate::c!(self.p11, C_FindObjectsInit(session, template.as_mut_ptr(), template.len() as CK_ULONG)).unwrap();
        let (mut found, mut count) = (vec![0; most], 0);
        crate::c!(self.p11, C_FindObjects(session, found.as_mut_ptr(), most as CK_ULONG, &mut count)).unwrap();
        assert_eq!(count, most as CK_ULONG);
        found
    }

    fn end_search(&self, session: CK_SESSION_HANDLE) {
        crate::c!(self.p11, C_FindObjectsFinal(session)).unwrap();
    }

    /// Reads an attribute as CERT-M-1-32 does: its length, then its value.
    fn fetched(&self, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, kind: CK_ATTRIBUTE_TYPE) -> Vec<u8> {
        let mut attribute = CK_ATTRIBUTE { type_: kind, pValue: null_mut(), ulValueLen: 0 };
        crate::c!(self.p11, C_GetAttributeValue(session, object, &mut attribute, 1)).unwrap();
        let mut value = vec![0; attribute.ulValueLen as usize];
        attribute.pValue = value.as_mut_ptr().cast();
        crate::c!(self.p11, C_GetAttributeValue(session, object, &mut attribute, 1)).unwrap();
        assert_eq!(attribute.ulValueLen as usize, value.len());
        value
    }

    /// C_CloseSession, C_CloseAllSessions, C_Finalize.
    fn end(&self, session: CK_SESSION_HANDLE) {
        crate::c!(self.p11, C_CloseSession(session)).unwrap();
        crate::c!(self.p11, C_CloseAllSessions(self.slot)).unwrap();
        self.p11.finalize().unwrap();
    }
}

const TOKEN: (CK_ATTRIBUTE_TYPE, &[u8]) = (CKA_TOKEN, &[CK_TRUE]);

/// BL-M-1-32.
fn baseline(case: &Case) {
    case.slot_and_token();
    let session = case.open(CKF_SERIAL_SESSION);
    case.search(session, &[TOKEN], 1);
    case.end_search(session);
    case.end(session);
}

/// EXT-M-1-32.
fn extended(case: &Case, rsa: CK_FLAGS) {
    let p11 = &case.p11;
    case.slot_and_token();
    let mut count = 0;
    crate::c!(p11, C_GetMechanismList(case.slot, null_mut(), &mut count)).unwrap();
    let mut listed = vec![0; count as usize];
    crate::c!(p11, C_GetMechanismList(case.slot, listed.as_mut_ptr(), &mut count)).unwrap();
    // The number and the order of the entries may vary: a token that generates no keys has no
    // CKM_RSA_PKCS_KEY_PAIR_GEN.
    assert!([CKM_SHA512, CKM_RSA_PKCS].iter().all(|ckm| listed.contains(ckm)));
    let mut info: CK_MECHANISM_INFO = unsafe { std::mem::zeroed() };
    crate::c!(p11, C_GetMechanismInfo(case.slot, CKM_SHA512, &mut info)).unwrap();
    assert_eq!((info.ulMinKeySize, info.ulMaxKeySize, info.flags), (0, 0, CKF_DIGEST));
    match crate::c!(p11, C_GetMechanismInfo(case.slot, CKM_RSA_PKCS_KEY_PAIR_GEN, &mut info)) {
        Ok(()) => assert_eq!(info.flags & CKF_GENERATE_KEY_PAIR, CKF_GENERATE_KEY_PAIR),
        Err(rv) => assert_eq!((rv, listed.contains(&CKM_RSA_PKCS_KEY_PAIR_GEN)), (CKR_MECHANISM_INVALID, false)),
    }
    crate::c!(p11, C_GetMechanismInfo(case.slot, CKM_RSA_PKCS, &mut info)).unwrap();
    // The sizes in the case, 512 to 16384 bits, are those of its own provider. These are the services' sizes.
    assert_eq!((info.ulMinKeySize, info.ulMaxKeySize, info.flags & rsa), (2048, 4096, rsa));
    let session = case.open(CKF_RW_SESSION | CKF_SERIAL_SESSION);
    case.log_in(session);
    case.search(session, &[TOKEN], 1);
    case.end_search(session);
    crate::c!(p11, C_Logout(session)).unwrap();
    case.end(session);
}

/// AUTH-M-1-32. Modulus, data and signature are those of a key of this test, because the document of the case does
/// not publish its own.
fn authentication(world: &World, case: &Case, spki: &[u8]) {
    let p11 = &case.p11;
    let session = case.open(CKF_RW_SESSION | CKF_SERIAL_SESSION);
    case.log_in(session);
    let found = |label: &[u8], class: CK_OBJECT_CLASS| {
        let found = case.search(session, &[TOKEN, (CKA_LABEL, label), (CKA_CLASS, &class.to_ne_bytes())], 1);
        case.end_search(session);
        found[0]
    };
    let public = found(b"testrsa-pub", CKO_PUBLIC_KEY);
    let (mut modulus, mut exponent) = (vec![0u8; 1024], vec![0u8; 1024]);
    let asked =
        |kind, value: &mut [u8]| CK_ATTRIBUTE { type_: kind, pValue: value.as_mut_ptr().cast(), ulValueLen: 1024 };
    let mut template = [asked(CKA_MODULUS, &mut modulus), asked(CKA_PUBLIC_EXPONENT, &mut exponent)];
    crate::c!(p11, C_GetAttributeValue(session, public, template.as_mut_ptr(), 2)).unwrap();
    assert_eq!(template.map(|attribute| attribute.ulValueLen), [256, 3]);
    assert_eq!(exponent[..3], [1, 0, 1]);
    assert!(spki.windows(256).any(|bytes| bytes == &modulus[..256]));

    let private = found(b"testrsa-pri", CKO_PRIVATE_KEY);
    let mut mechanism = CK_MECHANISM { mechanism: CKM_SHA256_RSA_PKCS, pParameter: null_mut(), ulParameterLen: 0 };
    crate::c!(p11, C_SignInit(session, &mut mechanism, private)).unwrap();
    let (mut signature, mut length) = ([0u8; 256], 256);
    let data = b"a certification request, say";
    crate::c!(
        p11,
        C_Sign(session, data.as_ptr().cast_mut(), data.len() as CK_ULONG, signature.as_mut_ptr(), &mut length)
    )
    .unwrap();
    assert_eq!(length, 256);
    std::fs::write(world.home.join("data"), data).unwrap();
    let hashed = Command::new("openssl")
        .args(["dgst", "-binary", "-sha256"])
        .arg(world.home.join("data"))
        .output()
        .unwrap()
        .stdout;
    assert!(openssl_verifies(&world.home, spki, &hashed, &signature, &["-pkeyopt", "digest:sha256"]));
    crate::c!(p11, C_Logout(session)).unwrap();
    case.end(session);
}

/// CERT-M-1-32. There is no login, and attributes are read while the search is active. The order of the objects is
/// the module's: the second object of the case, a certificate, is the third object here.
fn certificates(case: &Case, der: &[u8]) {
    let session = case.open(CKF_SERIAL_SESSION);
    let found = case.search(session, &[TOKEN], 5);
    assert_eq!(case.fetched(session, found[0], CKA_LABEL), LABEL.as_bytes());
    assert_eq!(case.p11.number(session, found[2], CKA_CLASS), Ok(CKO_CERTIFICATE));
    assert_eq!(case.fetched(session, found[2], CKA_VALUE), der);
    case.end_search(session);
    // Beyond the case, section 5.5 condition 8: the keys of the certificate are found by its CKA_ID, without a login.
    let id = case.p11.attribute(session, found[2], CKA_ID).unwrap();
    assert_eq!(case.search(session, &[(CKA_ID, &id)], 3), found[..3]);
    case.end_search(session);
    case.end(session);
}
