//! Obstacles that keep a request from its service, or a reply from this module, in words that a user can act on.
//!
//! An obstacle is created where the error of the HTTP client is seen first, because the host and the proxy are
//! known there. It is found again inside the errors in which the SDKs wrap it. So obstacles of requests for tokens
//! and credentials are reported like obstacles of requests for keys.

use super::error_chain::{causes, message_of};
use super::refused::{FailedAttempt, RetryPolicy};
use super::{Cause, Failure};
use std::error::Error;
use std::fmt;
use std::io;

/// An obstacle between this module and a service. It has no `source`, because its message is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) cause: Cause,
    pub(crate) message: String,
    /// Whether the same request may succeed a moment later.
    pub(crate) is_transient: bool,
}

impl Obstacle {
    /// Creates an obstacle that lasts until someone fixes it.
    pub(crate) fn permanent(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), is_transient: false }
    }

    /// Creates an obstacle that may be gone a moment later.
    pub(crate) fn transient(cause: Cause, message: impl Into<String>) -> Self {
        Self { is_transient: true, ..Self::permanent(cause, message) }
    }

    /// Returns the obstacle if this machine or this process lacks a resource.
    pub(crate) fn missing_resource(error: &(dyn Error + 'static)) -> Option<Self> {
        let numbers = causes(error).filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
        let known = numbers.filter_map(|number| RESOURCES.iter().find(|(known, ..)| *known == number));
        let (number, cause, advice) = known.last()?;
        Some(Self::transient(*cause, format!("{}; {advice}", io::Error::from_raw_os_error(*number))))
    }

    /// Returns the obstacle if the HTTP client reports that the host has no address.
    pub(crate) fn unresolved_host(error: &(dyn Error + 'static), host: &str, advice: &str) -> Option<Self> {
        let words = message_of(error);
        let (_, why) = words.rsplit_once(UNRESOLVED)?;
        Some(Self::transient(Cause::Unresolved, format!("{host}: {}; {advice}", why.trim_start_matches(": "))))
    }

    /// Returns the obstacle for a failed connection to `place`, a host and port. Used if no other reason is known.
    pub(crate) fn failed_connection(error: &(dyn Error + 'static), place: &str) -> Self {
        let numbers = causes(error).filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
        let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
        match numbers.last() {
            Some(libc::EACCES | libc::EPERM) => {
                Self::permanent(Cause::Settings, format!("can't connect to {place}: {why}; {CONNECT_FORBIDDEN}"))
            }
            _ => Self::transient(Cause::Unreachable, format!("can't connect to {place}: {why}; {CHECK_CONNECTION}")),
        }
    }

    /// Returns the obstacle inside an error of an SDK.
    pub(crate) fn find_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|error| error.downcast_ref())
    }

    pub(crate) fn failure(&self, operation: &'static str) -> Failure {
        Failure::new(self.cause, operation, self.message.clone())
    }

    pub(crate) fn refused(&self, operation: &'static str) -> FailedAttempt {
        let remedy = if self.is_transient { RetryPolicy::Limited } else { RetryPolicy::Never };
        FailedAttempt { remedy, ..self.failure(operation).into() }
    }

    /// Returns the refusal of an operation that lacks `need`, a token or credentials, because of this obstacle.
    /// There is no remedy, because the request for the token or the credentials has had its own retries.
    pub(crate) fn failed_attempt_lacking(&self, operation: &'static str, need: &str) -> FailedAttempt {
        let failure =
            Failure { message: format!("no {need} for this request: {}", self.message), ..self.failure(operation) };
        FailedAttempt { remedy: RetryPolicy::Never, ..failure.into() }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Obstacle {}

/// Creates an obstacle from a message about a setting of this machine with which no client can be made.
impl From<String> for Obstacle {
    fn from(message: String) -> Self {
        Self::permanent(Cause::Settings, message)
    }
}

const FILES: &str = "raise this program's limit of open files (ulimit -n, LimitNOFILE= of a systemd service), \
     or find out whether the program leaves files open";
const THREADS: &str = "raise the limit of processes and threads (ulimit -u, TasksMax= of a systemd service, the pids \
     limit of a container) or the limit of memory (ulimit -v)";
const MEMORY: &str = "give this machine or container more memory";

const CHECK_CONNECTION: &str = "check the endpoint, the network and the firewall";

const CONNECT_FORBIDDEN: &str = "this machine does not allow this program to connect; check SELinux (for Apache: setsebool -P \
     httpd_can_network_connect on), AppArmor, the systemd unit and the firewall";

/// The resources that the system can lack: the error number, the cause, and advice for the user.
const RESOURCES: &[(i32, Cause, &str)] = &[
    (libc::EMFILE, Cause::Descriptors, FILES),
    (libc::ENFILE, Cause::Descriptors, "raise the limit of open files of this machine (sysctl fs.file-max)"),
    // A socket that is not ready does not cause this error here, because the runtime handles it.
    (libc::EAGAIN, Cause::Threads, THREADS),
    (libc::ENOMEM, Cause::Memory, MEMORY),
    (libc::ENOBUFS, Cause::Memory, MEMORY),
];

/// The HTTP client's words for every failure to find an address.
const UNRESOLVED: &str = "dns error";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_resources_are_reported() {
        for (number, cause, words) in [
            (libc::EMFILE, Cause::Descriptors, "ulimit -n"),
            (libc::ENFILE, Cause::Descriptors, "fs.file-max"),
            (libc::EAGAIN, Cause::Threads, "ulimit -u"),
            (libc::ENOMEM, Cause::Memory, "memory"),
        ] {
            let wrapped = io::Error::other(io::Error::from_raw_os_error(number));
            let obstacle = Obstacle::missing_resource(&wrapped).unwrap();
            assert_eq!((obstacle.cause, obstacle.is_transient), (cause, true));
            assert!(obstacle.message.contains(words), "{obstacle}");
        }
        assert_eq!(Obstacle::missing_resource(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), None);
    }

    #[test]
    fn a_forbidden_connection_is_a_settings_failure() {
        let of =
            |number| Obstacle::failed_connection(&io::Error::other(io::Error::from_raw_os_error(number)), "host:443");
        let forbidden = of(libc::EACCES);
        assert_eq!((forbidden.cause, forbidden.is_transient), (Cause::Settings, false));
        assert!(forbidden.message.starts_with("can't connect to host:443: Permission denied"), "{forbidden}");
        assert!(forbidden.message.contains("SELinux"), "{forbidden}");
        assert_eq!((of(libc::EHOSTUNREACH).cause, of(libc::ECONNREFUSED).is_transient), (Cause::Unreachable, true));
    }

    #[test]
    fn an_obstacle_is_found_below_what_is_wrapped_round_it() {
        let obstacle = Obstacle::permanent(Cause::Untrusted, "why");
        let wrapped = io::Error::other(io::Error::other(obstacle.clone()));
        assert_eq!(Obstacle::find_in(&wrapped), Some(&obstacle));
        assert_eq!(obstacle.refused("Sign").remedy, RetryPolicy::Never);
        assert_eq!(Obstacle::transient(Cause::Proxy, "why").refused("Sign").remedy, RetryPolicy::Limited);
    }
}
