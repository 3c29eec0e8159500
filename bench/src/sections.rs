//! What is measured, section by section; each gives rows of the table.

mod keys;
mod size;
mod start;
mod warm;

use crate::Outcome;
use crate::table::{Row, render};
use crate::world::World;

type Section = (&'static str, fn(&World) -> Outcome<Vec<Row>>);

const SECTIONS: &[Section] = &[
    ("warm", warm::rows),
    ("throughput", warm::throughput),
    ("start", start::rows),
    ("programs", start::programs),
    ("keys", keys::rows),
    ("size", size::rows),
];

/// Runs the sections of these names, or all, and prints the table.
pub fn run(module: &str, names: &[&str]) -> Outcome<()> {
    if let Some(unknown) = names.iter().find(|name| !SECTIONS.iter().any(|(known, _)| known == *name)) {
        let known: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        return Err(format!("{unknown} is no section; there are {}", known.join(", ")).into());
    }
    let mut rows = Vec::new();
    for (name, section) in SECTIONS.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        eprintln!("measuring {name}");
        rows.extend(section(&World::new(module)?)?);
    }
    crate::say(&render(&rows));
    Ok(())
}
