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
        Obstacle::transient(
            Cause::Unreachable,
            format!("{host} ended the connection during the TLS handshake; {NO_HANDSHAKE}"),
        )
    })
}

const NO_HANDSHAKE: &str = "check the port, and whether a firewall or a proxy blocks this host";

fn of_rustls(error: &rustls::Error, host: &str) -> Obstacle {
    let lasting = |words: &str| Obstacle::permanent(Cause::Unreachable, format!("{host} {words}"));
    match error {
        rustls::Error::InvalidCertificate(error) => of_certificate(error, host),
        rustls::Error::PeerIncompatible(why) => match why {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => lasting(UNSUPPORTED_VERSION),
            why => lasting(&format!("and this module have no common TLS parameters ({why:?})")),
        },
        rustls::Error::AlertReceived(alert) => of_alert(*alert, host),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            lasting("does not use TLS at this port; check the port, and whether the URL must begin with http://")
        }
        rustls::Error::NoCertificatesPresented => lasting("sent no certificate"),
        error => Obstacle::transient(Cause::Unreachable, format!("the TLS connection to {host} broke: {error}")),
    }
}

const UNSUPPORTED_VERSION: &str = "supports neither TLS 1.2 nor TLS 1.3; enable one of them on the server";

/// What the other side means by each alert. RFC 8446 section 6.2.
#[rustfmt::skip]
const ALERTS: &[(AlertDescription, &str)] = &[
    (AlertDescription::ProtocolVersion, UNSUPPORTED_VERSION),
    (AlertDescription::InsufficientSecurity, "rejects the cipher suites of this module as too weak"),
    (AlertDescription::HandshakeFailure, "shares no TLS parameters with this module, such as a cipher suite; enable TLS 1.3, or TLS 1.2 with ECDHE and AEAD, on the server"),
    (AlertDescription::CertificateRequired, "requires a client certificate, but this module has none; check that the URL is that of the service"),
    (AlertDescription::BadCertificate, "requires a client certificate, but this module has none; check that the URL is that of the service"),
    (AlertDescription::UnrecognisedName, "does not serve this host name; check the URL"),
    (AlertDescription::AccessDenied, "denies access to this machine"),
];

fn of_alert(alert: AlertDescription, host: &str) -> Obstacle {
    let known = ALERTS.iter().find(|(known, _)| *known == alert);
    let words = known.map_or("refused the TLS connection", |(_, words)| words);
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
    let what = format!("the certificate of {host} can't be checked, because no certificate authorities were found");
    match named {
        Some(named) => {
            format!("{what}: {named} contains none that can be read; correct it, or name a file in \"ca_bundle\"")
        }
        None => {
            format!("{what} on this machine; install the package ca-certificates, or name a PEM file in \"ca_bundle\"")
        }
    }
}

/// Returns what is wrong with a certificate, and what to do.
fn objection(error: &CertificateError) -> String {
    use CertificateError as E;
    if let Some(objection) = Objection::find_in(error) {
        return of_objection(objection);
    }
    match error {
        E::UnknownIssuer => format!("was issued by an authority that is not trusted; {TRUST_ADVICE}"),
        E::NotValidForNameContext { presented, .. } => other_names(presented),
        E::NotValidForName => format!("is for other names; {WRONG_NAME_ADVICE}"),
        E::ExpiredContext { time, not_after } => expired(Some((time, not_after))),
        E::Expired => expired(None),
        E::NotValidYetContext { time, not_before } => {
            format!("is not valid before {}, and {}; {CLOCK_ADVICE}", utc(*not_before), clock(*time))
        }
        E::NotValidYet => format!("is not valid yet, and {}; {CLOCK_ADVICE}", clock(UnixTime::now())),
        E::Revoked => "was revoked; install a new one on the server".into(),
        E::BadSignature => {
            "has a signature that its issuer's key does not verify: the certificate was changed, two authorities have the same name, or an RSA key has less than 2048 bits".into()
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "is not for servers, because its extendedKeyUsage lacks serverAuth; issue a new one".into()
        }
        E::UnsupportedSignatureAlgorithmContext { .. } | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed with an algorithm that is not accepted, such as SHA-1; issue a new one with SHA-256".into()
        }
        error => format!("is not valid for TLS: {error}"),
    }
}

const TRUST_ADVICE: &str = "if this is your own authority, or that of a proxy that decrypts TLS, \
     save its certificate in a PEM file and name the file in \"ca_bundle\"";

fn of_objection(objection: &Objection) -> String {
    match objection {
        Objection::NoAuthority => "can't be checked".into(),
        Objection::CaCertificate => {
            "is a CA certificate (basicConstraints has CA:TRUE), which TLS does not accept from a \
             server; issue a certificate with basicConstraints=CA:FALSE (openssl req -x509: \
             -addext basicConstraints=critical,CA:FALSE)"
                .into()
        }
        Objection::OldVersion => "has X.509 version 1; issue one of version 3 with a subjectAltName".into(),
        Objection::SelfSigned { name } => {
            format!(
                "is self-signed ({name}) and not trusted; if it is the right certificate, name its file in \"ca_bundle\""
            )
        }
        Objection::UnknownIssuer { name, has_no_chain: is_alone } => {
            let alone = if *is_alone { "; or configure the server to send its issuer's certificate, too" } else { "" };
            format!("was issued by {name}, which is not a trusted authority; {TRUST_ADVICE}{alone}")
        }
    }
}

const WRONG_NAME_ADVICE: &str = "check the URL, and which server answers there; \"ca_bundle\" can't fix this";

/// The maximum number of names in a message.
const MAX_NAMES: usize = 5;

fn other_names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "names no host, because it has no subjectAltName (a common name is not enough); issue a new one".into();
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
    format!("expired{since}, and {}; {CLOCK_ADVICE}", clock(time))
}

const CLOCK_ADVICE: &str =
    "if the clock is wrong, set it (timedatectl set-ntp true); otherwise install a new certificate on the server";

fn clock(time: UnixTime) -> String {
    format!("this machine's clock shows {}", utc(time))
}

/// Returns a time in the form `2026-11-26T15:53:56Z`.
pub(crate) fn utc(time: UnixTime) -> String {
    let time = DateTime::from_unix_duration(Duration::from_secs(time.as_secs()));
    time.map_or_else(|_| "an invalid time".into(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_authority_message_names_the_package() {
        let message = no_authority("kms.example", None);
        assert!(message.contains("on this machine; install the package ca-certificates"), "{message}");
        let message = no_authority("kms.example", Some("SSL_CERT_FILE (/x)".into()));
        assert!(message.contains("SSL_CERT_FILE (/x) contains none") && !message.contains("install"), "{message}");
    }

    #[test]
    fn many_names_are_cut_and_plain() {
        let names: Vec<String> = (0..7).map(|number| format!("DnsName(\"{number}.example\")")).collect();
        let message = other_names(&[vec!["IpAddress(10.0.0.1)".to_owned()], names].concat());
        let all = "is for other names: 10.0.0.1, 0.example, 1.example, 2.example, 3.example, ...; ";
        assert!(message.starts_with(all), "{message}");
    }

    #[test]
    fn every_alert_message_names_host_and_alert() {
        for code in 0..=255 {
            let obstacle = of_alert(AlertDescription::from(code), "kms.example");
            assert!(
                obstacle.message.starts_with("kms.example ") && obstacle.message.contains("(TLS alert "),
                "{obstacle}"
            );
            assert_eq!(obstacle.is_transient, code == 80, "{obstacle}");
        }
    }
}
