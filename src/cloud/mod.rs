//! Cloud key services: the [`Backend`] trait, and the code that all clouds share.
//!
//! Each cloud has a folder, and all these folders use the same file names. `async` code exists in this module and
//! below it only.

pub mod aws;
pub mod azure;
pub(crate) mod backend;
pub(crate) mod credentials;
pub(crate) mod failure;
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
pub mod vault;

pub use backend::{
    Backend, Certificates, Decryption, Identity, KeyAgreement, KeyManagement, MacVerification, NamedCertificates,
    RandomSource, ServiceSettings, SharedBackend, purposes_of, schemes_for,
};
pub use failure::{CAUSES, Cause, Failure};
pub use http::client_certificate::ClientCertificate;
pub use http::endpoint::{is_plaintext_remote, url_without_credentials};
pub use http::network::Network;
pub use key::{CertificateName, KeyDescription, KeyName, ListedKey, SecretBytes, Signature, Target};
pub use login::{CommitLogin, LoginError, PinLogin};
pub use management::{CreatedKey, NewKey};
pub use runtime::Pending;
pub use secret::Secret;
