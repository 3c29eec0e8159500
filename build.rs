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
    // Disables the hooks of AWS-LC for memory functions. Without this, AWS-LC would use functions of a host that
    // happens to have functions of these names, among them `sdallocx` of jemalloc. Memory must be allocated and
    // freed by the same allocator.
    for hook in
        ["sdallocx", "OPENSSL_memory_alloc", "OPENSSL_memory_free", "OPENSSL_memory_get_size", "OPENSSL_memory_realloc"]
    {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--defsym={hook}=0");
    }
    // An undefined symbol fails at link time, not in the process of a user. A fuzzer is exempt, because the
    // symbols of its sanitizer are in the program.
    if std::env::var_os("CARGO_CFG_FUZZING").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    }
}
