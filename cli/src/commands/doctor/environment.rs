//! Checks of the environment variables that matter. Values of secrets are never shown.

use super::subject::{Subject, variable};
use super::variables::{Kind, VARIABLES, Variable};
use cloud_kms_pkcs11::cloud::{invalid_proxy_variables, is_plaintext_remote, url_without_credentials};
use cloud_kms_pkcs11::diagnosis::check::Check;
use cloud_kms_pkcs11::host::process::effective_user_id;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Returns the checks of the home directory and of each variable that is set and matters here.
pub fn checks(subject: &Subject) -> Vec<Check> {
    let invalid: Vec<_> = invalid_proxy_variables().collect();
    let set = VARIABLES.iter().filter_map(|row| Some((row, variable(row.name)?)));
    let own = set.filter(|(row, _)| row.cloud.is_none_or(|cloud| subject.uses(cloud)));
    let rows = own.map(|(row, value)| check(row, &value, &invalid));
    [home()].into_iter().chain(rows).collect()
}

fn home() -> Check {
    let Some(home) = variable("HOME") else {
        return Check::warning(
            "HOME",
            "is not set, so that no file in a home directory is found: neither a configuration nor credentials",
            "set HOME where the program is started, or name the files: CLOUD_KMS_PKCS11_CONFIG, AWS_CONFIG_FILE and so on",
        );
    };
    match Path::new(&home).metadata() {
        _ if !home.starts_with('/') => Check::warning(
            "HOME",
            format!("{home} is a relative path"),
            "set it to the absolute path of the home directory",
        ),
        Err(error) => Check::warning("HOME", format!("{home}: {error}"), "set it to the home directory of this user"),
        Ok(about) if about.uid() != effective_user_id() => Check::warning(
            "HOME",
            format!("{home} belongs to another user (uid {}), and so do its files", about.uid()),
            "set it to the home directory of this user; for sudo: sudo -H",
        ),
        Ok(_) => Check::ok("HOME", home),
    }
}

fn check(row: &Variable, value: &str, invalid_proxies: &[&str]) -> Check {
    let (name, effect) = (row.name, row.effect());
    let shown =
        |value: &str| Check::ok(name, if effect.is_empty() { value.to_owned() } else { format!("{value}; {effect}") });
    match row.kind {
        Kind::Pair(other) | Kind::SecretPair(other) if variable(other).is_none() => Check::warning(
            name,
            format!("is set without {other}, so that it is not used"),
            format!("set {other} as well, or unset {name}"),
        ),
        Kind::Plain | Kind::Pair(_) => shown(value),
        Kind::Secret | Kind::SecretPair(_) => shown("(a secret)"),
        Kind::Ignored => Check::warning(name, "the module ignores this variable", effect),
        Kind::Proxy if invalid_proxies.contains(&name) => Check::warning(
            name,
            "is not the URL of a proxy, so that it is ignored",
            "set it to http://HOST:PORT, or unset it",
        ),
        Kind::Proxy => shown(&url_without_credentials(value)),
        Kind::Url => url(name, value, shown),
        Kind::PathList => {
            let mut paths = std::env::split_paths(value).map(|own| path(row, &own.to_string_lossy(), shown));
            paths.find(|check| check.fix.is_some()).unwrap_or_else(|| shown(value))
        }
        Kind::Path | Kind::NewFile => path(row, value, shown),
    }
}

fn url(name: &'static str, value: &str, shown: impl Fn(&str) -> Check) -> Check {
    let value = &url_without_credentials(value);
    if !value.starts_with("https://") && !value.starts_with("http://") {
        return Check::warning(name, format!("{value} is no URL"), "set it to https://HOST, or unset it");
    }
    if is_plaintext_remote(value) {
        return Check::warning(name, format!("{value}: requests are not encrypted"), "use https://");
    }
    shown(value)
}

fn path(row: &Variable, value: &str, shown: impl Fn(&str) -> Check) -> Check {
    // The SDK of AWS expands such a path.
    let is_expanded = row.cloud == Some("aws") && value.starts_with("~/");
    let path = Path::new(value);
    if path.is_relative() && !is_expanded {
        return Check::warning(
            row.name,
            format!("{value} is a relative path, so that it depends on the directory in which a program runs"),
            "set it to an absolute path",
        );
    }
    match path.metadata() {
        Err(error) if row.kind != Kind::NewFile && !is_expanded => Check::warning(
            row.name,
            format!("names {value}, which can't be opened: {error}"),
            "correct the path, or unset it",
        ),
        _ => shown(value),
    }
}
