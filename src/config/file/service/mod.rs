//! The service of a slot, determined by the slot's options and the names of its keys.

pub(crate) mod aws;
mod azure;
pub(crate) mod google;
mod network;
mod vault;

use super::arn::{Arn, after_slash};
use super::section::Section;
use crate::cloud::{is_plaintext_remote, url_without_credentials};
use crate::config::model::Service;
use crate::config::notes::PendingMessages;
use crate::config::options::Cloud;
use crate::error::Result;
use crate::host::logging::Level;

/// Returns the service of a slot.
///
/// # Errors
/// CKR_GENERAL_ERROR if the cloud or a required option is missing, or if options contradict each other.
pub(crate) fn service(section: &Section, hints: ServiceHints) -> Result<Service> {
    let cloud = hints.cloud_or_default(section)?;
    if let Some(message) = section.file.environment.unsupported_message(&[cloud], "the slot") {
        return Err(section.error("cloud", message));
    }
    Ok(match cloud {
        Cloud::Aws => {
            // With `discover`, no key has been checked.
            let lacks_region = hints.configured_region.is_none() && hints.arn_regions.iter().any(Option::is_none);
            if hints.has_failover && lacks_region {
                return Err(section.error(aws::FAILOVER_REGIONS, "needs \"aws_region\", the keys' own region; add it"));
            }
            Service::Aws(aws::settings(section, hints.common_region())?)
        }
        Cloud::Azure => Service::Azure(azure::settings(section)?),
        Cloud::Vault => Service::Vault(vault::settings(section)?),
        Cloud::Google => Service::Google(google::settings(section)?),
    })
}

