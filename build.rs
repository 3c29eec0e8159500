//! Linker flags of the module, and nothing else.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    for flag in [
        // Fork handlers, and threads that outlive a C_Finalize which ran out of time, need the code to stay mapped.
        "-Wl,-z,nodelete",
        // An undefined symbol is an error now, not in somebody's process.
        "-Wl,-z,defs",
        "-Wl,-soname,libcloud_kms_pkcs11.so",
    ] {
        println!("cargo:rustc-cdylib-link-arg={flag}");
    }
}
