//! Sets the linker flags of the module, and does nothing else.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    for flag in [
        // The code must stay mapped for the fork handlers, and for threads that outlive a C_Finalize that ran out
        // of time.
        "-Wl,-z,nodelete",
        "-Wl,-soname,libcloud_kms_pkcs11.so",
    ] {
        println!("cargo:rustc-cdylib-link-arg={flag}");
    }
    // A fake clock of the host must not make a call wait. src/host/clock.rs defines the replacements of these
    // functions.
    if matches!(std::env::var("CARGO_CFG_TARGET_ARCH").as_deref(), Ok("x86_64" | "aarch64")) {
        for function in ["clock_gettime", "epoll_wait", "poll", "nanosleep"] {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap={function}");
        }
    }
    // An undefined symbol fails at link time, not in the process of a user. A fuzzer is exempt, because the
    // symbols of its sanitizer are in the program.
    if std::env::var_os("CARGO_CFG_FUZZING").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    }
}
