//! Each algorithm of Cloud KMS: what a key with it does by each of its mechanisms, and the mechanisms that it refuses.
//! openssl, aws-lc, ml-dsa and fips205 are the other side.

use super::{DATA, configure, key};
use crate::module_test;
use crate::support::p11::{P11, Rv, oaep, plain, pss, with};
use crate::support::world::{World, ecdsa_der, openssl_verifies};
use aws_lc_rs::signature::{ML_DSA_44, ML_DSA_65, ML_DSA_87, UnparsedPublicKey};
use cryptoki_sys::*;
use fips205::slh_dsa_sha2_128s::PublicKey as SlhDsaKey;
use fips205::traits::{SerDes, Verifier};
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};
use serde_json::json;
use std::process::Command;

/// A hash by its name in openssl, its mechanism, and the last number of its object identifier (2.16.840.1.101.3.4.2).
type Hash = (&'static str, CK_MECHANISM_TYPE, u8);

const SHA256: Hash = ("sha256", CKM_SHA256, 1);
const SHA384: Hash = ("sha384", CKM_SHA384, 2);
const SHA512: Hash = ("sha512", CKM_SHA512, 3);
const SHA224: Hash = ("sha224", CKM_SHA224, 4);
const SHA3_224: Hash = ("sha3-224", CKM_SHA3_224, 7);
const SHA3_256: Hash = ("sha3-256", CKM_SHA3_256, 8);
const SHA3_384: Hash = ("sha3-384", CKM_SHA3_384, 9);
const SHA3_512: Hash = ("sha3-512", CKM_SHA3_512, 10);
const SHA1: Hash = ("sha1", CKM_SHA_1, 0);
/// CKM_HASH_ML_DSA_SHAKE128 has 32 bytes of output, CKM_HASH_ML_DSA_SHAKE256 has 64.
const SHAKE128: Hash = ("shake128", 0, 11);
const SHAKE256: Hash = ("shake256", 0, 12);

/// The hash of each mechanism that hashes a message.
#[rustfmt::skip]
const HASHES: &[(CK_MECHANISM_TYPE, Hash)] = &[
    (CKM_SHA1_RSA_PKCS, SHA1), (CKM_SHA224_RSA_PKCS, SHA224), (CKM_SHA256_RSA_PKCS, SHA256), (CKM_SHA384_RSA_PKCS, SHA384),
    (CKM_SHA512_RSA_PKCS, SHA512), (CKM_SHA3_224_RSA_PKCS, SHA3_224), (CKM_SHA3_256_RSA_PKCS, SHA3_256),
    (CKM_SHA3_384_RSA_PKCS, SHA3_384), (CKM_SHA3_512_RSA_PKCS, SHA3_512),
    (CKM_SHA256_RSA_PKCS_PSS, SHA256), (CKM_SHA512_RSA_PKCS_PSS, SHA512),
    (CKM_ECDSA_SHA1, SHA1), (CKM_ECDSA_SHA224, SHA224), (CKM_ECDSA_SHA256, SHA256), (CKM_ECDSA_SHA384, SHA384),
    (CKM_ECDSA_SHA512, SHA512), (CKM_ECDSA_SHA3_224, SHA3_224), (CKM_ECDSA_SHA3_256, SHA3_256),
    (CKM_ECDSA_SHA3_384, SHA3_384), (CKM_ECDSA_SHA3_512, SHA3_512),
    (CKM_HASH_ML_DSA_SHA224, SHA224), (CKM_HASH_ML_DSA_SHA256, SHA256), (CKM_HASH_ML_DSA_SHA384, SHA384),
    (CKM_HASH_ML_DSA_SHA512, SHA512), (CKM_HASH_ML_DSA_SHA3_224, SHA3_224), (CKM_HASH_ML_DSA_SHA3_256, SHA3_256),
    (CKM_HASH_ML_DSA_SHA3_384, SHA3_384), (CKM_HASH_ML_DSA_SHA3_512, SHA3_512), (CKM_HASH_ML_DSA_SHAKE128, SHAKE128),
    (CKM_HASH_ML_DSA_SHAKE256, SHAKE256), (CKM_HASH_SLH_DSA_SHA256, SHA256),
    (CKM_SHA_1_HMAC, SHA1), (CKM_SHA224_HMAC, SHA224), (CKM_SHA256_HMAC, SHA256), (CKM_SHA384_HMAC, SHA384),
    (CKM_SHA512_HMAC, SHA512),
];

/// CKA_ALLOWED_MECHANISMS of a key with an algorithm.
type Row = (&'static str, &'static [CK_MECHANISM_TYPE]);

const PKCS1_SHA256: &[CK_MECHANISM_TYPE] = &[CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS];
const PSS_SHA256: &[CK_MECHANISM_TYPE] = &[CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS];
#[rustfmt::skip]
const PKCS1: &[CK_MECHANISM_TYPE] = &[
    CKM_RSA_PKCS, CKM_SHA1_RSA_PKCS, CKM_SHA224_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA384_RSA_PKCS, CKM_SHA512_RSA_PKCS,
    CKM_SHA3_224_RSA_PKCS, CKM_SHA3_256_RSA_PKCS, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_512_RSA_PKCS,
];
const OAEP: &[CK_MECHANISM_TYPE] = &[CKM_RSA_PKCS_OAEP];
#[rustfmt::skip]
const ECDSA: &[CK_MECHANISM_TYPE] = &[
    CKM_ECDSA, CKM_ECDSA_SHA1, CKM_ECDSA_SHA224, CKM_ECDSA_SHA256, CKM_ECDSA_SHA384, CKM_ECDSA_SHA512,
    CKM_ECDSA_SHA3_224, CKM_ECDSA_SHA3_256, CKM_ECDSA_SHA3_384, CKM_ECDSA_SHA3_512,
];
#[rustfmt::skip]
const ML_DSA_MU: &[CK_MECHANISM_TYPE] = &[
    CKM_ML_DSA, CKM_HASH_ML_DSA, CKM_HASH_ML_DSA_SHA224, CKM_HASH_ML_DSA_SHA256, CKM_HASH_ML_DSA_SHA384,
    CKM_HASH_ML_DSA_SHA512, CKM_HASH_ML_DSA_SHA3_224, CKM_HASH_ML_DSA_SHA3_256, CKM_HASH_ML_DSA_SHA3_384,
    CKM_HASH_ML_DSA_SHA3_512, CKM_HASH_ML_DSA_SHAKE128, CKM_HASH_ML_DSA_SHAKE256,
];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("RSA_SIGN_PKCS1_2048_SHA256", PKCS1_SHA256),
    ("RSA_SIGN_PKCS1_3072_SHA256", PKCS1_SHA256),
    ("RSA_SIGN_PKCS1_4096_SHA256", PKCS1_SHA256),
    ("RSA_SIGN_PKCS1_4096_SHA512", &[CKM_RSA_PKCS, CKM_SHA512_RSA_PKCS]),
    ("RSA_SIGN_PSS_2048_SHA256", PSS_SHA256),
    ("RSA_SIGN_PSS_3072_SHA256", PSS_SHA256),
    ("RSA_SIGN_PSS_4096_SHA256", PSS_SHA256),
    ("RSA_SIGN_PSS_4096_SHA512", &[CKM_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS]),
    ("RSA_SIGN_RAW_PKCS1_2048", PKCS1),
    ("RSA_SIGN_RAW_PKCS1_3072", PKCS1),
    ("RSA_SIGN_RAW_PKCS1_4096", PKCS1),
    ("RSA_DECRYPT_OAEP_2048_SHA1", OAEP),
    ("RSA_DECRYPT_OAEP_3072_SHA1", OAEP),
    ("RSA_DECRYPT_OAEP_4096_SHA1", OAEP),
    ("RSA_DECRYPT_OAEP_2048_SHA256", OAEP),
    ("RSA_DECRYPT_OAEP_3072_SHA256", OAEP),
    ("RSA_DECRYPT_OAEP_4096_SHA256", OAEP),
    ("RSA_DECRYPT_OAEP_4096_SHA512", OAEP),
    ("EC_SIGN_P256_SHA256", ECDSA),
    ("EC_SIGN_P384_SHA384", ECDSA),
    ("EC_SIGN_SECP256K1_SHA256", ECDSA),
    ("EC_SIGN_ED25519", &[CKM_EDDSA]),
    ("HMAC_SHA1", &[CKM_SHA_1_HMAC]),
    ("HMAC_SHA224", &[CKM_SHA224_HMAC]),
    ("HMAC_SHA256", &[CKM_SHA256_HMAC]),
    ("HMAC_SHA384", &[CKM_SHA384_HMAC]),
    ("HMAC_SHA512", &[CKM_SHA512_HMAC]),
    ("PQ_SIGN_ML_DSA_44_EXTERNAL_MU", ML_DSA_MU),
    ("PQ_SIGN_ML_DSA_65_EXTERNAL_MU", ML_DSA_MU),
    ("PQ_SIGN_ML_DSA_87_EXTERNAL_MU", ML_DSA_MU),
    ("PQ_SIGN_ML_DSA_44", &[CKM_ML_DSA]),
    ("PQ_SIGN_ML_DSA_65", &[CKM_ML_DSA]),
    ("PQ_SIGN_ML_DSA_87", &[CKM_ML_DSA]),
    ("PQ_SIGN_SLH_DSA_SHA2_128S", &[CKM_SLH_DSA]),
    ("PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256", &[CKM_HASH_SLH_DSA, CKM_HASH_SLH_DSA_SHA256]),
];

