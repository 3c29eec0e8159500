//! The AWS settings of a slot, from the slot's options.

use super::network::network;
use crate::cloud::aws;
use crate::config::file::login;
use crate::config::file::login::Login;
use crate::config::file::section::Section;
use crate::config::options::Cloud;
use crate::error::Result;
use crate::host::logging::Level;

pub(super) const ENDPOINT_URL: &str = "aws_endpoint_url";

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
        profile: if login.is_none() { section.text("aws_profile") } else { None },
        role_arn: section.text("aws_role_arn"),
        external_id: section.text("aws_external_id"),
        login: login.and_then(Login::aws),
        endpoint_url: section.text(ENDPOINT_URL),
        use_fips_endpoint: endpoint_flag(section, "aws_use_fips_endpoint")?,
        use_dualstack_endpoint: endpoint_flag(section, "aws_use_dualstack_endpoint")?,
        network: network(section)?,
    })
}

/// Reads the option for another endpoint of the region, which can't be combined with an endpoint URL. The slot's
/// own value overrides the default.
fn endpoint_flag(section: &Section, name: &str) -> Result<Option<bool>> {
    let enabled = section.flag(name);
    if enabled == Some(true) && section.has_any(&[ENDPOINT_URL]) {
        let text = "can't be true together with \"aws_endpoint_url\"; remove this option, and write the URL of the \
                    endpoint that you need in \"aws_endpoint_url\"";
        return Err(section.error(name, text));
    }
    Ok(enabled)
}

/// Returns a warning if one endpoint serves the key's region and the regions with replicas: if it fails, all of them
/// fail.
pub(super) fn shared_endpoint(section: &Section) -> Option<(Level, String)> {
    let is_shared = section.str_option(ENDPOINT_URL).is_some() && !section.names(FAILOVER_REGIONS).is_empty();
    let text = "all regions are asked at the URL in \"aws_endpoint_url\", so none can replace another; remove \
                \"aws_endpoint_url\", and each region is asked at its own endpoint";
    is_shared.then(|| (Level::Warn, section.located_message(FAILOVER_REGIONS, text)))
}
