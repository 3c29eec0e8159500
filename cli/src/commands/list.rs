//! `list`: tokens, keys and certificates.

use crate::failure::{Failure, Outcome};
use crate::module::ModuleArguments;
use crate::output::{BOLD, DIMMED, note, report, styled, write, write_json};
use crate::token::{Object, Token};
use clap::Args;
use cloud_kms_pkcs11::key::Kind;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists tokens, keys and certificates with their pkcs11: URIs
#[derive(Args)]
pub struct Arguments {
    /// Only this token
    #[arg(long, value_name = "LABEL")]
    slot: Option<String>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    module: ModuleArguments,
}

/// A token, with its objects or why they are not known.
type Listed = (Token, Outcome<Vec<Object>>);

impl Arguments {
    /// Runs the command. The exit code is 1 if a token can't be read or shows nothing.
    ///
    /// # Errors
    /// If the module can't be loaded, or if there is no such token.
    pub fn run(&self) -> Outcome<ExitCode> {
        let module = self.module.load()?;
        let tokens = match &self.slot {
            Some(label) => vec![module.token(label)?],
            None => module.tokens()?,
        };
        let listed: Vec<Listed> = tokens
            .into_iter()
            .map(|token| {
                let objects = self.module.log_in(&token).and_then(|()| token.objects());
                (token, objects)
            })
            .collect();
        if self.json {
            write_json(&json!({ "tokens": listed.iter().map(as_json).collect::<Vec<_>>() }))?;
        } else if listed.is_empty() {
            note("the module has no slot: its configuration names none");
        } else {
            write(&listed.iter().map(as_text).collect::<Vec<_>>().join("\n"))?;
        }
        let failures: Vec<&Failure> = listed.iter().filter_map(|(_, objects)| objects.as_ref().err()).collect();
        failures.iter().for_each(|failure| report(failure));
        let is_complete = listed.iter().all(|(_, objects)| objects.as_ref().is_ok_and(|objects| !objects.is_empty()));
        Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn as_text((token, objects): &Listed) -> String {
    let info = token.info();
    let maker = format!("{}, {}", info.manufacturer_id(), info.model());
    let head =
        format!("{}  {}\n", styled(BOLD, token.label()), styled(DIMMED, &format!("slot {}: {maker}", token.slot())));
    let objects = objects.as_deref().unwrap_or_default();
    let none = if objects.is_empty() { "  no key; cloud-kms-pkcs11 doctor states the reason\n" } else { "" };
    let lines = objects.iter().map(|object| {
        let details = [object.label.clone(), kind_of(object), object.uses.join(", ")];
        let details: Vec<_> = details.into_iter().filter(|detail| !detail.is_empty()).collect();
        format!("  {:<12} {}\n    {}\n", object.class_name(), details.join("  "), styled(DIMMED, &token.uri_of(object)))
    });
    head + none + &lines.collect::<String>()
}

/// Returns the kind of a key in words, as far as it is known.
fn kind_of(object: &Object) -> String {
    object.kind().map(Kind::name).or_else(|| Some(object.key_type?.to_string())).unwrap_or_default()
}

fn as_json((token, objects): &Listed) -> Value {
    let info = token.info();
    let mut made = json!({
        "label": token.label(),
        "slot": token.slot(),
        "manufacturer": info.manufacturer_id(),
        "model": info.model(),
        "serial": info.serial_number(),
        "uri": token.uri(),
    });
    match objects {
        Ok(objects) => made["objects"] = objects.iter().map(|object| object_as_json(token, object)).collect(),
        Err(failure) => made["error"] = json!(failure.message),
    }
    made
}

fn object_as_json(token: &Token, object: &Object) -> Value {
    json!({
        "class": object.class_name(),
        "label": object.label,
        "id": object.id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "cloud_name": String::from_utf8(object.id.clone()).ok(),
        "kind": kind_of(object),
        "uses": object.uses,
        "uri": token.uri_of(object),
    })
}
