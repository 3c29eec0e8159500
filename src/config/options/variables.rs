//! The environment variables that stand for options.
//!
//! Each cloud's client reads its own variables, some of them when it first needs a credential. This table repeats which
//! variable means which option, for the tool. A test checks it against the texts of the option table.

use super::Cloud;
use Precedence::{AfterFile, BeforeFile};

/// Which of the two takes precedence: the file or the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The variable is used if the file does not have the option.
    AfterFile,
    /// The variable is used even if the file has the option.
    BeforeFile,
}

/// A row of the table: the variables for an option.
pub struct VariableRow {
    /// The name of the option.
    pub option: &'static str,
    /// The cloud for which the variables have this meaning; `None` for every cloud.
    pub cloud: Option<Cloud>,
    /// The variables, in the order in which they are looked up.
    pub names: &'static [&'static str],
    /// Whether the file or the variable takes precedence.
    pub precedence: Precedence,
}

const fn row(option: &'static str, cloud: Cloud, names: &'static [&'static str]) -> VariableRow {
    VariableRow { option, cloud: Some(cloud), names, precedence: AfterFile }
}

const fn log(option: &'static str, names: &'static [&'static str]) -> VariableRow {
    VariableRow { option, cloud: None, names, precedence: BeforeFile }
}

/// The variables that only this module reads.
pub const OWN: [&str; 5] = [
    "CLOUD_KMS_PKCS11_CONFIG",
    "CLOUD_KMS_PKCS11_LOG",
    "CLOUD_KMS_PKCS11_LOG_FILE",
    "CLOUD_KMS_PKCS11_LOG_DESTINATION",
    "CLOUD_KMS_PKCS11_MODULE",
];

/// All variables that stand for options.
#[rustfmt::skip]
pub const VARIABLES: &[VariableRow] = &[
    log("log_level", &["CLOUD_KMS_PKCS11_LOG"]),
    log("log_file", &["CLOUD_KMS_PKCS11_LOG_FILE"]),
    log("log_destination", &["CLOUD_KMS_PKCS11_LOG_DESTINATION"]),
    row("aws_region", Cloud::Aws, &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    row("aws_profile", Cloud::Aws, &["AWS_PROFILE"]),
    row("aws_endpoint_url", Cloud::Aws, &["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"]),
    row("aws_use_fips_endpoint", Cloud::Aws, &["AWS_USE_FIPS_ENDPOINT"]),
    row("aws_use_dualstack_endpoint", Cloud::Aws, &["AWS_USE_DUALSTACK_ENDPOINT"]),
    row("azure_tenant_id", Cloud::Azure, &["AZURE_TENANT_ID"]),
    row("azure_client_id", Cloud::Azure, &["AZURE_CLIENT_ID"]),
    row("azure_client_secret", Cloud::Azure, &["AZURE_CLIENT_SECRET"]),
    row("azure_client_certificate_path", Cloud::Azure, &["AZURE_CLIENT_CERTIFICATE_PATH"]),
    row("azure_federated_token_file", Cloud::Azure, &["AZURE_FEDERATED_TOKEN_FILE"]),
    row("azure_auth_file", Cloud::Azure, &["AZURE_AUTH_LOCATION"]),
    row("azure_authority_host", Cloud::Azure, &["AZURE_AUTHORITY_HOST"]),
    row("vault_address", Cloud::Vault, &["BAO_ADDR", "VAULT_ADDR"]),
    row("vault_namespace", Cloud::Vault, &["BAO_NAMESPACE", "VAULT_NAMESPACE"]),
    row("vault_token", Cloud::Vault, &["BAO_TOKEN", "VAULT_TOKEN"]),
    row("vault_client_certificate_path", Cloud::Vault, &["BAO_CLIENT_CERT", "VAULT_CLIENT_CERT"]),
    row("vault_client_key_path", Cloud::Vault, &["BAO_CLIENT_KEY", "VAULT_CLIENT_KEY"]),
    row("vault_tls_server_name", Cloud::Vault, &["BAO_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"]),
    row("google_credentials_file", Cloud::Google, &["GOOGLE_APPLICATION_CREDENTIALS"]),
    row("google_quota_project", Cloud::Google, &["GOOGLE_CLOUD_QUOTA_PROJECT"]),
    row("google_universe_domain", Cloud::Google, &["GOOGLE_CLOUD_UNIVERSE_DOMAIN"]),
    row("ca_bundle", Cloud::Aws, &["AWS_CA_BUNDLE"]),
    row("ca_bundle", Cloud::Vault, &["BAO_CACERT", "VAULT_CACERT", "BAO_CAPATH", "VAULT_CAPATH"]),
];

/// Variables in the option table that do not stand for an option: the password itself, where the option names a file,
/// and the proxies, which depend on the address of the server.
#[cfg(test)]
const WITHOUT_OPTION: [&str; 5] =
    ["AZURE_CLIENT_CERTIFICATE_PASSWORD", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];

#[cfg(test)]
mod tests {
    use super::super::OPTIONS;
    use super::*;

    /// Returns the names of variables between backticks, such as `AZURE_TENANT_ID`.
    fn names(text: &str) -> Vec<&str> {
        let is_variable = |word: &&str| {
            word.contains('_') && word.bytes().all(|c| c.is_ascii_uppercase() || c == b'_' || c.is_ascii_digit())
        };
        text.split('`').skip(1).step_by(2).filter(is_variable).collect()
    }

    #[test]
    fn the_variables_are_those_of_the_option_table() {
        let mut count = 0;
        for option in OPTIONS {
            let of_option = || VARIABLES.iter().filter(|row| row.option == option.name);
            for name in names(option.default).into_iter().filter(|name| !WITHOUT_OPTION.contains(name)) {
                assert!(of_option().any(|row| row.names.contains(&name)), "{}: no row has {name}", option.name);
                count += 1;
            }
        }
        assert!(count > 20, "{count}");
        for row in VARIABLES {
            assert!(OPTIONS.iter().any(|option| option.name == row.option), "{} is no option", row.option);
        }
    }
}
