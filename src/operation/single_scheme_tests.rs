//! Keys with a single scheme, in a service in memory whose public keys do not tell the scheme.

use super::multi_part::MultiPartOperation;
use super::sign::{SigningOperation, VerificationOperation};
use crate::certificate::Certificate;
use crate::cloud::{Backend, Identity, KeyDescription, KeyName, ListedKey, Pending, Signature, Target, aws};
use crate::config::{CertificateSource, Key, Keys, Service, Slot};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, ParameterSet, PublicKey, Scheme, slh_dsa};
use crate::mechanism::MechanismInput;
use crate::object::attribute::Attribute;
use crate::object::{Object, allowed_mechanisms};
use crate::store::public_keys::PublicKeyCache;
use crate::token::Token;
use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use cryptoki_sys::*;
use fips205::slh_dsa_sha2_128s;
use fips205::traits::{SerDes, Signer};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// The service. It has one key.
struct SingleSchemeService {
    public_key: PublicKey,
    scheme: Scheme,
    sign: Sign,
    descriptions: AtomicUsize,
}

impl fmt::Debug for SingleSchemeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme.name())
    }
}

impl SingleSchemeService {
    fn new(public_key: PublicKey, scheme: Scheme, sign: Sign) -> Arc<Self> {
        Arc::new(Self { public_key, scheme, sign, descriptions: AtomicUsize::new(0) })
    }

    fn descriptions(&self) -> usize {
        self.descriptions.load(Ordering::Relaxed)
    }
}

impl Backend for SingleSchemeService {
    fn describe(&self, _key: &KeyName) -> Pending<KeyDescription> {
        self.descriptions.fetch_add(1, Ordering::Relaxed);
        let facts = KeyDescription::from_public_key(self.public_key.clone(), vec![self.scheme]);
        Pending::ready(Ok(KeyDescription { immutable_id: Some("k/1".into()), ..facts }))
    }

    fn sign(&self, _target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        assert_eq!(scheme, self.scheme);
        Pending::ready(Ok(Signature { bytes: (self.sign)(data), immutable_id: "k/1".into() }))
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        match kind {
            Kind::Rsa(_) => [Hash::Sha256, Hash::Sha512].map(|hash| Algorithm::RsaPss.with_hash(hash)).into(),
            Kind::Ec(curve) => vec![Algorithm::Ecdsa.with_hash(curve.hash())],
            Kind::MlDsa(_) => [Algorithm::MlDsa, Algorithm::MlDsaMu].map(Algorithm::without_hash).into(),
            Kind::SlhDsa(_) => vec![Algorithm::SlhDsa.without_hash(), Algorithm::SlhDsa.with_hash(Hash::Sha256)],
            Kind::Ed25519 | Kind::Hmac(_) => Vec::new(),
        }
    }

    fn is_immutable(&self, _key: &KeyName) -> bool {
        true
    }

    fn has_single_purpose(&self) -> bool {
        true
    }

    fn has_single_scheme(&self) -> bool {
        true
    }

    fn list(&self, _labels: bool) -> Pending<Vec<ListedKey>> {
        Pending::ready(Ok(Vec::new()))
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "test", model: "0" }
    }

    fn place(&self) -> String {
        "memory".into()
    }
}

fn token(service: &Arc<SingleSchemeService>, source: CertificateSource, cache: Option<Arc<PublicKeyCache>>) -> Token {
    let key = Key { name: KeyName { id: "k".into(), version: None }, label: "k".into(), certificate: source };
    let slot = Slot {
        label: "t".into(),
        service: Arc::new(Service::Aws(aws::Settings::default())),
        keys: Keys::Named(vec![key]),
        hide_keys: Vec::new(),
        quirks: Default::default(),
        management: None,
    };
    Token::new(0, slot, service.clone(), cache)
}

fn object(token: &Token, class: CK_OBJECT_CLASS) -> Arc<Object> {
    let template: Attribute = (CKA_CLASS, class.to_ne_bytes().to_vec());
    token.find(&[template]).remove(0)
}

fn mechanism(ckm: CK_MECHANISM_TYPE) -> MechanismInput {
    MechanismInput { ckm, ..MechanismInput::default() }
}

