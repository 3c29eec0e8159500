//! The CPU time of one warm signature, by part: each part is measured alone, and the remainder is computed.

use crate::meter;
use crate::outcome::Outcome;
use crate::sections::warm::Pair;
use crate::table::Row;
use crate::world::{Cloud, World};
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use std::time::Duration;

const MS: u64 = 700;

pub fn rows(world: &World) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    let verify = verify()?;
    for cloud in Cloud::TLS {
        world.delay_ms(0)?;
        let (whole, secure) = Pair::measure(world, cloud, false, 1, MS)?.least("cpu");
        // The minimal client without TLS sends the bytes of a request to AWS. The requests to all clouds have
        // about the same size.
        let (_, plain) = Pair::measure(world, Cloud::AwsPlain, false, 1, MS)?.least("cpu");
        world.configure_one(cloud, false)?;
        let refused = ["refused", &world.module, &MS.to_string()];
        let inside = world.client_with(&refused, &[("CLOUD_KMS_PKCS11_LOG", "off")])?["cpu"].as_f64().unwrap_or(0.0);
        let tls = (secure - plain).max(0.0);
        let parts = [
            ("C call, session, mechanism, hash", inside),
            ("sending and receiving the bytes", plain),
            ("TLS", tls),
            ("verifying the signature", verify),
            ("SDK, HTTP client, two switches between threads", whole - inside - plain - tls - verify),
        ];
        let parts: Vec<String> = parts.iter().map(|(name, us)| format!("{name} {us:.0}")).collect();
        let what = format!("CPU of one warm P-256 signature in µs, {}", cloud.name());
        rows.push(Row::new("parts", what, format!("{whole:.0}: {}", parts.join(", "))).goal("250"));
    }
    Ok(rows)
}

/// Measures the module's own verification of a P-256 signature, with the public key in the encoding that the
/// module keeps.
fn verify() -> Outcome<f64> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let digest = Digest::import_less_safe(&[7; 32], &SHA256)?;
    let signature = pair.sign_digest(&digest)?;
    let spki = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(pair.public_key())?.as_ref().to_vec();
    let report = meter::series(1, Duration::from_millis(MS), || {
        let (spki, digest, signature) = (spki.clone(), &digest, signature.as_ref());
        Ok(move || Ok(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &spki).verify_digest(digest, signature)?))
    })?;
    Ok(report["cpu"].as_f64().unwrap_or(0.0))
}
