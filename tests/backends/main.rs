//! Contract tests of the backends: the same cases for every server, then the cases that only the project's own
//! emulator supports.
//!
//! If CONTRACT_SERVERS names a `servers.json` (see `tests/servers/README.md`), the cases also run against those
//! servers. Signatures are verified by the `openssl` program, which shares no code with this project.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]
#![allow(clippy::print_stderr, reason = "to know which server a failure is of")]
#![allow(missing_docs, reason = "tests tell by their names")]

mod ahead;
mod aws;
mod azure;
mod azure_access;
mod cases;
mod diagnosis;
mod front;
mod google;
mod google_access;
mod google_failures;
mod openssl;
mod others;
mod reach;
mod server;
mod stress;
mod vault;
mod vault_access;
mod vault_batches;
