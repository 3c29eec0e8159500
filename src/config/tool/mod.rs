//! What the command-line tool `cloud-kms-pkcs11 config` does: it checks, shows, describes and migrates configurations.
//!
//! Nothing here makes a request. The module itself does not use this folder.

pub mod check;
pub mod migrate;
mod old_file;
pub mod schema;
pub mod show;
mod slot_options;

use crate::config::environment::Environment;
use std::path::Path;

/// Calls `task` with the environment of this process.
fn with_environment<T>(task: impl FnOnce(&Environment) -> T) -> T {
    let variable = |name: &str| std::env::var_os(name);
    let clouds = crate::config::options::Cloud::of_this_build();
    task(&Environment { variable: &variable, root: Path::new("/"), clouds: &clouds })
}
