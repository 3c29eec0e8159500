//! Roles that are assumed with other credentials.

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::ProvideCredentials;

/// A role, and the parameters for assuming it.
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) external_id: Option<String>,
    pub(crate) session_name: Option<String>,
}

impl Role {
    /// Returns a provider that assumes the role with the credentials of `base`.
    pub(crate) async fn provider(self, sdk: &SdkConfig, base: impl ProvideCredentials + 'static) -> AssumeRoleProvider {
        let session = self.session_name.unwrap_or_else(|| "cloud-kms-pkcs11".to_owned());
        let mut builder = AssumeRoleProvider::builder(self.arn).session_name(session).configure(sdk);
        if let Some(id) = self.external_id {
            builder = builder.external_id(id);
        }
        builder.build_from_provider(base).await
    }
}
