//! Signs a file with a token's RSA or EC key, by each mechanism of a table, with the `cryptoki` crate.
//!
//!     cargo run --example cryptoki -- MODULE TOKEN FILE FOLDER
//!
//! Each mechanism runs in a separate thread with a separate session, like the requests in a server. The signatures have OpenSSL's
//! format:
//!
//! * FOLDER/MECHANISM.sig, by C_Sign;
//! * FOLDER/MECHANISM-parts.sig, by C_SignUpdate and C_SignFinal, for the mechanisms that hash the data;
//! * FOLDER/MECHANISM-no-login.sig, by C_Sign before the login, for one mechanism.
#![allow(clippy::print_stdout, reason = "a program")]

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::{Mechanism, MechanismType, rsa::PkcsMgfType, rsa::PkcsPssParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
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

/// The bytes before a SHA-256 digest in a DigestInfo (RFC 8017, section 9.2).
const SHA256_DIGEST_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// The input of a mechanism.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    /// The data, which the mechanism hashes.
    Data,
    /// The SHA-256 digest of the data.
    Digest,
    /// The DER encoding of a DigestInfo with that digest.
    DigestInfo,
}

type Row = (&'static str, Mechanism<'static>, Input);

/// The signing mechanisms. The first one also signs before the login.
fn mechanisms(rsa: bool) -> Vec<Row> {
    if rsa {
        vec![
            ("SHA256_RSA_PKCS", Mechanism::Sha256RsaPkcs, Input::Data),
            ("SHA384_RSA_PKCS", Mechanism::Sha384RsaPkcs, Input::Data),
            ("SHA512_RSA_PKCS", Mechanism::Sha512RsaPkcs, Input::Data),
            ("SHA256_RSA_PKCS_PSS", Mechanism::Sha256RsaPkcsPss(pss(SHA256)), Input::Data),
            ("SHA384_RSA_PKCS_PSS", Mechanism::Sha384RsaPkcsPss(pss(SHA384)), Input::Data),
            ("SHA512_RSA_PKCS_PSS", Mechanism::Sha512RsaPkcsPss(pss(SHA512)), Input::Data),
            ("RSA_PKCS", Mechanism::RsaPkcs, Input::DigestInfo),
            ("RSA_PKCS_PSS", Mechanism::RsaPkcsPss(pss(SHA256)), Input::Digest),
        ]
    } else {
        vec![
            ("ECDSA_SHA256", Mechanism::EcdsaSha256, Input::Data),
            ("ECDSA_SHA1", Mechanism::EcdsaSha1, Input::Data),
            ("ECDSA_SHA224", Mechanism::EcdsaSha224, Input::Data),
            ("ECDSA_SHA384", Mechanism::EcdsaSha384, Input::Data),
            ("ECDSA_SHA512", Mechanism::EcdsaSha512, Input::Data),
            ("ECDSA", Mechanism::Ecdsa, Input::Digest),
        ]
    }
}

fn find_token(pkcs11: &Pkcs11, label: &str) -> Result<Slot> {
    for slot in pkcs11.get_slots_with_token()? {
        if pkcs11.get_token_info(slot)?.label() == label {
            return Ok(slot);
        }
    }
    Err(format!("the module has no token {label}").into())
}

/// Prints the objects of the token with their labels and ids. Returns whether its key is an RSA key.
fn list(session: &Session) -> Result<bool> {
    let mut rsa = false;
    for object in session.find_objects(&[])? {
        let wanted = [AttributeType::Class, AttributeType::Label, AttributeType::Id];
        let found = session.get_attributes(object, &wanted)?;
        let [Attribute::Class(class), Attribute::Label(label), Attribute::Id(id)] = &found[..] else {
            return Err("an object has no class, label or id".into());
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

fn private_key(session: &Session) -> Result<ObjectHandle> {
    match session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?[..] {
        [key] => Ok(key),
        _ => Err("the token must have exactly one private key".into()),
    }
}

fn sign(session: &Session, (_, mechanism, input): &Row, data: &[u8]) -> Result<Vec<u8>> {
    let key = private_key(session)?;
    let signature = match input {
        Input::Data => session.sign(mechanism, key, data)?,
        Input::Digest => session.sign(mechanism, key, &session.digest(&Mechanism::Sha256, data)?)?,
        Input::DigestInfo => {
            let digest = session.digest(&Mechanism::Sha256, data)?;
            session.sign(mechanism, key, &[SHA256_DIGEST_INFO, &digest].concat())?
        }
    };
    Ok(signature)
}

fn sign_in_parts(session: &Session, (_, mechanism, _): &Row, data: &[u8]) -> Result<Vec<u8>> {
    session.sign_init(mechanism, private_key(session)?)?;
    for part in data.chunks(99) {
        session.sign_update(part)?;
    }
    Ok(session.sign_final()?)
}

/// Writes the signature. Converts an ECDSA signature from `r || s`, the format of PKCS#11, to DER.
fn write(path: &Path, signature: Vec<u8>, rsa: bool) -> Result<()> {
    let encoded = if rsa {
        signature
    } else {
        let (r, s) = signature.split_at(signature.len() / 2);
        [UintRef::new(r)?, UintRef::new(s)?].to_vec().to_der()?
    };
    Ok(std::fs::write(path, encoded)?)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, label, file, folder] = &arguments[..] else {
        return Err("usage: cryptoki MODULE TOKEN FILE FOLDER".into());
    };
    let data = std::fs::read(file)?;
    std::fs::create_dir_all(folder)?;
    let path = |name: &str, suffix: &str| Path::new(folder).join(format!("{name}{suffix}.sig"));

    let pkcs11 = Pkcs11::new(module)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let slot = find_token(&pkcs11, label)?;
    let session = pkcs11.open_ro_session(slot)?;
    let rsa = list(&session)?;

    let first = mechanisms(rsa).swap_remove(0);
    write(&path(first.0, "-no-login"), sign(&session, &first, &data)?, rsa)?;
    // The module does not need a login, and accepts any PIN.
    session.login(UserType::User, Some(&AuthPin::new("".into())))?;

    let listed = pkcs11.get_mechanism_list(slot)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..mechanisms(rsa).len())
            .map(|i| {
                let (pkcs11, data, listed, path) = (&pkcs11, &data, &listed, &path);
                scope.spawn(move || -> Result<()> {
                    // `Mechanism` is not `Send`, so the thread makes its own.
                    let row = mechanisms(rsa).swap_remove(i);
                    let (name, mechanism, input) = &row;
                    // cryptoki 0.12.1 removes this mechanism from the list.
                    let unknown = mechanism.mechanism_type() == MechanismType::ECDSA_SHA224;
                    if !unknown && !listed.contains(&mechanism.mechanism_type()) {
                        return Err(format!("{name} is not listed").into());
                    }
                    let session = pkcs11.open_ro_session(slot)?;
                    let failed = |error| format!("{name}: {error}");
                    write(&path(name, ""), sign(&session, &row, data).map_err(failed)?, rsa)?;
                    if *input == Input::Data {
                        write(&path(name, "-parts"), sign_in_parts(&session, &row, data).map_err(failed)?, rsa)?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread died")?)
    })
}
