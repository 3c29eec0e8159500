//! Pagination: listings in which each page names the next one.

use std::collections::HashSet;

/// The maximum number of pages after the first one. This many pages hold 250,000 keys of Key Vault, or ten million
/// keys of KMS.
const MAX_PAGES: usize = 10_000;

/// The position in a listing.
#[derive(Default)]
pub(crate) struct Pages {
    next_token: Option<String>,
    seen: HashSet<String>,
}

impl Pages {
    /// Returns the token of the page to request next, or `None` for the first page.
    pub(crate) fn next(&self) -> Option<String> {
        self.next_token.clone()
    }

    /// Moves on to the page that the last reply names. Returns whether there is such a page.
    ///
    /// # Errors
    /// A message about a listing that does not end: it has too many pages, or names a page for the second time.
    pub(crate) fn advance(&mut self, next: Option<String>) -> Result<bool, &'static str> {
        match &next {
            None => return Ok(false),
            Some(_) if self.seen.len() >= MAX_PAGES => return Err("the list has too many pages"),
            Some(next) if !self.seen.insert(next.clone()) => return Err("the list repeats a page"),
            Some(_) => self.next_token = next,
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_ends() {
        let mut pages = Pages::default();
        assert_eq!(pages.next(), None);
        assert_eq!(pages.advance(Some("2".into())), Ok(true));
        assert_eq!(pages.next().as_deref(), Some("2"));
        assert_eq!(pages.advance(Some("2".into())), Err("the list repeats a page"));
        assert_eq!(pages.advance(None), Ok(false));
        let last = (0..=MAX_PAGES).find_map(|number| pages.advance(Some(format!("p{number}"))).err());
        assert_eq!(last, Some("the list has too many pages"));
    }
}
