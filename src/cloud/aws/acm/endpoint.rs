//! The endpoints of ACM and AWS Private CA.
//!
//! The rules are those of the SDKs: the service's own setting, the setting for all services, else the host of the region.
//! The slot's `aws_endpoint_url` is an endpoint of KMS and does not count here.

use super::name::CertificateService;
use crate::cloud::aws::client::endpoint::{checked, configured_url, kms_url, setting_name};
use crate::cloud::failure::Cause;
use crate::cloud::failure::obstacle::Obstacle;
use aws_config::SdkConfig;

/// The URL of the service's endpoint, and the endpoint for log lines.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) place: String,
}

/// Returns the endpoint of a service in a region.
///
/// # Errors
/// Fails with [`Cause::Settings`] if the settings contradict each other or the region has no such endpoint.
pub(super) async fn resolve(service: CertificateService, region: &str, sdk: &SdkConfig) -> Result<Endpoint, Obstacle> {
    let (id, variable) = service.settings();
    let name = service.full_name();
    if let Some(url) = configured_url(sdk, id) {
        let by = setting_name(variable);
        let shown = checked(&url, by, sdk)?;
        return Ok(Endpoint { url, place: format!("{name} at {shown} ({by})") });
    }
    let (fips, dual) = (sdk.use_fips().unwrap_or(false), sdk.use_dual_stack().unwrap_or(false));
    let url = default_url(service, region, fips, dual).await?;
    let place = if fips || dual { format!("{name} at {url}") } else { format!("{name} in {region}") };
    Ok(Endpoint { url, place })
}

/// Returns the URL of the region's endpoint. The SDK's rules for KMS know the domains of all partitions; the services
/// differ only in the first label of the host.
async fn default_url(service: CertificateService, region: &str, fips: bool, dual: bool) -> Result<String, Obstacle> {
    let unusable = |why: String| {
        let message = format!("no endpoint of {} in region {region}: {why}", service.full_name());
        Obstacle::permanent(Cause::Settings, message)
    };
    let kms = kms_url(region, fips, dual).await.map_err(unusable)?;
    let rest = kms.strip_prefix("https://kms").ok_or_else(|| unusable(kms.clone()))?;
    // In GovCloud the usual endpoints of both services are FIPS endpoints, and there are no others.
    let rest = match rest.strip_prefix("-fips") {
        Some(usual) if region.starts_with("us-gov-") && !dual => usual,
        _ => rest,
    };
    Ok(format!("https://{}{rest}", service.code()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::replies::block_on;

    #[test]
    fn hosts_are_those_of_the_services_own_rules() {
        use CertificateService::{Acm, PrivateCa};
        for (service, region, fips, dual, host) in [
            (Acm, "eu-central-1", false, false, "acm.eu-central-1.amazonaws.com"),
            (PrivateCa, "eu-central-1", false, false, "acm-pca.eu-central-1.amazonaws.com"),
            (PrivateCa, "ca-central-1", true, false, "acm-pca-fips.ca-central-1.amazonaws.com"),
            (Acm, "us-east-1", true, true, "acm-fips.us-east-1.api.aws"),
            (PrivateCa, "us-east-1", false, true, "acm-pca.us-east-1.api.aws"),
            (PrivateCa, "us-gov-west-1", true, false, "acm-pca.us-gov-west-1.amazonaws.com"),
            (Acm, "cn-north-1", false, false, "acm.cn-north-1.amazonaws.com.cn"),
        ] {
            let url = block_on(default_url(service, region, fips, dual)).ok();
            assert_eq!(url, Some(format!("https://{host}")), "{service:?} {region} {fips} {dual}");
        }
    }
}
