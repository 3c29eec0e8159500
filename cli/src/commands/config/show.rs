//! `config show`.

use crate::failure::{Failure, Outcome};
use crate::output::{BOLD, DIMMED, styled, write, write_json};
use clap::Args;
use cloud_kms_pkcs11::config::tool::show::{Shown, ShownOption, ShownSlot, Source, show};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Shows the configuration that is in force and where each value comes from; secrets are hidden
#[derive(Args)]
pub struct Arguments {
    /// Only this token
    #[arg(long, value_name = "LABEL")]
    slot: Option<String>,
    /// Show the defaults, too
    #[arg(long)]
    all: bool,
    /// Write JSON, with the defaults
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// If the configuration has a mistake.
    pub fn run(&self) -> Outcome<ExitCode> {
        let mut shown = show().map_err(|error| Failure::new(error.message))?;
        if let Some(label) = &self.slot {
            shown.slots.retain(|slot| slot.label == *label);
            if shown.slots.is_empty() {
                return Err(Failure::new(format!("no token has the label {label:?}")));
            }
        }
        match self.json {
            true => write_json(&json!(shown))?,
            false => write(&as_text(&shown, self.all))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_text(shown: &Shown, all: bool) -> String {
    let file = match &shown.file {
        Some(file) => file.clone(),
        None => "no file of this module: the files and variables of the old modules are in force".to_owned(),
    };
    let mut text = format!("{}\n{}", styled(BOLD, &file), options(&shown.options, all));
    for (id, slot) in shown.slots.iter().enumerate() {
        text += &slot_text(id, slot, all);
    }
    for service in &shown.listed {
        text += &format!("\n{}  each key is a slot\n", styled(BOLD, service));
    }
    text
}

fn slot_text(id: usize, slot: &ShownSlot, all: bool) -> String {
    let mut text =
        format!("\n{}  slot {id}: {}\n{}", styled(BOLD, &slot.label), slot.cloud, options(&slot.options, all));
    for (index, key) in slot.keys.iter().enumerate() {
        text += &format!("  keys[{index}]\n{}", options(key, all));
    }
    text
}

fn options(options: &[ShownOption], all: bool) -> String {
    let is_default = |option: &ShownOption| matches!(option.source, Source::Default { .. });
    options.iter().filter(|option| all || !is_default(option)).map(line).collect()
}

fn line(option: &ShownOption) -> String {
    let (value, source) = (value(&option.value), source(&option.source));
    format!("  {:<26} {value:<36} {}\n", option.name, styled(DIMMED, &source))
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        Value::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::File { line, section, .. } => format!("line {line}, {section}"),
        Source::OldModule { name } => format!("as {name} read it"),
        Source::Variable { name } => format!("variable {name}"),
        Source::Arn => "the ARN of the key".to_owned(),
        Source::Default { text } => format!("default: {text}"),
    }
}
