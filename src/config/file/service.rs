//! The service of a slot, determined by the slot's options and the names of its keys.

use super::arn::Arn;
use super::login;
use super::login::Login;
use super::section::Section;
use crate::cloud::azure::Credential;
use crate::cloud::{Network, aws, azure, is_plaintext_remote, url_without_credentials};
use crate::config::model::Service;
use crate::config::notes::PendingMessages;
use crate::config::options::Cloud;
use crate::error::Result;
use crate::host::logging::Level;
use std::time::Duration;

/// Returns the service of a slot.
///
/// # Errors
/// CKR_GENERAL_ERROR if the cloud or a required option is missing, or if options contradict each other.
pub(crate) fn service(section: &Section, hints: ServiceHints) -> Result<Service> {
    Ok(match hints.cloud_or_default(section)? {
        Cloud::Aws => Service::Aws(aws_settings(section, hints.common_region())?),
        Cloud::Azure => Service::Azure(azure_settings(section)?),
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
        let named_cloud = section
            .str_option("cloud")
            .and_then(|name| [Cloud::Aws, Cloud::Azure].into_iter().find(|c| c.name() == name));
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

fn aws_settings(section: &Section, region: Option<String>) -> Result<aws::Settings> {
    let login = login::login_of(section, Cloud::Aws)?;
    Ok(aws::Settings {
        region,
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

fn azure_settings(section: &Section) -> Result<azure::Settings> {
    let login = login::login_of(section, Cloud::Azure)?;
    section.check_exclusive("azure_client_secret", "azure_client_secret_file")?;
    let missing = "missing option \"vault_url\"; write \"vault_url\": \"https://NAME.vault.azure.net\"";
    let vault = section.text("vault_url").ok_or_else(|| section.error("", missing))?;
    // The slot's own credential overrides all credentials at top level, even if the options are different ones.
    let own = CREDENTIAL_OPTIONS.iter().any(|name| section.own_member(name).is_some());
    let is_overridden = |name: &str| own && section.own_member(name).is_none();
    let path = |name: &str| section.path(name).map(|path| path.filter(|_| !is_overridden(name)));
    let secret = section.text("azure_client_secret").filter(|_| !is_overridden("azure_client_secret"));
    let auth_file = path("azure_auth_file")?;
    let settings = azure::Settings {
        vault_url: vault.trim_end_matches('/').to_owned(),
        credential: credential(section),
        tenant_id: section.text("azure_tenant_id"),
        client_id: section.text("azure_client_id"),
        client_secret: secret.map(Into::into),
        client_secret_file: path("azure_client_secret_file")?,
        client_certificate_path: path("azure_client_certificate_path")?,
        client_certificate_password_file: section.path("azure_client_certificate_password_file")?,
        federated_token_file: path("azure_federated_token_file")?,
        // If the configuration names an `azureauth.json`, no other is used.
        auth_files: if auth_file.is_some() { Vec::new() } else { section.file.auth_files.clone() },
        auth_file,
        authority_host: section.text("azure_authority_host"),
        rsnull: section.flag("rsnull").unwrap_or(false),
        skip_challenge_check: section.flag("verify_challenge_resource") == Some(false),
        network: network(section)?,
    };
    Ok(match login {
        Some(_) => login::with_login_only(settings),
        None => settings,
    })
}

/// The options with which an application authenticates.
const CREDENTIAL_OPTIONS: [&str; 5] = [
    "azure_client_secret",
    "azure_client_secret_file",
    "azure_client_certificate_path",
    "azure_federated_token_file",
    "azure_auth_file",
];

fn credential(section: &Section) -> Credential {
    let name = section.text("azure_credential").unwrap_or_default();
    CREDENTIALS.iter().find(|row| row.0 == name).map_or(Credential::Default, |row| row.1)
}

fn network(section: &Section) -> Result<Network> {
    let default = Network::default();
    let milliseconds = |name: &str| section.number(name).map(|number| Duration::from_millis(number.into()));
    let call_timeout = milliseconds("call_timeout_ms").unwrap_or(default.call_timeout);
    let connect_timeout = milliseconds("connect_timeout_ms").unwrap_or(default.connect_timeout.min(call_timeout));
    if connect_timeout > call_timeout {
        let (connect, call) = (connect_timeout.as_millis(), call_timeout.as_millis());
        let message =
            format!("{connect} is more than \"call_timeout_ms\" ({call}); reduce it, or raise \"call_timeout_ms\"");
        return Err(section.error("connect_timeout_ms", message));
    }
    Ok(Network {
        ca_bundle: section.path("ca_bundle")?,
        proxy: section.text("proxy").map(Into::into),
        connect_timeout,
        call_timeout,
        retries: section.number("retries").unwrap_or(default.retries),
        ..default
    })
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

#[rustfmt::skip]
const CREDENTIALS: &[(&str, Credential)] = &[
    ("default", Credential::Default),
    ("environment", Credential::Environment),
    ("workload_identity", Credential::WorkloadIdentity),
    ("auth_file", Credential::AuthFile),
    ("cli", Credential::Cli),
    ("managed_identity", Credential::ManagedIdentity),
];
