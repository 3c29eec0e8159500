//! The check of a key's certificate.

use super::check::Check;
use super::display::{day, display_name, now};
use crate::certificate::Certificate;
use crate::certificate::bundle::Bundle;
use crate::cloud::{Backend, Cause, Failure, Pending};
use crate::config::{CertificateSource, Key, Management};
use crate::key::PublicKey;
use crate::store::certificates::CertificateStore;
use std::time::Instant;

/// Where the certificate of a key comes from.
pub(super) enum CertificateRound {
    /// The configuration, or a file of it.
    Local(String, Result<Vec<Certificate>, String>),
    /// The service of the keys, or a service of certificates.
    Requested(String, Pending<Option<Vec<Certificate>>>),
}

impl CertificateRound {
    /// Reads the certificate of a key, or starts the request for it.
    pub(super) fn start(key: &Key, backend: &(dyn Backend + 'static)) -> Self {
        match &key.certificate {
            CertificateSource::Service => {
                Self::Requested("the certificate in the service".to_owned(), backend.certificate(&key.name))
            }
            CertificateSource::Inline(chain) => {
                Self::Local("the certificate in the configuration (\"certificate\")".to_owned(), Ok(chain.clone()))
            }
            CertificateSource::File(path) => {
                let bytes = std::fs::read(path).map_err(|error| error.to_string());
                let found = bytes.and_then(|bytes| Certificate::parse_all(&bytes).map_err(|unusable| unusable.0));
                Self::Local(format!("the certificate {}", path.display()), found.map(|(chain, _)| chain))
            }
            CertificateSource::Named(name) => {
                Self::Requested(format!("the certificate {}", name.id), backend.named_certificate(name))
            }
        }
    }

    /// Returns the check of the certificate, or `None` if the key has none.
    pub(super) fn check(self, key: &PublicKey, slot: Option<&Management>, deadline: Instant) -> Option<Check> {
        let (source, chain) = match self {
            Self::Local(source, Ok(chain)) => (source, chain),
            Self::Local(source, Err(why)) => {
                return Some(Check::problem(NAME, format!("{source} can't be used: {why}"), CORRECT_FILE));
            }
            Self::Requested(source, pending) => match pending.wait(deadline) {
                Ok(chain) => (source, chain.unwrap_or_default()),
                Err(failure) => return Some(unfetched(&source, &failure)),
            },
        };
        if !chain.is_empty() {
            return Some(check(&source, &Bundle::new(chain), key, now()));
        }
        let slot = slot?;
        let stored = slot.certificate_store.as_deref().map(|folder| (folder, CertificateStore::new(folder).chain(key)));
        match stored {
            Some((folder, Err(error))) => Some(Check::problem(
                NAME,
                format!("the certificate store {}: {}", folder.display(), error.message),
                "correct the directory, or remove \"certificate_store\"",
            )),
            Some((folder, Ok(chain))) if !chain.is_empty() => {
                let source = format!("the certificate in {}", folder.display());
                Some(check(&source, &Bundle::new(chain), key, now()))
            }
            _ => {
                let own = slot.certificates.iter().find(|own| own.certifies(key))?;
                Some(check("the certificate of the slot", &Bundle::new(vec![own.clone()]), key, now()))
            }
        }
    }
}

const NAME: &str = "certificate";
const CORRECT_FILE: &str = "correct the path, or write the certificate to it as PEM, DER or PKCS#7";

/// A certificate that can't be fetched does not keep the key from signing. Without the permission to read certificates, keys
/// have none, which may be what the user wants.
fn unfetched(source: &str, failure: &Failure) -> Check {
    if failure.cause == Cause::Denied {
        return Check::ok(NAME, format!("programs see no certificate, because {source} may not be read: {failure}"));
    }
    Check::failed(NAME, failure, None).about(source).into_warning()
}

/// The time before the end of a certificate from which there is a warning, in seconds.
const RENEWAL_DUE: u64 = 30 * 86_400;

/// Returns the check of the certificates that a key is said to have.
fn check(source: &str, bundle: &Bundle, key: &PublicKey, now: u64) -> Check {
    let chain = bundle.chain_of(key);
    let Some(own) = chain.first() else {
        let whose = bundle.leaf().map(|own| format!(" ({})", display_name(&own.subject))).unwrap_or_default();
        let fix = "replace it by a certificate for the public half of this key, or correct the name of the key";
        return Check::problem(NAME, format!("{source}{whose} belongs to another key"), fix);
    };
    let text = format!(
        "{source} is that of {}, issued by {}, valid until {}",
        display_name(&own.subject),
        display_name(&own.issuer),
        day(own.not_after)
    );
    let renew = "have a new certificate issued for this key, and put it in place of the old one";
    match own.not_after.checked_sub(now) {
        None => Check::problem(NAME, format!("{text}: it has expired"), renew),
        _ if own.not_before > now => {
            let text = format!("{text}: it is not valid before {}", day(own.not_before));
            Check::problem(NAME, text, "wait, or set the clock of this machine if it is wrong")
        }
        Some(left) if left < RENEWAL_DUE => {
            Check::warning(NAME, format!("{text}: it expires in {} days", left / 86_400), renew)
        }
        Some(_) => Check::ok(NAME, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;
    use crate::fuzzing::fake;

    #[test]
    fn the_end_of_a_certificate_is_a_warning_and_then_a_problem() {
        let key = fake::public_key("p256").unwrap();
        let own = fake::certificate_of(&key);
        let bundle = Bundle::new(vec![own.clone()]);
        let day = 86_400;
        for (now, outcome, words) in [
            (own.not_after - 31 * day, Outcome::Ok, "valid until"),
            (own.not_after - 29 * day, Outcome::Warning, "it expires in 29 days"),
            (own.not_after, Outcome::Warning, "it expires in 0 days"),
            (own.not_after + 1, Outcome::Problem, "it has expired"),
            (own.not_before - 1, Outcome::Problem, "it is not valid before"),
        ] {
            let found = check("the certificate", &bundle, &key, now);
            assert_eq!(found.outcome, outcome, "{found:?}");
            assert!(found.text.contains(words), "{found:?}");
            assert_eq!(found.fix.is_some(), outcome != Outcome::Ok);
        }
    }

    #[test]
    fn a_certificate_of_another_key_is_a_problem() {
        let (key, other) = (fake::public_key("p256").unwrap(), fake::public_key("p384").unwrap());
        let bundle = Bundle::new(vec![fake::certificate_of(&key)]);
        let found = check("the certificate", &bundle, &other, now());
        assert_eq!(found.outcome, Outcome::Problem);
        assert!(found.text.contains("belongs to another key"), "{found:?}");
    }
}
