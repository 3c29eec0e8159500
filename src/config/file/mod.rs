//! Configuration files: the module's own, and those of the modules that this one replaces.

mod arn;
pub(crate) mod legacy;
mod legacy_file;
pub(crate) mod libkmsp11;
pub(crate) mod locations;
mod login;
mod management;
mod quirks;
mod section;
mod service;
pub(crate) mod strict;
