//! The AWS settings of a slot, from the slot's options.

use super::network::network;
use crate::cloud::{aws, is_plaintext_remote, url_without_credentials};
use crate::config::file::login;
use crate::config::file::login::Login;
use crate::config::file::section::Section;
use crate::config::notes::PendingMessages;
use crate::config::options::Cloud;
use crate::error::Result;
use crate::host::logging::Level;

/// The option for the regions with replicas.
pub(super) const FAILOVER_REGIONS: &str = "aws_failover_regions";

/// Returns the settings of a slot whose keys are in `region`.
///
/// # Errors
/// CKR_GENERAL_ERROR if options contradict each other.
pub(super) fn settings(section: &Section, region: Option<String>) -> Result<aws::Settings> {
    let login = login::login_of(section, Cloud::Aws)?;
    Ok(aws::Settings {
        region,
        failover_regions: section.names(FAILOVER_REGIONS),
        profile: section.text("aws_profile").filter(|_| login.is_none()),
        role_arn: section.text("aws_role_arn"),
        external_id: section.text("aws_external_id"),
        login: login.and_then(Login::aws),
        endpoint_url: section.text("aws_endpoint_url"),
        use_fips_endpoint: endpoint_flag(section, "aws_use_fips_endpoint")?,
        use_dualstack_endpoint: endpoint_flag(section, "aws_use_dualstack_endpoint")?,
        network: network(section)?,
    })
}

/// Reads the option for another endpoint of the region, which can't be combined with an endpoint URL. The slot's
/// own value overrides the default.
fn endpoint_flag(section: &Section, name: &str) -> Result<Option<bool>> {
    let enabled = section.flag(name);
    if enabled == Some(true) && section.text("aws_endpoint_url").is_some() {
        let text = "can't be true together with \"aws_endpoint_url\"; remove this option, and write the URL of the \
                    endpoint that you need in \"aws_endpoint_url\"";
        return Err(section.error(name, text));
    }
    Ok(enabled)
}

/// Warns about an endpoint on another machine without TLS: requests to it can be read and changed in transit.
pub(crate) fn warn_unencrypted_endpoint(section: &Section, notes: &mut PendingMessages) {
    let Some(url) = section.str_option("aws_endpoint_url").filter(|url| is_plaintext_remote(url)) else { return };
    let url = url_without_credentials(url);
    let text = format!("{url}: requests go to another machine unencrypted, so others can read them; use https://");
    let note = (Level::Warn, section.located_message("aws_endpoint_url", text));
    if !notes.contains(&note) {
        notes.push(note);
    }
}
