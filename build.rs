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
    // An undefined symbol is an error now, not in somebody's process. (In a fuzzer, the sanitizer's are in the program.)
    if std::env::var_os("CARGO_CFG_FUZZING").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    }
}
