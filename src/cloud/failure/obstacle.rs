//! What keeps a request from its service, or the reply from us, in words that a person can act on.
//!
//! It is made where the HTTP client's error is seen first, with the host and the proxy at hand, and it is found again
//! below whatever the SDKs wrap round it. So it holds for tokens and credentials as it does for keys.

use super::error_chain::{causes, words_of};
use super::refused::{Refused, Remedy};
use super::{Cause, Failure};
use std::error::Error;
use std::fmt;
use std::io;

/// See the head of the file. It has no source: what it says is all that there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) cause: Cause,
    pub(crate) message: String,
    /// Whether the same request may find its way a moment later.
    pub(crate) is_passing: bool,
}

impl Obstacle {
    /// One that stays until somebody does something about it.
    pub(crate) fn lasting(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), is_passing: false }
    }

    /// One that may be gone a moment later.
    pub(crate) fn passing(cause: Cause, message: impl Into<String>) -> Self {
        Self { is_passing: true, ..Self::lasting(cause, message) }
    }

    /// What this machine, or this process, has too little of.
    pub(crate) fn of_this_machine(error: &(dyn Error + 'static)) -> Option<Self> {
        let numbers = causes(error).filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
        let known = numbers.filter_map(|number| RESOURCES.iter().find(|(known, ..)| *known == number));
        let (number, cause, advice) = known.last()?;
        Some(Self::passing(*cause, format!("{}; {advice}", io::Error::from_raw_os_error(*number))))
    }

    /// That a host has no address, if that is what the HTTP client says.
    pub(crate) fn of_name(error: &(dyn Error + 'static), host: &str, advice: &str) -> Option<Self> {
        let words = words_of(error);
        let (_, why) = words.rsplit_once(UNRESOLVED)?;
        Some(Self::passing(Cause::Unresolved, format!("{host}: {}; {advice}", why.trim_start_matches(": "))))
    }

    /// That there is no connection to a host and port, for no other reason that is known.
    pub(crate) fn of_connect(error: &(dyn Error + 'static), place: &str) -> Self {
        let numbers = causes(error).filter_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error());
        let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
        match numbers.last() {
            Some(libc::EACCES | libc::EPERM) => {
                Self::lasting(Cause::Settings, format!("no connection to {place}: {why}; {FORBIDDEN}"))
            }
            _ => Self::passing(Cause::Unreachable, format!("no connection to {place}: {why}")),
        }
    }

    /// The one that lies within an error of an SDK.
    pub(crate) fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        causes(error).find_map(|error| error.downcast_ref())
    }

    pub(crate) fn failure(&self, operation: &'static str) -> Failure {
        Failure::new(self.cause, operation, self.message.clone())
    }

    pub(crate) fn refused(&self, operation: &'static str) -> Refused {
        let remedy = if self.is_passing { Remedy::Again } else { Remedy::Nothing };
        Refused { remedy, ..self.failure(operation).into() }
    }

    /// The same on the way to whoever gives what the request needs: a token, credentials. These have had their own
    /// repetitions.
    pub(crate) fn refused_for(&self, operation: &'static str, need: &str) -> Refused {
        let failure = Failure { message: format!("no {need} for it: {}", self.message), ..self.failure(operation) };
        Refused { remedy: Remedy::Nothing, ..failure.into() }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Obstacle {}

/// Words of what is set on this machine: a client can't be made.
impl From<String> for Obstacle {
    fn from(message: String) -> Self {
        Self::lasting(Cause::Settings, message)
    }
}

const FILES: &str = "raise the limit of open files of this program (ulimit -n, LimitNOFILE= of a systemd service), \
     or look for what leaves files open in it";
const THREADS: &str = "raise the limit of processes and threads (ulimit -u, TasksMax= of a systemd service, the pids \
     limit of a container) or of memory (ulimit -v)";
const MEMORY: &str = "give this machine or container more memory";

const FORBIDDEN: &str = "this machine does not let this program connect: ask its SELinux (for Apache: setsebool -P \
     httpd_can_network_connect on), its AppArmor, the service's systemd unit or the firewall";

/// What the system is short of, by its error number, and what a person can do.
const RESOURCES: &[(i32, Cause, &str)] = &[
    (libc::EMFILE, Cause::Descriptors, FILES),
    (libc::ENFILE, Cause::Descriptors, "raise the limit of open files of this machine (sysctl fs.file-max)"),
    // Sockets that would have to wait don't say so here: that is what the runtime is for.
    (libc::EAGAIN, Cause::Threads, THREADS),
    (libc::ENOMEM, Cause::Memory, MEMORY),
    (libc::ENOBUFS, Cause::Memory, MEMORY),
];

/// The HTTP client says so of any failure to find an address.
const UNRESOLVED: &str = "dns error";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_told_as_such() {
        for (number, cause, words) in [
            (libc::EMFILE, Cause::Descriptors, "ulimit -n"),
            (libc::ENFILE, Cause::Descriptors, "fs.file-max"),
            (libc::EAGAIN, Cause::Threads, "ulimit -u"),
            (libc::ENOMEM, Cause::Memory, "memory"),
        ] {
            let wrapped = io::Error::other(io::Error::from_raw_os_error(number));
            let obstacle = Obstacle::of_this_machine(&wrapped).unwrap();
            assert_eq!((obstacle.cause, obstacle.is_passing), (cause, true));
            assert!(obstacle.message.contains(words), "{obstacle}");
        }
        assert_eq!(Obstacle::of_this_machine(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), None);
    }

    #[test]
    fn what_forbids_a_connection_is_this_machine() {
        let of = |number| Obstacle::of_connect(&io::Error::other(io::Error::from_raw_os_error(number)), "host:443");
        let forbidden = of(libc::EACCES);
        assert_eq!((forbidden.cause, forbidden.is_passing), (Cause::Settings, false));
        assert!(forbidden.message.starts_with("no connection to host:443: Permission denied"), "{forbidden}");
        assert!(forbidden.message.contains("SELinux"), "{forbidden}");
        assert_eq!((of(libc::EHOSTUNREACH).cause, of(libc::ECONNREFUSED).is_passing), (Cause::Unreachable, true));
    }

    #[test]
    fn an_obstacle_is_found_below_what_is_wrapped_round_it() {
        let obstacle = Obstacle::lasting(Cause::Untrusted, "why");
        let wrapped = io::Error::other(io::Error::other(obstacle.clone()));
        assert_eq!(Obstacle::within(&wrapped), Some(&obstacle));
        assert_eq!(obstacle.refused("Sign").remedy, Remedy::Nothing);
        assert_eq!(Obstacle::passing(Cause::Proxy, "why").refused("Sign").remedy, Remedy::Again);
    }
}
