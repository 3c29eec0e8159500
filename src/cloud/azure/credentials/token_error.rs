//! The reasons why there is no token for Key Vault: the error of a source, with the message of its cause.

use super::context::Context;
use crate::cloud::azure::settings::Credential;
use crate::cloud::failure::Cause;
use crate::cloud::failure::error_chain::{causes, is_timeout};
use crate::cloud::failure::obstacle::Obstacle;
use azure_core::error::{Error, ErrorKind};

impl Context {
    /// Returns the error of the source with this name, with advice where the cause is known.
    pub(crate) fn source_error(&self, name: &str, error: &Error) -> Error {
        if let Some(obstacle) = Obstacle::find_in(error) {
            return obstacle_error(obstacle, name);
        }
        if is_timeout(error) {
            return obstacle_error(&Obstacle::permanent(Cause::TimedOut, "no reply to the request for a token"), name);
        }
        let mut words = message_of(error);
        if words.contains(NO_AZ) && self.settings.credential == Credential::Cli {
            words.push_str(AZ_ADVICE);
        }
        // The authority has not refused the request. It was unable to reply.
        match status(error) {
            Some(500..) => return obstacle_error(&Obstacle::permanent(Cause::Internal, words), name),
            Some(429) => return obstacle_error(&Obstacle::permanent(Cause::Throttled, words), name),
            _ => {}
        }
        // Only the authority's own codes can result from the wrong cloud.
        let contradiction = words.contains("AADSTS").then(|| self.challenge.contradiction(&self.authority())).flatten();
        let more = contradiction.map(|words| format!("; {words}")).unwrap_or_default();
        credential_error(format!("{name}: {words}{more}"))
    }
}

/// Returns a credential error with this message.
pub(crate) fn credential_error(message: String) -> Error {
    Error::with_message(ErrorKind::Credential, message)
}

/// Returns the error of a source that cannot reach its authority.
pub(crate) fn obstacle_error(obstacle: &Obstacle, name: &str) -> Error {
    let message = format!("{name}: {}", obstacle.message);
    Error::new(ErrorKind::Credential, Obstacle { message, ..obstacle.clone() })
}

/// Returns the error for a source whose settings or files are missing or wrong. No request for a token was sent.
pub(crate) fn settings_error(why: String) -> Error {
    Error::new(ErrorKind::Credential, Obstacle::permanent(Cause::Settings, why))
}

/// The message of azure_identity if the program is not installed, and the advice for it.
const NO_AZ: &str = "az not found on PATH";
const AZ_ADVICE: &str =
    "; install the Azure CLI, add its folder to this program's PATH, or choose another \"azure_credential\"";

/// Texts of azure_identity around the messages of others.
const FRAMES: [&str; 4] =
    [" authentication failed.", "\nTo troubleshoot", "retry policy expired", "non-transport error occurred"];

/// Returns the HTTP status of the authority's reply.
fn status(error: &Error) -> Option<u16> {
    causes(error).filter_map(|error| error.downcast_ref::<Error>()).find_map(|error| match error.kind() {
        ErrorKind::HttpResponse { status, .. } => Some(u16::from(*status)),
        _ => None,
    })
}

/// Returns the message of an error in one line, without the texts of azure_identity: the message of the authority,
/// with the HTTP status of its reply, or else the messages of the causes.
pub(crate) fn message_of(error: &Error) -> String {
    let status = status(error).map(|status| format!("HTTP status {status}: "));
    let framed = |words: &String| FRAMES.iter().any(|frame| words.contains(frame));
    let mut words: Vec<String> = causes(error).map(ToString::to_string).filter(|words| !framed(words)).collect();
    words.dedup();
    // What follows the authority's own message is of no use.
    words.truncate(if status.is_some() { 1 } else { usize::MAX });
    let own = if words.is_empty() { error.to_string() } else { words.join(": ") };
    format!("{}{}", status.unwrap_or_default(), own.split_whitespace().collect::<Vec<_>>().join(" "))
}