/// A key of the emulator in its slot.
struct Key<'a> {
    world: &'a World,
    algorithm: &'static str,
    version: String,
    p11: P11,
    session: CK_SESSION_HANDLE,
}

/// Returns the hash of [`DATA`], as openssl computes it.
fn digest(world: &World, hash: Hash) -> Vec<u8> {
    let path = world.home.join("digest.data");
    std::fs::write(&path, DATA).unwrap();
    let length: &[&str] = match hash.0 {
        "shake128" => &["-xoflen", "32"],
        "shake256" => &["-xoflen", "64"],
        _ => &[],
    };
    let name = format!("-{}", hash.0);
    Command::new("openssl").args(["dgst", "-binary", &name]).args(length).arg(path).output().unwrap().stdout
}

/// Returns the DER encoding of the hash's object identifier.
fn oid(hash: Hash) -> Vec<u8> {
    vec![0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash.2]
}

fn digest_info(hash: Hash, digest: &[u8]) -> Vec<u8> {
    let length = digest.len() as u8;
    [&[0x30, 17 + length, 0x30, 0x0d], &oid(hash)[..], &[0x05, 0, 0x04, length], digest].concat()
}

fn ml_dsa_verifies<P: MlDsaParams>(key: &[u8], formatted: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::<P>::decode(key.try_into().unwrap());
    key.verify_internal(formatted, &Signature::try_from(signature).unwrap())
}

