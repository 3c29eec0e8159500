//! Configuration files: the module's own, and those of the modules that this one replaces.

pub(crate) mod arn;
pub(crate) mod inspection;
pub(crate) mod legacy;
mod legacy_file;
pub(crate) mod libkmsp11;
pub(crate) mod locations;
mod login;
mod management;
pub(crate) mod quirks;
pub(crate) mod section;
pub(crate) mod service;
pub(crate) mod strict;
