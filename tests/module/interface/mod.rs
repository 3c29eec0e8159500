//! The C interface as a caller sees it: return codes, refusals, objects, profiles.

mod answers;
mod artifact;
mod careless_callers;
mod life;
mod objects;
mod order;
mod profiles;
mod random;
mod token_info;
