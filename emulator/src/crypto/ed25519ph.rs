//! Ed25519ph (RFC 8032 section 5.1), which the cryptographic library does not offer.
//!
//! Slow, and in a time that depends on the key: for an emulator only.

use super::hash::Hash;
use super::unable::Unable;
use num_bigint::BigUint;

/// Signs the SHA-512 of a message, with an empty context.
pub(crate) fn sign(seed: &[u8], message: &[u8]) -> Result<Vec<u8>, Unable> {
    sign_in(DOMAIN, seed, &Hash::Sha512.of(message))
}

/// `dom2(1, "")` of RFC 8032 section 2.
const DOMAIN: &[u8] = b"SigEd25519 no Ed25519 collisions\x01\x00";

/// RFC 8032 section 5.1.6.
fn sign_in(domain: &[u8], seed: &[u8], message: &[u8]) -> Result<Vec<u8>, Unable> {
    let curve = Curve::new().ok_or(Unable)?;
    let number = |parts: &[&[u8]]| BigUint::from_bytes_le(&Hash::Sha512.of(&parts.concat())) % &curve.order;
    let secret = Hash::Sha512.of(seed);
    let (scalar, prefix) = secret.split_at(32);
    let mut scalar = scalar.to_vec();
    if let [first, .., last] = scalar.as_mut_slice() {
        (*first, *last) = (*first & 248, *last & 127 | 64);
    }
    let scalar = BigUint::from_bytes_le(&scalar);
    let public = curve.encode(&curve.multiple(&scalar));
    let nonce = number(&[domain, prefix, message]);
    let commitment = curve.encode(&curve.multiple(&nonce));
    let challenge = number(&[domain, &commitment, &public, message]);
    let response = (nonce + challenge * scalar) % &curve.order;
    Ok([commitment, bytes(&response)].concat())
}

/// 32 bytes, little-endian.
fn bytes(number: &BigUint) -> Vec<u8> {
    let mut bytes = number.to_bytes_le();
    bytes.resize(32, 0);
    bytes
}

/// Extended homogeneous coordinates (RFC 8032 section 5.1.4).
#[derive(Clone)]
struct Point {
    x: BigUint,
    y: BigUint,
    z: BigUint,
    t: BigUint,
}

struct Curve {
    prime: BigUint,
    order: BigUint,
    /// 2d of the equation.
    double_d: BigUint,
    base: Point,
}

impl Curve {
    /// RFC 8032 section 5.1, table 1.
    fn new() -> Option<Self> {
        let hex = |text: &[u8]| BigUint::parse_bytes(text, 16);
        let prime = (BigUint::from(1u8) << 255u8) - 19u8;
        let order = hex(b"1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed")?;
        let inverse = BigUint::from(121_666u32).modpow(&(&prime - 2u8), &prime);
        let double_d = (&prime - 121_665u32) * inverse * 2u8 % &prime;
        let x = hex(b"216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a")?;
        let y = hex(b"6666666666666666666666666666666666666666666666666666666666666658")?;
        let base = Point { t: &x * &y % &prime, z: BigUint::from(1u8), x, y };
        Some(Self { prime, order, double_d, base })
    }

    fn add(&self, one: &Point, other: &Point) -> Point {
        let minus = |left: &BigUint, right: &BigUint| (left + &self.prime - right) % &self.prime;
        let times = |left: &BigUint, right: &BigUint| left * right % &self.prime;
        let a = times(&minus(&one.y, &one.x), &minus(&other.y, &other.x));
        let b = times(&(&one.y + &one.x), &(&other.y + &other.x));
        let c = times(&times(&one.t, &self.double_d), &other.t);
        let d = times(&(&one.z * 2u8), &other.z);
        let (e, f, g, h) = (minus(&b, &a), minus(&d, &c), d + c, b + a);
        Point { x: times(&e, &f), y: times(&g, &h), t: times(&e, &h), z: times(&f, &g) }
    }

    /// So many times the base point.
    fn multiple(&self, scalar: &BigUint) -> Point {
        let (zero, one) = (BigUint::from(0u8), BigUint::from(1u8));
        let neutral = Point { x: zero.clone(), y: one.clone(), z: one, t: zero };
        (0..scalar.bits()).rev().fold(neutral, |sum, bit| {
            let sum = self.add(&sum, &sum);
            if scalar.bit(bit) { self.add(&sum, &self.base) } else { sum }
        })
    }

    fn encode(&self, point: &Point) -> Vec<u8> {
        let inverse = point.z.modpow(&(&self.prime - 2u8), &self.prime);
        let (x, y) = (&point.x * &inverse % &self.prime, &point.y * &inverse % &self.prime);
        let mut bytes = bytes(&y);
        if let Some(last) = bytes.last_mut() {
            *last |= u8::from(x.bit(0)) << 7;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::hex;
    use aws_lc_rs::signature::Ed25519KeyPair;

    #[test]
    fn without_domain_and_hash_it_is_ed25519() {
        for byte in 0..4 {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[byte; 32]).unwrap();
            assert_eq!(sign_in(b"", &[byte; 32], b"message").unwrap(), pair.sign(b"message").as_ref());
        }
    }

    #[test]
    fn the_example_of_the_standard() {
        // RFC 8032 section 7.3.
        let seed = [
            0x83, 0x3f, 0xe6, 0x24, 0x09, 0x23, 0x7b, 0x9d, 0x62, 0xec, 0x77, 0x58, 0x75, 0x20, 0x91, 0x1e, 0x9a, 0x75,
            0x9c, 0xec, 0x1d, 0x19, 0x75, 0x5b, 0x7d, 0xa9, 0x01, 0xb9, 0x6d, 0xca, 0x3d, 0x42,
        ];
        assert_eq!(
            hex(&sign(&seed, b"abc").unwrap()),
            "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
        );
    }
}
