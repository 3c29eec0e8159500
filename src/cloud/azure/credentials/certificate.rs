//! An application's certificate with its private key, in the usual formats: PEM, with or without encryption of the
//! key, and PKCS#12, as bytes or in base64.

use crate::certificate::Certificate;
use crate::certificate::{file, pem};
use crate::cloud::credentials::file as credential_file;
use crate::cloud::credentials::password_encryption::{DecryptError, Password};
use crate::cloud::credentials::pkcs12::{Pfx, decrypt_private_key_info, is_pkcs12};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use der::asn1::AnyRef;
use der::{Decode, Reader};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

/// The key that signs assertions, and the thumbprint that tells Entra which certificate the key belongs to.
pub(crate) struct ClientCertificate {
    pub(crate) key: RsaKeyPair,
    /// SHA-256 of the certificate, in the form of JWT (RFC 7515 section 4.1.8).
    pub(crate) thumbprint: String,
}

/// A password that the user has configured, and the setting that contains it.
pub(crate) struct ConfiguredPassword {
    pub(crate) text: Zeroizing<String>,
    /// The option's file, or the variable.
    pub(crate) setting: String,
}

/// Keys and certificates in DER. A key is in PKCS#8 or PKCS#1 form.
#[derive(Default)]
struct KeysAndCertificates {
    keys: Vec<Zeroizing<Vec<u8>>>,
    certificates: Vec<Vec<u8>>,
}

impl ClientCertificate {
    /// Reads the contents of a file. The key, its certificate and other certificates of the chain may be in any
    /// order.
    ///
    /// # Errors
    /// Returns a sentence that says what to do, without the path.
    pub(crate) fn read(file: &[u8], password: Option<&ConfiguredPassword>) -> Result<Self, String> {
        if file.iter().all(|byte| byte.is_ascii_whitespace() || BOM.contains(byte)) {
            return Err("the file is empty".into());
        }
        let found = match pfx(file) {
            Some(pfx) => parse_pfx(&pfx, password)?,
            None if file.first() == Some(&SEQUENCE) => return Err(OTHER_DER.into()),
            None => parse_pem(&credential_file::decode_text(file).ok_or(NO_TEXT)?, password)?,
        };
        match (found.keys.is_empty(), found.certificates.is_empty()) {
            (true, _) => return Err(NO_KEY.into()),
            (_, true) => return Err(NO_CERTIFICATE.into()),
            _ => {}
        }
        let mut why = Err("none of the certificates in the file belongs to its private key".to_owned());
        for key in &found.keys {
            match rsa_key(key) {
                Err(useless) => why = Err(useless),
                Ok(key) => {
                    if let Some(own) = found.certificates.iter().find(|der| is_certificate_of(der, &key)) {
                        let thumbprint = digest::digest(&digest::SHA256, own);
                        return Ok(Self { key, thumbprint: Base64UrlUnpadded::encode_string(thumbprint.as_ref()) });
                    }
                }
            }
        }
        why
    }
}

/// The bytes of a byte order mark.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The first byte of DER. A PEM file and PKCS#12 in base64 are not expected to begin with it.
const SEQUENCE: u8 = 0x30;

/// Returns the bytes of a PKCS#12 file. The file contains the bytes themselves, or base64, which is what Key Vault
/// returns as the secret of a certificate.
fn pfx(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = match file.first() {
        Some(&SEQUENCE) if is_pkcs12(file) => Zeroizing::new(file.to_vec()),
        _ => {
            let text = credential_file::decode_text(file).filter(|text| !text.contains("-----BEGIN"))?;
            let mut letters = Zeroizing::new(String::with_capacity(text.len()));
            letters.extend(text.chars().filter(|c| !c.is_whitespace()));
            Zeroizing::new(Base64::decode_vec(&letters).ok()?)
        }
    };
    is_pkcs12(&bytes).then_some(bytes)
}

fn parse_pfx(bytes: &[u8], password: Option<&ConfiguredPassword>) -> Result<KeysAndCertificates, String> {
    let text = password.map_or("", |own| &own.text);
    let open = |is_none| Pfx::open(bytes, &Password { text, is_none });
    let opened = match open(false) {
        Err(DecryptError::WrongPassword) if text.is_empty() => open(true),
        opened => opened,
    };
    let Pfx { keys, certificates } = opened.map_err(|closed| decryption_message(closed, password, CONVERT_PFX))?;
    Ok(KeysAndCertificates { keys, certificates })
}

