//! The meaning of TLS failures, in words for users who know their servers but not rustls. There is one sentence
//! for each cause.

use super::trust;
use super::verifier::Objection;
use crate::cloud::failure::Cause;
use crate::cloud::failure::error_chain::causes;
use crate::cloud::failure::obstacle::Obstacle;
use der::DateTime;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};
use std::error::Error;
use std::io;
use std::time::Duration;

/// Returns what an error means, if the error occurred in TLS with the host.
pub(crate) fn obstacle(error: &(dyn Error + 'static), host: &str) -> Option<Obstacle> {
    if let Some(error) = causes(error).find_map(|error| error.downcast_ref::<rustls::Error>()) {
        return Some(of_rustls(error, host));
    }
    let ended = causes(error).filter_map(|error| error.downcast_ref::<io::Error>());
    let ended = ended
        .into_iter()
        .any(|error| error.kind() == io::ErrorKind::UnexpectedEof && error.to_string().contains("handshake"));
    ended.then(|| {
        Obstacle::transient(Cause::Unreachable, format!("{host} has ended the connection instead of {NO_HANDSHAKE}"))
    })
}

const NO_HANDSHAKE: &str = "answering in TLS: is it the right port, and does a firewall or a proxy permit that host?";

fn of_rustls(error: &rustls::Error, host: &str) -> Obstacle {
    let lasting = |words: &str| Obstacle::permanent(Cause::Unreachable, format!("{host} {words}"));
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error, host),
        rustls::Error::PeerIncompatible(why) => match why {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => lasting(UNSUPPORTED_VERSION),
            why => lasting(&format!("and this module have nothing in common that TLS needs ({why:?})")),
        },
        rustls::Error::AlertReceived(alert) => of_alert(*alert, host),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            lasting("does not speak TLS at that port: is it the right one, and should the URL begin with http://?")
        }
        rustls::Error::NoCertificatesPresented => lasting("has sent no certificate"),
        error => Obstacle::transient(Cause::Unreachable, format!("TLS with {host} broke off: {error}")),
    }
}

const UNSUPPORTED_VERSION: &str =
    "speaks no version of TLS that is taken here, which are 1.2 and 1.3: they have to be enabled there";

/// What the other side means by each alert. RFC 8446 section 6.2.
#[rustfmt::skip]
const ALERTS: &[(AlertDescription, &str)] = &[
    (AlertDescription::ProtocolVersion, UNSUPPORTED_VERSION),
    (AlertDescription::InsufficientSecurity, "finds the cipher suites of this module too weak"),
    (AlertDescription::HandshakeFailure, "finds nothing in common with this module that TLS needs, such as a cipher suite: those of TLS 1.2 with ECDHE and AEAD, and those of TLS 1.3, are known here"),
    (AlertDescription::CertificateRequired, "wants a certificate of the client, and this module has none: does the URL lead to the service itself?"),
    (AlertDescription::BadCertificate, "wants a certificate of the client, and this module has none: does the URL lead to the service itself?"),
    (AlertDescription::UnrecognisedName, "does not know itself by that name: is the URL right?"),
    (AlertDescription::AccessDenied, "does not let this machine in"),
];

fn of_alert(alert: AlertDescription, host: &str) -> Obstacle {
    let known = ALERTS.iter().find(|(known, _)| *known == alert);
    let words = known.map_or("has refused the TLS connection", |(_, words)| words);
    let message = format!("{host} {words} (TLS alert {alert:?})");
    // InternalError is the only alert about an accident.
    match alert {
        AlertDescription::InternalError => Obstacle::transient(Cause::Unreachable, message),
        _ => Obstacle::permanent(Cause::Unreachable, message),
    }
}

fn of_certificate(error: &CertificateError, host: &str) -> Obstacle {
    if Objection::find_in(error) == Some(&Objection::NoAuthority) {
        return Obstacle::permanent(Cause::Settings, no_authority(host, trust::variable_with_roots()));
    }
    Obstacle::permanent(Cause::Untrusted, format!("the certificate of {host} {}", objection(error)))
}

/// Returns the message if there are no certificate authorities. `named` is the variable that names authorities
/// instead of the system's.
fn no_authority(host: &str, named: Option<String>) -> String {
    let what = format!("no certificate authorities to check the certificate of {host} with");
    match named {
        Some(named) => {
            format!("{what}: {named} has none that can be read; correct it, or name a file in \"ca_bundle\"")
        }
        None => format!(
            "{what} on this machine: install the package ca-certificates, or name a file of them in \"ca_bundle\""
        ),
    }
}

