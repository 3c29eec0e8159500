//! Linker flags of the module, and nothing else.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    for flag in [
        // Fork handlers, and threads that outlive a C_Finalize which ran out of time, need the code to stay mapped.
        "-Wl,-z,nodelete",
        "-Wl,-soname,libcloud_kms_pkcs11.so",
    ] {
        println!("cargo:rustc-cdylib-link-arg={flag}");
    }
    // No clock that the host is shown makes a call wait: src/host/clock.rs has what stands in for these.
    if matches!(std::env::var("CARGO_CFG_TARGET_ARCH").as_deref(), Ok("x86_64" | "aarch64")) {
        for function in ["clock_gettime", "epoll_wait", "poll", "nanosleep"] {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap={function}");
        }
    }
    // The hooks by which AWS-LC would take its memory from a host that happens to have functions of these names, jemalloc's
    // `sdallocx` among them: memory is taken and given back by one allocator.
    for hook in
        ["sdallocx", "OPENSSL_memory_alloc", "OPENSSL_memory_free", "OPENSSL_memory_get_size", "OPENSSL_memory_realloc"]
    {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--defsym={hook}=0");
    }
    // An undefined symbol is an error now, not in somebody's process. (In a fuzzer, the sanitizer's are in the program.)
    if std::env::var_os("CARGO_CFG_FUZZING").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    }
}
