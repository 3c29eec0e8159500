//! What the commands read and write: large files, stdin, terminals, files that exist.

use crate::support::{Run, World};
use cloud_kms_emulator::AwsKey;
use serde_json::json;
use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

const LARGE: u64 = 100 * 1024 * 1024;

fn world() -> World {
    let world = World::with_keys();
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_EDWARDS25519").alias("alias/ed")).unwrap();
    world.configure(json!([
        { "label": "aws", "kms_key_id": "alias/web" },
        { "label": "ed", "kms_key_id": "alias/ed" },
        { "label": "azure", "key_name": "web" },
    ]));
    std::fs::write(world.path("message"), b"message").unwrap();
    File::create(world.path("large")).unwrap().set_len(LARGE).unwrap();
    world
}

/// Returns a command that starts `program` as `World::command` would start the tool with the arguments `tool`. Also
/// returns the tool's command line.
fn through(world: &World, program: &str, tool: &[&str]) -> (Command, Vec<String>) {
    let inner = world.command(tool);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let words = words.map(|word| word.to_str().unwrap().to_owned()).collect();
    let mut command = Command::new(program);
    command.env_clear().current_dir(world.path("")).stdin(Stdio::null());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    (command, words)
}

/// Returns a command that runs the tool with less memory than the large file would take.
fn with_little_memory(world: &World, tool: &[&str]) -> Command {
    let (mut command, words) = through(world, "prlimit", tool);
    command.arg("--data=67108864").args(words);
    command
}

/// Runs the tool on a terminal, where a user types `input`. Returns what the terminal shows, and the exit code.
pub fn on_terminal(world: &World, tool: &[&str], input: &str) -> (String, Option<i32>) {
    std::fs::write(world.path("typed"), input).unwrap();
    let (mut command, words) = through(world, "script", tool);
    let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    command.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    let run = Run::of(command.stdin(File::open(world.path("typed")).unwrap()).env("TERM", "xterm"));
    (run.stdout(), run.code)
}

#[test]
fn a_large_file_needs_little_memory() {
    let world = world();
    for (arguments, input) in [(vec!["large"], None), (vec![], Some("large"))] {
        let tool = [&["sign", "--slot", "aws", "--out", "signature", "--force"], &arguments[..]].concat();
        let mut command = with_little_memory(&world, &tool);
        if let Some(input) = input {
            command.stdin(File::open(world.path(input)).unwrap());
        }
        Run::of(&mut command).text();
        let verify = ["verify", "large", "--signature", "signature", "--slot", "aws"];
        Run::of(&mut with_little_memory(&world, &verify)).text();
    }
    world.run(&["pubkey", "--slot", "aws", "--out", "key.pem"]).text();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "large"]);
    assert!(openssl.current_dir(world.path("")).stdout(Stdio::null()).status().unwrap().success());
}

#[test]
fn a_message_that_is_too_long_is_refused_before_it_is_read() {
    let world = world();
    // Reading stdin to its end would take forever.
    let mut command = world.command(&["sign", "--slot", "ed", "--out", "signature"]);
    let refused = Run::of(command.stdin(File::open("/dev/zero").unwrap()));
    assert!(refused.error(1).contains("does not accept one of this length"), "{refused:?}");
    assert!(refused.stderr.contains("4096 bytes"), "{refused:?}");
    assert!(!world.path("signature").exists());
    let refused = world.run(&["decrypt", "/dev/zero", "--slot", "azure"]);
    assert!(refused.error(1).contains("this is longer"), "{refused:?}");
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    let world = world();
    let tool = ["sign", "large", "--slot", "aws", "--out", "signature", "--force"];
    world.run(&tool).text();
    let (shown, code) = on_terminal(&world, &tool, "");
    assert!(shown.contains("of 100.00 MiB") && code == Some(0), "{shown}");
    let tool = ["sign", "message", "--slot", "aws", "--out", "signature", "--force"];
    let (shown, code) = on_terminal(&world, &tool, "");
    assert!(!shown.contains("iB") && code == Some(0), "{shown}");
    let (shown, code) = on_terminal(&world, &["sign", "message", "--slot", "aws"], "");
    assert!(shown.contains("stdout is a terminal, and a signature is binary") && code == Some(1), "{shown}");
    let (shown, code) = on_terminal(&world, &["sign", "message", "--slot", "aws", "--format", "base64"], "");
    assert!(shown.len() > 90 && code == Some(0), "{shown}");
}

#[test]
fn a_file_is_overwritten_by_force_only() {
    let world = world();
    std::fs::write(world.path("out"), b"precious").unwrap();
    let before = world.emulator.control().counts();
    for tool in [
        &["sign", "message", "--slot", "aws", "--out", "out"][..],
        &["decrypt", "message", "--slot", "azure", "--out", "out"],
        &["pubkey", "--slot", "aws", "--out", "out"],
    ] {
        let refused = world.run(tool);
        assert!(refused.error(1).contains("out exists") && refused.error(1).contains("--force"), "{refused:?}");
    }
    assert_eq!(world.emulator.control().counts(), before, "nothing was asked of a service");
    assert_eq!(std::fs::read(world.path("out")).unwrap(), b"precious");
    std::fs::set_permissions(world.path("out"), Permissions::from_mode(0o600)).unwrap();
    symlink("out", world.path("link")).unwrap();
    world.run(&["pubkey", "--slot", "aws", "--out", "link", "--force"]).text();
    assert!(std::fs::read_to_string(world.path("out")).unwrap().starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert!(world.path("link").symlink_metadata().unwrap().is_symlink());
    assert_eq!(world.path("out").metadata().unwrap().permissions().mode() & 0o777, 0o600, "as private as it was");
    world.run(&["pubkey", "--slot", "aws", "--out", "/dev/null", "--force"]).text();
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    assert_eq!(world.run(&["pubkey", "--slot", "aws", "--force"]).code, Some(2));
}

/// What can't be finished leaves no file, and no part of one.
#[test]
fn a_failure_leaves_no_file() {
    let world = world();
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    world.run(&["list"]);
    let before = names();
    world.run(&["sign", "missing", "--slot", "aws", "--out", "new"]).error(1);
    world.run(&["sign", "message", "--slot", "missing", "--out", "new"]).error(1);
    world.run(&["decrypt", "message", "--slot", "azure", "--out", "new"]).error(1);
    assert_eq!(names(), before);
    let refused = world.run(&["pubkey", "--slot", "aws", "--out", "missing/new"]);
    assert!(refused.error(1).contains("missing/new"), "{refused:?}");
    world.run(&["pubkey", "--slot", "aws", "--out", "new"]).text();
    let mode = world.path("new").metadata().unwrap().permissions().mode() & 0o777;
    let plain = world.path("message").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, plain, "as any file that the user makes");
}
