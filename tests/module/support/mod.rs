//! What the tests share: the module behind dlopen, the emulator, writers of configurations.

pub mod door;
pub mod p11;
pub mod world;
pub mod writer;
