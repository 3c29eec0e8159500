//! The cryptographic methods.

use super::call::{Answer, Call};
use crate::crypto::{Family, Hash, Padding, Scheme, Unable};
use crate::google::status::Status;
use crate::state::google::{Algorithm, Use, Version};
use aws_lc_rs::rand;
use serde_json::{Value, json};

/// The longest data that a key signs, in bytes, and a MAC key authenticates: of the service's software keys, and of its HSM.
const SOFTWARE_DATA: usize = 64 * 1024;
const HSM_DATA: usize = 16 * 1024;

/// The length of a message representative (FIPS 204 section 6.2).
const MU: usize = 64;

/// The bytes of PKCS#1 v1.5 padding, at least.
const PADDING: usize = 11;

pub(super) fn asymmetric_sign(call: &Call<'_>) -> Answer {
    let version = call.usable_version("ASYMMETRIC_SIGN", "signing")?;
    let digest = call.input.value("digest").is_some_and(|digest| !digest.is_null());
    let data = call.input.bytes("data")?;
    let (scheme, input, verified) = match (digest, version.algorithm.used) {
        (true, _) if !data.is_empty() => return Err(Status::invalid("Only one of digest or data may be set.")),
        (true, Use::Digest(hash, scheme)) => {
            let (digest, verified) = sent_digest(call, field(hash), hash.length())?;
            (scheme, digest, ("verifiedDigestCrc32c", verified))
        }
        (true, Use::ExternalMu) => {
            let (mu, verified) = sent_digest(call, "externalMu", MU)?;
            (Scheme::MlDsaMu, mu, ("verifiedDigestCrc32c", verified))
        }
        (true, _) => return Err(unsuited(version.algorithm, "data")),
        (false, Use::ExternalMu) => return Err(unsuited(version.algorithm, "digest")),
        (false, used) => {
            let verified = call.input.checked(&data, "data", "dataCrc32c")?;
            let (scheme, data) = signed_data(&version, used, data)?;
            (scheme, data, ("verifiedDataCrc32c", verified))
        }
    };
    let signature = call.tamper.spoil(call.tamper.sign(&version.material, scheme, &input)?);
    let mut reply = call.used(&version);
    call.checksummed(&mut reply, "signature", "signatureCrc32c", &signature);
    call.verified(&mut reply, verified.0, verified.1);
    Ok(reply.into())
}

/// The digest that was sent, and whether its checksum was.
fn sent_digest(call: &Call<'_>, field: &str, length: usize) -> Result<(Vec<u8>, bool), Status> {
    let digest = call.input.bytes(&format!("digest.{field}"))?;
    if digest.len() != length {
        let text = format!("digest.{field} must be {length} bytes long for this key version, found {}.", digest.len());
        return Err(Status::invalid(text));
    }
    let verified = call.input.checked(&digest, "digest", "digestCrc32c")?;
    Ok((digest, verified))
}

/// What is signed of data, and how: keys with a hash take data too, which the service hashes.
fn signed_data(version: &Version, used: Use, data: Vec<u8>) -> Result<(Scheme, Vec<u8>), Status> {
    if data.is_empty() {
        return Err(Status::invalid("Either digest or data must be set."));
    }
    let limit = match (used, version.algorithm.family) {
        (Use::Data(Scheme::Unhashed), Family::Rsa(bits)) => usize::from(bits / 8) - PADDING,
        _ => data_limit(version),
    };
    check_length("data", data.len(), limit)?;
    match used {
        Use::Data(scheme) => Ok((scheme, data)),
        Use::Digest(hash, scheme) => Ok((scheme, hash.of(&data))),
        _ => Err(unsuited(version.algorithm, "data")),
    }
}

fn data_limit(version: &Version) -> usize {
    if version.protection_level == "HSM" { HSM_DATA } else { SOFTWARE_DATA }
}

fn check_length(field: &str, length: usize, limit: usize) -> Result<(), Status> {
    if length <= limit {
        return Ok(());
    }
    Err(Status::invalid(format!("{field} must be at most {limit} bytes long for this key version, found {length}.")))
}

fn unsuited(algorithm: &Algorithm, field: &str) -> Status {
    Status::invalid(format!("Keys with algorithm {} sign the field {field}, which is not set.", algorithm.name))
}

