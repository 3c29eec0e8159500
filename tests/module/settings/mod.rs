//! Configuration files and variables.

mod aws_settings;
mod azure_settings;
mod configuration_files;
mod legacy;
mod roles;
mod vault;
