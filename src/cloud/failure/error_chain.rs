//! An error, its chain of causes, and their messages.

use std::error::Error;
use std::io;

/// Returns the error and its chain of causes, outermost first. An [`io::Error`] hides the error that it was
/// created from. Here that error follows the [`io::Error`].
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(within) => Some(within as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// Returns the messages of an error and its causes in one line. Never uses the Debug form, which may show a whole
/// reply.
pub(crate) fn message_of(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = causes(error).map(|error| error.to_string().trim().replace('\n', " ")).collect();
    words.dedup();
    words.join(": ")
}

/// Returns whether one of the HTTP client's own timeouts has ended the request.
pub(crate) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    causes(error).filter_map(|error| error.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_timeout)
}
