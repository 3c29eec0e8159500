//! `completions` and `man`.

use crate::support::{Run, World};
use std::process::{Command, Stdio};

/// The commands that the tool's help lists.
fn commands(world: &World) -> Vec<String> {
    let help = world.run(&["--help"]).text();
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Runs a program that another package brings. Returns None, and says so, if it is missing.
fn run(program: &str, arguments: &[&str]) -> Option<Run> {
    match Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => Some(Run::of(Command::new(program).args(arguments).stdin(Stdio::null()))),
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            None
        }
    }
}

#[test]
fn shells_read_their_completions() {
    let world = World::new();
    let commands = commands(&world);
    assert!(commands.contains(&"sign".to_owned()) && !commands.contains(&"man".to_owned()), "{commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(&["completions", shell]).text();
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
        std::fs::write(world.path(shell), &script).unwrap();
        if let Some(read) = run(shell, &["-n", world.path(shell).to_str().unwrap()]) {
            assert!(read.text().is_empty());
        }
    }
    // bash itself completes: the names of commands.
    let path = world.path("bash");
    let script = format!(
        "source {}; COMP_WORDS=(cloud-kms-pkcs11 ver) COMP_CWORD=1; _cloud__kms__pkcs11 cloud-kms-pkcs11 ver cloud-kms-pkcs11; \
         echo \"${{COMPREPLY[*]}}\"",
        path.display()
    );
    assert_eq!(run("bash", &["-c", &script]).unwrap().text(), "verify\n");
    assert_eq!(world.run(&["completions", "csh"]).code, Some(2));
}

#[test]
fn each_command_has_a_manual_page() {
    let world = World::new();
    let directory = world.path("man1");
    let missing = world.run(&["man", "man1"]);
    assert!(missing.error(1).contains("man1"), "{missing:?}");
    std::fs::create_dir(&directory).unwrap();
    world.run(&["man", "man1"]).text();
    let mut pages: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort();
    for command in commands(&world) {
        assert!(pages.contains(&format!("cloud-kms-pkcs11-{command}.1")), "{command}: {pages:?}");
    }
    assert!(
        pages.contains(&"cloud-kms-pkcs11.1".to_owned())
            && pages.contains(&"cloud-kms-pkcs11-key-generate.1".to_owned())
    );
    for page in &pages {
        let path = directory.join(page);
        let path = path.to_str().unwrap();
        if let Some(read) = run("man", &["--warnings", "-l", path]) {
            let text = read.text();
            assert!(text.contains("SYNOPSIS"), "{page}: {text}");
        }
        if let Some(linted) = run("mandoc", &["-T", "lint", "-W", "error", path]) {
            assert_eq!(linted.stdout(), "", "{page}");
        }
    }
}
