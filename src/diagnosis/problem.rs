//! Failures as lines of a report: what happened, and what to do.

use super::check::{Check, Outcome};
use crate::cloud::{Cause, Failure};

impl Check {
    /// Returns a check that has found something to be in order.
    pub fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Ok, text: text.into(), fix: None }
    }

    /// Returns a check that has found something that works, but not as well or as safely as it could.
    pub fn warning(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warning, text: text.into(), fix: Some(fix.into()) }
    }

    /// Returns a check that has found something that does not work.
    pub fn problem(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { outcome: Outcome::Problem, ..Self::warning(name, text, fix) }
    }

    /// Returns the line for a failure. `fix` is what the service advises about this key, if anything.
    pub(super) fn failed(name: &'static str, failure: &Failure, fix: Option<String>) -> Self {
        let (message, advice) = parts(&failure.message);
        let fix = fix.or(advice).unwrap_or_else(|| usual_fix(failure.cause).to_owned());
        let text = Failure { message, ..failure.clone() }.to_string();
        Self::problem(name, text, fix)
    }

    /// Returns the same line as a warning.
    pub(super) fn into_warning(self) -> Self {
        Self { outcome: Outcome::Warning, ..self }
    }

    /// Returns the same line about one of several things.
    pub(super) fn about(self, thing: &str) -> Self {
        Self { text: format!("{thing}: {}", self.text), ..self }
    }
}

/// Returns the check to which the failure of a request about a key belongs.
pub(super) fn name_for_key(failure: &Failure) -> &'static str {
    if failure.cause == Cause::Denied { "permission" } else { "key" }
}

/// What stands in messages before the permission that is missing.
const NEEDED: [&str; 2] = [" (needed: ", "; needed: "];

const ATTEMPTS: &str = " (attempt ";

/// What follows a semicolon in a message and is no advice. Advice comes after it.
const NO_ADVICE: [&str; 3] = ["the previous attempt", "the service has not", "not configured: "];

/// Splits a message into what happened and what to do.
fn parts(message: &str) -> (String, Option<String>) {
    // The number of attempts comes last.
    if let Some((before, attempts)) = message.rsplit_once(ATTEMPTS) {
        let (happened, advice) = parts(before);
        return (format!("{happened}{ATTEMPTS}{attempts}"), advice);
    }
    let denied = NEEDED.iter().find_map(|mark| message.split_once(mark));
    if let Some((happened, needed)) = denied {
        let needed = needed.strip_suffix(')').unwrap_or(needed);
        return (happened.to_owned(), Some(format!("grant {needed}")));
    }
    if let Some(needed) = message.strip_prefix("needed: ") {
        return ("the permission is missing".to_owned(), Some(format!("grant {needed}")));
    }
    let clauses: Vec<&str> = message.split("; ").collect();
    let happened = clauses.iter().rposition(|clause| NO_ADVICE.iter().any(|words| clause.starts_with(words)));
    let (happened, advice) = clauses.split_at(happened.unwrap_or(0) + 1);
    (happened.join("; "), (!advice.is_empty()).then(|| advice.join("; ")))
}

/// Returns what to do about failures whose message has no advice.
fn usual_fix(cause: Cause) -> &'static str {
    let known = FIXES.iter().find(|(known, _)| *known == cause);
    known.map_or("read the message of the service", |(_, fix)| fix)
}

#[rustfmt::skip]
const FIXES: &[(Cause, &str)] = &[
    (Cause::Denied, "ask the owner of the key for the permission"),
    (Cause::NotFound, "correct the name of the key, and the place in which it is looked up"),
    (Cause::Disabled, "enable the key, or use another one"),
    (Cause::Throttled, "try again later, or ask for a higher quota"),
    (Cause::TimedOut, "check the network and the firewall, or raise \"call_timeout_ms\""),
    (Cause::Unreachable, "check the endpoint, the network and the firewall"),
    (Cause::Credentials, "correct or renew the credentials"),
    (Cause::Rejected, "correct the settings of the slot"),
    (Cause::Internal, "try again later; if it recurs, tell the service's support the request id"),
    (Cause::Malformed, "check that the endpoint is that of the service, and that no proxy replies in its place"),
    (Cause::Unsupported, "use a key that the module supports (docs/limits.md)"),
    (Cause::Unresolved, "check the endpoint and this machine's DNS"),
    (Cause::Proxy, "correct the proxy"),
    (Cause::Untrusted, "name a file with the right authority in \"ca_bundle\""),
    (Cause::Settings, "correct the setting"),
    (Cause::Threads, "raise the limit of threads"),
    (Cause::Descriptors, "raise the limit of open files"),
    (Cause::Memory, "give this machine more memory"),
    (Cause::Panic, "report this defect"),
    (Cause::Interrupted, "try again"),
    (Cause::Undecryptable, "report this defect"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CAUSES;

    #[test]
    fn a_message_is_split_into_what_happened_and_what_to_do() {
        for (message, text, fix) in [
            ("can't connect to h:1: refused; check the network", "can't connect to h:1: refused", "check the network"),
            ("AccessDenied: no (needed: kms:Sign)", "AccessDenied: no", "grant kms:Sign"),
            ("no; needed: the permission p on k", "no", "grant the permission p on k"),
            ("needed: the permission p", "the permission is missing", "grant the permission p"),
            ("no; try (attempt 4)", "no (attempt 4)", "try"),
            ("plain words", "plain words", "ask the owner of the key for the permission"),
            ("no reply; the previous attempt: x", "no reply; the previous attempt: x", FIXES[0].1),
            ("role: no; not configured: variables; set a; or b", "role: no; not configured: variables", "set a; or b"),
        ] {
            let failure = Failure::new(Cause::Denied, "Sign", message);
            let check = Check::failed("key", &failure, None);
            assert_eq!(check.text, format!("Sign: permission denied: {text}"));
            assert_eq!((check.outcome, check.fix.as_deref()), (Outcome::Problem, Some(fix)));
            let check = Check::failed("key", &failure, Some("run it".to_owned()));
            assert_eq!(check.fix.as_deref(), Some("run it"));
        }
    }

    #[test]
    fn every_cause_has_a_fix() {
        for (cause, ..) in CAUSES {
            assert!(FIXES.iter().any(|(known, _)| known == cause), "{cause:?}");
        }
    }
}
