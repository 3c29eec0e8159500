//! The built file itself: the symbols that it exports, the libraries that it needs, and the crates that it contains.

use crate::support::world::module_path;
use std::path::PathBuf;
use std::process::Command;

/// Returns the path of the module: the release build that the test script names in MODULE, or the build beside
/// this program.
fn module() -> String {
    let built = std::env::var_os("MODULE").map_or_else(module_path, PathBuf::from);
    built.into_os_string().into_string().unwrap()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_module_exports_three_symbols() {
    let symbols = output("nm", &["-D", "--defined-only", &module()]);
    let mut names: Vec<_> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    names.sort_unstable();
    assert_eq!(names, ["C_GetFunctionList", "C_GetInterface", "C_GetInterfaceList"]);
}

/// The functions that libfaketime replaces, by the names of its own symbols: src/host/clock.rs.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn the_module_imports_no_clock_or_wait_functions() {
    let symbols = output("nm", &["-D", "--undefined-only", &module()]);
    let names: Vec<_> = symbols.lines().filter_map(|line| line.split_whitespace().last()?.split('@').next()).collect();
    assert!(names.contains(&"gettimeofday"), "the module uses the host's date: {names:?}");
    for taken in [
        "alarm",
        "clock_gettime",
        "clock_nanosleep",
        "epoll_pwait",
        "epoll_wait",
        "nanosleep",
        "poll",
        "ppoll",
        "pselect",
        "pthread_cond_timedwait",
        "select",
        "sem_timedwait",
        "sleep",
        "time",
        "timer_settime",
        "timerfd_settime",
        "usleep",
    ] {
        assert!(!names.contains(&taken), "{taken} is imported and not wrapped: see build.rs and src/host/clock.rs");
    }
}

/// AWS-LC frees memory with the host's `sdallocx` if the host has that function. In BIND the function is
/// jemalloc's, but the memory is the C library's, because pkcs11-provider loads modules with RTLD_DEEPBIND. BIND
/// crashed in its first command.
#[test]
fn the_module_imports_no_weak_symbols_of_the_host() {
    let symbols = output("nm", &["-D", "--undefined-only", &module()]);
    let by_chance: Vec<_> = symbols
        .lines()
        .filter_map(|line| line.trim().strip_prefix("w ").or_else(|| line.trim().strip_prefix("v ")))
        // Symbols with a version belong to the C library.
        .filter(|name| !name.contains('@'))
        // Symbols of the compiler, and functions of newer C libraries than the one at build time.
        .filter(|name| !["__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"].contains(name))
        .filter(|name| !["pidfd_getpid", "pidfd_spawnp", "posix_spawn_file_actions_addchdir"].contains(name))
        .collect();
    assert!(by_chance.is_empty(), "{by_chance:?}");
}

#[test]
fn the_module_needs_only_the_c_library_and_stays_loaded() {
    let dynamic = output("readelf", &["-dW", &module()]);
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let allowed = ["libc.so", "libm.so", "libgcc_s.so", "libdl.so", "libpthread.so", "librt.so", "ld-linux"];
        assert!(allowed.iter().any(|name| line.contains(name)), "{line}");
    }
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

/// The diagnosis is for the command-line tool.
#[test]
fn the_module_contains_no_diagnosis() {
    let contains = |text: &str| {
        let status = Command::new("grep").args(["-qaF", "--", text]).arg(module()).status().unwrap();
        assert!(status.code().is_some_and(|code| code < 2), "grep fails: {status}");
        status.success()
    };
    assert!(contains("C_GetFunctionList"), "texts are found");
    for text in ["aws kms replicate-key", "az keyvault key set-attributes", "capabilities-self", ":testIamPermissions"]
    {
        assert!(!contains(text), "{text}: something that is exported calls the diagnosis");
    }
}

#[test]
fn dependencies_contain_one_tls_library() {
    let tree = output(
        env!("CARGO"),
        &["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--package", "cloud-kms-pkcs11"],
    );
    for line in tree.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        assert!(!["openssl-sys", "native-tls", "ring", "openssl"].contains(&name), "{line}");
        assert!(!line.starts_with("rustls v0.21") && !line.starts_with("hyper v0."), "{line}");
    }
    assert!(tree.contains("aws-lc-rs"), "cargo tree lists the dependencies");
}
