//! The environment variables that matter to the module: one row each.

use cloud_kms_pkcs11::config::tool::{OPTION_VARIABLES, Precedence};

/// A variable.
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The cloud that it is for. None if it is for all.
    pub cloud: Option<&'static str>,
    /// What its value is.
    pub kind: Kind,
    /// When it counts, or what it does. Empty if the table of options tells, or if there is nothing to say.
    effect: &'static str,
}

impl Variable {
    /// Returns when the variable counts, or what it does.
    pub fn effect(&self) -> String {
        let row = OPTION_VARIABLES.iter().find(|row| self.effect.is_empty() && row.names.contains(&self.name));
        match row.map(|row| (row.precedence, row.option)) {
            Some((Precedence::BeforeFile, option)) => format!("takes precedence over {option:?}"),
            Some((Precedence::AfterFile, option)) => format!("for slots without {option:?}"),
            None => self.effect.to_owned(),
        }
    }
}

/// What the value of a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that anybody may see.
    Plain,
    /// Text that nobody may see.
    Secret,
    /// One of two variables that count only together. This is the other one.
    Pair(&'static str),
    /// The same, of text that nobody may see.
    SecretPair(&'static str),
    /// The path of something that exists.
    Path,
    /// Paths of things that exist, separated by colons.
    PathList,
    /// The path of a file that may not exist yet.
    NewFile,
    /// A URL, perhaps with a password.
    Url,
    /// The URL of a proxy, perhaps with a password.
    Proxy,
    /// Ignored; the effect says what to do instead.
    Ignored,
}

macro_rules! variables {
    ($($cloud:expr => { $($name:ident $kind:expr $(, $effect:literal)?;)* })*) => {
        &[$($(Variable { name: stringify!($name), cloud: $cloud, kind: $kind, effect: concat!($($effect)?) },)*)*]
    };
}

/// The variables whose values explain most failures. Each one that stands for an option is among them.
pub const VARIABLES: &[Variable] = variables! {
    None => {
        CLOUD_KMS_PKCS11_CONFIG Kind::Path, "the only configuration file";
        CLOUD_KMS_PKCS11_MODULE Kind::Path, "the module of this tool";
        CLOUD_KMS_PKCS11_LOG Kind::Plain;
        CLOUD_KMS_PKCS11_LOG_FILE Kind::NewFile;
        CLOUD_KMS_PKCS11_LOG_DESTINATION Kind::Plain;
        AWS_KMS_PKCS11_CONFIG Kind::Path, "read only without a file of this module";
        KMS_PKCS11_CONFIG Kind::Path, "read only without a file of this module";
        XDG_CONFIG_HOME Kind::NewFile, "instead of ~/.config";
        XDG_CACHE_HOME Kind::NewFile, "instead of ~/.cache";
        HTTPS_PROXY Kind::Proxy, "for slots without \"proxy\"";
        https_proxy Kind::Proxy, "for slots without \"proxy\"";
        HTTP_PROXY Kind::Proxy, "for slots without \"proxy\"";
        http_proxy Kind::Proxy, "for slots without \"proxy\"";
        ALL_PROXY Kind::Proxy, "for slots without \"proxy\"";
        all_proxy Kind::Proxy, "for slots without \"proxy\"";
        NO_PROXY Kind::Plain, "reached without a proxy";
        no_proxy Kind::Plain, "reached without a proxy";
        SSL_CERT_FILE Kind::Path, "in place of the system's certificate authorities";
        SSL_CERT_DIR Kind::PathList, "in place of the system's certificate authorities";
        OPENSSL_CONF Kind::Path, "in place of the system's openssl.cnf";
        PKCS11_MODULE_PATH Kind::Path, "the module of OpenSSL's engine";
        PKCS11_PROVIDER_MODULE Kind::Path, "the module of OpenSSL's provider";
    }
    Some("aws") => {
        AWS_PROFILE Kind::Plain;
        AWS_REGION Kind::Plain, "for keys without a region of their own";
        AWS_DEFAULT_REGION Kind::Plain, "for keys without a region of their own, if AWS_REGION is not set";
        AWS_ACCESS_KEY_ID Kind::Pair("AWS_SECRET_ACCESS_KEY"), "for slots without \"aws_profile\"";
        AWS_SECRET_ACCESS_KEY Kind::SecretPair("AWS_ACCESS_KEY_ID"), "for slots without \"aws_profile\"";
        AWS_SESSION_TOKEN Kind::Secret;
        AWS_CONFIG_FILE Kind::Path, "in place of ~/.aws/config";
        AWS_SHARED_CREDENTIALS_FILE Kind::Path, "in place of ~/.aws/credentials";
        AWS_WEB_IDENTITY_TOKEN_FILE Kind::Path, "a web identity for AWS_ROLE_ARN";
        AWS_ROLE_ARN Kind::Plain, "the role of the web identity";
        AWS_CA_BUNDLE Kind::Path;
        AWS_ENDPOINT_URL_KMS Kind::Url;
        AWS_ENDPOINT_URL_STS Kind::Url;
        AWS_ENDPOINT_URL_ACM Kind::Url;
        AWS_ENDPOINT_URL_ACM_PCA Kind::Url;
        AWS_ENDPOINT_URL Kind::Url;
        AWS_USE_FIPS_ENDPOINT Kind::Plain;
        AWS_USE_DUALSTACK_ENDPOINT Kind::Plain;
        AWS_EC2_METADATA_DISABLED Kind::Plain;
        AWS_CONTAINER_CREDENTIALS_FULL_URI Kind::Plain;
        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI Kind::Plain;
    }
    Some("azure") => {
        AZURE_TENANT_ID Kind::Plain;
        AZURE_CLIENT_ID Kind::Plain;
        AZURE_CLIENT_SECRET Kind::Secret, "for slots without a secret of their own";
        AZURE_CLIENT_CERTIFICATE_PATH Kind::Path;
        AZURE_CLIENT_CERTIFICATE_PASSWORD Kind::Secret, "for slots without \"azure_client_certificate_password_file\"";
        AZURE_FEDERATED_TOKEN_FILE Kind::Path;
        AZURE_AUTH_LOCATION Kind::Path;
        AZURE_AUTHORITY_HOST Kind::Url;
        AZURE_KEYVAULT_URL Kind::Url, "only without a file of this module";
    }
    Some("google") => {
        GOOGLE_APPLICATION_CREDENTIALS Kind::Path;
        GOOGLE_API_CERTIFICATE_CONFIG Kind::Path;
        GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES Kind::Plain;
        CLOUDSDK_CONFIG Kind::Path, "the directory of gcloud";
        GOOGLE_CLOUD_QUOTA_PROJECT Kind::Plain;
        GOOGLE_CLOUD_UNIVERSE_DOMAIN Kind::Plain;
    }
    Some("vault") => {
        BAO_ADDR Kind::Url;
        BAO_TOKEN Kind::Secret, "for slots without a token or login of their own";
        BAO_NAMESPACE Kind::Plain;
        BAO_CACERT Kind::Path;
        BAO_CAPATH Kind::Path;
        BAO_CLIENT_CERT Kind::Path;
        BAO_CLIENT_KEY Kind::Path;
        BAO_TLS_SERVER_NAME Kind::Plain;
        BAO_SKIP_VERIFY Kind::Ignored, "unset it, and name the server's authority in \"ca_bundle\"";
        VAULT_ADDR Kind::Url;
        VAULT_TOKEN Kind::Secret, "for slots without a token or login of their own";
        VAULT_NAMESPACE Kind::Plain;
        VAULT_CACERT Kind::Path;
        VAULT_CAPATH Kind::Path;
        VAULT_CLIENT_CERT Kind::Path;
        VAULT_CLIENT_KEY Kind::Path;
        VAULT_TLS_SERVER_NAME Kind::Plain;
        VAULT_SKIP_VERIFY Kind::Ignored, "unset it, and name the server's authority in \"ca_bundle\"";
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_of_an_option_is_checked() {
        for name in OPTION_VARIABLES.iter().flat_map(|row| row.names) {
            assert!(VARIABLES.iter().any(|row| row.name == *name), "{name}");
        }
    }
}
