//! The programs that have snippets: a row for each.

use super::page::{Block, Page};

/// A program.
pub struct Program {
    /// Its usual name. Users may write it in any case.
    pub name: &'static str,
    /// Other names that find it. Several programs may share one.
    pub aliases: &'static [&'static str],
    /// The pages with its blocks, in the order in which they are shown.
    pub pages: &'static [Page],
    /// The ways through which it reaches the module. The first one is the default.
    pub ways: &'static [Way],
    /// What it does with a key, as the key's attributes are called.
    pub uses: &'static [&'static str],
    /// Whether it uses a key only if the token shows a certificate for it.
    pub needs_certificate: bool,
}

/// A way through which a program reaches the module.
pub struct Way {
    /// Its name in `--through`. Empty if the program has its own way only.
    pub name: &'static str,
    /// The kinds of keys that work, of [`KINDS`].
    pub kinds: &'static [&'static str],
}

/// The ways, and what they are.
pub const WAYS: [(&str, &str); 3] = [
    ("provider", "OpenSSL's provider (pkcs11-provider)"),
    ("key-file", "OpenSSL's provider and a file with the URL of the key"),
    ("engine", "libp11's engine (OpenSSL 3.0 of Debian 12)"),
];

/// The kinds of keys in the rows and pages, and what they are.
pub const KINDS: [(&str, &str); 11] = [
    ("rsa", "RSA"),
    ("pkcs1", "RSA with PKCS#1 v1.5"),
    ("pkcs1-any", "RSA with PKCS#1 v1.5 and any hash"),
    ("pss", "RSA with PSS"),
    ("pkcs1-pss", "RSA with PKCS#1 v1.5 and PSS"),
    ("ec", "EC (P-256, P-384, P-521)"),
    ("p256", "P-256"),
    ("p384", "P-384"),
    ("p521", "P-521"),
    ("ed25519", "Ed25519"),
    ("ml-dsa", "ML-DSA"),
];

/// Other words that restrict a block.
pub const CERTIFICATES: [&str; 2] = ["certificate", "no-certificate"];

macro_rules! page {
    ($name:literal) => {
        Page { name: $name, text: include_str!(concat!("../../../../docs/clients/", $name, ".md")) }
    };
}

const SIGN: &[&str] = &["sign"];
/// TLS 1.3 signs with PSS, and TLS 1.2 often with PKCS#1 v1.5.
const TLS: &[&str] = &["pkcs1-pss", "ec"];
const CLASSIC: &[&str] = &["pkcs1", "ec"];
const EDWARDS: &[&str] = &["pkcs1", "ec", "ed25519"];
/// OpenSSH signs with SHA-512 if the key is an RSA key.
const SSH: &[&str] = &["pkcs1-any", "ec", "ed25519"];

const fn own(kinds: &'static [&'static str]) -> Way {
    Way { name: "", kinds }
}
const fn provider(kinds: &'static [&'static str]) -> Way {
    Way { name: "provider", kinds }
}
const fn key_file(kinds: &'static [&'static str]) -> Way {
    Way { name: "key-file", kinds }
}
const fn engine(kinds: &'static [&'static str]) -> Way {
    Way { name: "engine", kinds }
}

