//! Tests of the options that are for one cloud.

mod certificate_arns;
mod failover;
mod google;
mod vault;