/// Returns what is wrong with a certificate, and what to do.
fn objection(error: &CertificateError) -> String {
    use CertificateError as E;
    if let Some(objection) = Objection::find_in(error) {
        return of_objection(objection);
    }
    match error {
        E::UnknownIssuer => format!("is of an authority that is not trusted here; {TRUST_ADVICE}"),
        E::NotValidForNameContext { presented, .. } => other_names(presented),
        E::NotValidForName => format!("is for other names; {WRONG_NAME_ADVICE}"),
        E::ExpiredContext { time, not_after } => expired(Some((time, not_after))),
        E::Expired => expired(None),
        E::NotValidYetContext { time, not_before } => {
            format!("is valid only from {} on, and {}; {CLOCK_ADVICE}", utc(*not_before), clock(*time))
        }
        E::NotValidYet => format!("is not valid yet, and {}; {CLOCK_ADVICE}", clock(UnixTime::now())),
        E::Revoked => "was revoked: the server needs a new one".into(),
        E::BadSignature => {
            "has a signature that is not of its issuer: it was changed, two authorities have one name, or a key is too small (RSA has 2048 bits at least)".into()
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "is not for servers: its extendedKeyUsage lacks serverAuth; issue a new one".into()
        }
        E::UnsupportedSignatureAlgorithmContext { .. } | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed by an algorithm that is not accepted, such as SHA-1: issue a new one, with SHA-256".into()
        }
        error => format!("is not one that TLS accepts: {error}"),
    }
}

const TRUST_ADVICE: &str = "if that is an authority of your own, or of a proxy that opens TLS, \
     put its certificate into a PEM file and name that in \"ca_bundle\"";

fn of_objection(objection: &Objection) -> String {
    match objection {
        Objection::NoAuthority => "can't be checked".into(),
        Objection::CaCertificate => {
            "is an authority's own (basicConstraints has CA:TRUE), which TLS does not accept of a \
             server: issue one for the server, with basicConstraints=CA:FALSE. openssl req -x509 makes an authority's \
             unless given -addext basicConstraints=critical,CA:FALSE"
                .into()
        }
        Objection::OldVersion => "is of X.509 version 1: issue one of version 3, with a subjectAltName".into(),
        Objection::SelfSigned { name } => {
            format!("is signed by itself ({name}) and not trusted here; if that is right, name it in \"ca_bundle\"")
        }
        Objection::UnknownIssuer { name, has_no_chain: is_alone } => {
            let alone =
                if *is_alone { "; or the server should send the certificate of its issuer with its own" } else { "" };
            format!("was issued by {name}, which is no authority that is trusted here; {TRUST_ADVICE}{alone}")
        }
    }
}

const WRONG_NAME_ADVICE: &str =
    "is the URL right, and does nothing else answer there? \"ca_bundle\" does not help here";

/// The maximum number of names in a message.
const MAX_NAMES: usize = 5;

fn other_names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "names no host: it needs a subjectAltName, for a common name does not count; issue a new one".into();
    }
    // rustls reports names as `DnsName("localhost")` and `IpAddress(127.0.0.1)`.
    let plain = |name: &String| {
        let (_, within) = name.split_once('(').unwrap_or(("", name));
        within.trim_end_matches(')').trim_matches('"').to_owned()
    };
    let names: Vec<String> = presented.iter().take(MAX_NAMES).map(plain).collect();
    let more = if presented.len() > MAX_NAMES { ", ..." } else { "" };
    format!("is for other names: {}{more}; {WRONG_NAME_ADVICE}", names.join(", "))
}

fn expired(context: Option<(&UnixTime, &UnixTime)>) -> String {
    let (since, time) = match context {
        Some((time, not_after)) => (format!(" on {}", utc(*not_after)), *time),
        None => (String::new(), UnixTime::now()),
    };
    format!("has expired{since}, and {}; {CLOCK_ADVICE}", clock(time))
}

const CLOCK_ADVICE: &str =
    "set the clock, if that is wrong (timedatectl set-ntp true); if it is right, the server needs another certificate";

fn clock(time: UnixTime) -> String {
    format!("this machine's clock says {}", utc(time))
}

/// Returns a time in the form `2026-11-26T15:53:56Z`.
pub(crate) fn utc(time: UnixTime) -> String {
    let time = DateTime::from_unix_duration(Duration::from_secs(time.as_secs()));
    time.map_or_else(|_| "a time that is none".into(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_authorities_is_told_what_to_install() {
        let told = no_authority("kms.example", None);
        assert!(told.contains("on this machine: install the package ca-certificates"), "{told}");
        let told = no_authority("kms.example", Some("SSL_CERT_FILE (/x)".into()));
        assert!(told.contains("SSL_CERT_FILE (/x) has none") && !told.contains("install"), "{told}");
    }

    #[test]
    fn many_names_are_cut_and_plain() {
        let names: Vec<String> = (0..7).map(|number| format!("DnsName(\"{number}.example\")")).collect();
        let told = other_names(&[vec!["IpAddress(10.0.0.1)".to_owned()], names].concat());
        let all = "is for other names: 10.0.0.1, 0.example, 1.example, 2.example, 3.example, ...; ";
        assert!(told.starts_with(all), "{told}");
    }

    #[test]
    fn every_alert_message_names_host_and_alert() {
        for code in 0..=255 {
            let told = of_alert(AlertDescription::from(code), "kms.example");
            assert!(told.message.starts_with("kms.example ") && told.message.contains("(TLS alert "), "{told}");
            assert_eq!(told.is_transient, code == 80, "{told}");
        }
    }
}
