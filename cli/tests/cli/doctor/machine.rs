//! A machine whose set-up is good until a test breaks it.

use crate::support::{Run, World, module_path};
use cloud_kms_emulator::{Action, Fault};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The file that registers the module in p11-kit, in the home directory.
pub const REGISTRATION: &str = ".config/pkcs11/modules/cloud-kms-pkcs11.module";

/// A user that tests run as if they are started by root, for whom p11-kit ignores the home directory.
const NOBODY: u32 = 65534;

/// A home directory with a configuration, credentials and a registration in p11-kit, and the emulator as the clouds.
pub struct Machine {
    pub world: World,
    /// Variables that the tool has instead of those of a good machine. None removes a variable.
    pub variables: Variables,
}

/// Variables with their values. None removes a variable.
type Variables = Vec<(&'static str, Option<&'static str>)>;

/// The JSON report of `doctor`.
#[derive(Debug)]
pub struct Report {
    pub code: Option<i32>,
    pub json: Value,
}

impl Machine {
    /// Returns a machine on which nothing is wrong.
    pub fn good() -> Self {
        let machine = Self { world: World::with_keys(), variables: Vec::new() };
        machine.set_mode("google.json", 0o600);
        machine.write(REGISTRATION, &format!("module: {}\n", module_path().display()));
        machine
    }

    /// Returns the path of a file in the home directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// Writes a file in the home directory.
    pub fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self.set_mode(name, 0o644);
    }

    /// Removes a file in the home directory.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Sets the mode of a file in the home directory, or of the directory itself.
    pub fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Sets an option of the configuration, by its JSON pointer. Null removes it.
    pub fn set_option(&self, pointer: &str, value: Value) {
        let mut config: Value = serde_json::from_slice(&fs::read(self.path("config.json")).unwrap()).unwrap();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let options = config.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => options.remove(name),
            value => options.insert(name.to_owned(), value),
        };
        fs::write(self.path("config.json"), format!("{config:#}\n")).unwrap();
    }

    /// Makes requests for an operation fail.
    pub fn fault(&self, operation: &str, action: Action) {
        self.world.emulator.control().fault(Fault::new(operation, action));
    }

    /// Gives the slot of AWS a certificate for the key of this slot.
    pub fn certify(&self, slot: &str, options: &[&str]) {
        let command = ["self-sign", "--slot", slot, "--subject", "CN=web", "--out", "web.pem"];
        self.run(&[&command, options].concat(), &[]).expect_silence();
        self.set_option("/slots/0/certificate_path", self.path("web.pem").to_str().into());
    }

    /// Makes a command run as a user who is not root, the owner of the home directory.
    pub fn run_as_user(&self, command: &mut Command) {
        if is_root() {
            give(&self.path(""), NOBODY);
            command.uid(NOBODY).gid(NOBODY);
        }
    }

    /// Runs the tool as a user who is not root, with these variables. None removes a variable.
    pub fn run(&self, arguments: &[&str], variables: &[(&str, Option<&str>)]) -> Run {
        let mut command = self.world.command(arguments);
        let program = Path::new(command.get_program());
        let is_open = |folder: &Path| folder.metadata().unwrap().mode() & 0o001 != 0;
        assert!(!is_root() || program.ancestors().all(is_open), "{} must be open to all users", program.display());
        self.run_as_user(&mut command);
        for (name, value) in self.variables.iter().chain(variables) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Run::of(&mut command)
    }

    /// Runs `doctor` with these additional arguments.
    pub fn report(&self, arguments: &[&str]) -> Report {
        Report::of(&self.run(&[&["doctor", "--json"], arguments].concat(), &[]))
    }

    /// Runs `doctor` with these variables.
    pub fn report_with(&self, variables: &[(&str, Option<&str>)]) -> Report {
        Report::of(&self.run(&["doctor", "--json"], variables))
    }
}

impl Report {
    /// Returns the report that a run has written.
    pub fn of(run: &Run) -> Self {
        let json = serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        Self { code: run.code, json }
    }

    fn checks(&self) -> impl Iterator<Item = &Value> {
        let of = |name: &str| self.json[name].as_array().unwrap();
        of("groups").iter().chain(of("slots")).flat_map(|group| group["checks"].as_array().unwrap())
    }

    /// Returns what was found by the checks with that name.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let own = self.checks().filter(|check| check["name"] == name);
        own.map(|check| check["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns all warnings and problems: `outcome name: text; fix: ...`.
    pub fn troubles(&self) -> Vec<String> {
        let text = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
        let line = |check: &Value| {
            let [outcome, name, found, fix] = ["outcome", "name", "text", "fix"].map(|member| text(check, member));
            (outcome != "ok").then(|| format!("{outcome} {name}: {found}; fix: {fix}"))
        };
        self.checks().filter_map(line).collect()
    }

    /// Checks that exactly one thing is wrong: one with this outcome and name, whose text and fix contain these words.
    pub fn assert_only(&self, outcome_and_name: &str, text: &str, fix: &str) {
        let troubles = self.troubles();
        assert_eq!(troubles.len(), 1, "{troubles:#?}");
        self.assert_has(outcome_and_name, text, fix);
    }

    /// Returns whether this is among the things that are wrong.
    pub fn has(&self, outcome_and_name: &str, text: &str, fix: &str) -> bool {
        let is_meant = |trouble: &String| {
            let (what, todo) = trouble.split_once("; fix: ").unwrap();
            what.starts_with(&format!("{outcome_and_name}: ")) && what.contains(text) && todo.contains(fix)
        };
        self.troubles().iter().any(is_meant)
    }

    /// Checks that this is among the things that are wrong. The exit code is that of the worst one.
    pub fn assert_has(&self, outcome_and_name: &str, text: &str, fix: &str) {
        let troubles = self.troubles();
        assert!(!fix.is_empty() && self.has(outcome_and_name, text, fix), "{troubles:#?}");
        let has_problem = troubles.iter().any(|trouble| trouble.starts_with("problem"));
        assert_eq!(self.code, Some(i32::from(has_problem)));
    }
}

/// Returns whether these tests run as root.
pub fn is_root() -> bool {
    Path::new("/proc/self").metadata().unwrap().uid() == 0
}

/// Returns whether a program is installed.
pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Makes a user the owner of a directory and everything in it.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    let inner = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    for path in inner {
        match path.symlink_metadata().unwrap().is_dir() {
            true => give(&path, user),
            false => std::os::unix::fs::lchown(&path, Some(user), Some(user)).unwrap(),
        }
    }
}
