//! Cloud key services: the [`Backend`] trait, and the code that all clouds share.
//!
//! Each cloud has a folder, and all these folders use the same file names. `async` code exists in this module and
//! below it only.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
pub(crate) mod backend;
pub(crate) mod credentials;
pub(crate) mod diagnosis;
pub(crate) mod failure;
#[cfg(feature = "google")]
pub mod google;
pub(crate) mod http;
pub(crate) mod key;
pub mod lazy;
pub(crate) mod login;
pub(crate) mod management;
pub(crate) mod pagination;
pub(crate) mod retry;
pub mod runtime;
pub(crate) mod secret;
#[cfg(feature = "vault")]
pub mod vault;

pub use backend::{
    Backend, Certificates, Decryption, Identity, KeyAgreement, KeyManagement, MacVerification, NamedCertificates,
    RandomSource, ServiceSettings, SharedBackend, purposes_of, schemes_for,
};
pub use diagnosis::connection::{Connection, ServerReply};
pub use diagnosis::{Diagnosis, Principal, Replica};
pub use failure::{CAUSES, Cause, Failure};
pub use http::client_certificate::ClientCertificate;
pub use http::endpoint::{is_plaintext_remote, url_without_credentials};
pub use http::network::Network;
pub use http::proxy::invalid_variables as invalid_proxy_variables;
pub use key::{CertificateName, KeyDescription, KeyName, ListedKey, SecretBytes, Signature, Target};
pub use login::{CommitLogin, LoginError, PinLogin};
pub use management::{CreatedKey, NewKey};
pub use runtime::Pending;
pub use secret::Secret;

// What remains of a cloud without its feature: the settings, so that its options and files are read by the same code in
// every build.

#[cfg(not(feature = "aws"))]
pub mod aws {
    //! AWS KMS, which this build does not support.
    pub(crate) mod acm {
        pub(crate) mod name;
    }
    pub(crate) mod credentials {
        pub(crate) mod shared_file_paths;
    }
    pub(crate) mod operations;
    pub(crate) mod settings;
    pub use acm::name::{CertificateService, is_certificate_arn};
    pub use credentials::shared_file_paths::files_with_access_keys;
    pub use settings::{Login, Settings};
}

#[cfg(not(feature = "azure"))]
pub mod azure {
    //! Azure Key Vault, which this build does not support.
    pub(crate) mod settings;
    pub use settings::{Credential, Settings};
}

#[cfg(not(feature = "google"))]
pub mod google {
    //! Google Cloud KMS, which this build does not support.
    pub(crate) mod names;
    pub(crate) mod settings;
    pub use names::{KEY_RING_FORM, crypto_key_id, is_key, is_key_ring, relative_name};
    pub use settings::{Credentials, ProtectionLevel, Settings, Versions};
}

#[cfg(not(feature = "vault"))]
pub mod vault {
    //! Vault, which this build does not support.
    pub(crate) mod settings;
    pub use settings::{Auth, Credential, Login, Pin, SecretId, Settings, is_key_name};
}
