//! Azure's clouds, which know nothing of each other: the domains of their vaults, and the authority of each.
//!
//! "Azure Key Vault security domain and DNS suffixes"; "National clouds, Microsoft Entra authentication endpoints".

/// One of the clouds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cloud {
    /// What follows `vault.` and `managedhsm.`.
    pub(crate) domain: &'static str,
    /// The host that issues its tokens.
    pub(crate) authority: &'static str,
}

pub(crate) const CLOUDS: [Cloud; 3] = [
    Cloud { domain: "azure.net", authority: "login.microsoftonline.com" },
    Cloud { domain: "usgovcloudapi.net", authority: "login.microsoftonline.us" },
    Cloud { domain: "azure.cn", authority: "login.chinacloudapi.cn" },
];

/// Whether that authority, by its real name, knows nothing of a resource: one of another cloud.
pub(crate) fn is_foreign(authority: &str, audience: &str) -> bool {
    let cloud = CLOUDS.iter().find(|cloud| cloud.authority == authority);
    cloud.is_some_and(|cloud| !audience.trim_end_matches('/').ends_with(&format!(".{}", cloud.domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_knows_the_resources_of_its_own_cloud_only() {
        assert!(!is_foreign("login.microsoftonline.us", "https://vault.usgovcloudapi.net"));
        assert!(!is_foreign("login.chinacloudapi.cn", "https://managedhsm.azure.cn/"));
        assert!(is_foreign("login.microsoftonline.com", "https://vault.azure.cn"));
        assert!(is_foreign("login.microsoftonline.us", "https://vault.azure.net"));
        assert!(!is_foreign("127.0.0.1", "https://vault.azure.cn"), "the emulator's own address is that of all clouds");
    }
}
