//! Configuration files: the module's own, and those of the modules that this one replaces.

mod arn;
pub(crate) mod legacy;
pub(crate) mod locations;
mod login;
mod management;
mod quirks;
mod section;
mod service;
pub(crate) mod strict;
