//! Checks of OpenSSL's ways to the module: libp11's engine and pkcs11-provider.

use super::probe::{Probe, at_once};
use super::subject::Subject;
use cloud_kms_pkcs11::diagnosis::check::Check;
use std::path::Path;

/// A way from OpenSSL to PKCS#11 modules.
struct Way {
    /// The name of the check.
    name: &'static str,
    noun: &'static str,
    package: &'static str,
    /// The variable that names the module. Without it, OpenSSL's configuration and p11-kit do.
    variable: &'static str,
    /// A command that loads the module and looks for a token that does not exist. No key is loaded.
    command: &'static [&'static str],
    /// What the command says if OpenSSL lacks the engine or the provider, or has no support for engines.
    absent: &'static [&'static str],
}

const WAYS: [Way; 2] = [
    Way {
        name: "openssl-engine",
        noun: "the engine pkcs11 (libp11)",
        package: "libengine-pkcs11-openssl",
        variable: "PKCS11_MODULE_PATH",
        command: &["pkey", "-engine", "pkcs11", "-inform", "engine", "-pubin", "-noout", "-in", NO_TOKEN],
        absent: &["nvalid engine", "nknown option: -engine", "ngines are not supported"],
    },
    Way {
        name: "openssl-provider",
        noun: "pkcs11-provider",
        package: "pkcs11-provider",
        variable: "PKCS11_PROVIDER_MODULE",
        command: &["storeutl", "-provider", "default", "-provider", "pkcs11", "-noout", NO_TOKEN],
        absent: &["nable to load provider", "nknown option: -provider"],
    },
];

const NO_TOKEN: &str = "pkcs11:token=cloud-kms-pkcs11%20doctor;type=public";

/// Returns the version of OpenSSL, and which way leads to the module.
pub fn checks(subject: &Subject) -> Vec<Check> {
    let version = Probe::run("openssl", &["version"], None);
    if !version.is_installed {
        return vec![Check::ok("openssl", "not installed")];
    }
    let words: Vec<_> = version.output.split(' ').take(2).collect();
    let mut checks = vec![Check::ok("openssl", words.join(" "))];
    if let (Some(module), Some(_)) = (&subject.module, &subject.config) {
        checks.extend(at_once(&WAYS, |way| way.check(module)));
    }
    checks
}

impl Way {
    fn check(&self, module: &Path) -> Check {
        let variables = [None, Some((self.variable, module))];
        let probes = at_once(variables, |variable| Probe::run("openssl", self.command, variable));
        let [by_itself, told] = &probes[..] else { return Check::ok(self.name, "not checked") };
        let (noun, setting) = (self.noun, format!("{}={}", self.variable, module.display()));
        if self.absent.iter().any(|words| told.output.contains(words)) {
            return Check::ok(self.name, format!("not installed (package {})", self.package));
        }
        match (by_itself.has_loaded, told.has_loaded) {
            (true, _) => Check::ok(self.name, format!("{noun} sees the module")),
            (_, true) => Check::ok(self.name, format!("{noun} sees the module with {setting}")),
            _ => {
                let words = told.output.lines().find(|line| line.contains("rror")).unwrap_or("it gives no reason");
                let text = format!("{noun} does not load the module: {words}");
                Check::warning(
                    self.name,
                    text,
                    format!("run {setting} openssl {}, and correct what it says", self.command.join(" ")),
                )
            }
        }
    }
}