/// The programs.
#[rustfmt::skip]
pub static PROGRAMS: [Program; 16] = [
    Program { name: "OpenSSL", aliases: &[], pages: &[page!("openssl-provider"), page!("ml-dsa"), page!("openssl")], ways: &[provider(&["rsa", "ec", "ed25519", "ml-dsa"]), engine(&["rsa", "ec"])], uses: SIGN, needs_certificate: false },
    Program { name: "ssh", aliases: &["OpenSSH"], pages: &[page!("ssh")], ways: &[own(SSH)], uses: SIGN, needs_certificate: false },
    Program { name: "git", aliases: &[], pages: &[page!("git")], ways: &[own(SSH)], uses: SIGN, needs_certificate: false },
    Program { name: "nginx", aliases: &[], pages: &[page!("openssl-provider"), page!("nginx")], ways: &[provider(TLS), key_file(TLS), engine(TLS)], uses: SIGN, needs_certificate: false },
    Program { name: "Apache", aliases: &["apache2", "httpd"], pages: &[page!("openssl-provider"), page!("apache")], ways: &[provider(TLS), key_file(TLS), engine(TLS)], uses: SIGN, needs_certificate: false },
    Program { name: "HAProxy", aliases: &[], pages: &[page!("openssl-provider"), page!("haproxy")], ways: &[key_file(TLS)], uses: SIGN, needs_certificate: false },
    Program { name: "curl", aliases: &[], pages: &[page!("curl")], ways: &[provider(TLS), engine(TLS)], uses: SIGN, needs_certificate: false },
    Program { name: "Java", aliases: &["keytool"], pages: &[page!("java")], ways: &[own(TLS)], uses: SIGN, needs_certificate: true },
    Program { name: "jarsigner", aliases: &[], pages: &[page!("java")], ways: &[own(CLASSIC)], uses: SIGN, needs_certificate: true },
    Program { name: "osslsigncode", aliases: &[], pages: &[page!("openssl-provider"), page!("osslsigncode")], ways: &[provider(CLASSIC), engine(CLASSIC)], uses: SIGN, needs_certificate: false },
    Program { name: "pesign", aliases: &[], pages: &[page!("pesign")], ways: &[own(&["pkcs1"])], uses: SIGN, needs_certificate: true },
    Program { name: "RAUC", aliases: &[], pages: &[page!("rauc")], ways: &[engine(CLASSIC)], uses: SIGN, needs_certificate: false },
    Program { name: "GnuTLS", aliases: &["p11tool"], pages: &[page!("p11tool")], ways: &[own(EDWARDS)], uses: SIGN, needs_certificate: false },
    Program { name: "BIND", aliases: &["named", "dnssec-signzone"], pages: &[page!("bind")], ways: &[provider(&["pkcs1", "p256", "p384"])], uses: SIGN, needs_certificate: false },
    Program { name: "systemd-sbsign", aliases: &["systemd"], pages: &[page!("openssl-provider"), page!("systemd-sbsign")], ways: &[provider(CLASSIC), engine(CLASSIC)], uses: SIGN, needs_certificate: false },
    Program { name: "systemd-cryptenroll", aliases: &["systemd"], pages: &[page!("systemd-cryptenroll")], ways: &[own(&["rsa", "ec"])], uses: &["decrypt", "derive"], needs_certificate: false },
];

impl Program {
    /// Returns the programs of that name. There are several if they share it as an alias.
    pub fn named(name: &str) -> Vec<&'static Program> {
        let has_name = |program: &&Program| {
            program.name.eq_ignore_ascii_case(name)
                || program.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
        };
        PROGRAMS.iter().filter(has_name).collect()
    }

    /// Returns the way of that name, or the default.
    pub fn way(&self, name: Option<&str>) -> Option<&'static Way> {
        self.ways.iter().find(|way| name.is_none_or(|name| way.name == name))
    }

    /// Returns the blocks for which these words hold.
    pub fn blocks(&self, words: &[&str]) -> Vec<Block> {
        let own = self.name.to_ascii_lowercase();
        let applies = |block: &Block| {
            SORTS.iter().all(|sort| {
                let mut of_sort = block.words.iter().filter(|word| sort_of(word) == *sort).peekable();
                of_sort.peek().is_none() || of_sort.any(|word| words.contains(word) || **word == own)
            })
        };
        self.pages.iter().flat_map(Page::blocks).filter(applies).collect()
    }
}

/// The sorts of words.
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Way,
    Kind,
    Certificate,
    Program,
}

const SORTS: [Sort; 4] = [Sort::Way, Sort::Kind, Sort::Certificate, Sort::Program];

fn sort_of(word: &str) -> Sort {
    if WAYS.iter().any(|(name, _)| *name == word) {
        Sort::Way
    } else if KINDS.iter().any(|(name, _)| *name == word) {
        Sort::Kind
    } else if CERTIFICATES.contains(&word) {
        Sort::Certificate
    } else {
        Sort::Program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_pages_are_known() {
        for block in PROGRAMS.iter().flat_map(|program| program.pages).flat_map(Page::blocks) {
            for word in block.words.iter().filter(|word| sort_of(word) == Sort::Program) {
                let is_program = PROGRAMS.iter().any(|program| program.name.eq_ignore_ascii_case(word));
                assert!(is_program, "{word} is neither a program nor another word:\n{}", block.commands);
            }
        }
    }

    #[test]
    fn kinds_and_ways_of_the_rows_are_known() {
        for program in &PROGRAMS {
            for way in program.ways {
                assert!(way.name.is_empty() || WAYS.iter().any(|(name, _)| *name == way.name), "{}", way.name);
                assert!(way.kinds.iter().all(|kind| sort_of(kind) == Sort::Kind), "{:?}", way.kinds);
            }
        }
    }
}
