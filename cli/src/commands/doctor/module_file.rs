//! Checks of the module's file: whether it loads, belongs to this tool, and has the slots of the configuration.

use super::subject::Subject;
use crate::failure::{Failure, Outcome};
use crate::module::Module;
use cloud_kms_pkcs11::config::Config;
use cloud_kms_pkcs11::diagnosis::check::Check;
use std::path::Path;

/// The manufacturer that C_GetInfo of this module tells.
const MANUFACTURER: &str = "cloud-kms-pkcs11";

const LOAD: &str = "module";

/// Returns the check for a module that was not found or does not work.
pub fn failed(failure: &Failure) -> Check {
    let fix = failure.fix.clone().unwrap_or_else(|| "install the module again".to_owned());
    Check::problem(LOAD, failure.message.clone(), fix)
}

/// Returns the checks of the module's file. C_Initialize is called if the configuration has no mistake: otherwise it
/// would fail with the same mistake.
pub fn checks(subject: &Subject) -> Vec<Check> {
    let Some(path) = &subject.module else { return Vec::new() };
    let Some(config) = &subject.config else {
        return vec![Check::ok(
            LOAD,
            format!("{}: not loaded, because the configuration has a mistake", path.display()),
        )];
    };
    loaded(path, config).unwrap_or_else(|failure| vec![failed(&failure)])
}

fn loaded(path: &Path, config: &Config) -> Outcome<Vec<Check>> {
    let module = Module::load(Some(path))?;
    let info = module.info()?;
    if info.manufacturer_id() != MANUFACTURER {
        let text = format!("{} is another module, of {:?}", path.display(), info.manufacturer_id());
        return Ok(vec![Check::problem(LOAD, text, "name the file libcloud_kms_pkcs11.so by --module")]);
    }
    let found = Check::ok(LOAD, format!("{} loads, and C_Initialize succeeds", path.display()));
    Ok(vec![found, version(info.library_version().to_string()), slots(&module, config)?])
}

/// C_GetInfo tells the first two numbers of the version.
fn version(module: String) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    if own.starts_with(&format!("{module}.")) {
        return Check::ok("version", own);
    }
    let text = format!("the module has version {module}, but this tool has version {own}");
    Check::warning("version", text, "install both from the same release")
}

fn slots(module: &Module, config: &Config) -> Outcome<Check> {
    let shown: Vec<String> = module.tokens()?.iter().map(|token| token.label().to_owned()).collect();
    let is_same =
        shown.len() >= config.slots.len() && config.slots.labels().zip(&shown).all(|(own, shown)| own == shown);
    if !is_same || shown.len() > config.slots.len() && config.legacy_services.is_empty() {
        let text = format!("the module has other slots than the configuration: {}", shown.join(", "));
        return Ok(Check::problem("slots", text, "install the module and this tool from the same release"));
    }
    let noun = if shown.len() == 1 { "slot" } else { "slots" };
    Ok(Check::ok("slots", format!("{} {noun}, as in the configuration", shown.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud_kms_pkcs11::diagnosis::check;

    #[test]
    fn versions_are_compared() {
        let mut numbers = env!("CARGO_PKG_VERSION").split('.');
        let own = format!("{}.{}", numbers.next().unwrap(), numbers.next().unwrap());
        assert_eq!(version(own.clone()).outcome, check::Outcome::Ok);
        assert_eq!(version(format!("{own}1")).outcome, check::Outcome::Warning);
    }
}
