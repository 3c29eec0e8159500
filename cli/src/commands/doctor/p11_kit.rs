//! Checks of the registration in p11-kit: pkcs11.conf(5).

use super::probe::Probe;
use super::subject::{Subject, in_config_directory};
use crate::module::FILE_NAME;
use cloud_kms_pkcs11::diagnosis::check::Check;
use cloud_kms_pkcs11::host::process::effective_user_id;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const NAME: &str = "p11-kit";

/// The directories of registrations for all users: those of packages, then that of the administrator, which comes first.
const SYSTEM: [&str; 3] = ["/usr/share/p11-kit/modules", "/usr/local/share/p11-kit/modules", "/etc/pkcs11/modules"];

/// The directory of this user's registrations, in that for configuration files.
const USER: &str = "pkcs11/modules";

/// Where p11-kit of the distributions looks for a module that is registered without a path.
const MODULES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/local/lib64/pkcs11",
    "/usr/local/lib/pkcs11",
];

/// A registration of this module.
struct Registration {
    /// The file with the line `module:`.
    file: PathBuf,
    /// The module's file, or the value that names none.
    module: Result<PathBuf, String>,
}

/// Returns the checks of the registration.
pub fn checks(subject: &Subject) -> Vec<Check> {
    // Another check names a file that is no module. To register it helps nobody.
    let Some(module) = subject.module.as_ref().filter(|path| is_library(path)) else { return Vec::new() };
    // p11-kit ignores the home directory of root.
    let user = in_config_directory(USER);
    let is_root = effective_user_id() == 0;
    let system: Vec<_> = SYSTEM.iter().map(PathBuf::from).collect();
    let read = |folders: &[PathBuf]| registrations(folders, module);
    let with_user: Vec<_> = system.iter().cloned().chain(user.clone()).collect();
    let found = if is_root { read(&system) } else { read(&with_user) };
    let ignored = if is_root { read(&user.into_iter().collect::<Vec<_>>()) } else { Vec::new() };
    let list = Probe::run("p11-kit", &["list-modules"], None);
    if !list.is_installed && !system.iter().any(|folder| folder.is_dir()) {
        return vec![Check::ok(NAME, "not installed")];
    }
    let mut checks: Vec<_> = found.iter().filter_map(|registration| broken(registration, module)).collect();
    match &found[..] {
        [] => checks.push(unregistered(module, &ignored)),
        [one] if checks.is_empty() => checks.push(visible(one, subject, &list)),
        [_] => {}
        several => {
            let files: Vec<_> = several.iter().map(|own| own.file.display().to_string()).collect();
            let text = format!(
                "registered {} times, so that programs see each token as often: {}",
                files.len(),
                files.join(", ")
            );
            checks.push(Check::warning(NAME, text, "remove all files but one"));
        }
    }
    checks
}

/// Returns what is wrong with a registration: it names no module, or another copy of it.
fn broken(registration: &Registration, module: &Path) -> Option<Check> {
    let file = registration.file.display();
    let fix = format!("write the line \"module: {}\" to it, or remove it", module.display());
    match &registration.module {
        Err(value) => Some(Check::problem(NAME, format!("{file} names {value}, which does not exist"), fix)),
        Ok(path) if !is_same(path, module) => {
            let text = format!("{file} names {}, which is another file than {}", path.display(), module.display());
            Some(Check::warning(NAME, text, fix))
        }
        Ok(_) => None,
    }
}

fn unregistered(module: &Path, ignored: &[Registration]) -> Check {
    let line = format!("printf 'module: %s\\n' {}", module.display());
    let fix = format!("mkdir -p /etc/pkcs11/modules && {line} >/etc/pkcs11/modules/cloud-kms-pkcs11.module");
    match ignored {
        [own, ..] => {
            let text = format!("registered only in {}, which p11-kit ignores for root", own.file.display());
            Check::warning(NAME, text, fix)
        }
        [] => {
            let text = "the module is not registered, so that programs with p11-kit do not see it unless they are told its path";
            let own = "mkdir -p ~/.config/pkcs11/modules";
            let fix = format!("{fix} (as root), or {own} && {line} >~/.config/pkcs11/modules/cloud-kms-pkcs11.module");
            Check::warning(NAME, text, fix)
        }
    }
}

/// Returns whether p11-kit loads the registered module.
fn visible(registration: &Registration, subject: &Subject, list: &Probe) -> Check {
    let text = format!("registered by {}", registration.file.display());
    if !list.is_installed {
        return Check::ok(NAME, format!("{text}; the command p11-kit is not installed"));
    }
    if subject.config.is_none() || list.has_loaded {
        return Check::ok(NAME, text);
    }
    let words = list.output.lines().find(|line| line.contains("p11-kit:")).unwrap_or("it does not list the module");
    Check::problem(
        NAME,
        format!("{text}, but p11-kit does not load it: {words}"),
        "run p11-kit list-modules, and correct what it says",
    )
}

/// Returns the registrations of this module, or of any file of its name. A file replaces lines of a file of the same name
/// in an earlier folder.
fn registrations(folders: &[PathBuf], module: &Path) -> Vec<Registration> {
    let mut values = BTreeMap::new();
    for folder in folders {
        let files = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        for file in files.filter(|path| path.extension().is_some_and(|extension| extension == "module")) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let value = text.lines().filter_map(|line| line.split_once(':')).rfind(|(name, _)| name.trim() == "module");
            if let (Some((_, value)), Some(name)) = (value, file.file_name()) {
                values.insert(name.to_owned(), (file.clone(), value.trim().to_owned()));
            }
        }
    }
    let named = values.into_values().map(|(file, value)| Registration { file, module: resolved(&value) });
    named.filter(|registration| registration.is_of(module)).collect()
}

impl Registration {
    fn is_of(&self, module: &Path) -> bool {
        match &self.module {
            Ok(path) => is_same(path, module) || path.ends_with(FILE_NAME),
            Err(value) => Path::new(value).ends_with(FILE_NAME),
        }
    }
}

fn resolved(value: &str) -> Result<PathBuf, String> {
    let places = MODULES.iter().map(|folder| Path::new(folder).join(value));
    // An absolute path replaces the folder.
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| value.to_owned())
}

/// Returns whether the file begins as shared libraries do: elf(5).
fn is_library(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