fn with_context(ckm: CK_MECHANISM_TYPE, context: &[u8]) -> MechanismInput {
    let words = [CKH_HEDGE_PREFERRED, 0, context.len() as CK_ULONG];
    let parameter = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    MechanismInput { ckm, parameter, data: vec![context.to_vec()] }
}

/// NIST ACVP, SLH-DSA-keyGen-FIPS205, SLH-DSA-SHA2-128s, tcId 1.
const SLH_DSA_KEY: [u128; 4] = [
    0x173D04C938C1C36BF289C3C022D04B14,
    0x63AE23C41AA546DA589774AC20B745C4,
    0x0D794777914C99766827F0F09CA972BE,
    0x0162C10219D422ADBA1359E6AA65299C,
];

fn slh_dsa_keys() -> (PublicKey, slh_dsa_sha2_128s::PrivateKey) {
    let bytes: Vec<u8> = SLH_DSA_KEY.iter().flat_map(|part| part.to_be_bytes()).collect();
    let public_key = PublicKey::slh_dsa(slh_dsa::ParameterSet::Sha2_128s, &bytes[32..]).unwrap();
    (public_key, slh_dsa_sha2_128s::PrivateKey::try_from_bytes(bytes.try_into().unwrap()).unwrap())
}

fn ml_dsa_keys() -> (PublicKey, PqdsaKeyPair) {
    let pair = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    (PublicKey::ml_dsa(ParameterSet::MlDsa65, pair.public_key().as_ref()).unwrap(), pair)
}

fn ml_dsa_signature(pair: &PqdsaKeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; ParameterSet::MlDsa65.signature_len()];
    pair.sign(message, &mut signature).unwrap();
    signature
}

/// Signs and verifies with every mechanism of the key.
fn check(service: Arc<SingleSchemeService>, mechanisms: &[CK_MECHANISM_TYPE], hashing: CK_MECHANISM_TYPE) {
    let token = token(&service, CertificateSource::Service, None);
    let (private, public) = (object(&token, CKO_PRIVATE_KEY).handle, object(&token, CKO_PUBLIC_KEY).handle);
    for ckm in mechanisms {
        let mut signing: SigningOperation = token.sign_init(private, &mechanism(*ckm)).unwrap();
        [&b"a"[..], b"bc"].iter().for_each(|part| signing.update(part).unwrap());
        assert_eq!(signing.max_output_len(), service.public_key.kind().signature_len());
        let signature = signing.finish().unwrap();
        let verify = |request: &MechanismInput, data: &[u8]| {
            let mut verifying: VerificationOperation = token.verify_init(public, request).unwrap();
            verifying.update(data).unwrap();
            verifying.finish(&signature).map_err(|error| error.rv)
        };
        assert_eq!(verify(&mechanism(*ckm), b"abc"), Ok(()));
        assert_eq!(verify(&with_context(*ckm, b""), b"abc"), Ok(()));
        assert_eq!(verify(&mechanism(*ckm), b"abd"), Err(CKR_SIGNATURE_INVALID));
        assert_eq!(verify(&with_context(*ckm, b"c"), b"abc"), Err(CKR_SIGNATURE_INVALID), "another context");
        assert_eq!(verify(&mechanism(hashing), b"abc").is_ok(), *ckm == hashing, "another domain");
        let refused = token.sign_init(private, &with_context(*ckm, b"c")).err().unwrap();
        assert_eq!(refused.rv, CKR_MECHANISM_PARAM_INVALID);
        assert!(refused.to_string().contains("without a context"), "{refused}");
    }
    assert_eq!(service.descriptions(), 1);
}

#[test]
fn ml_dsa_of_the_message_is_signed_and_verified() {
    let (public_key, pair) = ml_dsa_keys();
    let sign = move |message: &[u8]| ml_dsa_signature(&pair, message);
    let service = SingleSchemeService::new(public_key, Algorithm::MlDsa.without_hash(), Box::new(sign));
    check(service, &[CKM_ML_DSA], CKM_HASH_ML_DSA_SHA256);
}

