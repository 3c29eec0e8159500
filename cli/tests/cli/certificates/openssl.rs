//! OpenSSL as the reader of what the tool makes.

use crate::support::{Run, World};
use std::process::Command;

/// Runs `openssl` in the home directory.
pub fn openssl(world: &World, arguments: &str) -> Run {
    let mut command = Command::new("openssl");
    Run::of(command.args(arguments.split(' ')).current_dir(world.path("")))
}

/// Runs `openssl`, which must succeed. Returns what it has written.
pub fn openssl_text(world: &World, arguments: &str) -> String {
    let run = openssl(world, arguments);
    assert_eq!(run.code, Some(0), "openssl {arguments}: {run:?}");
    run.stdout()
}

/// Runs the tool with arguments that contain no spaces. It must succeed, in silence.
pub fn tool(world: &World, arguments: &str) -> String {
    world.run_line(arguments).text()
}