impl Key<'_> {
    fn object(&self) -> CK_OBJECT_HANDLE {
        let class = if self.algorithm.starts_with("HMAC") { CKO_SECRET_KEY } else { CKO_PRIVATE_KEY };
        self.p11.only(self.session, class)
    }

    /// Returns the hash of the algorithm, or any one if it has none.
    fn own_hash(&self) -> Hash {
        let hashes = [SHA1, SHA512, SHA384];
        *hashes.iter().find(|hash| self.algorithm.to_lowercase().ends_with(hash.0)).unwrap_or(&SHA256)
    }

    fn hash_of(&self, ckm: CK_MECHANISM_TYPE) -> Hash {
        HASHES.iter().find(|row| row.0 == ckm).map_or(self.own_hash(), |row| row.1)
    }

    fn sign(&self, ckm: CK_MECHANISM_TYPE) -> Rv<Vec<u8>> {
        let hash = self.hash_of(ckm);
        let digest = digest(self.world, hash);
        let parameter = match ckm {
            CKM_RSA_PKCS_PSS | CKM_SHA256_RSA_PKCS_PSS | CKM_SHA512_RSA_PKCS_PSS => pss(digest.len()),
            // CK_HASH_SIGN_ADDITIONAL_CONTEXT without a context.
            CKM_HASH_ML_DSA | CKM_HASH_SLH_DSA => {
                [CKH_HEDGE_PREFERRED, 0, 0, hash.1].iter().flat_map(|number| number.to_ne_bytes()).collect()
            }
            _ => Vec::new(),
        };
        let input = match ckm {
            CKM_RSA_PKCS => digest_info(hash, &digest),
            CKM_RSA_PKCS_PSS | CKM_ECDSA | CKM_HASH_ML_DSA | CKM_HASH_SLH_DSA => digest,
            _ => DATA.to_vec(),
        };
        self.p11.sign(self.session, self.object(), ckm, &parameter, &input)
    }

    /// Returns whether another library accepts a signature by that mechanism.
    fn verifies(&self, ckm: CK_MECHANISM_TYPE, signature: &[u8]) -> bool {
        let hash = self.hash_of(ckm);
        let digest = digest(self.world, hash);
        if self.algorithm.starts_with("HMAC") {
            return self.mac(hash) == signature;
        }
        let spki = self.world.emulator.google().public_key_spki(&self.version).unwrap();
        let openssl = |data: &[u8], signature: &[u8], options: &[&str]| {
            openssl_verifies(&self.world.home, &spki, data, signature, options)
        };
        let named = format!("digest:{}", hash.0);
        let padded = ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest", "-pkeyopt", &named];
        match self.algorithm {
            "EC_SIGN_ED25519" => openssl(DATA, signature, &["-rawin"]),
            name if name.starts_with("RSA_SIGN_PSS") => openssl(&digest, signature, &padded),
            name if name.starts_with("RSA") => openssl(&digest, signature, &["-pkeyopt", &named]),
            name if name.starts_with("EC") => openssl(&digest, &ecdsa_der(signature), &[]),
            name if name.starts_with("PQ_SIGN_ML_DSA") => self.ml_dsa_verifies(ckm, &spki, signature),
            _ => {
                let key = SlhDsaKey::try_from_bytes(spki[spki.len() - 32..].try_into().unwrap()).unwrap();
                let signature = signature.try_into().unwrap();
                match ckm {
                    CKM_SLH_DSA => key.verify(DATA, &signature, &[]),
                    _ => key.hash_verify(&digest, &signature, &[], &oid(hash)),
                }
            }
        }
    }

    fn ml_dsa_verifies(&self, ckm: CK_MECHANISM_TYPE, spki: &[u8], signature: &[u8]) -> bool {
        let hash = self.hash_of(ckm);
        // FIPS 204 algorithm 5: without a context.
        let formatted = [&[1, 0], &oid(hash)[..], &digest(self.world, hash)].concat();
        let (length, witness) = match &self.algorithm[15..17] {
            "44" => (1312, &ML_DSA_44),
            "65" => (1952, &ML_DSA_65),
            _ => (2592, &ML_DSA_87),
        };
        let key = &spki[spki.len() - length..];
        match (ckm, length) {
            (CKM_ML_DSA, _) => UnparsedPublicKey::new(witness, key).verify(DATA, signature).is_ok(),
            // aws-lc does not hash messages.
            (_, 1312) => ml_dsa_verifies::<MlDsa44>(key, &formatted, signature),
            (_, 1952) => ml_dsa_verifies::<MlDsa65>(key, &formatted, signature),
            _ => ml_dsa_verifies::<MlDsa87>(key, &formatted, signature),
        }
    }

    fn mac(&self, hash: Hash) -> Vec<u8> {
        let secret = self.world.emulator.google().secret_key(&self.version).unwrap();
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, key) = (format!("-{}", hash.0), format!("hexkey:{secret}"));
        let path = self.world.home.join("mac.data");
        std::fs::write(&path, DATA).unwrap();
        let arguments = ["dgst", &name, "-mac", "HMAC", "-macopt", &key, "-binary"];
        Command::new("openssl").args(arguments).arg(path).output().unwrap().stdout
    }

    /// Decrypts what openssl has encrypted.
    fn decrypts(&self) {
        let hash = self.own_hash();
        let path = |name: &str| self.world.home.join(name);
        std::fs::write(path("rsa.spki"), self.world.emulator.google().public_key_spki(&self.version).unwrap()).unwrap();
        std::fs::write(path("plain"), DATA).unwrap();
        let output = Command::new("openssl")
            .args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-pkeyopt", "rsa_padding_mode:oaep"])
            .args(["-pkeyopt", &format!("rsa_oaep_md:{}", hash.0), "-inkey"])
            .args([path("rsa.spki"), "-in".into(), path("plain")])
            .output()
            .unwrap();
        let mgf = [(CKM_SHA_1, CKG_MGF1_SHA1), (CKM_SHA256, CKG_MGF1_SHA256), (CKM_SHA512, CKG_MGF1_SHA512)];
        let decrypt = |row: usize| {
            let mut parameters = oaep(mgf[row].0, mgf[row].1);
            let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut parameters);
            self.p11.decrypt(self.session, self.object(), &mut mechanism, &output.stdout)
        };
        let own = mgf.iter().position(|row| row.0 == hash.1).unwrap();
        assert_eq!(decrypt(own).as_deref(), Ok(DATA), "{}: {}", self.algorithm, self.world.log());
        self.refuses(|| decrypt((own + 1) % 3), &[CKR_MECHANISM_PARAM_INVALID]);
    }

    /// Checks that a call fails in such a way, and that the log line names the algorithm.
    fn refuses(&self, call: impl FnOnce() -> Rv<Vec<u8>>, expected: &[CK_RV]) {
        let (before, asked) = (self.world.log().len(), self.world.count("google.AsymmetricSign"));
        let rv = call().unwrap_err();
        let log = self.world.log()[before..].to_owned();
        assert!(expected.contains(&rv), "{}: {rv:x}: {log}", self.algorithm);
        let line = log.lines().find(|line| line.contains("] error: ")).unwrap_or_default();
        assert!(line.contains(&format!("its algorithm is {}", self.algorithm)), "{}: {log}", self.algorithm);
        assert_eq!(self.world.count("google.AsymmetricSign"), asked, "refused without a request");
    }

    /// Tries the mechanisms of other algorithms for keys of the same type.
    fn refuses_others(&self, own: &[CK_MECHANISM_TYPE]) {
        #[rustfmt::skip]
        const OTHERS: [(&str, &[CK_MECHANISM_TYPE]); 4] = [
            ("RSA", &[CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA512_RSA_PKCS, CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS]),
            ("HMAC", &[CKM_SHA_1_HMAC, CKM_SHA224_HMAC, CKM_SHA256_HMAC, CKM_SHA384_HMAC, CKM_SHA512_HMAC]),
            ("PQ_SIGN_ML_DSA", ML_DSA_MU),
            ("SLH_DSA", &[CKM_SLH_DSA, CKM_HASH_SLH_DSA_SHA256]),
        ];
        let others = OTHERS.iter().filter(|row| self.algorithm.contains(row.0)).flat_map(|row| row.1);
        for ckm in others.filter(|ckm| !own.contains(ckm)) {
            self.refuses(|| self.sign(*ckm), &[CKR_MECHANISM_INVALID, CKR_KEY_FUNCTION_NOT_PERMITTED]);
        }
        if self.algorithm.starts_with("RSA_SIGN") {
            let mut parameters = oaep(CKM_SHA256, CKG_MGF1_SHA256);
            let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut parameters);
            let decrypt = || self.p11.decrypt(self.session, self.object(), &mut mechanism, &[0; 256]);
            self.refuses(decrypt, &[CKR_KEY_FUNCTION_NOT_PERMITTED]);
        }
    }
}

