//! The certificate that the configuration names for a key: in any order and form, with any usage, for the key or
//! for another key.

use super::requests::base64;
use crate::support::p11::{P11, Rv, oaep, with};
use crate::support::world::World;
use crate::{c, module_test};
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs openssl in a folder and returns its output.
fn openssl(folder: &Path, arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Returns a certificate for that key (DER of SubjectPublicKeyInfo) with these extensions. The certificate is
/// self-signed in name only.
pub fn certificate_for(world: &World, spki: &[u8], extensions: &str) -> Vec<u8> {
    let folder = world.home.as_path();
    std::fs::write(folder.join("extensions"), extensions).unwrap();
    std::fs::write(folder.join("public"), spki).unwrap();
    openssl(folder, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out issuer");
    openssl(folder, "req -new -subj /CN=web -key issuer -out issuer.csr");
    openssl(folder, "pkey -pubin -inform DER -in public -out public.pem");
    openssl(
        folder,
        "x509 -req -in issuer.csr -signkey issuer -force_pubkey public.pem -extfile extensions -outform DER",
    )
}

/// Returns a self-signed certificate for that key, in PEM. It is self-signed in name only.
pub fn pem_for(folder: &Path, spki: &[u8]) -> String {
    std::fs::write(folder.join("public"), spki).unwrap();
    openssl(folder, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out issuer");
    openssl(folder, "req -new -subj /CN=web -key issuer -out issuer.csr");
    openssl(folder, "pkey -pubin -inform DER -in public -out public.pem");
    let pem = openssl(folder, "x509 -req -in issuer.csr -signkey issuer -force_pubkey public.pem");
    String::from_utf8(pem).unwrap()
}

/// Returns a root, an intermediate and a certificate for that key, in PEM. The authority has RSA keys.
pub fn chain_for(world: &World, name: &str, spki: &[u8]) -> [String; 3] {
    let folder = world.home.join(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("public"), spki).unwrap();
    let run = |arguments: &str| openssl(&folder, arguments);
    run("req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -subj /CN=root -days 9");
    run("req -new -newkey rsa:2048 -nodes -keyout middle.key -out middle.csr -subj /CN=middle");
    run("x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -out middle.pem -days 9");
    run("pkey -pubin -inform DER -in public -out public.pem");
    run("req -new -newkey rsa:2048 -nodes -keyout any.key -out any.csr -subj /CN=web");
    std::fs::write(folder.join("extensions"), "keyUsage=critical,digitalSignature").unwrap();
    run(
        "x509 -req -in any.csr -CA middle.pem -CAkey middle.key -CAcreateserial -force_pubkey public.pem -extfile extensions -out leaf.pem -days 9",
    );
    ["root.pem", "middle.pem", "leaf.pem"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap())
}

fn write(world: &World, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = world.home.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn sign(p11: P11, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Rv<Vec<u8>> {
    let mechanism = match p11.number(session, key, CKA_KEY_TYPE)? {
        CKK_RSA => CKM_SHA256_RSA_PKCS,
        _ => CKM_ECDSA_SHA256,
    };
    p11.sign(session, key, mechanism, &[], b"data")
}

module_test! {
    /// Many portals write the root first. An EC key then appeared as the root's RSA key and refused to sign.
    fn a_file_may_have_its_certificates_in_any_order(world) {
        let aws = world.emulator.aws();
        let key = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("z", VaultKey::ec("P-384")).unwrap();
        let spki = [aws.public_key_spki(&key.id).unwrap(), vault.public_key_spki("z", "").unwrap()];
        let chains = [chain_for(world, "aws", &spki[0]), chain_for(world, "azure", &spki[1])];
        let orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]];
        let mut slots = Vec::new();
        for order in orders {
            for (cloud, names) in [("a", json!({ "kms_key_id": "alias/a" })), ("z", json!({ "key_name": "z" }))] {
                let chain = &chains[usize::from(cloud == "z")];
                let label = format!("{cloud}-{order:?}");
                let path = write(world, &label, order.map(|index| chain[index].as_str()).concat());
                let mut slot = json!({ "label": label, "certificate_path": path });
                slot.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
                slots.push(slot);
            }
        }
        world.configure(json!(slots));
        let p11 = world.module();
        for slot in p11.slots() {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            assert_eq!(p11.attribute(session, key, CKA_PUBLIC_KEY_INFO).unwrap(), spki[slot as usize % 2]);
            let certificates = p11.find_class(session, CKO_CERTIFICATE);
            let names: Vec<_> = certificates.iter().map(|own| p11.attribute(session, *own, CKA_SUBJECT).unwrap()).collect();
            let has = |name: &[u8]| names.iter().map(|own| own.ends_with(name)).collect::<Vec<_>>();
            assert_eq!((has(b"web"), has(b"middle"), has(b"root")), (vec![true, false, false], vec![false, true, false], vec![false, false, true]));
            assert_eq!(p11.attribute(session, certificates[0], CKA_ID), p11.attribute(session, key, CKA_ID));
            sign(p11, session, key).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        }
        assert_eq!(world.requests(), 8, "a certificate that is clear costs no request: {:?}", world.emulator.control().counts());
    }
}

module_test! {
    /// A key that works signs, whatever its certificate says.
    fn a_key_with_a_stale_certificate_still_signs(world) {
        let aws = world.emulator.aws();
        aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        let other = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/other")).unwrap();
        let rsa = aws.create_key(AwsKey::new("RSA_2048").alias("alias/rsa")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("z", VaultKey::ec("P-256")).unwrap();
        let usage = "keyUsage=critical,digitalSignature";
        let stale = write(world, "stale.der", certificate_for(world, &aws.public_key_spki(&other.id).unwrap(), usage));
        let another = write(world, "another.der", certificate_for(world, &aws.public_key_spki(&rsa.id).unwrap(), usage));
        world.configure(json!([
            { "label": "a", "kms_key_id": "alias/a", "certificate_path": stale },
            { "label": "z", "key_name": "z", "certificate_path": stale },
            { "label": "a of another type", "kms_key_id": "alias/a", "certificate_path": another },
            { "label": "z of another type", "key_name": "z", "certificate_path": another },
        ]));
        let p11 = world.module();
        for slot in [0, 1] {
            let session = p11.open(slot);
            let (key, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
            let before = p11.attribute(session, public, CKA_EC_POINT).unwrap();
            for _ in 0..2 {
                let signature = sign(p11, session, key).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
                let mut mechanism = crate::support::p11::plain(CKM_ECDSA_SHA256);
                assert_eq!(p11.verify(session, public, &mut mechanism, b"data", &signature), Ok(()), "the public key is the service's");
            }
            assert_ne!(p11.attribute(session, public, CKA_EC_POINT).unwrap(), before);
            assert_eq!(p11.private_key(session), key, "the handles stay");
            assert!(p11.find_class(session, CKO_CERTIFICATE).is_empty());
            let line = format!("the certificate {} belongs to another key; the module uses the public key of the service", stale.display());
            assert!(world.log().contains(&line), "{}", world.log());
        }
        for slot in [2, 3] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            assert_eq!(sign(p11, session, key), Err(CKR_KEY_HANDLE_INVALID), "{}", world.log());
            assert!(world.log().contains(&format!("the certificate {} belongs to another key; this key is of kind P-256; search for the key again", another.display())), "{}", world.log());
            sign(p11, session, p11.private_key(session)).unwrap();
        }
    }
}

module_test! {
    /// Decryption asks the service about the key, just as signing does. A ciphertext whose length does not fit the
    /// certificate's key is detected locally.
    fn decrypting_reports_a_stale_certificate_of_another_type(world) {
        let aws = world.emulator.aws();
        aws.create_key(AwsKey::new("RSA_3072").usage("ENCRYPT_DECRYPT").alias("alias/a")).unwrap();
        let other = aws.create_key(AwsKey::new("RSA_2048")).unwrap();
        world.emulator.vault("default").create_key("z", VaultKey::rsa(3072)).unwrap();
        let usage = "keyUsage=critical,keyEncipherment";
        let spki = aws.public_key_spki(&other.id).unwrap();
        let stale = write(world, "stale.der", certificate_for(world, &spki, usage));
        world.configure(json!([
            { "label": "a", "kms_key_id": "alias/a", "certificate_path": stale },
            { "label": "z", "key_name": "z", "certificate_path": stale },
            { "label": "a as it is", "kms_key_id": "alias/a" },
            { "label": "z as it is", "key_name": "z" },
        ]));
        let p11 = world.module();
        let mut parameters = oaep(CKM_SHA_1, CKG_MGF1_SHA1);
        let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut parameters);
        for slot in [0, 1] {
            let (session, right) = (p11.open(slot), p11.open(slot + 2));
            let encrypted = p11.encrypt(right, p11.only(right, CKO_PUBLIC_KEY), &mut mechanism, b"text").unwrap();
            let key = p11.private_key(session);
            let refused = p11.decrypt(session, key, &mut mechanism, &encrypted);
            assert_eq!(refused, Err(CKR_KEY_HANDLE_INVALID), "{}", world.log());
            let line = format!("{} belongs to another key; this key is of kind rsa3072; search for the key again", stale.display());
            assert!(world.log().contains(&line), "{}", world.log());
            let key = p11.private_key(session);
            assert_eq!(p11.decrypt(session, key, &mut mechanism, &encrypted).unwrap(), b"text");
        }
    }
}

/// Returns the DER of a certificate with another public key. Its signature is not valid.
fn with_public_key(certificate: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let (whole, _) = sequence_content(certificate);
    let (body, signature) = sequence_content(whole);
    let place = body.windows(old.len()).position(|part| part == old).unwrap();
    let body = [&body[..place], new, &body[place + old.len()..]].concat();
    sequence(&[&sequence(&body)[..], signature].concat())
}

/// Returns the content of a SEQUENCE of 128 to 65,535 bytes, and what follows the SEQUENCE.
fn sequence_content(der: &[u8]) -> (&[u8], &[u8]) {
    match der {
        [0x30, 0x81, length, rest @ ..] => rest.split_at(usize::from(*length)),
        [0x30, 0x82, high, low, rest @ ..] => rest.split_at(usize::from(u16::from_be_bytes([*high, *low]))),
        _ => panic!("{der:?}"),
    }
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[0x30, 0x82, high, low], content].concat()
}

module_test! {
    /// What an ML-DSA key signs depends on its public key. A signature of the public key in a wrong certificate is none of the
    /// message.
    fn a_wrong_certificate_never_yields_an_ml_dsa_signature(world) {
        let aws = world.emulator.aws();
        aws.create_key(AwsKey::new("ML_DSA_44").alias("alias/m")).unwrap();
        let other = aws.create_key(AwsKey::new("ML_DSA_44")).unwrap();
        // OpenSSL 3.0 does not know ML-DSA, so the certificate is one of another key, with the public key replaced.
        let any = aws.create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
        let [spki, any] = [other, any].map(|key| aws.public_key_spki(&key.id).unwrap());
        let certificate = certificate_for(world, &any, "keyUsage=critical,digitalSignature");
        let stale = write(world, "stale.der", with_public_key(&certificate, &any, &spki));
        world.configure(json!([{ "label": "m", "kms_key_id": "alias/m", "certificate_path": stale }]));
        let p11 = world.module();
        let session = p11.open(0);
        let sign = || p11.sign(session, p11.private_key(session), CKM_ML_DSA, &[], b"data");
        assert_eq!(sign(), Err(CKR_KEY_HANDLE_INVALID), "{}", world.log());
        let signature = sign().unwrap();
        let mut mechanism = crate::support::p11::plain(CKM_ML_DSA);
        assert_eq!(p11.verify(session, p11.only(session, CKO_PUBLIC_KEY), &mut mechanism, b"data", &signature), Ok(()));
    }
}

module_test! {
    /// The forms that users have: DER, PKCS#7, OpenSSL's trusted certificates, text in UTF-16.
    fn a_certificate_may_have_any_form(world) {
        let aws = world.emulator.aws();
        let key = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        let spki = aws.public_key_spki(&key.id).unwrap();
        let der = write(world, "a.der", certificate_for(world, &spki, "keyUsage=critical,digitalSignature"));
        let folder = world.home.as_path();
        openssl(folder, "x509 -inform DER -in a.der -out a.pem");
        openssl(folder, "x509 -in a.pem -addtrust serverAuth -trustout -out trusted.pem");
        openssl(folder, "crl2pkcs7 -nocrl -certfile a.pem -outform DER -out a.p7b");
        openssl(folder, "crl2pkcs7 -nocrl -certfile a.pem -out p7b.pem");
        let pem = std::fs::read_to_string(folder.join("a.pem")).unwrap();
        write(world, "windows.cer", format!("\u{feff}{pem}").replace('\n', "\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        write(world, "bare.txt", base64(&std::fs::read(der).unwrap()));
        let forms = ["a.der", "a.pem", "trusted.pem", "a.p7b", "p7b.pem", "windows.cer", "bare.txt"];
        let slots = forms.map(|form| json!({ "label": form, "kms_key_id": "alias/a", "certificate_path": folder.join(form) }));
        world.configure(json!(slots));
        let p11 = world.module();
        for slot in p11.slots() {
            let session = p11.open(slot);
            assert_eq!(p11.attribute(session, p11.only(session, CKO_CERTIFICATE), CKA_PUBLIC_KEY_INFO).as_ref(), Ok(&spki), "{}", forms[slot as usize]);
        }
        assert_eq!(world.requests(), 0);
        assert!(!world.log().contains("error: "), "{}", world.log());
    }
}

module_test! {
    fn a_file_without_certificate_is_reported_with_its_line(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        let folder = world.home.as_path();
        openssl(folder, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
        let text = format!("note\n{}", std::fs::read_to_string(folder.join("key.pem")).unwrap());
        let path = write(world, "no.pem", text);
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a", "certificate_path": path }]));
        let p11 = world.module();
        let session = p11.open(0);
        sign(p11, session, p11.private_key(session)).unwrap();
        let line = format!("the certificate {}: it contains no certificate: line 2: PRIVATE KEY; the key is shown without it", path.display());
        assert!(world.log().contains(&line), "{}", world.log());
    }
}

module_test! {
    /// If a certificate does not determine the purpose of a KMS key, the service is asked once, and the cache
    /// keeps the reply.
    fn an_unclear_key_usage_is_asked_of_the_service_once(world) {
        let aws = world.emulator.aws();
        let make = |spec: &str, usage: &str, alias: &str| aws.create_key(AwsKey::new(spec).usage(usage).alias(alias)).unwrap();
        let keys = [
            (make("RSA_2048", "SIGN_VERIFY", "alias/s"), CKA_SIGN),
            (make("RSA_2048", "ENCRYPT_DECRYPT", "alias/d"), CKA_DECRYPT),
            (make("ECC_NIST_P256", "SIGN_VERIFY", "alias/es"), CKA_SIGN),
            (make("ECC_NIST_P256", "KEY_AGREEMENT", "alias/k"), CKA_DERIVE),
        ];
        let usages = ["", "keyUsage=digitalSignature,keyEncipherment,keyAgreement"];
        let slot = |usage: &str, (key, _): &(cloud_kms_emulator::AwsKeyId, CK_ATTRIBUTE_TYPE)| {
            let certificate = certificate_for(world, &aws.public_key_spki(&key.id).unwrap(), usage);
            json!({ "label": format!("{}{usage}", key.id), "kms_key_id": key.id, "certificate": base64(&certificate) })
        };
        let slots: Vec<_> = usages.iter().flat_map(|usage| keys.iter().map(|key| slot(usage, key))).collect();
        world.configure_with(json!(slots), json!({ "cache_folder": world.home.join("cache") }));
        let p11 = world.module();
        let all = || for slot in p11.slots() {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            let own = keys[slot as usize % 4].1;
            for flag in [CKA_SIGN, CKA_DECRYPT, CKA_DERIVE] {
                assert_eq!(p11.attribute(session, key, flag), Ok(vec![u8::from(flag == own)]), "0x{flag:x} of slot {slot}");
                let found = p11.find(session, &[(CKA_CLASS, CKO_PRIVATE_KEY.to_ne_bytes().to_vec()), (flag, vec![CK_TRUE])]);
                assert_eq!(found.len(), usize::from(flag == own));
            }
        };
        all();
        let asked = world.count("kms.GetPublicKey");
        assert!((4..=8).contains(&asked), "{asked}: one request for each key, or for each slot whose keys were loaded together");
        p11.finalize().unwrap();
        p11.initialize().unwrap();
        all();
        assert_eq!(world.count("kms.GetPublicKey"), asked, "the public key comes from the cache");
    }
}

module_test! {
    fn a_certificate_that_determines_the_usage_costs_no_request(world) {
        let aws = world.emulator.aws();
        let decrypts = aws.create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/d")).unwrap();
        let signs = aws.create_key(AwsKey::new("RSA_2048").alias("alias/s")).unwrap();
        let lattice = aws.create_key(AwsKey::new("ECC_SECG_P256K1").alias("alias/k1")).unwrap();
        let slot = |alias: &str, id: &str, usage: &str| {
            let certificate = certificate_for(world, &aws.public_key_spki(id).unwrap(), usage);
            json!({ "label": alias, "kms_key_id": alias, "certificate": base64(&certificate) })
        };
        world.configure(json!([
            slot("alias/d", &decrypts.id, "keyUsage=keyEncipherment"),
            slot("alias/s", &signs.id, "keyUsage=digitalSignature"),
            slot("alias/k1", &lattice.id, ""),
        ]));
        let p11 = world.module();
        for (slot, own) in [(0, CKA_DECRYPT), (1, CKA_SIGN), (2, CKA_SIGN)] {
            let session = p11.open(slot);
            assert_eq!(p11.attribute(session, p11.private_key(session), own), Ok(vec![CK_TRUE]));
        }
        assert_eq!(world.requests(), 0);
        // A certificate for signing, of a key that KMS uses for decryption: a later reply from KMS corrects the
        // key's attributes.
        let wrong = certificate_for(world, &aws.public_key_spki(&decrypts.id).unwrap(), "keyUsage=digitalSignature");
        p11.finalize().unwrap();
        world.configure(json!([{ "label": "d", "kms_key_id": "alias/d", "certificate": base64(&wrong) }]));
        p11.initialize().unwrap();
        let session = p11.open(0);
        let key = p11.private_key(session);
        let mut sha256 = crate::support::p11::oaep(CKM_SHA256, CKG_MGF1_SHA256);
        let mut mechanism = crate::support::p11::with(CKM_RSA_PKCS_OAEP, &mut sha256);
        c!(p11, C_DecryptInit(session, &mut mechanism, key)).unwrap();
        let flags = [CKA_SIGN, CKA_DECRYPT].map(|flag| p11.attribute(session, key, flag).unwrap());
        assert_eq!(flags, [[CK_FALSE], [CK_TRUE]], "under the same handle");
    }
}
