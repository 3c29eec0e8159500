//! What may be done with a key: the permission, its replicas, and a signature.

use super::check::Check;
use super::problem::name_for_key;
use super::service::ServiceRound;
use crate::cloud::{Cause, Failure, KeyDescription, KeyName, Pending, Replica, Signature, Target};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Purpose, Scheme};

/// The requests that need the description of a key.
pub(super) struct Uses {
    description: KeyDescription,
    permission: Option<(Scheme, Pending<()>)>,
    replicas: Vec<Replica>,
    signature: Option<(Scheme, Vec<u8>, Pending<Signature>)>,
}

/// What is signed.
const MESSAGE: &[u8] = b"cloud-kms-pkcs11 doctor";

impl Uses {
    /// Starts the requests. With `sign`, one of them makes a signature.
    pub(super) fn start(name: &KeyName, description: KeyDescription, service: &ServiceRound, sign: bool) -> Self {
        let target = Target { name, kind: description.kind, immutable_id: description.immutable_id.as_deref() };
        let schemes = description.permitted_schemes();
        let mut signing: Vec<_> = schemes.iter().filter(|scheme| scheme.family.purpose() == Purpose::Sign).collect();
        // A policy may permit some of the hashes only, and SHA-256 is the usual one.
        signing.sort_by_key(|scheme| scheme.hash != Some(Hash::Sha256));
        let input = signing
            .first()
            .copied()
            .or(schemes.first())
            .and_then(|scheme| Some((*scheme, input(*scheme, &description)?)));
        let permission = input
            .as_ref()
            .and_then(|(scheme, data)| Some((*scheme, service.diagnosis.permission(target, *scheme, data)?)));
        let signature = input.filter(|(scheme, _)| sign && scheme.family.purpose() == Purpose::Sign);
        let signature = signature.map(|(scheme, data)| {
            let pending = service.backend().sign(target, scheme, &data);
            (scheme, data, pending)
        });
        let replicas = service.diagnosis.replicas(name, &description);
        Self { permission, signature, replicas, description }
    }

    /// Waits for the requests. Failures that `is_known` are left out.
    pub(super) fn checks(
        self,
        service: &ServiceRound,
        remedy: &dyn Fn(&Failure) -> Option<String>,
        is_known: &dyn Fn(&Failure) -> bool,
    ) -> Vec<Check> {
        let deadline = || service.deadline();
        let permission = self.permission.as_ref().map(|(scheme, pending)| match pending.wait(deadline()) {
            Ok(()) => Check::ok("permission", format!("the use of the key is permitted ({})", scheme.name())),
            Err(failure) => refused(*scheme, &failure, remedy),
        });
        let signature = self.signature.as_ref().map(|(scheme, data, pending)| match pending.wait(deadline()) {
            Ok(signature) => verified(&self.description, *scheme, data, &signature),
            Err(failure) => Check::failed(name_for_key(&failure), &failure, remedy(&failure)),
        });
        let replicas = replicas_check(&self.description, &self.replicas, service, is_known);
        let mut checks: Vec<Check> = [permission, signature].into_iter().flatten().collect();
        // The signature fails for the reason for which it is not permitted.
        checks.dedup_by(|later, first| later.name == first.name && first.fix.is_some());
        checks.extend(replicas);
        checks
    }
}

/// Returns the input of an operation with the scheme, or `None` if there is none.
fn input(scheme: Scheme, description: &KeyDescription) -> Option<Vec<u8>> {
    let public_key = description.public_key.as_ref();
    match (scheme.family, scheme.hash) {
        (Algorithm::RsaesPkcs1 | Algorithm::RsaesOaep, _) => public_key?.encrypt(scheme, MESSAGE),
        (Algorithm::Ecdh, _) => Some(public_key?.spki().to_vec()),
        (Algorithm::MlDsaMu, _) => Some(Hash::Sha512.digest(MESSAGE)),
        (Algorithm::RsaPkcs1, None) => Some(Hash::Sha256.digest_info(&Hash::Sha256.digest(MESSAGE))),
        (Algorithm::Hmac, _) | (_, None) => Some(MESSAGE.to_vec()),
        (_, Some(hash)) => Some(hash.digest(MESSAGE)),
    }
}

/// Returns the check for a use that is not permitted, or about which the service does not tell.
fn refused(scheme: Scheme, failure: &Failure, remedy: &dyn Fn(&Failure) -> Option<String>) -> Check {
    match failure.cause {
        Cause::Denied => Check::failed("permission", failure, remedy(failure)).about(&scheme.name()),
        Cause::Disabled | Cause::NotFound => Check::failed("key", failure, remedy(failure)),
        _ => Check::failed("permission", failure, remedy(failure)).into_warning(),
    }
}

fn verified(description: &KeyDescription, scheme: Scheme, data: &[u8], signature: &Signature) -> Check {
    let name = scheme.name();
    match &description.public_key {
        None => Check::ok("signature", format!("the service has made a MAC ({name})")),
        Some(key) if key.verifies(scheme, data, &signature.bytes) => Check::ok(
            "signature",
            format!("the service has made a signature ({name}), and the public half verifies it"),
        ),
        Some(_) => Check::problem(
            "signature",
            format!(
                "the signature that the service has made ({name}) does not verify under the public half of the key"
            ),
            "check that no other server replies in the service's place",
        ),
    }
}

/// Returns the check of the replicas, or `None` if the settings name no other regions.
fn replicas_check(
    description: &KeyDescription,
    replicas: &[Replica],
    service: &ServiceRound,
    is_known: &dyn Fn(&Failure) -> bool,
) -> Option<Check> {
    let mut regions = Vec::new();
    for Replica { region, description: pending, command } in replicas {
        match pending.wait(service.deadline()) {
            Ok(own) if own.public_key == description.public_key => regions.push(region.as_str()),
            Ok(_) => {
                let text = format!("the key with this name in {region} has another public half");
                return Some(Check::problem("replicas", text, "remove the region from \"aws_failover_regions\""));
            }
            Err(failure) if is_known(&failure) => return None,
            Err(failure) => {
                let advice = failure.message.contains("; ");
                let create = (failure.cause == Cause::NotFound && !advice).then(|| format!("run `{command}`"));
                return Some(Check::failed("replicas", &failure, create).about(region));
            }
        }
    }
    let words = || format!("these regions have a replica of the key: {}", regions.join(", "));
    (!regions.is_empty()).then(|| Check::ok("replicas", words()))
}
