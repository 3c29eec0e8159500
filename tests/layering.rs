//! Holds the source to the picture in docs/architecture.md: a file uses only what stands to its right.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};

/// From left to right. A file belongs to the longest name that its path starts with.
const LAYERS: [&[&str]; 21] = [
    &["fuzzing", "conformance"],
    &["ffi"],
    &["provider"],
    &["keyed", "managing", "session"],
    &["token"],
    &["signing", "cipher", "session_object", "key_template"],
    &["making"],
    &["slot_key", "profile"],
    &["operation"],
    &["object"],
    &["mechanism"],
    &["config"],
    &["lazy"],
    &["cache", "certificate_store"],
    &["backend::aws", "backend::azure"],
    &["backend"],
    &["certificate"],
    &["key"],
    &["private_folder", "permissions"],
    &["hash", "attribute", "pem"],
    &["error", "logging", "process", "fuzz_input"],
];

fn layer(module: &str) -> Option<usize> {
    let names = LAYERS.iter().enumerate().flat_map(|(rank, names)| names.iter().map(move |name| (rank, *name)));
    // aws_client is one of backend::aws's files: a prefix need not end at a whole word there.
    let (rank, _) = names.filter(|(_, name)| module.starts_with(name)).max_by_key(|(_, name)| name.len())?;
    Some(rank)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// What stands between the commas of a group, `{a, b::{c, d}}`, of which the first brace is left out.
fn outer_items(group: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn uses_are_found_in_groups_too() {
    let text = "use crate::{a, b::{c, d}, log_warn};\n// crate::no\nfn f() { crate::e::f(crate::g) }";
    assert_eq!(uses(text), ["a", "b", "e::f", "g"]);
}

/// The modules that a source names by `crate::`, outside comments.
fn uses(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let path = |text: &str| {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
        text[..end].trim_end_matches(':').to_owned()
    };
    let paths = code.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(group) => outer_items(group).into_iter().map(|item| path(item.trim_start())).collect(),
        None => vec![path(rest)],
    });
    // Macros (log_error!) stand at the crate's root; they belong to logging.
    paths.filter(|path| !path.is_empty() && !path.starts_with("log_")).collect()
}

#[test]
fn a_file_uses_only_what_stands_to_its_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut checked = 0;
    for file in files {
        let name = file.strip_prefix(&root).unwrap().with_extension("").display().to_string();
        let name = name.replace('/', "::").replace("::mod", "");
        if name == "lib" {
            continue;
        }
        let own = layer(&name).unwrap_or_else(|| panic!("{name} is in no layer: add it to LAYERS and to the picture"));
        for used in uses(&std::fs::read_to_string(&file).unwrap()) {
            let other = layer(&used).unwrap_or_else(|| panic!("{name} uses {used}, which is in no layer"));
            assert!(own <= other, "{name} uses {used}, which stands to its left");
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} uses were found: the test reads the wrong files");
}

#[test]
fn unsafe_code_is_in_ffi_and_process_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let allows = std::fs::read_to_string(&file).unwrap().contains("allow(unsafe_code");
        assert!(!allows || name == "ffi/mod.rs" || name == "process.rs", "{name} allows unsafe code");
    }
}
