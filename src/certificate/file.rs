//! Certificates in every form that files have.
//!
//! These are PEM, DER, PKCS#7, OpenSSL's trusted certificates and bare base64, with surrounding text in any
//! encoding. RFC 7468 (PEM), RFC 5280 (X.509), RFC 2315 section 9 and RFC 5652 section 5 (PKCS#7, of which only
//! the certificates are read).

use super::pem;
use super::pem::Block;
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};
use std::borrow::Cow;

/// The contents of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileContents {
    /// DER of each certificate, with the line at which it begins, counted from 1. The line is 0 in a binary
    /// file and for bare base64.
    pub certificates: Vec<(usize, Vec<u8>)>,
    /// The other contents. Each PEM block has its line: "line 7: PRIVATE KEY".
    pub other_contents: Vec<String>,
}

/// The message for a file in which nothing was found.
pub const NO_CERTIFICATE: &str = "it contains no certificate, neither as PEM nor as DER";

/// Returns the certificates, and what else there is, in the contents of a file.
pub fn find(bytes: &[u8]) -> FileContents {
    if let Some(found) = parse_binary(bytes) {
        return found;
    }
    let text = decode_text(bytes);
    let mut found = FileContents::default();
    for block in pem::blocks(&text) {
        match block {
            Ok(block) => found.add(&block),
            Err(other) => found.other_contents.push(other),
        }
    }
    let is_empty = found == FileContents::default();
    let bare = || pem::base64(&text).and_then(|der| parse_binary(&der));
    if is_empty { bare().unwrap_or(found) } else { found }
}

/// The names of blocks with a certificate: RFC 7468 section 5, and the older names of OpenSSL and Netscape.
const CERTIFICATE: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
/// The names of blocks with a PKCS#7: RFC 7468 sections 8 and 9, and the names that older programs write.
const PKCS7: [&str; 5] = ["PKCS7", "CMS", "PKCS #7 SIGNED DATA", "CERTIFICATE CHAIN", "PKCS7 SIGNED DATA"];

impl FileContents {
    fn add(&mut self, block: &Block) {
        let certificates = match block.name {
            // In a trusted certificate, OpenSSL's trust settings follow the certificate.
            name if CERTIFICATE.contains(&name) => {
                block.content().and_then(|der| first_item(&der)).map(|der| vec![der])
            }
            name if PKCS7.contains(&name) => {
                block.content().and_then(|der| certificates_of_pkcs7(AnyRef::try_from(&der[..]).ok()?))
            }
            name => return self.other_contents.push(format!("line {}: {name}", block.line)),
        };
        match certificates.filter(|certificates| !certificates.is_empty()) {
            Some(certificates) => self.certificates.extend(certificates.into_iter().map(|der| (block.line, der))),
            None => self.other_contents.push(format!("line {}: {} that can't be read", block.line, block.name)),
        }
    }
}

/// Reads a binary file: certificates one after the other, or a PKCS#7. Returns None for a text.
fn parse_binary(bytes: &[u8]) -> Option<FileContents> {
    if bytes.starts_with(&JAVA_KEYSTORE) {
        let other = "a Java keystore; extract the certificate with keytool -exportcert -rfc";
        return Some(FileContents { other_contents: vec![other.into()], ..FileContents::default() });
    }
    // A text may by chance have the form of DER items, but not of the SEQUENCEs of which such a file consists.
    let is_file = |items: &Vec<AnyRef<'_>>| !items.is_empty() && items.iter().all(|item| item.tag() == Tag::Sequence);
    let items = der_items(bytes).filter(is_file)?;
    let mut found = FileContents::default();
    for item in items {
        match (certificates_of_pkcs7(item), children(item).first()) {
            (Some(certificates), _) => found.certificates.extend(certificates.into_iter().map(|der| (0, der))),
            (None, Some(first)) if first.tag() == Tag::Sequence => {
                found.certificates.extend(item.to_der().map(|der| (0, der)))
            }
            (None, Some(first)) if first.tag() == Tag::Integer && first.value() == [3] => {
                found.other_contents.push(PFX.into())
            }
            _ => found.other_contents.push("DER of something else, such as a private key".into()),
        }
    }
    Some(found)
}

