//! PKCS#12 (PFX): reads the private keys and certificates of a file. RFC 7292.
//!
//! The MAC of the file is not verified. The file is the user's own, and decryption detects a wrong password.

use super::password_encryption::{DecryptError, Password, decrypt};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

/// The contents of a file.
#[derive(Default)]
pub(crate) struct Pfx {
    /// The private keys, as PKCS#8 in DER.
    pub(crate) keys: Vec<Zeroizing<Vec<u8>>>,
    /// The certificates, in DER.
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// Returns whether the bytes are a PFX, which begins with its version, 3, in BER as well as in DER.
pub(crate) fn is_pkcs12(bytes: &[u8]) -> bool {
    // The length of the PFX precedes the version. It takes one to five bytes.
    bytes.first() == Some(&0x30)
        && bytes.iter().skip(2).take(7).collect::<Vec<_>>().windows(3).any(|own| own == [&2, &1, &3])
}

impl Pfx {
    /// Reads a PFX.
    ///
    /// # Errors
    /// `DecryptError::WrongPassword` if the password is wrong, and `DecryptError::Unsupported` for anything that is not known or not
    /// well-formed.
    pub(crate) fn open(bytes: &[u8], password: &Password<'_>) -> Result<Self, DecryptError> {
        // A PFX consists of version, authSafe ContentInfo and macData. Some programs write a zero or a line break
        // after the PFX.
        let whole = AnyRef::decode(&mut SliceReader::new(bytes)?)?;
        let parts = items(whole)?;
        let content = parts.get(1).ok_or_else(|| unsupported("no contents"))?;
        let mut found = Self::default();
        found.add_contents(*content, password, 0)?;
        Ok(found)
    }

    /// Adds the contents of a ContentInfo. At depth 0 the ContentInfo holds an AuthenticatedSafe, which holds
    /// other ContentInfos with bags in them.
    fn add_contents(&mut self, content: AnyRef<'_>, password: &Password<'_>, depth: u8) -> Result<(), DecryptError> {
        let [kind, content] = items(content)?[..] else { return Err(unsupported("no ContentInfo")) };
        let kind: ObjectIdentifier = kind.decode_as()?;
        let content = AnyRef::from_der(content.value())?;
        let plain = match kind {
            DATA => Zeroizing::new(content.decode_as::<&OctetStringRef>()?.as_bytes().to_vec()),
            ENCRYPTED_DATA if depth == 1 => decrypt_encrypted_data(content, password)?,
            other => return Err(unsupported(&other.to_string())),
        };
        let inner = || AnyRef::from_der(&plain).and_then(|all| items_of(all.value()));
        // A wrong password can decrypt to bytes that look like padding. So contents that cannot be parsed mean a
        // wrong password.
        let inner =
            inner().map_err(|error| if kind == ENCRYPTED_DATA { DecryptError::WrongPassword } else { error.into() })?;
        inner.into_iter().try_for_each(|item| match depth {
            0 => self.add_contents(item, password, 1),
            _ => self.add_bag(item, password),
        })
    }

    /// Adds the contents of a SafeBag.
    fn add_bag(&mut self, bag: AnyRef<'_>, password: &Password<'_>) -> Result<(), DecryptError> {
        let parts = items(bag)?;
        let [kind, value, ..] = parts[..] else { return Err(unsupported("no SafeBag")) };
        let value = AnyRef::from_der(value.value())?;
        match kind.decode_as()? {
            KEY_BAG => self.keys.push(Zeroizing::new(value.to_der()?)),
            SHROUDED_KEY_BAG => self.keys.push(decrypt_private_key_info(value, password)?),
            CERTIFICATE_BAG => {
                let [_, ref certificate] = items(value)?[..] else { return Err(unsupported("no CertBag")) };
                let certificate = AnyRef::from_der(certificate.value())?;
                self.certificates.push(certificate.decode_as::<&OctetStringRef>()?.as_bytes().to_vec());
            }
            // Not read: revocation lists, secrets, and nested bags, which no program is known to write.
            _ => {}
        }
        Ok(())
    }
}

/// Returns the PKCS#8 key inside an EncryptedPrivateKeyInfo. RFC 5958 section 3.
pub(crate) fn decrypt_private_key_info(
    encrypted: AnyRef<'_>,
    password: &Password<'_>,
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let (scheme, data) = encrypted.sequence(|reader| {
        Ok::<_, der::Error>((AlgorithmIdentifierRef::decode(reader)?, <&OctetStringRef>::decode(reader)?))
    })?;
    let key = decrypt(scheme, data.as_bytes(), password)?;
    let is_key = AnyRef::from_der(&key).is_ok_and(|key| key.tag() == Tag::Sequence);
    if is_key { Ok(key) } else { Err(DecryptError::WrongPassword) }
}

/// Decrypts an EncryptedData: version, EncryptedContentInfo (contentType, algorithm, `[0] IMPLICIT OCTET STRING`).
/// RFC 5652 section 8.
fn decrypt_encrypted_data(content: AnyRef<'_>, password: &Password<'_>) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let parts = items(content)?;
    let info = items(*parts.get(1).ok_or_else(|| unsupported("no EncryptedContentInfo"))?)?;
    let [_, scheme, data, ..] = info[..] else { return Err(unsupported("no encrypted content")) };
    if data.tag() != ENCRYPTED_CONTENT {
        return Err(unsupported("encrypted content in pieces"));
    }
    decrypt(scheme.decode_as::<AlgorithmIdentifierRef>()?, data.value(), password)
}

const ENCRYPTED_CONTENT: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };

/// Content types. RFC 5652 sections 4 and 8.
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");

/// Bag types. RFC 7292 section 4.2.
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");

fn unsupported(what: &str) -> DecryptError {
    DecryptError::Unsupported(what.to_owned())
}

/// Returns the parts of a SEQUENCE.
fn items(sequence: AnyRef<'_>) -> Result<Vec<AnyRef<'_>>, DecryptError> {
    match sequence.tag() {
        Tag::Sequence => Ok(items_of(sequence.value())?),
        other => Err(DecryptError::Unsupported(format!("{other} in the place of a SEQUENCE"))),
    }
}

fn items_of(bytes: &[u8]) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut items = Vec::new();
    while !reader.is_finished() {
        items.push(AnyRef::decode(&mut reader)?);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pfx_is_known_by_its_version() {
        for (bytes, is) in [
            (&b"\x30\x03\x02\x01\x03"[..], true),
            (b"\x30\x82\x01\x00\x02\x01\x03\x30", true),
            (b"\x30\x80\x02\x01\x03\x30\x80", true),
            (b"\x30\x03\x02\x01\x00", false),
            (b"\x30\x82\x01\x00\x30\x82\x00\xf0\x02\x01\x03", false),
            (b"-----BEGIN", false),
            (b"\x30", false),
            (b"", false),
        ] {
            assert_eq!(is_pkcs12(bytes), is, "{bytes:?}");
        }
    }

    #[test]
    fn malformed_files_are_reported() {
        let password = Password { text: "x", is_none: false };
        for bytes in
            [&b"\x30\x03\x02\x01\x03"[..], b"\x30\x80\x02\x01\x03\x30\x80", b"\x30\x05\x02\x01\x03\x30\x00", b"\x30"]
        {
            assert!(matches!(Pfx::open(bytes, &password), Err(DecryptError::Unsupported(_))), "{bytes:?}");
        }
    }
}