module_test! {
    fn each_algorithm_does_what_its_mechanisms_say(world) {
        let versions: Vec<_> = ROWS.iter().map(|row| key(world, row.0, row.0)).collect();
        let slot = |(number, version): (usize, &String)| json!({ "label": number.to_string(), "google_key": version });
        let slots: Vec<_> = versions.iter().enumerate().map(slot).collect();
        configure(world, json!(slots), json!({}));
        let p11 = world.module();
        p11.load_all();
        for ((slot, (algorithm, mechanisms)), version) in ROWS.iter().enumerate().zip(versions) {
            let key = Key { world, algorithm, version, p11, session: p11.open(slot as CK_SLOT_ID) };
            let (mut allowed, mut expected) = (p11.mechanisms(key.session, key.object()), mechanisms.to_vec());
            allowed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(allowed, expected, "{algorithm}");
            if *mechanisms == OAEP {
                key.decrypts();
            }
            for ckm in mechanisms.iter().filter(|ckm| **ckm != CKM_RSA_PKCS_OAEP) {
                let mut signature = key.sign(*ckm).unwrap_or_else(|rv| panic!("{algorithm}, {ckm:x}: {rv:x}: {}", world.log()));
                assert!(key.verifies(*ckm, &signature), "{algorithm}, {ckm:x}");
                signature[19] ^= 1;
                assert!(!key.verifies(*ckm, &signature), "{algorithm}, {ckm:x}: the other library accepts a wrong signature");
            }
            key.refuses_others(mechanisms);
        }
        assert!(!world.log().contains("] warn: "), "{}", world.log());
    }
}