const JAVA_KEYSTORE: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// RFC 7292 section 4: a PFX begins with its version, 3.
const PFX: &str =
    "a PKCS#12 file (PFX); extract the certificates with openssl pkcs12 -in FILE -nokeys -out certificate.pem";

/// Returns the DER items in `bytes`, or None if there is anything else. Some programs add line breaks or zeros
/// after the items, and the last byte of an item may look like one of them.
fn der_items(bytes: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let is_blank = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0);
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut items = Vec::new();
    while !is_blank(&bytes[usize::try_from(reader.position()).ok()?..]) {
        items.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(items)
}

/// Returns the items inside a constructed item.
fn children(item: AnyRef<'_>) -> Vec<AnyRef<'_>> {
    der_items(item.value()).unwrap_or_default()
}

/// Returns the first item, which has to be a SEQUENCE, without the bytes that follow it.
fn first_item(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    AnyRef::decode(&mut reader).ok().filter(|item| item.tag() == Tag::Sequence)?.to_der().ok()
}

/// id-signedData, RFC 5652 section 5.1.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

/// Returns the certificates of a PKCS#7, or None for anything else. Signatures are ignored: such files have none.
fn certificates_of_pkcs7(item: AnyRef<'_>) -> Option<Vec<Vec<u8>>> {
    let [kind, content] = children(item)[..] else { return None };
    if kind.tag() != Tag::ObjectIdentifier || kind.value() != SIGNED_DATA.as_bytes() {
        return None;
    }
    // SignedData: version, digestAlgorithms, encapContentInfo, certificates [0] IMPLICIT.
    let signed_data = children(content).first().copied()?;
    let certificates = children(signed_data).into_iter().find(|part| part.tag() == CERTIFICATES)?;
    Some(
        children(certificates)
            .into_iter()
            .filter(|own| own.tag() == Tag::Sequence)
            .filter_map(|own| own.to_der().ok())
            .collect(),
    )
}

const CERTIFICATES: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };

/// Decodes a text, of which only ASCII matters: UTF-16, as Windows writes it, or any encoding that contains ASCII.
fn decode_text(bytes: &[u8]) -> Cow<'_, str> {
    let units = |of: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| of(*pair)).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, ..] | [b'-', 0, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] | [0, b'-', ..] => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// Runs openssl in `folder`.
    fn openssl(folder: &Path, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a key with its certificate, a second certificate, and every form of the first certificate that
    /// openssl writes. Returns the folder, and DER of both certificates.
    fn forms() -> (tempfile::TempDir, Vec<u8>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &str| openssl(folder.path(), arguments);
        for name in ["a", "b"] {
            run(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"
            ));
            run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        }
        run("x509 -in a.pem -addtrust serverAuth -setalias Alias -out trusted.pem -trustout");
        run("crl2pkcs7 -nocrl -certfile a.pem -certfile b.pem -out both.p7b.pem");
        run("crl2pkcs7 -nocrl -certfile a.pem -certfile b.pem -outform DER -out both.p7b");
        run("pkcs12 -export -in a.pem -inkey a.key -passout pass:x -out a.pfx");
        run("pkcs12 -in a.pfx -passin pass:x -nodes -out bags.pem");
        run("x509 -in a.pem -text -out text.pem");
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let ders = (read("a.der"), read("b.der"));
        (folder, ders.0, ders.1)
    }

    fn utf16(text: &str, of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(of).collect()
    }

    #[test]
    fn a_certificate_is_found_in_every_form() {
        let (folder, a, b) = forms();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let pem = String::from_utf8(read("a.pem")).unwrap();
        let ders = |bytes: &[u8]| find(bytes).certificates.into_iter().map(|(_, der)| der).collect::<Vec<_>>();
        for name in ["a.pem", "a.der", "trusted.pem", "bags.pem", "text.pem"] {
            assert_eq!(ders(&read(name)), std::slice::from_ref(&a), "{name}");
        }
        let both = [a.clone(), b.clone()];
        for name in ["both.p7b.pem", "both.p7b"] {
            let mut found = ders(&read(name));
            found.sort_by_key(|der| *der != a);
            assert_eq!(found, both, "{name}");
        }
        assert_eq!(ders(&[a.clone(), b.clone()].concat()), both, "DER, one behind the other");
        // The last byte of a certificate belongs to its signature and can have any value.
        for last in 0..=u8::MAX {
            let own = [&a[..a.len() - 1], &[last]].concat();
            for behind in [&b""[..], b"\n", b"\r\n", b"\0"] {
                assert_eq!(ders(&[&own, behind].concat()), std::slice::from_ref(&own), "{last} {behind:?}");
            }
        }
        let bare = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        // Letters of base64 can also be tags and lengths of DER. With some amounts of whitespace inside and after the
        // text, the items end exactly at its end.
        let (first, rest) = bare.split_at(20);
        for (within, behind) in (0..20).flat_map(|within| (0..=usize::from(b'z')).map(move |behind| (within, behind))) {
            let text = format!("{first}{:within$}{rest}{:behind$}", "", "");
            assert_eq!(ders(text.as_bytes()), std::slice::from_ref(&a), "{within} {behind}");
        }
        let old = pem.replace("BEGIN CERT", "BEGIN X509 CERT").replace("END CERT", "END X509 CERT");
        let (windows, mac) = (pem.replace('\n', "\r\n"), pem.replace('\n', "\r"));
        let latin = [b"Schl\xfcssel\n", pem.as_bytes(), b"\xa9 me"].concat();
        let marked = format!("\u{feff}{pem}");
        for text in [bare.as_bytes(), old.as_bytes(), windows.as_bytes(), mac.as_bytes(), &latin, marked.as_bytes()] {
            assert_eq!(ders(text), std::slice::from_ref(&a), "{}", String::from_utf8_lossy(text));
        }
        for text in [
            utf16(&windows, u16::to_le_bytes),
            utf16(&pem, u16::to_be_bytes),
            utf16(&pem, u16::to_le_bytes)[2..].to_vec(),
        ] {
            assert_eq!(ders(&text), std::slice::from_ref(&a));
        }
    }

    #[test]
    fn other_contents_are_reported_with_their_line() {
        let (folder, a, _) = forms();
        let read = |name: &str| String::from_utf8_lossy(&std::fs::read(folder.path().join(name)).unwrap()).into_owned();
        let (key, pem) = (read("a.key"), read("a.pem"));
        let (windows, mac) = (key.replace('\n', "\r\n"), key.replace('\n', "\r"));
        for key in [key.clone(), windows, mac] {
            let found = find(
                format!(
                    "note{}{key}{pem}",
                    if key.contains("\r\n") {
                        "\r\n"
                    } else if key.contains('\r') {
                        "\r"
                    } else {
                        "\n"
                    }
                )
                .as_bytes(),
            );
            assert_eq!(found.other_contents, ["line 2: PRIVATE KEY"]);
            assert_eq!(found.certificates, [(7, a.clone())]);
        }
        assert_eq!(
            find(key.as_bytes()),
            FileContents { other_contents: vec!["line 1: PRIVATE KEY".into()], ..FileContents::default() }
        );
        let cut = pem.replace("-----END CERTIFICATE-----", "");
        assert_eq!(find(cut.as_bytes()).other_contents, ["line 1: CERTIFICATE has no END line"]);
        let spoilt = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        assert_eq!(
            find(format!("{spoilt}{pem}").as_bytes()).other_contents,
            ["line 1: CERTIFICATE that can't be read"]
        );
        let of = |bytes: &[u8]| find(bytes).other_contents.join("; ");
        assert!(of(&std::fs::read(folder.path().join("a.pfx")).unwrap()).contains("openssl pkcs12"));
        assert!(of(&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]).contains("Java keystore"));
        for nothing in [&b""[..], b"no certificate", b"-----BEGIN ", b"\xff\xfe", b"0", &[0x30, 0x80]] {
            assert_eq!(find(nothing), FileContents::default(), "{nothing:?}");
        }
    }
}
