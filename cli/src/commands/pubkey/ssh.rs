//! Public keys of OpenSSH. RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4.

use base64ct::{Base64, Encoding};
use cloud_kms_pkcs11::key::{Curve, PublicKey, PublicNumbers};

/// Returns the line for authorized_keys, with a comment, or None if OpenSSH has no keys of this kind.
pub fn line(key: &PublicKey, comment: &str) -> Option<String> {
    let (name, parts) = parts(key.material())?;
    let fields: Vec<_> = std::iter::once(name.as_bytes().to_vec()).chain(parts).collect();
    let blob: Vec<u8> = fields.iter().flat_map(|field| string(field)).collect();
    // A line break would begin another line of the file.
    let comment: String = comment.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    Some(format!("{name} {} {comment}\n", Base64::encode_string(&blob)))
}

/// Returns the name of the key's algorithm and the fields after it.
fn parts(numbers: &PublicNumbers) -> Option<(String, Vec<Vec<u8>>)> {
    Some(match numbers {
        PublicNumbers::Rsa { modulus, exponent } => ("ssh-rsa".to_owned(), vec![positive(exponent), positive(modulus)]),
        PublicNumbers::Ec { curve, point } => {
            let name = curve_name(*curve)?;
            (format!("ecdsa-sha2-{name}"), vec![name.as_bytes().to_vec(), point.clone()])
        }
        PublicNumbers::Ed25519 { point } => ("ssh-ed25519".to_owned(), vec![point.to_vec()]),
        PublicNumbers::MlDsa { .. } | PublicNumbers::SlhDsa { .. } => return None,
    })
}

fn curve_name(curve: Curve) -> Option<&'static str> {
    match curve {
        Curve::P256 => Some("nistp256"),
        Curve::P384 => Some("nistp384"),
        Curve::P521 => Some("nistp521"),
        Curve::Secp256k1 => None,
    }
}

/// Returns a `string` of RFC 4251 section 5.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// Returns the bytes of a positive `mpint` of RFC 4251 section 5: the first bit is the sign.
fn positive(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
    [sign, number].concat()
}
