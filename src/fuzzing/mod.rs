//! The fuzz targets: functions that take arbitrary bytes, return, and panic only if the module has a defect.
//!
//! Compiled into tests and fuzzers only. The programs in `fuzz/` run the targets with new bytes, and `cargo test`
//! runs them with the files in `fuzz/corpus`. The documentation of each target states what the target checks.

#![allow(clippy::panic, reason = "for tests and fuzzers only")]

#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(feature = "azure")]
pub(crate) mod azure;
pub(crate) mod cache;
pub(crate) mod calls;
pub(crate) mod config;
pub(crate) mod der;
pub(crate) mod fake;
#[cfg(feature = "google")]
pub(crate) mod google;
pub(crate) mod input;
pub(crate) mod mechanisms;
pub(crate) mod replies;
#[cfg(feature = "vault")]
pub(crate) mod vault;

#[cfg(feature = "aws")]
pub use aws::run as aws;
#[cfg(feature = "azure")]
pub use azure::run as azure;
pub use cache::run as cache;
pub use calls::{calls, templates};
pub use config::{config_legacy, config_strict};
pub use der::run as der;
#[cfg(feature = "google")]
pub use google::credentials::run as credentials;
#[cfg(feature = "google")]
pub use google::run as google;
pub use mechanisms::run as mechanisms;
#[cfg(feature = "vault")]
pub use vault::run as vault;

#[cfg(test)]
#[cfg(feature = "default")]
mod tests {
    use crate::cloud::runtime::testing;
    use std::panic::catch_unwind;
    use std::path::Path;

    macro_rules! targets {
        ($($name:ident),*) => { [$((stringify!($name), super::$name as fn(&[u8]))),*] };
    }

    type Target = (&'static str, fn(&[u8]));

    const TARGETS: [Target; 12] = targets![
        aws,
        azure,
        cache,
        calls,
        config_legacy,
        config_strict,
        credentials,
        der,
        google,
        mechanisms,
        templates,
        vault
    ];

    /// The corpus contains every input with which a fuzzer has found a defect, and the inputs that fuzzers start
    /// from.
    #[test]
    fn the_corpus_passes() {
        // One of the targets calls C_Finalize, which ends the requests of other tests.
        let _turn = testing::alone();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, target) in TARGETS {
            let files = std::fs::read_dir(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            assert!(files.len() > 3, "{name} has no corpus");
            for file in files {
                let data = std::fs::read(&file).unwrap();
                assert!(catch_unwind(|| target(&data)).is_ok(), "{} shows a defect", file.display());
            }
        }
    }

    #[test]
    fn each_target_has_a_fuzz_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
        for (name, _) in TARGETS {
            let text = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(text.contains(&format!("fuzzing::{name}(data)")), "{name}");
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    }

    /// `fuzz/run.sh` builds with `--locked`, which requires an up-to-date lock file.
    #[test]
    fn the_fuzzers_lock_file_has_the_module_s_dependencies() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
        let (manifest, lock) = (read("Cargo.toml"), read("fuzz/Cargo.lock"));
        let own = manifest.split("[dependencies]\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        let mut own: Vec<_> = own.lines().map(|line| line.split(" = ").next().unwrap()).collect();
        let locked =
            lock.split("name = \"cloud-kms-pkcs11\"\n").nth(1).and_then(|rest| rest.split("]\n").next()).unwrap();
        let mut locked: Vec<_> =
            locked.lines().filter_map(|line| line.strip_prefix(" \"")?.split(['"', ' ']).next()).collect();
        own.sort_unstable();
        locked.sort_unstable();
        assert_eq!(locked, own, "`cargo update -w` in fuzz/ puts it right");
    }
}
