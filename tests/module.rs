//! The whole module, as programs see it: loaded by dlopen, against the emulator. Each test has a process of its own.

#![allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "a C caller's side of the C interface")]

mod module {
    pub mod p11;
    pub mod world;

    mod artifact;
    mod legacy;
    mod life;
    mod objects;
    mod requests;
    mod signatures;
}
