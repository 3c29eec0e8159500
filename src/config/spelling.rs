//! The name that is probably meant by a misspelled one.

/// Returns the name that is probably meant by `text`, if one is similar enough. Case does not matter.
pub fn closest(text: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let limit = if text.len() < 6 { 1 } else { 3 };
    let distance = |name: &str| edit_distance(&text, &name.to_ascii_lowercase());
    names.map(|name| (distance(name), name)).min().filter(|(far, _)| *far <= limit).map(|(_, name)| name)
}

/// Returns the Levenshtein distance: the number of letters to insert, remove or replace.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_found_and_others_are_not() {
        let names = || ["P-256", "P-384", "Ed25519", "workload_identity"].into_iter();
        assert_eq!(closest("P256", names()), Some("P-256"));
        assert_eq!(closest("ed25519", names()), Some("Ed25519"));
        assert_eq!(closest("workloadidentity", names()), Some("workload_identity"));
        assert_eq!(closest("x-509", names()), None);
        assert_eq!(closest("managed_identity", names()), None);
        assert_eq!(closest("", names()), None);
    }
}
