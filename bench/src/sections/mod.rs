//! What is measured, section by section. Each section returns rows of the table.

mod keys;
mod parts;
mod quota;
mod size;
mod start;
mod warm;

use crate::outcome::Outcome;
use crate::report;
use crate::table::{Row, render};
use crate::world::World;
use std::path::Path;

type Section = (&'static str, fn(&World) -> Outcome<Vec<Row>>);

const SECTIONS: &[Section] = &[
    ("warm", warm::rows),
    ("parts", parts::rows),
    ("throughput", warm::throughput),
    ("quota", quota::rows),
    ("start", start::rows),
    ("programs", start::programs),
    ("keys", keys::rows),
    ("size", size::rows),
];

/// Runs the named sections, or all of them if `names` is empty, and prints the table.
pub fn run(module: &str, names: &[&str]) -> Outcome<()> {
    if let Some(unknown) = names.iter().find(|name| !SECTIONS.iter().any(|(known, _)| known == *name)) {
        let known: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        return Err(format!("unknown section {unknown}: the sections are {}", known.join(", ")).into());
    }
    crate::outcome::say(&measured(module, names)?);
    Ok(())
}

/// Runs all sections, prints the table, and writes it into the documents in `folder`.
pub fn write(module: &str, folder: &Path) -> Outcome<()> {
    let table = measured(module, &[])?;
    crate::outcome::say(&table);
    report::write(folder, &table)
}

fn measured(module: &str, names: &[&str]) -> Outcome<String> {
    let mut rows = Vec::new();
    for (name, section) in SECTIONS.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        eprintln!("measuring {name}");
        rows.extend(section(&World::new(module)?)?);
    }
    Ok(render(&rows))
}
