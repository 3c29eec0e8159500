//! Tests of what the tool does with configurations.

mod check;
mod migrate;
mod show;
