//! What is measured, section by section. Each section returns rows of the table.

mod keys;
mod parts;
mod size;
mod start;
mod warm;

use crate::outcome::Outcome;
use crate::table::{Row, render};
use crate::world::World;

type Section = (&'static str, fn(&World) -> Outcome<Vec<Row>>);

const SECTIONS: &[Section] = &[
    ("warm", warm::rows),
    ("parts", parts::rows),
    ("throughput", warm::throughput),
    ("start", start::rows),
    ("programs", start::programs),
    ("keys", keys::rows),
    ("size", size::rows),
];

/// Runs the named sections, or all of them if `names` is empty, and prints the table.
pub fn run(module: &str, names: &[&str]) -> Outcome<()> {
    if let Some(unknown) = names.iter().find(|name| !SECTIONS.iter().any(|(known, _)| known == *name)) {
        let known: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        return Err(format!("{unknown} is no section; there are {}", known.join(", ")).into());
    }
    crate::outcome::say(&measured(module, names)?);
    Ok(())
}

/// Runs all sections, prints the table, and writes it between the marks in `file`.
pub fn write(module: &str, file: &str) -> Outcome<()> {
    let text = std::fs::read_to_string(file)?;
    let marks = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = marks.ok_or_else(|| format!("{file} has no {BEGIN} and {END}"))?;
    let table = measured(module, &[])?;
    crate::outcome::say(&table);
    Ok(std::fs::write(file, format!("{head}{BEGIN}\n{table}{END}{tail}"))?)
}

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

fn measured(module: &str, names: &[&str]) -> Outcome<String> {
    let mut rows = Vec::new();
    for (name, section) in SECTIONS.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        eprintln!("measuring {name}");
        rows.extend(section(&World::new(module)?)?);
    }
    Ok(render(&rows))
}
