//! Operations with keys: signing, verifying, encrypting, deriving.

mod cipher;
mod edwards_and_lattice;
mod macs;
mod messages;
mod policies;
mod sha3;
mod shared_secrets;
mod signatures;
mod verify;
