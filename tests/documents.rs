//! Checks the documents: every relative link leads to a file and a heading that exist, README stays short,
//! docs/permissions.md names every permission of the source, and the scripts of the clients run the tool's snippets.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// "Two screens" are 130 lines of source.
const README_LINES: usize = 130;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Markdown files of the project, but not of what was built or downloaded.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].iter().map(|name| root().join(name)).collect();
    let mut folders: Vec<PathBuf> =
        ["docs", "tests", "emulator", "bench", "fuzz"].iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// Returns the lines that are neither code blocks nor indented code, without inline code.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block && !line.starts_with("    ") {
            // Every second piece is between backticks.
            let pieces = line.split('`').enumerate();
            kept.extend(pieces.map(|(number, piece)| if number % 2 == 0 { piece } else { "" }));
            kept.push('\n');
        }
    }
    kept
}

/// Returns the targets of the links and images in a document.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// Returns the anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut counts = HashMap::new();
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        if in_block || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let words = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = words.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = counts.entry(anchor.clone()).or_insert(0);
        found.push(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
        *count += 1;
    }
    found
}

/// Returns why a link of this document leads nowhere, or `None` if it is good or leads to another host.
fn broken(document: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { document.to_owned() } else { document.parent().unwrap().join(file) };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", document.display()));
    }
    let is_good = anchor.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(&anchor.to_owned());
    (!is_good).then(|| format!("{}: {link}: no such heading", document.display()))
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        let links = links(&fs::read_to_string(&document).unwrap());
        count += links.len();
        wrong.extend(links.iter().filter_map(|link| broken(&document, link)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 300, "only {count} links were found");
}

#[test]
fn broken_links_are_found() {
    let readme = root().join("README.md");
    let text = "[a](docs/limits.md#quotas), [b](docs/none.md)\n```\n[c](none)\n```\n`[d](none)` ![e](#none) [f](https://a.example/)";
    let wrong: Vec<_> = links(text).iter().filter_map(|link| broken(&readme, link)).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert_eq!(
        anchors("# What a `key` does\n```\n# no\n```\n## Notes\n## Notes"),
        ["what-a-key-does", "notes", "notes-1"]
    );
}

#[test]
fn readme_fits_on_two_screens() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines");
}

#[test]
fn every_permission_is_documented() {
    let page = fs::read_to_string(root().join("docs/permissions.md")).unwrap();
    for cloud in ["aws", "azure"] {
        let source = fs::read_to_string(root().join(format!("src/cloud/{cloud}/operations.rs"))).unwrap();
        let (_, rows) = source.rsplit_once("\noperations! {\n").unwrap();
        // The strings of a row are the operation's name and then its permission, and for Azure its role.
        let permissions = rows.lines().flat_map(|row| row.split('"').skip(3).step_by(2).collect::<Vec<_>>());
        let names = permissions.flat_map(|text| text.split(", on the alias").next().unwrap().split(" and "));
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            assert!(page.contains(name), "docs/permissions.md does not name {name:?} of {cloud}");
        }
    }
}

/// Vault has few capabilities, and operations of Google share permissions, so the page has a row for each operation.
#[test]
fn every_operation_of_vault_and_google_has_its_row() {
    let page = fs::read_to_string(root().join("docs/permissions.md")).unwrap();
    for cloud in ["vault", "google"] {
        let source = fs::read_to_string(root().join(format!("src/cloud/{cloud}/operations.rs"))).unwrap();
        let (_, rows) = source.rsplit_once("\noperations! {\n").unwrap();
        let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('"').skip(1).step_by(2).collect()).collect();
        let rows: Vec<_> = rows.iter().filter(|row| !row.is_empty()).collect();
        assert!(rows.len() > 6, "{rows:?}");
        for row in rows {
            let [name, needs @ ..] = row.as_slice() else { panic!("{row:?}") };
            let cells: String = needs.iter().map(|needed| format!(" `{needed}` |")).collect();
            let is_documented =
                |line: &str| line.contains(&format!("| {name} | `")) && line.ends_with(&format!("|{cells}"));
            assert!(page.lines().any(is_documented), "docs/permissions.md has no row of {name:?} with {cells}");
        }
    }
}

/// `cloud-kms-pkcs11 snippet` prints the blocks of a page that are marked with `snippet`. The script of the page runs one.
#[test]
fn scripts_run_the_snippets_of_their_pages() {
    let mut count = 0;
    for page in fs::read_dir(root().join("docs/clients")).unwrap().map(|entry| entry.unwrap().path()) {
        if fs::read_to_string(&page).unwrap().contains("\n```sh snippet") {
            count += 1;
            let name = page.file_stem().unwrap().to_str().unwrap();
            let script = fs::read_to_string(root().join(format!("tests/clients/{name}.sh"))).unwrap();
            let runs = ["run_block", "$(snippet "].iter().any(|function| script.contains(function));
            assert!(runs, "tests/clients/{name}.sh does not run the snippet of its page");
        }
    }
    assert!(count > 15, "only {count} pages have a snippet");
}
