//! What the tests share: the module behind dlopen, the emulator, configurations.

pub mod door;
pub mod p11;
pub mod world;
pub mod writer;
