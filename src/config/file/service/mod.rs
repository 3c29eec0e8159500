//! The service of a slot, determined by the slot's options and the names of its keys.

pub(crate) mod aws;
mod azure;
mod network;

use super::arn::Arn;
use super::section::Section;
use crate::config::model::Service;
use crate::config::options::Cloud;
use crate::error::Result;

/// Returns the service of a slot.
///
/// # Errors
/// CKR_GENERAL_ERROR if the cloud or a required option is missing, or if options contradict each other.
pub(crate) fn service(section: &Section, hints: ServiceHints) -> Result<Service> {
    Ok(match hints.cloud_or_default(section)? {
        Cloud::Aws => Service::Aws(aws::settings(section, hints.common_region())?),
        Cloud::Azure => Service::Azure(azure::settings(section)?),
    })
}

/// What a slot's own options, and the names and ARNs of its keys, determine about the service.
pub(crate) struct ServiceHints {
    /// The cloud, and the reason in words.
    cloud: Option<(Cloud, String)>,
    /// The option `aws_region`, which no ARN may contradict.
    configured_region: Option<String>,
    /// The regions of the keys' ARNs, without consecutive repetitions; `None` for a key without an ARN.
    arn_regions: Vec<Option<String>>,
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
        let mut hints = Self { cloud, configured_region: section.text("aws_region"), arn_regions: Vec::new() };
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

    /// Evaluates the options of a section that belong to one cloud.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if they belong to another cloud than the options before.
    pub(crate) fn add_cloud_options(&mut self, section: &Section) -> Result<()> {
        for (name, cloud) in section.cloud_options() {
            match &self.cloud {
                Some((other, why)) if *other != cloud => {
                    let text = format!("is an option for {}, but {why}; remove one of the two", cloud.name());
                    return Err(section.error(name, text));
                }
                Some(_) => {}
                None => self.cloud = Some((cloud, format!("\"{name}\" is an option for {}", cloud.name()))),
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
        if self.arn_regions.last().is_none_or(|last| last.as_deref() != region) {
            self.arn_regions.push(region.map(str::to_owned));
        }
        Ok(())
    }

    /// Returns the cloud that the slot determines, or else the cloud of all defaults at top level.
    fn cloud_or_default(&self, section: &Section) -> Result<Cloud> {
        let top: Vec<Cloud> =
            section.defaults.map(|top| top.cloud_options().map(|(_, cloud)| cloud).collect()).unwrap_or_default();
        match (&self.cloud, top.first()) {
            (Some((cloud, _)), _) => Ok(*cloud),
            (None, Some(cloud)) if top.iter().all(|other| other == cloud) => Ok(*cloud),
            _ => Err(section.error(
                "",
                "missing option \"cloud\", since no other option selects a cloud; write \"cloud\": \"aws\" or \"cloud\": \"azure\"",
            )),
        }
    }

    /// Returns `aws_region`, or else the region of the ARNs if every key has an ARN with the same region.
    fn common_region(mut self) -> Option<String> {
        let common = if self.arn_regions.len() == 1 { self.arn_regions.pop().flatten() } else { None };
        self.configured_region.or(common)
    }
}
