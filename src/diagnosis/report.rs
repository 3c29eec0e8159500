//! The report about a slot.

use super::check::Check;

/// The checks of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotReport {
    /// The label of the slot.
    pub label: String,
    /// The place of the key: the service and where it is.
    pub place: String,
    /// The checks, in the order of a request.
    pub checks: Vec<Check>,
}