module_test! {
    fn another_hash_in_the_data_is_refused_by_the_name_of_the_algorithm(world) {
        let version = key(world, "k", "RSA_SIGN_PKCS1_2048_SHA256");
        configure(world, json!([{ "google_key": version }]), json!({}));
        let p11 = world.module();
        let key = Key { world, algorithm: "RSA_SIGN_PKCS1_2048_SHA256", version, p11, session: p11.open(0) };
        let input = digest_info(SHA512, &digest(world, SHA512));
        key.refuses(|| p11.sign(key.session, key.object(), CKM_RSA_PKCS, &[], &input), &[CKR_DATA_INVALID]);
    }
}

module_test! {
    fn the_service_verifies_a_mac(world) {
        configure(world, json!([{ "google_key": key(world, "k", "HMAC_SHA256") }]), json!({}));
        let p11 = world.module();
        let session = p11.open(0);
        let secret = p11.only(session, CKO_SECRET_KEY);
        let mut mac = p11.sign(session, secret, CKM_SHA256_HMAC, &[], DATA).unwrap();
        assert_eq!(p11.verify(session, secret, &mut plain(CKM_SHA256_HMAC), DATA, &mac), Ok(()));
        mac[0] ^= 1;
        assert_eq!(p11.verify(session, secret, &mut plain(CKM_SHA256_HMAC), DATA, &mac), Err(CKR_SIGNATURE_INVALID));
        assert_eq!((world.count("google.MacSign"), world.count("google.MacVerify")), (1, 2));
    }
}

#[test]
fn the_rows_are_all_algorithms_of_the_module() {
    let table = include_str!("../../../src/cloud/google/keys/algorithms.rs");
    let names: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("    \"")?.split('"').next()).collect();
    assert_eq!(names, ROWS.iter().map(|row| row.0).collect::<Vec<_>>());
}
