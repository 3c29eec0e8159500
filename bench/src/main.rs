//! Compares the module with a minimal HTTP client that sends the same bytes: `scripts/bench.sh`.
//!
//! The program that measures starts other processes: the fake service, and clients, which are this program with
//! other arguments. Each client therefore has its own process, its own CPU clock, and its own C_Initialize and
//! C_Finalize. A client prints one line of JSON.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program's output is its interface")]

mod floor;
mod instructions;
mod meter;
mod module;
mod outcome;
mod plot;
mod report;
mod sections;
mod service;
mod table;
mod tls;
mod wire;
mod world;

use outcome::{Outcome, say};
use std::process::ExitCode;
use std::time::Duration;
use world::{Cloud, World};

const USAGE: &str = "\
cloud-kms-bench run MODULE [--write DOCS | SECTION...]   measures and prints the table (scripts/bench.sh)
cloud-kms-bench redraw DOCS               makes the summary and the plots again from the table in DOCS
cloud-kms-bench instructions MODULE FILE [--write]   counts the instructions of the hot paths (scripts/instructions.sh)
cloud-kms-bench with aws|azure|vault|google MODULE PROGRAM [ARGUMENT...]   runs a program with the fake service, for profilers
cloud-kms-bench service CA_FILE           runs the fake service
cloud-kms-bench floor PORT CA_FILE|- REQUEST THREADS MILLISECONDS
cloud-kms-bench warm MODULE THREADS MILLISECONDS EC|RSA
cloud-kms-bench under-quota MODULE START THREADS MILLISECONDS
cloud-kms-bench refused MODULE MILLISECONDS
cloud-kms-bench once MODULE EC|RSA
cloud-kms-bench path MODULE NAME TIMES
cloud-kms-bench keys MODULE LABEL";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cloud-kms-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Outcome<()> {
    let time = |text: &str| Outcome::Ok(Duration::from_millis(text.parse()?));
    let report = match arguments {
        ["run", module, "--write", folder] => return sections::write(module, folder.as_ref()),
        ["run", module, sections @ ..] => return sections::run(module, sections),
        ["redraw", folder] => return report::redraw(folder.as_ref()),
        ["with", cloud, module, program, arguments @ ..] => return with(cloud, module, program, arguments),
        ["instructions", module, file] => return instructions::run(module, file, false),
        ["instructions", module, file, "--write"] => return instructions::run(module, file, true),
        ["service", ca_file] => return service::run(ca_file),
        ["floor", port, ca, request, threads, ms] => {
            let ca = Some(*ca).filter(|ca| *ca != "-");
            floor::run(port.parse()?, ca, request, threads.parse()?, time(ms)?)?
        }
        ["warm", module, threads, ms, kind] => module::warm(module, threads.parse()?, time(ms)?, *kind == "RSA")?,
        ["under-quota", module, start, threads, ms] => {
            module::under_quota(module, time(start)?, threads.parse()?, time(ms)?)?
        }
        ["refused", module, ms] => module::refused(module, time(ms)?)?,
        ["once", module, kind] => module::once(module, *kind == "RSA")?,
        ["path", module, name, times] => module::path(module, name, times.parse()?)?,
        ["keys", module, label] => module::keys(module, label)?,
        _ => return Err(USAGE.into()),
    };
    say(&report.to_string());
    Ok(())
}

/// Runs any program with a configuration of one slot with one key.
fn with(cloud: &str, module: &str, program: &str, arguments: &[&str]) -> Outcome<()> {
    let world = World::new(module)?;
    let cloud = Cloud::TLS.into_iter().find(|known| known.id() == cloud).ok_or(USAGE)?;
    world.configure_one(cloud, false)?;
    match world.command(program).args(arguments).status()?.success() {
        true => Ok(()),
        false => Err(format!("{program} failed").into()),
    }
}
