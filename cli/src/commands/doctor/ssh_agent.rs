//! Checks whether ssh-agent would load the module: ssh-agent(1), option -P.

use super::subject::{Subject, variable};
use cloud_kms_pkcs11::diagnosis::check::Check;
use cloud_kms_pkcs11::host::process::effective_user_id;
use std::path::Path;

const NAME: &str = "ssh-agent";

/// What an agent loads without -P.
const USUAL: &str = "/usr/lib*/*,/usr/local/lib*/*";

/// Returns the check of the agent that SSH_AUTH_SOCK leads to.
pub fn checks(subject: &Subject) -> Vec<Check> {
    let Some(module) = &subject.module else { return Vec::new() };
    vec![match (variable("SSH_AUTH_SOCK"), agent()) {
        (None, _) => Check::ok(NAME, "none runs here (SSH_AUTH_SOCK is not set)"),
        (Some(_), None) => Check::ok(NAME, "the agent at SSH_AUTH_SOCK is not an ssh-agent of this user"),
        (Some(_), Some(arguments)) => check(module, &patterns(&arguments)),
    }]
}

fn check(module: &Path, patterns: &str) -> Check {
    let path = module.canonicalize().unwrap_or_else(|_| module.to_owned());
    let shown = path.display().to_string();
    if is_allowed(&shown, patterns) {
        return Check::ok(NAME, format!("loads the module (ssh-add -s {shown})"));
    }
    let fix = format!("install the module below /usr/lib, or start the agent by: ssh-agent -P '{shown}'");
    Check::warning(NAME, format!("refuses the module: it loads only {patterns}, not {shown}"), fix)
}

/// Returns the arguments of this user's agent: of the process SSH_AGENT_PID, or else of the first one.
fn agent() -> Option<Vec<String>> {
    if let Some(arguments) = variable("SSH_AGENT_PID").and_then(|id| arguments(&id)) {
        return Some(arguments);
    }
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).find_map(|id| arguments(&id))
}

/// Returns the arguments of a process, if it is an ssh-agent of this user.
fn arguments(process: &str) -> Option<Vec<String>> {
    let folder = Path::new("/proc").join(process);
    let status = std::fs::read_to_string(folder.join("status")).ok()?;
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let is_own = value("Uid:")?.parse() == Ok(effective_user_id());
    let text = std::fs::read_to_string(folder.join("cmdline")).ok()?;
    (value("Name:")? == "ssh-agent" && is_own).then(|| text.split('\0').map(str::to_owned).collect())
}

/// Returns the patterns of the paths that an agent with these arguments loads modules from.
fn patterns(arguments: &[String]) -> String {
    let after = arguments.iter().position(|argument| argument.starts_with("-P"));
    let given = after.and_then(|index| match arguments[index].strip_prefix("-P") {
        Some("") | None => arguments.get(index + 1).cloned(),
        Some(attached) => Some(attached.to_owned()),
    });
    given.unwrap_or_else(|| USUAL.to_owned())
}

/// Returns whether a path is in the list of patterns. One with ! excludes what it matches: PATTERNS in ssh_config(5).
fn is_allowed(path: &str, patterns: &str) -> bool {
    let matching = |pattern: &str| matches(pattern.as_bytes(), path.as_bytes());
    let is_excluded = patterns.split(',').filter_map(|pattern| pattern.strip_prefix('!')).any(matching);
    !is_excluded && patterns.split(',').filter(|pattern| !pattern.starts_with('!')).any(matching)
}

/// Returns whether a pattern with the wildcards * and ? matches the whole path. Both match a slash, too.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern, path) {
        ([], rest) => rest.is_empty(),
        ([b'*', pattern @ ..], rest) => (0..=rest.len()).any(|start| matches(pattern, &rest[start..])),
        ([sign, pattern @ ..], [own, rest @ ..]) => (*sign == b'?' || sign == own) && matches(pattern, rest),
        (_, []) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_command_line() {
        let of = |arguments: &[&str]| patterns(&arguments.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["ssh-agent", "-a", "/s"]), USUAL);
        assert_eq!(of(&["ssh-agent", "-P", "/opt/*"]), "/opt/*");
        assert_eq!(of(&["ssh-agent", "-P/opt/*", "-D"]), "/opt/*");
    }

    #[test]
    fn patterns_match_as_in_ssh() {
        for (path, list, expected) in [
            ("/usr/lib/x86_64-linux-gnu/pkcs11/m.so", USUAL, true),
            ("/usr/lib64/m.so", USUAL, true),
            ("/usr/local/lib/m.so", USUAL, true),
            ("/home/me/usr/lib/m.so", USUAL, false),
            ("/opt/m.so", "/opt/?.so", true),
            ("/opt/mm.so", "/opt/?.so", false),
            ("/opt/m.so", "!/opt/m.so,/opt/*", false),
        ] {
            assert_eq!(is_allowed(path, list), expected, "{path} in {list}");
        }
    }
}
