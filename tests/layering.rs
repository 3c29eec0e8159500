//! Checks the structure of the source against docs/architecture.md: the order of the folders, no cycles between
//! files or folders, and the size of folders and files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "layering/graph.rs"]
mod graph;

use graph::Graph;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folders and files of `src`, from top to bottom. Each uses only itself and what comes after it.
const LAYERS: [&[&str]; 15] = [
    &["fuzzing", "conformance", "diagnosis"],
    &["ffi"],
    &["provider"],
    &["operation"],
    &["token"],
    &["object"],
    &["mechanism"],
    &["config"],
    &["store"],
    &["cloud"],
    &["certificate"],
    &["key"],
    &["audit", "metrics"],
    &["host"],
    &["error"],
];

/// The crates whose files and folders have no cycles.
const CRATES: [&str; 4] = ["src", "emulator/src", "bench/src", "cli/src"];

/// Where folders and files are small. The tests of the services against all servers are left out: one file is longer.
const SMALL: [&str; 7] = ["src", "emulator/src", "bench/src", "cli/src", "cli/tests", "tests/module", "tests/layering"];

/// The folders that may contain `unsafe` code.
const UNSAFE: [&str; 3] = ["ffi", "host", "fuzzing"];

const MOST_FILES_IN_A_FOLDER: usize = 12;
const MOST_LINES_OF_A_FILE: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn folders_use_only_lower_layers() {
    let rank = |module: &str| {
        let folder = module.split("::").next().unwrap();
        let rank = LAYERS.iter().position(|names| names.contains(&folder));
        rank.unwrap_or_else(|| panic!("{folder} is in no layer: add it to LAYERS and to docs/architecture.md"))
    };
    let graph = Graph::of(&root().join("src"));
    let uses: Vec<_> = graph.uses().filter(|(_, used)| !used.is_empty()).collect();
    assert!(uses.len() > 300, "only {} uses were found", uses.len());
    for (user, used) in uses.into_iter().filter(|(user, _)| !user.is_empty()) {
        assert!(rank(user) <= rank(used), "{user} uses {used}, which comes before it");
    }
}

#[test]
fn file_dependencies_have_no_cycles() {
    for name in CRATES {
        let graph = Graph::of(&root().join(name));
        let cycles = graph.cycles();
        assert!(cycles.is_empty(), "in {name}: {cycles:#?}");
    }
}

/// No folder uses a folder or a file beside it that uses the folder, directly or indirectly.
#[test]
fn folder_dependencies_have_no_cycles() {
    for name in CRATES {
        for (folder, inside) in Graph::of(&root().join(name)).folders() {
            let cycles = inside.cycles();
            assert!(cycles.is_empty(), "in {name}, folder {folder:?}: {cycles:#?}");
        }
    }
}

#[test]
fn folders_and_files_are_small() {
    for folder in SMALL.iter().flat_map(|name| folders(&root().join(name))) {
        let files: Vec<_> = entries(&folder).into_iter().filter(|path| path.is_file()).collect();
        assert!(files.len() <= MOST_FILES_IN_A_FOLDER, "{} has {} files", folder.display(), files.len());
        for file in files {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= MOST_LINES_OF_A_FILE, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_few_folders() {
    let source = root().join("src");
    let mut holders = BTreeSet::new();
    for folder in folders(&source) {
        for file in entries(&folder).into_iter().filter(|path| path.is_file()) {
            if std::fs::read_to_string(&file).unwrap().contains("allow(unsafe_code") {
                let name = file.strip_prefix(&source).unwrap().iter().next().unwrap().to_owned();
                holders.insert(name.into_string().unwrap());
            }
        }
    }
    assert_eq!(holders, UNSAFE.map(str::to_owned).into());
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Returns the folder and all folders below it.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let inner = entries(folder).into_iter().filter(|path| path.is_dir()).flat_map(|path| folders(&path));
    std::iter::once(folder.to_owned()).chain(inner).collect()
}
