//! Disables the hooks of AWS-LC for memory functions. Without this, AWS-LC would use functions of a host that happens
//! to have functions of these names, among them `sdallocx` of jemalloc. Memory must be allocated and freed by the same
//! allocator.
//!
//! AWS-LC refers to the hooks by weak symbols. A weak symbol that is hidden is not looked up in other files, and is null
//! if this library does not define it. It must be referred to, because assemblers leave out other symbols. The linker's
//! `--defsym=HOOK=0` is no replacement: GNU ld adds the address of the library to the 0, and AWS-LC calls the result.

use std::arch::global_asm;

macro_rules! disable {
    ($($hook:literal),*) => { $(
        global_asm!(
            ".pushsection .data.rel.ro.memory_hooks, \"aw\", %progbits",
            concat!(".weak ", $hook),
            concat!(".hidden ", $hook),
            concat!(".8byte ", $hook),
            ".popsection",
        );
    )* };
}

disable!(
    "sdallocx",
    "OPENSSL_memory_alloc",
    "OPENSSL_memory_free",
    "OPENSSL_memory_get_size",
    "OPENSSL_memory_realloc"
);
