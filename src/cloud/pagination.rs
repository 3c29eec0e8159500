//! Listings that come page by page, each of which names the next one.

use std::collections::HashSet;

/// More would be 250,000 of Key Vault's keys, and ten million of KMS's.
const MOST: usize = 10_000;

/// Where a listing is.
#[derive(Default)]
pub(crate) struct Pages {
    next: Option<String>,
    seen: HashSet<String>,
}

impl Pages {
    /// What names the page that comes now; None for the first one.
    pub(crate) fn next(&self) -> Option<String> {
        self.next.clone()
    }

    /// Goes on to the page that the last one has named. Answers whether there is one.
    ///
    /// # Errors
    /// What is wrong with a listing that does not end, in words.
    pub(crate) fn go_on(&mut self, next: Option<String>) -> Result<bool, &'static str> {
        match &next {
            None => return Ok(false),
            Some(_) if self.seen.len() >= MOST => return Err("the pages don't end"),
            Some(next) if !self.seen.insert(next.clone()) => return Err("the next page was there before"),
            Some(_) => self.next = next,
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
        assert_eq!(pages.go_on(Some("2".into())), Ok(true));
        assert_eq!(pages.next().as_deref(), Some("2"));
        assert_eq!(pages.go_on(Some("2".into())), Err("the next page was there before"));
        assert_eq!(pages.go_on(None), Ok(false));
        let last = (0..=MOST).find_map(|number| pages.go_on(Some(format!("p{number}"))).err());
        assert_eq!(last, Some("the pages don't end"));
    }
}
