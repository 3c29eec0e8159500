//! `config check`.

use crate::failure::Outcome;
use crate::output::{GREEN, RED, YELLOW, styled, write, write_json};
use clap::Args;
use cloud_kms_pkcs11::config::tool::check::{Findings, check};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads a configuration as the module does, and lists its mistakes; makes no request
#[derive(Args)]
pub struct Arguments {
    /// The file, instead of the configuration that is in force
    file: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Runs the command. The exit code is 1 if there is a mistake.
    ///
    /// # Errors
    /// If stdout can't be written.
    pub fn run(&self) -> Outcome<ExitCode> {
        let findings = check(self.file.as_deref());
        if self.json {
            let Findings { file, slots, mistakes, warnings } = &findings;
            let file = file.as_ref().map(|file| file.to_string_lossy());
            write_json(&json!({ "file": file, "slots": slots, "mistakes": mistakes, "warnings": warnings }))?;
        } else {
            write(&as_text(&findings))?;
        }
        Ok(if findings.mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn as_text(findings: &Findings) -> String {
    let lines = |style, name: &str, texts: &[String]| -> String {
        texts.iter().map(|text| format!("{} {text}\n", styled(style, name))).collect()
    };
    let mistakes = lines(RED, "mistake:", &findings.mistakes);
    let warnings = lines(YELLOW, "warning:", &findings.warnings);
    let what = match &findings.file {
        Some(file) => file.display().to_string(),
        None => "no file of this module; files and variables of the old modules".to_owned(),
    };
    let last = match (findings.mistakes.is_empty(), findings.slots) {
        (true, 1) => format!("{} {what}: 1 slot\n", styled(GREEN, "ok:")),
        (true, count) => format!("{} {what}: {count} slots\n", styled(GREEN, "ok:")),
        (false, _) => String::new(),
    };
    mistakes + &warnings + &last
}
