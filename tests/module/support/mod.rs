//! What the tests share: the module behind dlopen, the emulator, configurations.

#[path = "../../backends/front.rs"]
#[allow(dead_code, reason = "the tests of the backends use all of it")]
pub mod front;
pub mod login_slots;
pub mod p11;
pub mod world;
pub mod writer;
