//! The options for what programs may change in a slot's service, and for the certificate store.

use super::section::Section;
use crate::config::management::{Management, Right};
use crate::error::Result;
use std::sync::Arc;

/// KMS: "PendingWindowInDays: If you include a value, it must be between 7 and 30, inclusive."
const PENDING_WINDOW_DAYS: std::ops::RangeInclusive<u32> = 7..=30;

/// Reads the options of a slot with that label. Returns `None` if the slot allows nothing and has no certificate
/// store.
///
/// # Errors
/// CKR_GENERAL_ERROR if the slot's own `allow` contains "labels" and the slot does not discover its keys, if
/// `destroy_days` is out of range, or if `confirm_destroy` does not repeat the label where `allow` contains
/// "destroy".
pub(crate) fn read(section: &Section, label: &str, discovers: bool) -> Result<Option<Arc<Management>>> {
    let mut rights: Vec<_> = section.names("allow").iter().filter_map(|name| Right::from_name(name)).collect();
    if !discovers && rights.contains(&Right::Labels) {
        if section.own_member("allow").is_some() {
            let text = "\"labels\" needs \"discover\": true, because this file sets the labels of all other keys; remove \
                        \"labels\"";
            return Err(section.error("allow", text));
        }
        rights.retain(|right| *right != Right::Labels);
    }
    let certificate_store = section.path("certificate_store")?;
    let destroy_days = section.number("destroy_days").unwrap_or(*PENDING_WINDOW_DAYS.end());
    if !PENDING_WINDOW_DAYS.contains(&destroy_days) {
        return Err(section.error("destroy_days", format!("is {destroy_days}, but KMS accepts 7 to 30 days")));
    }
    if rights.contains(&Right::Destroy) && section.text("confirm_destroy").as_deref() != Some(label) {
        let text = format!("\"destroy\" needs a confirmation; write the token's label: \"confirm_destroy\": {label:?}");
        return Err(section
            .error(if section.own_member("confirm_destroy").is_some() { "confirm_destroy" } else { "allow" }, text));
    }
    let is_configured = !rights.is_empty() || certificate_store.is_some();
    Ok(is_configured.then(|| Arc::new(Management { rights, destroy_days, certificate_store, ..Management::default() })))
}
