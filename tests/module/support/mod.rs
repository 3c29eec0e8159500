//! What the tests share: the module behind dlopen, the emulator, configurations.

pub mod login_slots;
pub mod p11;
pub mod world;
pub mod writer;
