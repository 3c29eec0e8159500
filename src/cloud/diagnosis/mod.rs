//! What the command-line tool asks of a service, to find out why keys do or do not work.
//!
//! [`Diagnosis`] is not a capability that [`Backend`] returns. The shared library contains every method of the traits that
//! it uses, whether or not it calls the method, and it never diagnoses.

pub(crate) mod connection;

use super::backend::Backend;
use super::failure::Failure;
use super::key::{KeyDescription, KeyName, Target};
use super::runtime::Pending;
use crate::key::Scheme;
use connection::Connection;

/// A service that can tell why its keys do or do not work.
pub trait Diagnosis: Backend {
    /// Connects to each server to which requests about these keys go.
    fn connect(&self, keys: &[KeyName]) -> Pending<Vec<Connection>>;

    /// Fetches the credentials for requests about these keys, and asks whose they are.
    fn principal(&self, keys: &[KeyName]) -> Pending<Principal>;

    /// Asks whether the credentials permit the use of a key with a scheme, without using it. `data` is valid input for the
    /// scheme. Returns `None` if the service can't tell.
    fn permission(&self, _target: Target, _scheme: Scheme, _data: &[u8]) -> Option<Pending<()>> {
        None
    }

    /// Asks the other regions that the settings name for their replicas of a key.
    fn replicas(&self, _key: &KeyName, _description: &KeyDescription) -> Vec<Replica> {
        Vec::new()
    }

    /// Returns how a user of the service corrects a failure with a key, if that is known better than the message of the
    /// failure says.
    fn remedy(&self, _key: &KeyName, _failure: &Failure) -> Option<String> {
        None
    }

    /// Returns how a user of the service corrects credentials that the service or its authority has refused.
    fn credential_remedy(&self, _failure: &Failure) -> Option<&'static str> {
        None
    }
}

/// Whose credentials the requests of a service have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Where the credentials come from, and until when they are valid.
    pub source: String,
    /// Whose credentials they are, in the service's terms; or why the service does not say so
    /// ([`Cause::Unsupported`](super::failure::Cause::Unsupported) if it can't be asked).
    pub identity: Result<String, Failure>,
    /// What will soon go wrong with the credentials, and what to do.
    pub warning: Option<(String, String)>,
}

/// A replica of a key in another region.
pub struct Replica {
    /// The region.
    pub region: String,
    /// The key in that region, as the service describes it.
    pub description: Pending<KeyDescription>,
    /// The command that makes the replica.
    pub command: String,
}
