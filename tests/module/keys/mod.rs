//! A token's keys and certificates: search, cache, generation, destruction, labels, logins.

mod acm;
mod cache;
pub mod certificates;
mod generated_certificates;
mod labels;
mod login;
mod manage;
mod mutable_names;
mod requests;
mod rotations;
mod written_certificates;