/// The member of `Digest` for a hash.
fn field(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha384 => "sha384",
        Hash::Sha512 => "sha512",
        _ => "sha256",
    }
}

pub(super) fn asymmetric_decrypt(call: &Call<'_>) -> Answer {
    let version = call.usable_version("ASYMMETRIC_DECRYPT", "asymmetric decryption")?;
    let Use::Decrypt(hash) = version.algorithm.used else { return Err(Unable.into()) };
    let ciphertext = call.input.bytes("ciphertext")?;
    if ciphertext.is_empty() {
        return Err(Status::invalid("ciphertext must be set."));
    }
    let verified = call.input.checked(&ciphertext, "ciphertext", "ciphertextCrc32c")?;
    let plaintext = version.material.decrypt(Padding::Oaep(hash), &ciphertext);
    let plaintext = plaintext.map_err(|_| Status::invalid("Decryption failed: the ciphertext is invalid."))?;
    let plaintext = call.tamper.plaintext(plaintext);
    let mut reply = call.used(&version);
    // AsymmetricDecryptResponse has no name.
    reply.remove("name");
    call.checksummed(&mut reply, "plaintext", "plaintextCrc32c", &plaintext);
    call.verified(&mut reply, "verifiedCiphertextCrc32c", verified);
    Ok(reply.into())
}

pub(super) fn mac_sign(call: &Call<'_>) -> Answer {
    let (version, hash) = mac_key(call)?;
    let data = call.input.bytes("data")?;
    let verified = call.input.checked(&data, "data", "dataCrc32c")?;
    check_length("data", data.len(), data_limit(&version))?;
    if data.is_empty() {
        return Err(Status::invalid("data must be set."));
    }
    let mac = call.tamper.mac(version.material.mac(hash, &data));
    let mut reply = call.used(&version);
    call.checksummed(&mut reply, "mac", "macCrc32c", &mac);
    call.verified(&mut reply, "verifiedDataCrc32c", verified);
    Ok(reply.into())
}

pub(super) fn mac_verify(call: &Call<'_>) -> Answer {
    let (version, hash) = mac_key(call)?;
    let (data, mac) = (call.input.bytes("data")?, call.input.bytes("mac")?);
    let data_verified = call.input.checked(&data, "data", "dataCrc32c")?;
    let mac_verified = call.input.checked(&mac, "mac", "macCrc32c")?;
    check_length("data", data.len(), data_limit(&version))?;
    if mac.len() != hash.length() {
        return Err(Status::invalid(format!("mac must be {} bytes long, found {}.", hash.length(), mac.len())));
    }
    let mut reply = call.used(&version);
    let success = version.material.mac(hash, &data) == mac;
    for (member, value) in [("success", success), ("verifiedSuccessIntegrity", success)] {
        if value {
            reply.insert(member.to_owned(), json!(true));
        }
    }
    call.verified(&mut reply, "verifiedDataCrc32c", data_verified);
    call.verified(&mut reply, "verifiedMacCrc32c", mac_verified);
    Ok(reply.into())
}

fn mac_key(call: &Call<'_>) -> Result<(Version, Hash), Status> {
    let version = call.usable_version("MAC", "MAC operations")?;
    let Use::Mac(hash) = version.algorithm.used else { return Err(Unable.into()) };
    Ok((version, hash))
}

pub(super) fn generate_random_bytes(call: &Call<'_>) -> Answer {
    let length = call.input.integer("lengthBytes").unwrap_or_default();
    let length = usize::try_from(length).ok().filter(|length| (8..=1024).contains(length));
    let length = length.ok_or_else(|| Status::invalid("length_bytes must be between 8 and 1024."))?;
    let level = call.input.text("protectionLevel").unwrap_or_default();
    if !["HSM", "2"].contains(&level.as_str()) {
        return Err(Status::invalid("Only protection level HSM is supported for GenerateRandomBytes."));
    }
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).map_err(Unable::from)?;
    let mut reply = serde_json::Map::new();
    call.checksummed(&mut reply, "data", "dataCrc32c", &bytes);
    Ok(Value::Object(reply))
}
