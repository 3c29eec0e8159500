//! `doctor`: what works, what does not, and what to do about it.
//!
//! All checks run at once. Those of the slots are the library's: they ask the services as the module does.

mod configuration;
mod denials;
mod environment;
mod module_file;
mod openssl;
mod p11_kit;
mod probe;
mod report;
mod ssh_agent;
mod subject;
mod variables;

use crate::failure::{Failure, Outcome};
use crate::module::ModuleArguments;
use crate::output::{note, write, write_json};
use clap::Args;
use cloud_kms_pkcs11::config::{Config, Examination};
use cloud_kms_pkcs11::diagnosis;
use cloud_kms_pkcs11::diagnosis::check::{self, Check};
use probe::at_once;
use report::Report;
use std::process::ExitCode;
use subject::Subject;

/// Checks the configuration, the environment, this machine and each slot, and says what to do about what is wrong
///
/// No signature is made without --sign. The exit code is 1 if there is a problem.
#[derive(Args)]
pub struct Arguments {
    /// Only this slot
    #[arg(long, value_name = "LABEL")]
    slot: Option<String>,
    /// Make one signature with each key that signs
    #[arg(long)]
    sign: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    module: ModuleArguments,
}

/// The checks of this machine that take time.
const HOST: [fn(&Subject) -> Vec<Check>; 5] =
    [module_file::checks, p11_kit::checks, openssl::checks, ssh_agent::checks, denials::checks];

impl Arguments {
    /// Runs the command. The exit code is 1 if there is a problem.
    ///
    /// # Errors
    /// If there is no such slot.
    pub fn run(&self) -> Outcome<ExitCode> {
        let examination = Config::examine();
        if let (Some(label), Ok(config)) = (&self.slot, &examination.config) {
            check_label(label, config)?;
        }
        if self.sign {
            note("--sign: makes one signature with each key that signs");
        }
        let report = self.report(&examination);
        if self.json {
            write_json(&report.json())?;
        } else {
            write(&report.text())?;
        }
        Ok(if report.count(&check::Outcome::Problem) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn report(&self, examination: &Examination) -> Report {
        let module = self.module.path();
        let missing = module.as_ref().err().map(module_file::failed);
        let subject = Subject { module: module.ok(), config: examination.config.clone().ok() };
        let mut configuration = configuration::file_checks(examination);
        configuration.extend(configuration::storage_checks(&subject));
        let mut host: Vec<_> = missing.into_iter().collect();
        let own = std::thread::spawn({
            let (config, only, sign) = (subject.config.clone(), self.slot.clone(), self.sign);
            move || config.map(|config| diagnosis::slots(&config, only.as_deref(), sign)).unwrap_or_default()
        });
        host.extend(at_once(HOST, |checks| checks(&subject)).into_iter().flatten());
        let slots = own.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let environment = environment::checks(&subject);
        Report { groups: vec![("configuration", configuration), ("environment", environment), ("host", host)], slots }
    }
}

fn check_label(label: &str, config: &Config) -> Outcome<()> {
    if config.slots.labels().any(|own| own == label) {
        return Ok(());
    }
    let labels: Vec<_> = config.slots.labels().map(|own| format!("{own:?}")).collect();
    let fix =
        if labels.is_empty() { "leave out --slot".to_owned() } else { format!("use one of: {}", labels.join(", ")) };
    Err(Failure::new(format!("no slot has the label {label:?}")).fix(fix))
}
