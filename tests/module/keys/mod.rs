//! A token's keys and certificates: found, cached, made, destroyed, labelled; logins.

mod cache;
pub mod certificates;
mod labels;
mod login;
mod manage;
mod requests;
mod written_certificates;
