//! The number of instructions that the hot paths execute.
//!
//! Each count is compared with a recorded count, so a regression is detected without measuring time. valgrind does
//! the counting. The processor that valgrind emulates lacks newer instruction set extensions. Code that would
//! still choose an implementation by processor (aws-lc, libc's memcpy) is prevented from doing so, through environment
//! variables.

use crate::outcome::Outcome;
use crate::world::{Cloud, World};
use serde_json::json;
use std::process::Stdio;

/// A hot path and the cloud on which it runs. The path runs [`FEW`] times and [`MANY`] times. The difference
/// between the two counts, divided by the number of additional runs, is the count of one run.
struct Path {
    name: &'static str,
    cloud: Cloud,
    path: &'static str,
}

#[rustfmt::skip]
const PATHS: [Path; 8] = [
    Path { name: "a whole signature, AWS without TLS", cloud: Cloud::AwsPlain, path: "sign" },
    Path { name: "a whole signature, Azure", cloud: Cloud::Azure, path: "sign" },
    Path { name: "a whole signature, Vault", cloud: Cloud::Vault, path: "sign" },
    Path { name: "a whole signature, Google", cloud: Cloud::Google, path: "sign" },
    Path { name: "C_OpenSession, C_SignInit, C_CloseSession", cloud: Cloud::AwsPlain, path: "open and C_SignInit" },
    Path { name: "a search by label and class", cloud: Cloud::AwsPlain, path: "find" },
    Path { name: "C_GetAttributeValue of five attributes", cloud: Cloud::AwsPlain, path: "attributes" },
    Path { name: "C_DigestInit, C_Digest of 64 bytes", cloud: Cloud::AwsPlain, path: "digest" },
];

const FEW: usize = 20;
const MANY: usize = 120;

/// The largest accepted deviation from a recorded count, in percent. Counts that deviate further are reported.
const MARGIN: f64 = 10.0;

/// Compares the counts with those in `file`, or writes the counts to `file`.
pub fn run(module: &str, file: &str, write: bool) -> Outcome<()> {
    let world = World::new(module)?;
    let mut counts = Vec::new();
    for path in &PATHS {
        world.configure_one(path.cloud, false)?;
        let (few, many) = (count(&world, path.path, FEW)?, count(&world, path.path, MANY)?);
        counts.push((path.name, many.saturating_sub(few) / (MANY - FEW) as u64));
    }
    counts.push(("C_Initialize, for each of 1,000 slots", initialize(&world)?));
    if write {
        let lines: String = counts.iter().map(|(name, count)| format!("{count:>9} {name}\n")).collect();
        return Ok(std::fs::write(file, format!("{HEAD}{lines}"))?);
    }
    compare(&counts, &std::fs::read_to_string(file)?)
}

const HEAD: &str = "\
# Instructions of the hot paths, counted by scripts/instructions.sh. Record new counts with scripts/instructions.sh --write.
";

fn initialize(world: &World) -> Outcome<u64> {
    let count_with_slots = |slots: usize| {
        let slots = (0..slots).map(|n| World::slot(Cloud::AwsPlain, &format!("key {n}"), &format!("alias/key-{n}")));
        world.configure(Cloud::AwsPlain, "127.0.0.1", json!(slots.collect::<Vec<_>>()))?;
        count(world, "initialize", 0)
    };
    Ok((count_with_slots(1001)?.saturating_sub(count_with_slots(1)?)) / 1000)
}

/// Returns the number of instructions of a process that runs a path `times` times.
fn count(world: &World, path: &str, times: usize) -> Outcome<u64> {
    let own = std::env::current_exe()?.display().to_string();
    let mut command = world.command("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", &own]);
    command.args(["path", &world.module, path, &times.to_string()]).stdin(Stdio::null());
    command.env("OPENSSL_ia32cap", "0").env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-ERMS");
    let output = command.output().map_err(|e| format!("valgrind: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("refs:")).filter(|_| output.status.success());
    let number = line.and_then(|line| line.rsplit("refs:").next()).map(|number| number.trim().replace(',', ""));
    Ok(number.ok_or_else(|| format!("{path}: {text}"))?.parse()?)
}

fn compare(counts: &[(&str, u64)], expected: &str) -> Outcome<()> {
    let mut strays = 0;
    for (name, count) in counts {
        let expected = expected.lines().filter_map(|line| line.trim().split_once(' '));
        let known = expected.filter(|(_, known)| known == name).find_map(|(known, _)| known.parse::<u64>().ok());
        let known = known.ok_or_else(|| {
            format!("bench/instructions.txt has no count for \"{name}\": scripts/instructions.sh --write adds it")
        })?;
        let change = (*count as f64 / known as f64 - 1.0) * 100.0;
        let stray = change.abs() > MARGIN;
        strays += usize::from(stray);
        crate::outcome::say(&format!(
            "{count:>9} {change:>+6.1} %  {name}{}",
            if stray { "   <- changed by more than the margin" } else { "" }
        ));
    }
    match strays {
        0 => Ok(()),
        _ => Err(format!(
            "{strays} of the counts have changed by more than {MARGIN} %: scripts/profile.sh shows where the instructions \
             are. If the change is intended, record the new counts with scripts/instructions.sh --write"
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_deviates_is_reported() {
        let expected = "# head\n      100 a path\n      200 another\n";
        let compared = |counts: &[(&str, u64)]| compare(counts, expected).is_ok();
        assert!(compared(&[("a path", 109), ("another", 181)]));
        assert!(!compared(&[("a path", 111)]));
        assert!(!compared(&[("another", 179)]), "a decrease is reported, too");
        assert!(!compared(&[("a path", 0)]));
        assert!(!compared(&[("a new one", 1)]));
    }
}
