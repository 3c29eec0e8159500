//! Signs a file by every mechanism that a token lists, with the `cryptoki` crate.
//!
//!     cargo run --example cryptoki -- MODULE TOKEN FILE FOLDER
//!
//! Each mechanism has a thread and a session of its own, as a server's requests would. The signatures come in the form that OpenSSL
//! takes: FOLDER/MECHANISM.sig.
#![allow(clippy::print_stdout, reason = "a program")]

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::{Mechanism, MechanismType, rsa::PkcsMgfType, rsa::PkcsPssParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use der::Encode;
use der::asn1::UintRef;
use std::error::Error;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SHA256: (MechanismType, PkcsMgfType, u64) = (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32);
const SHA384: (MechanismType, PkcsMgfType, u64) = (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48);
const SHA512: (MechanismType, PkcsMgfType, u64) = (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64);

fn pss((hash_alg, mgf, length): (MechanismType, PkcsMgfType, u64)) -> PkcsPssParams {
    PkcsPssParams { hash_alg, mgf, s_len: length.into() }
}

/// Those that take the data as it is.
fn mechanisms(rsa: bool) -> Vec<(&'static str, Mechanism<'static>)> {
    if rsa {
        vec![
            ("SHA256_RSA_PKCS", Mechanism::Sha256RsaPkcs),
            ("SHA384_RSA_PKCS", Mechanism::Sha384RsaPkcs),
            ("SHA512_RSA_PKCS", Mechanism::Sha512RsaPkcs),
            ("SHA256_RSA_PKCS_PSS", Mechanism::Sha256RsaPkcsPss(pss(SHA256))),
            ("SHA384_RSA_PKCS_PSS", Mechanism::Sha384RsaPkcsPss(pss(SHA384))),
            ("SHA512_RSA_PKCS_PSS", Mechanism::Sha512RsaPkcsPss(pss(SHA512))),
        ]
    } else {
        vec![
            ("ECDSA_SHA1", Mechanism::EcdsaSha1),
            ("ECDSA_SHA224", Mechanism::EcdsaSha224),
            ("ECDSA_SHA256", Mechanism::EcdsaSha256),
            ("ECDSA_SHA384", Mechanism::EcdsaSha384),
            ("ECDSA_SHA512", Mechanism::EcdsaSha512),
        ]
    }
}

fn find_token(pkcs11: &Pkcs11, label: &str) -> Result<Slot> {
    for slot in pkcs11.get_slots_with_token()? {
        if pkcs11.get_token_info(slot)?.label() == label {
            return Ok(slot);
        }
    }
    Err(format!("no token {label}").into())
}

/// What the token has, each with its label and id; and whether its key is RSA.
fn list(session: &Session) -> Result<bool> {
    let mut rsa = false;
    for object in session.find_objects(&[])? {
        let wanted = [AttributeType::Class, AttributeType::Label, AttributeType::Id];
        let found = session.get_attributes(object, &wanted)?;
        let [Attribute::Class(class), Attribute::Label(label), Attribute::Id(id)] = &found[..] else {
            return Err("an attribute is missing".into());
        };
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("object {class} {} {id}", String::from_utf8_lossy(label));
        if *class == ObjectClass::PRIVATE_KEY {
            let kind = session.get_attributes(object, &[AttributeType::KeyType])?;
            rsa = kind == [Attribute::KeyType(KeyType::RSA)];
        }
    }
    Ok(rsa)
}

fn sign(session: &Session, mechanism: &Mechanism<'_>, data: &[u8], rsa: bool) -> Result<Vec<u8>> {
    let [key] = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?[..] else {
        return Err("not one private key".into());
    };
    let whole = session.sign(mechanism, key, data)?;
    if rsa {
        return Ok(whole);
    }
    // In parts, and r || s to DER.
    session.sign_init(mechanism, key)?;
    for part in data.chunks(99) {
        session.sign_update(part)?;
    }
    let raw = session.sign_final()?;
    let (r, s) = raw.split_at(raw.len() / 2);
    Ok([UintRef::new(r)?, UintRef::new(s)?].to_vec().to_der()?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, label, file, folder] = &arguments[..] else {
        return Err("cryptoki MODULE TOKEN FILE FOLDER".into());
    };
    let data = std::fs::read(file)?;
    std::fs::create_dir_all(folder)?;

    let pkcs11 = Pkcs11::new(module)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let slot = find_token(&pkcs11, label)?;
    let session = pkcs11.open_ro_session(slot)?;
    let rsa = list(&session)?;
    // Not needed, and any PIN will do.
    session.login(UserType::User, Some(&AuthPin::new("".into())))?;

    let listed = pkcs11.get_mechanism_list(slot)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..mechanisms(rsa).len())
            .map(|i| {
                let (pkcs11, data, listed) = (&pkcs11, &data, &listed);
                scope.spawn(move || -> Result<()> {
                    // A Mechanism can't be sent to a thread.
                    let (name, mechanism) = mechanisms(rsa).swap_remove(i);
                    // cryptoki 0.12.1 leaves this one out of every list.
                    let unknown = mechanism.mechanism_type() == MechanismType::ECDSA_SHA224;
                    if !unknown && !listed.contains(&mechanism.mechanism_type()) {
                        return Err(format!("{name} is not listed").into());
                    }
                    let session = pkcs11.open_ro_session(slot)?;
                    let signature =
                        sign(&session, &mechanism, data, rsa).map_err(|error| format!("{name}: {error}"))?;
                    std::fs::write(Path::new(folder).join(name).with_extension("sig"), signature)?;
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread died")?)
    })
}