/// Adds the warnings about endpoints to the notes.
pub(crate) fn warn_of_endpoints(section: &Section, service: &Service, notes: &mut PendingMessages) {
    let warnings = match service {
        Service::Aws(_) => vec![
            section.text(aws::ENDPOINT_URL).and_then(|url| unencrypted(section, aws::ENDPOINT_URL, &url)),
            aws::shared_endpoint(section),
        ],
        Service::Azure(_) => Vec::new(),
        Service::Vault(settings) => {
            vec![unencrypted(section, vault::ADDRESS, &settings.address), vault::ignored_variable(section)]
        }
        Service::Google(settings) => {
            vec![settings.endpoint_url.as_ref().and_then(|url| unencrypted(section, google::ENDPOINT_URL, url))]
        }
    };
    for note in warnings.into_iter().flatten() {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

/// Returns a warning about an endpoint on another machine without TLS: requests to it can be read and changed in transit.
fn unencrypted(section: &Section, option: &str, url: &str) -> Option<(Level, String)> {
    let shown = url_without_credentials(url);
    let text = format!("{shown}: requests go to another machine unencrypted, so others can read them; use https://");
    is_plaintext_remote(url).then(|| (Level::Warn, section.located_message(option, text)))
}

/// What a slot's own options, and the names and ARNs of its keys, determine about the service.
pub(crate) struct ServiceHints {
    /// The cloud, and the reason in words.
    cloud: Option<(Cloud, String)>,
    /// The option `aws_region`, which no ARN may contradict.
    configured_region: Option<String>,
    /// The regions of the keys' ARNs, without consecutive repetitions; `None` for a key without an ARN.
    arn_regions: Vec<Option<String>>,
    /// Whether the slot names regions with replicas of its keys.
    pub(crate) has_failover: bool,
}

impl ServiceHints {
    /// Evaluates the slot's own options.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the options belong to different clouds.
    pub(crate) fn of_slot(section: &Section) -> Result<Self> {
        let named_cloud =
            section.str_option("cloud").and_then(|name| Cloud::ALL.into_iter().find(|c| c.name() == name));
        let cloud = named_cloud.map(|cloud| (cloud, format!("\"cloud\" is \"{}\"", cloud.name())));
        let has_failover = !section.names(aws::FAILOVER_REGIONS).is_empty();
        let configured_region = section.text("aws_region");
        let mut hints = Self { cloud, configured_region, arn_regions: Vec::new(), has_failover };
        hints.add_cloud_options(section)?;
        Ok(hints)
    }

    /// Evaluates the options of a slot, and of its single key in the same section.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the options contradict each other.
    pub(crate) fn of_single_key_slot(section: &Section) -> Result<Self> {
        let mut hints = Self::of_slot(section)?;
        hints.add_arn(section)?;
        Ok(hints)
    }

    /// Evaluates the options of a section that are not for every cloud.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if they belong to another cloud than the options before.
    pub(crate) fn add_cloud_options(&mut self, section: &Section) -> Result<()> {
        for (name, clouds) in section.cloud_options() {
            let is_for = || clouds.iter().map(|cloud| cloud.name()).collect::<Vec<_>>().join(" and ");
            match (&self.cloud, clouds) {
                (Some((other, why)), _) if !clouds.contains(other) => {
                    let text = format!("is an option for {}, but {why}; remove one of the two", is_for());
                    return Err(section.error(name, text));
                }
                (None, [cloud]) => self.cloud = Some((*cloud, format!("\"{name}\" is an option for {}", is_for()))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Evaluates the ARN of a key.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the ARN contradicts `aws_region`.
    pub(crate) fn add_arn(&mut self, holder: &Section) -> Result<()> {
        let name = if holder.own_member("kms_key_arn").is_some() { "kms_key_arn" } else { "kms_key_id" };
        let region = Arn::parse(holder.str_option(name).unwrap_or_default()).map(|arn| arn.region);
        if let (Some(given), Some(region)) = (self.configured_region.as_deref(), region)
            && given != region
        {
            let text =
                format!("the ARN names the region {region:?}, but \"aws_region\" is {given:?}; correct one of the two");
            return Err(holder.error(name, text));
        }
        if self.has_failover
            && let Some(id) = holder.str_option(name)
        {
            check_failover(id, region.or(self.configured_region.as_deref()))
                .map_err(|text| holder.error(name, text))?;
        }
        if self.arn_regions.last().is_none_or(|last| last.as_deref() != region) {
            self.arn_regions.push(region.map(str::to_owned));
        }
        Ok(())
    }

    /// Returns the cloud that the slot determines, or else the cloud of all defaults at top level.
    fn cloud_or_default(&self, section: &Section) -> Result<Cloud> {
        let single = |(_, clouds): (_, &[Cloud])| if let [cloud] = clouds { Some(*cloud) } else { None };
        let top: Vec<Cloud> =
            section.defaults.map(|top| top.cloud_options().filter_map(single).collect()).unwrap_or_default();
        match (&self.cloud, top.first()) {
            (Some((cloud, _)), _) => Ok(*cloud),
            (None, Some(cloud)) if top.iter().all(|other| other == cloud) => Ok(*cloud),
            _ => {
                let choices = section.file.environment.clouds.iter();
                let choices: Vec<_> = choices.map(|cloud| format!("\"cloud\": \"{}\"", cloud.name())).collect();
                let choices = choices.join(" or ");
                let text = format!("missing option \"cloud\", since no other option selects a cloud; write {choices}");
                Err(section.error("", text))
            }
        }
    }

    /// Returns `aws_region`, or else the region of the ARNs if every key has an ARN with the same region.
    fn common_region(mut self) -> Option<String> {
        let common = if self.arn_regions.len() == 1 { self.arn_regions.pop().flatten() } else { None };
        self.configured_region.or(common)
    }
}

/// Checks that a key of a slot with `aws_failover_regions` can have replicas, and that its region is known.
fn check_failover(id: &str, region: Option<&str>) -> std::result::Result<(), &'static str> {
    let resource = Arn::parse(id).map_or(id, |arn| arn.resource);
    if resource.starts_with("alias/") {
        return Err(ALIAS_WITHOUT_REPLICAS);
    }
    if !after_slash(resource).starts_with("mrk-") {
        return Err(KEY_WITHOUT_REPLICAS);
    }
    region.map(|_| ()).ok_or(NO_PRIMARY_REGION)
}

const ALIAS_WITHOUT_REPLICAS: &str = "is an alias, which may name another key in each region, so \"aws_failover_regions\" can't be used; write the key \
                                      id \"mrk-...\", or \"aws_failover_regions\": [] in this slot";
const KEY_WITHOUT_REPLICAS: &str = "is not a multi-Region key, whose id starts with \"mrk-\", so \"aws_failover_regions\" can't be used; name a \
                                    multi-Region key, or write \"aws_failover_regions\": [] in this slot";
const NO_PRIMARY_REGION: &str =
    "has no region, which \"aws_failover_regions\" needs; add \"aws_region\", or write the ARN of the key";
