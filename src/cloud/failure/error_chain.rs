//! An error and all that caused it, and their words.

use std::error::Error;
use std::io;

/// The error and all that caused it. An [`io::Error`] hides what it was made from; here that comes after it.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(within) => Some(within as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The words of an error and of all that caused it, in one line. Never its Debug form, which may show a whole reply.
pub(crate) fn words_of(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = causes(error).map(|error| error.to_string().trim().replace('\n', " ")).collect();
    words.dedup();
    words.join(": ")
}

/// Whether one of the client's own limits has ended it.
pub(crate) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    causes(error).filter_map(|error| error.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_timeout)
}