#[test]
fn slh_dsa_is_signed_and_verified() {
    let (public_key, private_key) = slh_dsa_keys();
    let sign = move |message: &[u8]| private_key.try_sign(message, b"", false).unwrap().to_vec();
    let service = SingleSchemeService::new(public_key, Algorithm::SlhDsa.without_hash(), Box::new(sign));
    check(service, &[CKM_SLH_DSA], CKM_HASH_SLH_DSA_SHA256);
    let (public_key, private_key) = slh_dsa_keys();
    let oid = Hash::Sha256.oid();
    let sign = move |digest: &[u8]| private_key.try_hash_sign(digest, b"", oid, false).unwrap().to_vec();
    let service = SingleSchemeService::new(public_key, Algorithm::SlhDsa.with_hash(Hash::Sha256), Box::new(sign));
    check(service, &[CKM_HASH_SLH_DSA_SHA256], CKM_HASH_SLH_DSA_SHA256);
}

#[test]
fn a_wrong_signature_of_the_message_is_not_returned() {
    let (public_key, pair) = ml_dsa_keys();
    let sign = move |_message: &[u8]| ml_dsa_signature(&pair, b"something else");
    let service = SingleSchemeService::new(public_key, Algorithm::MlDsa.without_hash(), Box::new(sign));
    let token = token(&service, CertificateSource::Service, None);
    let mut signing = token.sign_init(object(&token, CKO_PRIVATE_KEY).handle, &mechanism(CKM_ML_DSA)).unwrap();
    signing.update(b"abc").unwrap();
    assert_eq!(signing.finish().map_err(|error| error.rv).err(), Some(CKR_DEVICE_ERROR));
}

fn shown_mechanisms(object: &Object) -> Vec<CK_MECHANISM_TYPE> {
    let shown = object.attributes.value(CKA_ALLOWED_MECHANISMS).unwrap();
    shown.chunks(size_of::<CK_ULONG>()).map(|own| CK_ULONG::from_ne_bytes(own.try_into().unwrap())).collect()
}

/// Returns a self-signed certificate of a new key.
fn self_signed(new_key: &[&str]) -> Certificate {
    let folder = tempfile::tempdir().unwrap();
    let (key, der) = (folder.path().join("key"), folder.path().join("der"));
    let mut command = std::process::Command::new("openssl");
    command
        .args(["req", "-x509", "-nodes", "-subj", "/CN=k", "-outform", "DER", "-newkey"])
        .args(new_key)
        .arg("-keyout");
    let made = command.arg(key).arg("-out").arg(&der).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    Certificate::from_der(&std::fs::read(der).unwrap()).unwrap()
}

#[test]
fn the_scheme_is_cached_with_the_public_key() {
    let public_key = self_signed(&["rsa:2048"]).public_key().unwrap();
    let scheme = Algorithm::RsaPss.with_hash(Hash::Sha512);
    let service = SingleSchemeService::new(public_key, scheme, Box::new(|_| Vec::new()));
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let cache = Some(Arc::new(PublicKeyCache::new(folder.path().join("cache"))));
        let private = object(&token(&service, CertificateSource::Service, cache), CKO_PRIVATE_KEY);
        assert_eq!(shown_mechanisms(&private), allowed_mechanisms(Kind::Rsa(2048), &[scheme]));
        assert_eq!(service.descriptions(), 1, "the others find it in the cache");
    }
}

#[test]
fn a_certificate_is_sufficient_if_its_key_can_have_one_scheme_only() {
    let certificate = self_signed(&["rsa:2048"]);
    let scheme = Algorithm::RsaPss.with_hash(Hash::Sha512);
    let service = SingleSchemeService::new(certificate.public_key().unwrap(), scheme, Box::new(|_| Vec::new()));
    let private = object(&token(&service, CertificateSource::Inline(vec![certificate]), None), CKO_PRIVATE_KEY);
    assert_eq!(shown_mechanisms(&private), allowed_mechanisms(Kind::Rsa(2048), &[scheme]));
    assert_eq!(service.descriptions(), 1, "the certificate does not tell the hash");

    let certificate = self_signed(&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);
    let service = SingleSchemeService::new(certificate.public_key().unwrap(), scheme, Box::new(|_| Vec::new()));
    let private = object(&token(&service, CertificateSource::Inline(vec![certificate]), None), CKO_PRIVATE_KEY);
    assert_eq!(shown_mechanisms(&private), allowed_mechanisms(Kind::Ec(Curve::P256), &[scheme]));
    assert_eq!(service.descriptions(), 0);
}
