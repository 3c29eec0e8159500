//! `csr`, `self-sign`, `ca` and `cert`.

mod algorithms;
mod authority;
mod mistakes;
mod openssl;
mod put;
mod templates;
