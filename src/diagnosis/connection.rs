//! The checks of the way to a service: name, proxy, certificate and clock.

use super::check::Check;
use super::display::{day, display_name};
use crate::certificate::Certificate;
use crate::cloud::{Cause, Connection, is_plaintext_remote};

/// Returns the checks of a connection.
pub(super) fn checks(connection: &Connection) -> Vec<Check> {
    let mut checks = Vec::new();
    let Connection { url, host, addresses, proxy, reply } = connection;
    match (addresses, proxy) {
        (Some(Ok(addresses)), _) => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let text = match addresses.as_slice() {
                [own] if own == host.trim_matches(['[', ']']) => format!("{host} is an address"),
                _ => format!("{host} resolves to {}", addresses.join(", ")),
            };
            checks.push(Check::ok("name", text));
        }
        (Some(Err(failure)), _) => checks.push(Check::failed("name", failure, None)),
        (None, Some(proxy)) if reply.as_ref().err().is_none_or(|failure| failure.cause != Cause::Proxy) => {
            checks.push(Check::ok("proxy", format!("requests to {host} go through {proxy}")));
        }
        _ => {}
    }
    match reply {
        Ok(reply) => {
            checks.push(tls(url, host, reply.certificate.as_ref()));
            checks.extend(reply.clock_difference.map(clock));
        }
        // The failed name is already in the report.
        Err(failure) if failure.cause == Cause::Unresolved && matches!(addresses, Some(Err(_))) => {}
        Err(failure) => checks.push(Check::failed(name_of(failure.cause), failure, None)),
    }
    checks
}

/// Returns the check to which a failure of a connection belongs.
fn name_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Unresolved => "name",
        Cause::Proxy => "proxy",
        Cause::Untrusted => "tls",
        _ => "connection",
    }
}

fn tls(url: &str, host: &str, certificate: Option<&Certificate>) -> Check {
    match certificate {
        Some(own) => Check::ok(
            "tls",
            format!(
                "{host} has the certificate of {}, issued by {}, valid until {}",
                display_name(&own.subject),
                display_name(&own.issuer),
                day(own.not_after)
            ),
        ),
        None if is_plaintext_remote(url) => {
            Check::warning("tls", format!("requests to {url} are not encrypted"), "use https://")
        }
        None if url.starts_with("http:") => Check::ok("tls", format!("{url} is on this machine, without TLS")),
        None => Check::ok("tls", format!("{host} is trusted")),
    }
}

/// The differences of the clocks, in seconds, from which there is a warning or a problem. AWS refuses signatures from 5
/// minutes.
const WARNING: u64 = 60;
const PROBLEM: u64 = 300;

const SET_CLOCK: &str = "set the clock of this machine (timedatectl set-ntp true)";

/// Returns the check of the clock. `ahead` is the number of seconds by which the server's clock is ahead.
fn clock(ahead: i64) -> Check {
    let seconds = ahead.unsigned_abs();
    let direction = if ahead > 0 { "behind" } else { "ahead of" };
    let text = format!("this machine's clock is {seconds} s {direction} the service's");
    match seconds {
        ..WARNING => Check::ok("clock", "this machine's clock agrees with the service's"),
        WARNING..PROBLEM => Check::warning("clock", text, SET_CLOCK),
        PROBLEM.. => Check::problem("clock", text, SET_CLOCK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{Failure, ServerReply};
    use crate::diagnosis::check::Outcome;

    #[test]
    fn a_clock_that_is_off_is_a_warning_and_then_a_problem() {
        for (ahead, outcome, words) in [
            (0, Outcome::Ok, "agrees"),
            (-59, Outcome::Ok, "agrees"),
            (60, Outcome::Warning, "60 s behind"),
            (-299, Outcome::Warning, "299 s ahead of"),
            (300, Outcome::Problem, "300 s behind"),
            (i64::MIN, Outcome::Problem, "ahead of"),
        ] {
            let check = clock(ahead);
            assert_eq!(check.outcome, outcome, "{check:?}");
            assert!(check.text.contains(words), "{check:?}");
            assert_eq!(check.fix.is_some(), outcome != Outcome::Ok);
        }
    }

    #[test]
    fn each_failure_has_the_name_of_its_check() {
        let connection = |cause, addresses, proxy| Connection {
            url: "https://kms.example".into(),
            host: "kms.example".into(),
            addresses,
            proxy,
            reply: Err(Failure::new(cause, "Connect", "words; advice")),
        };
        let found = || Some(Ok(vec!["10.0.0.1".parse().unwrap()]));
        let names = |connection| {
            let checks = checks(&connection);
            checks.iter().map(|check| (check.name, check.outcome == Outcome::Ok)).collect::<Vec<_>>()
        };
        let unresolved = || Some(Err(Failure::new(Cause::Unresolved, "Connect", "kms.example: no")));
        assert_eq!(names(connection(Cause::Unresolved, unresolved(), None)), [("name", false)]);
        assert_eq!(names(connection(Cause::Untrusted, found(), None)), [("name", true), ("tls", false)]);
        assert_eq!(names(connection(Cause::Unreachable, found(), None)), [("name", true), ("connection", false)]);
        assert_eq!(names(connection(Cause::Proxy, None, Some("p".into()))), [("proxy", false)]);
        assert_eq!(names(connection(Cause::Untrusted, None, Some("p".into()))), [("proxy", true), ("tls", false)]);
    }

    #[test]
    fn plain_http_to_another_machine_is_a_warning() {
        let reply = || Ok(ServerReply { certificate: None, clock_difference: Some(1) });
        let outcome = |url: &str| {
            let url = url.to_owned();
            let connection = Connection { url, host: "h".into(), addresses: None, proxy: None, reply: reply() };
            checks(&connection)[0].outcome.clone()
        };
        assert_eq!(outcome("http://kms.example"), Outcome::Warning);
        assert_eq!(outcome("http://127.0.0.1:1"), Outcome::Ok);
    }
}
