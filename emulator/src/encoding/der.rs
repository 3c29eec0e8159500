//! As much of DER as the emulator needs: ECDSA signatures and the integers of an RSA key in PKCS#8.

/// The integers of `SEQUENCE { INTEGER, ... }`, big-endian without leading zeros; `None` unless it is exactly that.
pub(crate) fn integers(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (content, rest) = element(der, 0x30)?;
    if !rest.is_empty() {
        return None;
    }
    let mut left = content;
    let mut found = Vec::new();
    while !left.is_empty() {
        let (integer, rest) = element(left, 0x02)?;
        found.push(strip(integer).to_vec());
        left = rest;
    }
    Some(found)
}

/// The RSAPrivateKey (RFC 8017 appendix A.1.2) inside a PKCS#8 PrivateKeyInfo, as its nine integers.
pub(crate) fn rsa_integers(pkcs8: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (info, _) = element(pkcs8, 0x30)?;
    let (_version, rest) = element(info, 0x02)?;
    let (_algorithm, rest) = element(rest, 0x30)?;
    let (key, _) = element(rest, 0x04)?;
    integers(key)
}

/// `SEQUENCE { INTEGER r, INTEGER s }` of two big-endian numbers.
pub(crate) fn signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    for number in [strip(r), strip(s)] {
        let mut integer = number.to_vec();
        if integer.first().is_none_or(|first| first & 0x80 != 0) {
            integer.insert(0, 0);
        }
        content.extend(tagged(0x02, &integer));
    }
    tagged(0x30, &content)
}

/// r || s, each padded to `width`.
pub(crate) fn fixed(signature: &[u8], width: usize) -> Option<Vec<u8>> {
    let numbers = integers(signature)?;
    let [r, s] = numbers.as_slice() else { return None };
    let mut out = Vec::with_capacity(2 * width);
    for number in [r, s] {
        out.extend(std::iter::repeat_n(0, width.checked_sub(number.len())?));
        out.extend_from_slice(number);
    }
    Some(out)
}

/// The SubjectPublicKeyInfo of an X.509 certificate (RFC 5280 section 4.1).
pub(crate) fn certificate_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (certificate, _) = element(certificate, 0x30)?;
    let (tbs, _) = element(certificate, 0x30)?;
    // A certificate of version 1 does not say so.
    let rest = element(tbs, 0xa0).map_or(tbs, |(_version, rest)| rest);
    let (_serial, rest) = element(rest, 0x02)?;
    let (_algorithm, rest) = element(rest, 0x30)?;
    let (_issuer, rest) = element(rest, 0x30)?;
    let (_validity, rest) = element(rest, 0x30)?;
    let (_subject, rest) = element(rest, 0x30)?;
    let (key, _) = element(rest, 0x30)?;
    Some(tagged(0x30, key))
}

/// The public key in a SubjectPublicKeyInfo, without its algorithm.
pub(crate) fn public_bits(spki: &[u8]) -> Option<Vec<u8>> {
    let (info, _) = element(spki, 0x30)?;
    let (_algorithm, rest) = element(info, 0x30)?;
    let (bits, _) = element(rest, 0x03)?;
    let (_unused, bits) = bits.split_first()?;
    Some(bits.to_vec())
}

pub(crate) fn strip(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length =
            bytes.iter().try_fold(0usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
        (length, rest)
    };
    let parts = rest.split_at_checked(length)?;
    (*found == tag).then_some(parts)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length >= 0x80 {
        let bytes = length.to_be_bytes();
        let bytes = strip(&bytes);
        out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
        out.extend_from_slice(bytes);
    } else {
        out.push(u8::try_from(length).unwrap_or(0));
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_go_both_ways() {
        let (r, s) = ([0x80; 32], [vec![0; 2], vec![0x7f; 30]].concat());
        let der = signature(&r, &s);
        assert_eq!(fixed(&der, 32), Some([&r[..], &s].concat()));
        let long = signature(&[0xff; 66], &[0x01; 66]);
        assert_eq!(long[1], 0x81);
        assert_eq!(fixed(&long, 66).map(|raw| raw.len()), Some(132));
        assert_eq!(fixed(&long, 65), None);
        assert_eq!(integers(&[0x30, 0x05, 0x02]), None);
    }
}
