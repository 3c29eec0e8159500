//! Curves, as a JSON web key names them.

use crate::crypto::{Curve, Family};

/// The names of the curves in a JWK.
pub(crate) static CURVES: [(&str, Curve); 4] =
    [("P-256", Curve::P256), ("P-384", Curve::P384), ("P-521", Curve::P521), ("P-256K", Curve::P256K)];

pub(crate) fn curve_name(family: Family) -> Option<&'static str> {
    let Family::Ec(curve) = family else { return None };
    CURVES.iter().find(|row| row.1 == curve).map(|row| row.0)
}
