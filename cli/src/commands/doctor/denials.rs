//! What SELinux and AppArmor have denied, as far as the kernel's log can be read.

use super::probe::Probe;
use super::subject::Subject;
use cloud_kms_pkcs11::diagnosis::check::Check;
use std::collections::BTreeSet;

const NAME: &str = "denials";

/// Where denials are written: a file of the audit daemon, and the kernel's log.
const AUDIT_LOG: &str = "/var/log/audit/audit.log";
const COMMANDS: [(&str, &[&str]); 2] =
    [("journalctl", &["--dmesg", "--quiet", "--no-pager", "--output=cat", "--lines=20000"]), ("dmesg", &[])];

/// What marks a denial of AppArmor and of SELinux.
const MARKS: [&str; 2] = ["apparmor=\"DENIED\"", "avc:  denied"];

/// What marks a line about the module, its configuration or its cache.
const NAMES: [&str; 2] = ["cloud_kms_pkcs11", "cloud-kms-pkcs11"];

/// Returns a check for each program that was kept from the module or its files.
pub fn checks(_: &Subject) -> Vec<Check> {
    let audit = std::fs::read(AUDIT_LOG).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let logs = COMMANDS.iter().map(|(program, arguments)| Probe::run(program, arguments, None).output);
    let denials: BTreeSet<_> = audit.into_iter().chain(logs).flat_map(|text| denials(&text)).collect();
    match denials.is_empty() {
        true => vec![Check::ok(NAME, "no denial of SELinux or AppArmor in the logs that this user can read")],
        false => denials.into_iter().map(|denial| Check::warning(NAME, denial.text(), denial.fix())).collect(),
    }
}

/// A denial: the same in whatever log it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Denial {
    is_apparmor: bool,
    /// The program (`comm`).
    program: String,
    /// The profile of AppArmor, or the context of SELinux.
    rule: String,
    /// What the program wanted.
    operation: String,
    /// The file.
    file: String,
    /// The rights that AppArmor would have to grant.
    rights: &'static str,
}

fn denials(log: &str) -> Vec<Denial> {
    let lines = log.lines().filter(|line| NAMES.iter().any(|name| line.contains(name)));
    lines.filter(|line| MARKS.iter().any(|mark| line.contains(mark))).map(Denial::parse).collect()
}

impl Denial {
    fn parse(line: &str) -> Self {
        let is_apparmor = line.contains(MARKS[0]);
        let value = |name: &str| {
            let after = line.split_once(&format!(" {name}="))?.1;
            let end = if after.starts_with('"') { '"' } else { ' ' };
            after.trim_start_matches('"').split(end).next().map(str::to_owned)
        };
        let of =
            |apparmor: &str, selinux: &str| value(if is_apparmor { apparmor } else { selinux }).unwrap_or_default();
        let braces = line.split_once("{ ").and_then(|(_, rest)| Some(rest.split_once(" }")?.0.to_owned()));
        let mask = value("requested_mask").unwrap_or_default();
        let rights = match mask.contains('m') {
            true => "mr",
            false if mask.contains(['w', 'a', 'c', 'd', 'k']) => "rwk",
            false => "r",
        };
        Self {
            is_apparmor,
            rights,
            program: of("comm", "comm"),
            rule: of("profile", "scontext"),
            operation: braces.unwrap_or_else(|| of("operation", "operation")),
            file: value("path").unwrap_or_else(|| of("name", "name")),
        }
    }

    fn text(&self) -> String {
        let Self { program, rule, operation, file, .. } = self;
        let system = if self.is_apparmor { "AppArmor" } else { "SELinux" };
        format!("{system} denied {program:?} ({rule}): {operation} {file}")
    }

    fn fix(&self) -> String {
        let Self { program, rule, file, rights, .. } = self;
        match self.is_apparmor {
            true => {
                let local = rule.trim_start_matches('/').replace('/', ".");
                format!(
                    "add \"{file} {rights},\" to /etc/apparmor.d/local/{local}, and reload the profile: apparmor_parser -r"
                )
            }
            // The program chooses this name.
            false => {
                let program = program.replace('\'', "");
                format!("allow it in the policy: ausearch -m avc -c '{program}' | audit2allow -M local")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"file_mmap\" class=\"file\" profile=\"/usr/sbin/named\" \
name=\"/usr/lib/x86_64-linux-gnu/pkcs11/libcloud_kms_pkcs11.so\" pid=7 comm=\"named\" requested_mask=\"m\" denied_mask=\"m\"
audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\" profile=\"snap\" name=\"/etc/other\" pid=7 comm=\"x\"
audit: type=1400 audit(1.2:3): apparmor=\"ALLOWED\" operation=\"open\" profile=\"y\" name=\"/etc/cloud-kms-pkcs11/config.json\"
type=AVC msg=audit(1.2:4): avc:  denied  { read } for  pid=7 comm=\"httpd\" name=\"cloud-kms-pkcs11\" dev=\"vda1\" ino=5 \
scontext=system_u:system_r:httpd_t:s0 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=dir permissive=0
";

    #[test]
    fn denials_name_the_program_and_the_file() {
        let found: Vec<_> = denials(LOG).iter().map(Denial::text).collect();
        let module = "/usr/lib/x86_64-linux-gnu/pkcs11/libcloud_kms_pkcs11.so";
        let named = format!("AppArmor denied \"named\" (/usr/sbin/named): file_mmap {module}");
        let httpd = "SELinux denied \"httpd\" (system_u:system_r:httpd_t:s0): read cloud-kms-pkcs11";
        assert_eq!(found, [named, httpd.to_owned()]);
        assert!(denials(LOG)[0].fix().contains("/etc/apparmor.d/local/usr.sbin.named"));
    }
}