fn parse_pem(text: &str, password: Option<&ConfiguredPassword>) -> Result<KeysAndCertificates, String> {
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(OLD_ENCRYPTION.into());
    }
    if text.contains("-----BEGIN EC PRIVATE KEY-----") {
        return Err(NO_RSA.into());
    }
    let blocks: Vec<_> = pem::blocks(text).into_iter().flatten().collect();
    let named = |name| blocks.iter().filter(move |block| block.name == name).filter_map(|block| block.content());
    let mut keys: Vec<_> = named("PRIVATE KEY").chain(named("RSA PRIVATE KEY")).collect();
    for encrypted in named("ENCRYPTED PRIVATE KEY") {
        let own = password.filter(|own| !own.text.is_empty());
        let given = Password { text: own.map(|own| own.text.as_str()).ok_or(NO_PASSWORD)?, is_none: false };
        let opened = AnyRef::from_der(&encrypted)
            .map_err(DecryptError::from)
            .and_then(|all| decrypt_private_key_info(all, &given));
        keys.push(opened.map_err(|closed| decryption_message(closed, password, CONVERT_KEY))?);
    }
    let certificates = file::find(text.as_bytes()).certificates.into_iter().map(|(_, der)| der).collect();
    Ok(KeysAndCertificates { keys, certificates })
}

fn decryption_message(closed: DecryptError, password: Option<&ConfiguredPassword>, convert: &str) -> String {
    match (closed, password) {
        (DecryptError::WrongPassword, None) => NO_PASSWORD.into(),
        (DecryptError::WrongPassword, Some(own)) => format!("the password in {} is wrong", own.setting),
        (DecryptError::Unsupported(what), _) => {
            format!("the file uses an encryption or format that is not supported ({what}); {convert}")
        }
    }
}

const NO_TEXT: &str = "the file is neither PEM nor PKCS#12 (.pfx, .p12)";

const OTHER_DER: &str = "the file is DER, but not PKCS#12; it may be a certificate without its key; \
     use PKCS#12, or a PEM file with the certificate and its key";

const NO_KEY: &str = "the file has no private key (a PEM block named PRIVATE KEY, RSA PRIVATE KEY or ENCRYPTED PRIVATE KEY); \
     add the key to the same file";

const NO_CERTIFICATE: &str = "the file has no certificate (a PEM block named CERTIFICATE); \
     add the application's certificate to the same file";

const NO_PASSWORD: &str = "the file is encrypted with a password; write the password into a file and name that file in \
     \"azure_client_certificate_password_file\", or set AZURE_CLIENT_CERTIFICATE_PASSWORD";

const CONVERT_PFX: &str = "convert it: openssl pkcs12 -in FILE -noenc -out FILE.pem; chmod 600 FILE.pem";

const CONVERT_KEY: &str = "encrypt its key again: openssl pkcs8 -topk8 -in FILE -out KEY.pem; \
     then append the certificate";

const OLD_ENCRYPTION: &str = "its private key is encrypted in OpenSSL's old format (Proc-Type: 4,ENCRYPTED), which is too \
     weak; encrypt it again: openssl pkcs8 -topk8 -in FILE -out KEY.pem; then append the certificate";

const NO_RSA: &str =
    "its private key is on an elliptic curve, but Entra accepts RSA keys only; use a certificate with an RSA key";

/// id-ecPublicKey, RFC 5480 section 2.1.1.
const ID_EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";

fn rsa_key(der: &[u8]) -> Result<RsaKeyPair, String> {
    // PrivateKeyInfo, RFC 5958 section 2. PKCS#1 has an integer in the place of the algorithm.
    let algorithm = AnyRef::from_der(der).and_then(|key| {
        key.sequence(|reader| {
            u8::decode(reader)?;
            let algorithm = AlgorithmIdentifierRef::decode(reader);
            reader.drain(reader.remaining_len())?;
            algorithm
        })
    });
    match algorithm {
        Ok(algorithm) if algorithm.oid.to_string() == ID_EC_PUBLIC_KEY => return Err(NO_RSA.into()),
        Ok(_) => RsaKeyPair::from_pkcs8(der),
        Err(_) => RsaKeyPair::from_der(der),
    }
    .map_err(|e| format!("its private key is not an RSA key of 2048 to 8192 bits: {e}"))
}

fn is_certificate_of(der: &[u8], key: &RsaKeyPair) -> bool {
    Certificate::from_der(der).is_ok_and(|certificate| certificate.spki.ends_with(key.public_key().as_ref()))
}
