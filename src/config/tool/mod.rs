//! What the command-line tool `cloud-kms-pkcs11 config` does: it checks, shows, describes and migrates configurations.
//!
//! Nothing here makes a request. The module itself does not use this folder.

pub mod check;
pub mod migrate;
mod old_file;
pub mod schema;
pub mod show;
mod slot_options;

pub use crate::config::options::variables::{Precedence, VARIABLES as OPTION_VARIABLES};

use crate::config::environment::Environment;
use crate::config::options::Cloud;
use crate::config::{process_environment, variable};

/// Calls `task` with the environment of this process.
fn with_environment<T>(task: impl FnOnce(&Environment) -> T) -> T {
    task(&process_environment(&variable, &Cloud::of_this_build()))
}
